"""What optimize takes for its pictures, and what it may write over."""

from pathlib import Path

import pytest

from core.evaluation.files import TABLE, OutNames, find_pictures, written_before


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "mine"
    for name in ("a.png", "B.PNG", "brands/a.png", "brands/.a.png", ".hidden/c.png", "__MACOSX/._a.png", "notes.txt", "a.svg"):
        (found / name).parent.mkdir(parents=True, exist_ok=True)
        (found / name).write_bytes(b"picture")
    return found


def write(out: Path, sources) -> list[str]:
    """As one run of optimize; the SVGs' names."""
    names = OutNames(out, sources)
    rows = []
    for source in sources:
        path = names.of(source.name, source.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<svg><!-- {source.name} --></svg>")
        rows.append({"file": str(source.path), "svg": str(path)})
    names.write_table(rows)
    return [Path(row["svg"]).relative_to(out).as_posix() for row in rows]


def test_hidden_files_and_what_a_zip_adds_are_no_pictures(folder):
    sources, skipped = find_pictures([folder, folder / "a.png", folder / "gone.png"])
    assert [source.name for source in sources] == ["B", "a", "a", "brands/a"]
    assert [item.source for item in skipped] == [str(folder / "notes.txt"), str(folder / "gone.png")]


def test_sub_folders_are_kept_and_names_are_told_apart(folder, tmp_path):
    sources, _ = find_pictures([folder])
    assert write(tmp_path / "out", sources) == ["B.svg", "a.svg", "a-2.svg", "brands/a.svg"]


def test_a_second_run_writes_over_its_own_results_and_nothing_else(folder, tmp_path):
    out = tmp_path / "out"
    sources, _ = find_pictures([folder])
    first = write(out, sources)
    (out / "kept.svg").write_text("by hand")
    assert write(out, sources) == first
    (out / TABLE).unlink()  # nothing says any more that they are ours
    assert write(out, sources) == ["B-2.svg", "a-3.svg", "a-4.svg", "brands/a-2.svg"]
    assert (out / "kept.svg").read_text() == "by hand"


def test_no_input_is_written_over_and_results_are_no_inputs(folder):
    """The SVGs go beside the pictures, one of which is an SVG; and once more."""
    sources, _ = find_pictures([folder], folder)
    first = write(folder, sources)
    assert first == ["B.svg", "a-2.svg", "a-3.svg", "brands/a.svg"]
    assert (folder / "a.svg").read_bytes() == b"picture"
    again, _ = find_pictures([folder], folder)
    assert [source.name for source in again] == [source.name for source in sources]
    assert write(folder, again) == first


def test_a_folder_of_results_inside_the_pictures_is_no_input(folder):
    sources, _ = find_pictures([folder], folder / "out")
    write(folder / "out", sources)
    again, _ = find_pictures([folder], folder / "out")
    assert again == sources


def test_the_list_keeps_what_other_runs_wrote(folder, tmp_path):
    out = tmp_path / "out"
    sources, _ = find_pictures([folder])
    write(out, sources[:2])
    write(out, sources[2:])
    assert {path.relative_to(out.resolve()).as_posix() for path in written_before(out)} == {"B.svg", "a.svg", "a-2.svg", "brands/a.svg"}
    (out / "B.svg").unlink()
    write(out, sources[2:])
    assert len(written_before(out)) == 3


@pytest.mark.parametrize("damage", [b"\xff\xfe\x00", b"[1]", b"", b"svg\n\n", b'"svg'])
def test_a_damaged_list_means_that_nothing_is_ours(folder, tmp_path, damage):
    out = tmp_path / "out"
    sources, _ = find_pictures([folder])
    write(out, sources)
    (out / TABLE).write_bytes(damage)
    assert write(out, sources)[0] == "B-2.svg"
