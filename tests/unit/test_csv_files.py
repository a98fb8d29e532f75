"""No table leaves with a live formula, and what is written for ourselves reads back as it was."""

import csv
import io

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from core.csv_files import guarded, unguarded, write_csv
from core.logos import sets
from core.logos.dataset import load_logos
from storage.export import to_csv
from tests.support.logos import write_logos

FORMULAS = ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "'=1", " =1", "＝1", "''-1"]


@given(st.text(alphabet="=+-@'＝ \tab1", max_size=8))
def test_what_is_guarded_reads_back_and_is_no_formula(text):
    written = guarded(text)
    assert unguarded(written) == text
    assert not written or written[0] not in "=+-@\t\r\n＝＋－＠"


def test_every_writer_guards_names_and_headers(tmp_path):
    write_csv(tmp_path / "a.csv", [{"=name": text, "n": -1.5} for text in FORMULAS])
    frame = pd.DataFrame({"=name": FORMULAS, "kind": pd.Categorical(FORMULAS), "n": [-1.5] * len(FORMULAS)})
    for data in ((tmp_path / "a.csv").read_text(encoding="utf-8"), to_csv(frame).decode()):
        header, *rows = csv.reader(io.StringIO(data))
        assert header[0] == "'=name"
        assert [row[-1] for row in rows] == ["-1.5"] * len(FORMULAS)
        assert all(cell.startswith("'") for row in rows for cell in row[:-1])


def test_a_manifest_reads_back_what_it_wrote(tmp_path):
    folder = write_logos(tmp_path / "logos")
    picture = next(folder.rglob("*.png"))
    names = ["=cmd", "-a", "+b", "@c", "'=d"]
    for n, name in enumerate(names):
        data = bytearray(picture.read_bytes())
        (folder / f"{name}.png").write_bytes(bytes(data) + bytes([n]))
    before = load_logos(str(folder), 48, use_manifest=False).logos
    sets.write_manifest(folder, before)
    assert "\n=" not in (folder / "manifest.csv").read_text(encoding="utf-8")
    after = load_logos(str(folder), 48).logos
    assert {(x.name, x.category, x.split) for x in after} == {(x.name, x.category, x.split) for x in before}
