"""What is uploaded: told by its content, limited by what it declares, written under safe names, and each file's fate is said."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import LogosError
from core.logos import sets, uploads
from core.logos.uploads import Intake, take_in
from core.names import MAX_BYTES, Names, printable, safe_name
from tests.support.hostile import declaring, link_entry
from tests.support.logos import png, zipped


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "staged"
    path.mkdir()
    return path


def written(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusals(intake: Intake) -> dict[str, str]:
    return {item.given: item.reason for item in intake.refused}


def test_zips_are_unpacked_and_names_are_plain_and_differ(folder):
    pictures = [png(i) for i in range(6)]
    inside = {"a/logo.png": pictures[1], "b/LOGO.png": pictures[2], "../../etc/passwd.png": pictures[3], "__MACOSX/x.png": b"4", "a/": b""}
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h9v9z"/></svg>'
    intake = take_in([("logo.png", pictures[0]), ("logos.zip", zipped(inside)), ("C:\\x\\Łódź <b>.svg", svg), ("note.md", b"# no")], folder)
    assert [item.name for item in intake.taken] == ["logo.png", "logo-2.png", "LOGO-3.png", "passwd.png", "Łódź _b_.svg"]
    assert [item.given for item in intake.taken][1:4] == ["logos.zip/a/logo.png", "logos.zip/b/LOGO.png", "logos.zip/../../etc/passwd.png"]
    assert written(folder) == {item.name: data for item, data in zip(intake.taken, [*pictures[:4], svg], strict=True)} | {
        "Łódź _b_.svg": written(folder)["Łódź _b_.svg"]
    }
    assert intake.passed_over == ["logos.zip/__MACOSX/x.png"]
    assert "no picture of a supported format" in refusals(intake)["note.md"]
    lines = intake.as_csv().decode().splitlines()
    assert len(lines) == 1 + len(intake.taken) + 1 + 1
    assert lines[0] == "file,outcome,stored_as,reason"


def test_what_a_file_is_is_decided_by_its_content(folder):
    packed = zipped({"in.png": png(2)})
    intake = take_in(
        [("a.jpg", png(1)), ("b.png", packed), ("c.zip", png(3)), ("d", png(4)), ("e.png", b"GIF89a no"), ("f.JPEG", b"x")], folder
    )
    assert [item.name for item in intake.taken] == ["a.png", "in.png", "c.png", "d.png", "e.gif"]  # reading says that e is broken
    assert list(refusals(intake)) == ["f.JPEG"]


def test_a_zip_inside_a_zip_and_links_and_odd_packing_are_refused_one_by_one(folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("good.png", png(1))
        archive.writestr(link_entry(), "/etc/passwd")
        archive.writestr("inner.zip", zipped({"a.png": png(2)}))
        archive.writestr("odd.png", png(3), zipfile.ZIP_LZMA)
        archive.writestr("large.png", bytes(uploads.MAX_FILE_BYTES + 1), zipfile.ZIP_STORED)
    intake = take_in([("a.zip", buffer.getvalue())], folder)
    assert list(written(folder)) == ["good.png"]
    told = refusals(intake)
    assert "link" in told["a.zip/link.png"]
    assert "ZIP file" in told["a.zip/inner.zip"]
    assert "ordinary ZIP" in told["a.zip/odd.png"]
    assert "the limit is 64,000,000" in told["a.zip/large.png"]


WHOLE = zipped({"logo.png": bytes(range(256)) * 40})
ZIPS = {
    "no zip": (b"PK\x03\x04 nonsense", "can't be unpacked"),
    "cut": (zipped({"a.png": png(1)})[:-30], "can't be unpacked"),
    "damaged": (WHOLE[:60] + bytes(200) + WHOLE[260:], "can't be unpacked"),
    "empty": (zipped({}), "holds no file"),
    "a bomb that declares itself": (zipped({f"{i}.png": bytes(40_000_000) for i in range(3)}), "times its size"),
    "a bomb that lies": (declaring(zipped({"a.png": bytes(40_000_000)}), 100), "can't be unpacked"),
    "more than fits": (declaring(zipped({f"{i}.png": b"x" * 9 for i in range(20)}), 60_000_000), "unpacks to 1,144 MB"),
    "3,000 files": (zipped({f"{i}.png": b"x" for i in range(3000)}), "holds 3,000 files; the limit is 2,000"),
    "10,000 folders": (zipped({f"{i}/": b"" for i in range(10_000)}), "lists more than 6,000 entries"),
}


@pytest.mark.parametrize("what", ZIPS)
def test_a_hostile_zip_is_one_refusal_and_leaves_nothing(folder, what):
    data, told = ZIPS[what]
    intake = take_in([("first.png", png(1)), ("bad.zip", data), ("last.png", png(2))], folder)
    assert sorted(written(folder)) == ["first.png", "last.png"]
    assert len(intake.refused) == 1
    assert told in intake.refused[0].reason
    assert "\n" not in intake.refused[0].reason


def test_files_over_the_limit_are_named(folder, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_FILES", 2)
    intake = take_in([(f"{i}.png", png(i)) for i in range(4)], folder)
    assert len(intake.taken) == 2
    assert all("over the limit of 2 files" in reason for reason in refusals(intake).values())
    assert list(refusals(intake)) == ["2.png", "3.png"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\Windows\\a.png", "a.png"),
        ("CON", "_CON"),
        ("aux.png", "_aux.png"),
        ("com1.tar.png", "_com1.tar.png"),
        ("...", "picture"),
        ("", "picture"),
        ("<script>alert(1)</script>.png", "script_.png"),
        ("a\u202egnp.exe", "a_gnp.exe"),
        ("$x$ {{ y }} `z`.png", "_x_ _ y _ _z_.png"),
        ("e\u0301.png", "é.png"),
        ("line\nbreak.png", "line_break.png"),
    ],
)
def test_names_hide_nothing_and_lead_nowhere(name, expected):
    assert safe_name(name) == expected


@given(st.text(st.characters(), max_size=400))
def test_any_name_is_one_that_every_file_system_takes(name):
    found = safe_name(name)
    assert 0 < len(found.encode()) <= MAX_BYTES + 1
    assert not set(found) & set('/\\:*?"<>|\0\n')
    assert found not in (".", "..")
    assert found == found.strip(" .")
    printable(name).encode()


def test_long_names_are_cut_and_still_differ(folder):
    long = [("x" * 300 + ".png", png(1)), ("x" * 300 + "y.png", png(2)), ("é" * 127 + ".png", png(3)), ("🦊" * 63 + ".png", png(4))]
    intake = take_in(long, folder)
    assert len(intake.taken) == len(written(folder)) == 4
    assert all(len(name.encode()) < 140 for name in written(folder))
    assert all(name.endswith(".png") for name in written(folder))


def test_names_are_one_where_a_file_system_takes_them_for_one():
    names = Names(frozenset({"Logo"}))
    assert [names.free(stem, ".png") for stem in ("logo", "LOGO", "straße", "STRASSE", "é", "e\u0301", "ﬁ", "fi")] == [
        "logo-2.png", "LOGO-3.png", "straße.png", "STRASSE-2.png", "é.png", "e\u0301-2.png", "ﬁ.png", "fi-2.png",
    ]  # fmt: skip


def test_a_set_that_gets_nothing_usable_is_not_made_and_nothing_is_left(home):
    for files in ([("a.png", b"nonsense")], [("b.zip", ZIPS["3,000 files"][0])], [("c.png", png(1)[:200])], []):
        with pytest.raises(LogosError, match="gets no usable picture"):
            sets.add_pictures(home, "mine", files)
        assert list(sets.sets_folder(home).iterdir()) == []


def test_a_refused_file_leaves_nothing_in_a_set_and_the_others_are_taken(home):
    sets.add_pictures(home, "mine", [("one.png", png(1)), ("two.png", png(2))])
    added = sets.add_pictures(
        home, "mine", [("cut.png", png(3)[:200]), ("again.png", png(1)), ("three.png", png(4)), ("bad.zip", b"PK\3\4")]
    )
    assert [item.name for item in added.intake.taken] == ["three.png"]
    assert refusals(added.intake).keys() == {"cut.png", "again.png", "bad.zip"}
    assert "Same as one" in refusals(added.intake)["again.png"]
    assert sorted(written(added.folder)) == ["manifest.csv", "one.png", "three.png", "two.png"]
    assert sorted(path.name for path in sets.sets_folder(home).iterdir()) == ["mine"]
