"""Files that wait until something is done with them."""

import os
import time

import pytest

from core.logos import waiting
from core.logos.uploads import MAX_FILES


def test_files_wait_in_their_order_with_their_names(home):
    first, _ = waiting.keep(home, [("b.png", b"1"), ("../a\nb.png", b"22")])
    more, _ = waiting.keep(home, [("b.png", b"333")], first)
    again = waiting.find(home, first.waiting_id)
    assert more == first == again
    assert [(name, path.read_bytes()) for name, path in again.files()] == [("b.png", b"1"), ("../a\ufffdb.png", b"22"), ("b.png", b"333")]
    assert again.n_bytes() == 6
    again.leave_out([again.files()[1][1]])
    assert [name for name, _ in again.files()] == ["b.png", "b.png"]
    waiting.keep(home, [("c.png", b"4")], again)
    assert [name for name, _ in again.files()] == ["b.png", "b.png", "c.png"]
    again.leave_out([path for _, path in again.files()])
    assert waiting.find(home, first.waiting_id) is None
    assert not list((home / "uploads").iterdir())


@pytest.mark.parametrize("asked", ["", "..", "../..", "0" * 15, "0" * 17, "/etc", "00000000000000zz", "\0"])
def test_an_address_names_nothing_but_what_was_given(home, asked):
    waiting.keep(home, [("a.png", b"1")])
    assert waiting.find(home, asked) is None


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"00000": 7}', b"\xff", b'{"00000": "\\ud800"}'])
def test_names_that_are_damaged_lose_no_file(home, damage):
    found, _ = waiting.keep(home, [("a.png", b"1")])
    (found.path / "names.json").write_bytes(damage)
    ((name, path),) = found.files()
    assert path.read_bytes() == b"1"
    assert name.encode() in (b"file 1", "\ufffd".encode())
    waiting.keep(home, [("b.png", b"2")], found)
    assert [given for given, _ in found.files()] == [name, "b.png"]


def test_what_is_over_the_limits_is_named_and_not_written(home, monkeypatch):
    monkeypatch.setattr(waiting, "MAX_BYTES", 5)
    found, refused = waiting.keep(home, [("a", b"123"), ("b", b"456"), ("c", b"78")])
    assert [name for name, _ in found.files()] == ["a", "c"]
    assert refused == ["b"]
    monkeypatch.undo()
    _, refused = waiting.keep(home, ((str(n), b"") for n in range(MAX_FILES)), found)
    assert refused == [str(MAX_FILES - 2), str(MAX_FILES - 1)]


def test_what_nobody_came_back_for_goes(home):
    old, _ = waiting.keep(home, [("a.png", b"1")])
    new, _ = waiting.keep(home, [("b.png", b"2")])
    before = time.time() - waiting.KEPT_S - 60
    os.utime(old.path, (before, before))
    waiting.keep(home, [("c.png", b"3")])
    assert waiting.find(home, old.waiting_id) is None
    assert waiting.find(home, new.waiting_id) == new


def test_files_that_wait_for_long_are_not_lost_when_another_comes(home):
    found, _ = waiting.keep(home, [("a.png", b"1")])
    before = time.time() - waiting.KEPT_S - 60
    os.utime(found.path, (before, before))
    waiting.keep(home, [("b.png", b"2")], found)
    assert [name for name, _ in found.files()] == ["a.png", "b.png"]


def test_a_full_disk_leaves_nothing_behind(home):
    (home / "uploads").mkdir(parents=True)

    def files():
        yield "a.png", b"1"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        waiting.keep(home, files())
    assert not list((home / "uploads").iterdir())
    found, _ = waiting.keep(home, [("b.png", b"2")])
    with pytest.raises(OSError, match="No space"):
        waiting.keep(home, files(), found)
    assert [name for name, _ in found.files()] == ["b.png"]
