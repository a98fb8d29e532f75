"""The database's file: quarantined where it is damaged, left alone where the disk is at fault."""

import duckdb
import pytest

from core.errors import StoreError
from storage.store import database_file, open_store


@pytest.mark.parametrize(
    "said",
    [
        'Could not write file "index.duckdb": No space left on device',
        'Cannot open file "index.duckdb": Read-only file system',
        'Cannot open file "index.duckdb": Permission denied',
        "Trying to read a database file with version number 99, but we can only read versions between 64 and 67.",
    ],
)
def test_a_healthy_database_is_left_alone_where_the_disk_is_at_fault(home, monkeypatch, said):
    home.mkdir()
    with open_store(home) as opened:
        opened.rows("SELECT 1")
    before = database_file(home).read_bytes()

    def refuses(path):
        raise duckdb.IOException(f"IO Error: {said}")

    monkeypatch.setattr(duckdb, "connect", refuses)
    with pytest.raises(StoreError, match="nothing was changed"):
        open_store(home)
    assert database_file(home).read_bytes() == before
    assert [path.name for path in home.iterdir()] == [database_file(home).name]


@pytest.mark.parametrize("damage", [b"not a database", bytes(20_000), b""])
def test_a_damaged_database_is_put_aside_and_made_again(home, damage):
    home.mkdir()
    database_file(home).write_bytes(damage)
    with open_store(home) as opened:
        assert opened.offsets() == {}
    aside = home / f"{database_file(home).name}.damaged"
    assert not damage or aside.read_bytes() == damage


def test_a_cut_database_is_put_aside_and_made_again(home):
    home.mkdir()
    with open_store(home):
        pass
    whole = database_file(home).read_bytes()
    database_file(home).write_bytes(whole[: len(whole) // 2])
    with open_store(home) as opened:
        assert opened.offsets() == {}
