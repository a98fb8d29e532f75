"""What is uploaded: zips and names."""

import pytest

from core.errors import RunError
from core.logos.uploads import unpack
from tests.support.logos import zipped


def test_zips_are_unpacked_and_names_are_plain_and_differ(monkeypatch):
    inner = zipped({"a/logo.png": b"1", "b/logo.png": b"2", "../../etc/passwd.png": b"3", "__MACOSX/x.png": b"4", "a/": b""})
    found = dict(unpack([("logo.png", b"0"), ("logos.zip", inner), ("C:\\x\\Łódź <b>.svg", b"5")]))
    assert list(found.values()) == [b"0", b"1", b"2", b"3", b"5"]
    assert list(found)[:4] == ["logo.png", "logo-2.png", "logo-3.png", "passwd.png"]
    assert list(found)[4] == "Łódź _b_.svg"
    with pytest.raises(RunError, match=r"broken.zip can't be unpacked"):
        list(unpack([("broken.zip", b"PK nonsense")]))
    whole = zipped({"logo.png": bytes(range(256)) * 40})
    for damaged in (
        whole[:60] + bytes(200) + whole[260:],
        whole.replace(whole[70:80], b"\xff" * 10),
    ):  # its list is whole, a picture is not
        with pytest.raises(RunError, match=r"damaged.zip can't be unpacked"):
            list(unpack([("damaged.zip", damaged)]))
    monkeypatch.setattr("core.logos.uploads.MAX_FILES", 2)
    with pytest.raises(RunError, match="a batch can hold 2 files"):
        list(unpack([("a.png", b""), ("b.png", b""), ("c.png", b"")]))
