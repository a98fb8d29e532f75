"""What an optimize that was killed has done: what counts as done when it is called again, and the lists that come of it."""

import hashlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core.evaluation.alternatives import Alternatives
from core.evaluation.files import JOURNAL, PARQUET, TABLE, OutNames, find_pictures, written_before
from core.evaluation.journal import Journal
from core.evaluation.optimize import Lists
from core.evaluation.optimized import Optimized, Result
from core.tracing.outcome import Outcome
from core.tracing.palette import Palette
from core.tracing.params import BEST_SINGLE

ASKED = {"budget": 4}
SVG = b"<svg/>"
BESIDE = {"defaults": {"ssim": 0.5, "made_by": "defaults"}}


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abcd":
        (folder / f"{name}.png").write_bytes(b"picture " + name.encode())
    return find_pictures([folder])[0]


def result_of(source, path: Path) -> Result:
    outcome = Outcome(0.9, 100, 3, 0.01)
    return Result(source.shown, str(path), 0.5, outcome, outcome, BEST_SINGLE, 4, "agent", 0.25, 512, len(SVG), "")


def work(out: Path, sources, n: int, asked=ASKED, has_svg: bool = True) -> Journal:
    """As one call of optimize that is killed after ``n`` pictures."""
    out.mkdir(exist_ok=True)
    journal = Journal(out, asked)
    names = OutNames(out, sources, journal.rows())
    if not journal.is_same:
        names.write_table([])
    journal.begin()
    _, rest = journal.split(sources)
    for source in rest[:n]:
        journal.reads(source)
        path = names.of(source.name, source.path)
        journal.add(result_of(source, path), path.name, SVG, BESIDE)
        if has_svg:
            path.write_bytes(SVG)
    return journal


def done(out: Path, sources, asked=ASKED) -> list[str]:
    return [Path(entry.result.file).stem for entry in Journal(out, asked).split(sources)[0]]


def test_what_is_done_is_known_again_with_all_its_figures(pictures, tmp_path):
    out = tmp_path / "out"
    work(out, pictures, 2)
    (entry, _), rest = Journal(out, ASKED).split(pictures)
    assert entry.result == result_of(pictures[0], out / "a.svg")
    assert (entry.path, entry.beside, entry.svg) == ("a.svg", BESIDE, hashlib.sha256(SVG).hexdigest())
    assert rest == pictures[2:]
    work(out, pictures, 1)
    assert done(out, pictures) == ["a", "b", "c"]
    assert len((out / JOURNAL).read_text().split()) > 0
    Journal(out, ASKED).end()
    assert done(out, pictures) == []


def test_a_picture_that_changed_or_whose_svg_is_not_whole_is_done_again(pictures, tmp_path):
    out = tmp_path / "out"
    work(out, pictures, 4)
    pictures[0].path.write_bytes(b"another")
    (out / "b.svg").write_bytes(b"<svg")
    (out / "c.svg").unlink()
    assert done(out, pictures) == ["d"]


def test_a_torn_or_damaged_line_costs_its_picture_alone(pictures, tmp_path):
    out = tmp_path / "out"
    work(out, pictures, 3)
    lines = (out / JOURNAL).read_bytes().splitlines()
    damaged = lines[2].replace(b'"path": "b.svg"', b'"path": "../../b.svg"')
    (out / JOURNAL).write_bytes(b"\n".join([*lines[:2], damaged, b'{"picture": 3}', b"[" * 100_000, b"\xc3\xa9", lines[3][:50]]))
    (out / "c.svg").unlink()  # which is written after its line
    assert done(out, pictures) == ["a"]
    work(out, pictures, 3)
    assert sorted(done(out, pictures)) == ["a", "b", "c", "d"]
    assert sorted(path.name for path in out.glob("*.svg")) == ["a.svg", "b-2.svg", "b.svg", "c.svg", "d.svg"]  # b.svg could be anybody's
    (out / JOURNAL).write_bytes(b"\xff\xfe")
    assert done(out, pictures) == []


def test_a_kill_before_the_svg_leaves_nothing_doubled(pictures, tmp_path):
    out = tmp_path / "out"
    work(out, pictures, 1)
    work(out, pictures, 1, has_svg=False)
    work(out, pictures, 4)
    assert sorted(path.name for path in out.glob("*.svg")) == ["a.svg", "b.svg", "c.svg", "d.svg"]


def test_what_is_not_listed_yet_is_no_picture_where_results_lie_beside_the_pictures(pictures):
    """The list is written now and then, the journal at once."""
    folder = pictures[0].path.parent
    work(folder, pictures, 3)
    assert not (folder / TABLE).exists()
    with (folder / JOURNAL).open("ab") as file:
        file.write(b'[]\n{"path": 3}\n{"path": "\\u0000"}\n{}')
    assert [source.path for source in find_pictures([folder], folder)[0]] == [source.path for source in pictures]


def test_what_was_asked_for_otherwise_is_done_again_over_its_own_results(pictures, tmp_path):
    out = tmp_path / "out"
    work(out, pictures, 3)
    assert done(out, pictures, {"budget": 9}) == []
    work(out, pictures, 4, {"budget": 9})
    assert len(written_before(out)) == 3
    assert sorted(path.name for path in out.glob("*.svg")) == ["a.svg", "b.svg", "c.svg", "d.svg"]
    assert done(out, pictures) == []
    assert done(out, pictures, {"budget": 9}) == list("abcd")


def test_the_lists_are_written_for_a_twentieth_of_the_time_and_in_the_end(pictures, tmp_path):
    seconds = iter([0.0, 0.0, 1.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0])  # it is made; the first writing takes a second
    out, table = tmp_path / "out", tmp_path / "out" / TABLE
    work(out, pictures, 3)
    results = [result_of(source, out / f"{name}.svg") for source, name in zip(pictures, "abc", strict=False)]
    lists = Lists(OutNames(out, pictures), Alternatives(None, Palette()), lambda: next(seconds))
    n_listed = []
    for n_done, is_last in ((1, False), (2, False), (2, False), (3, False), (3, True)):
        lists.write(Optimized(results[:n_done]), is_last)
        n_listed.append(len(table.read_text().splitlines()) - 1)
    assert n_listed == [1, 1, 2, 2, 3]


def test_the_lists_hold_this_run_and_what_earlier_ones_left(pictures, tmp_path):
    out = tmp_path / "out"
    work(out, pictures[:2], 2)
    names = OutNames(out, pictures[:2], Journal(out, ASKED).rows())
    names.write_table([result_of(pictures[0], out / "a.svg").as_dict()], is_last=True)
    rows = pq.read_table(out / PARQUET).to_pylist()
    assert rows == [result_of(source, out / f"{name}.svg").as_dict() for source, name in zip(pictures[:2], "ab", strict=True)]
    (out / JOURNAL).unlink()
    OutNames(out, pictures).write_table([result_of(pictures[0], out / "a.svg").as_dict() | {"remark": "caf\udce9"}], is_last=True)
    again = pq.read_table(out / PARQUET).to_pylist()
    assert again[1] == rows[1]  # of the CSV this time, in the same types
    assert again[0]["remark"] == "caf\\udce9"
    assert len((out / TABLE).read_text().splitlines()) == 3
