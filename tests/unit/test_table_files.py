"""Exported tables read back exactly as they were written, whatever is in them."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import DamagedFileError
from storage.table_files import FORMATS, read_table, write_table
from storage.tables import DICTIONARY_FIELDS, Field, dictionary, frame_schema

FIELDS = [
    Field("name", "VARCHAR", "Text."), Field("value", "DOUBLE", "A number."), Field("n", "BIGINT", "A whole number."),
    Field("is_best", "BOOLEAN", "A switch."), Field("=formula", "VARCHAR", "A name that a spreadsheet would run."),
]  # fmt: skip
SCHEMA = frame_schema("things", "Things.", FIELDS, has_run=False)
TEXT = (
    st.none()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(["", "NaN", "null", "=1", "'=1", "a\r\nb", '"', "\r", ",", "日本 🎨", "True"])
)
ROW = st.tuples(TEXT, st.none() | st.floats(), st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.booleans(), TEXT)


def written(folder: Path, form: str, rows: list[tuple]) -> Path:
    """The rows in a file, in two batches, with their dictionary beside."""
    batch = pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)], schema=SCHEMA
    )
    path, half = folder / f"x-things.{form}", len(rows) // 2
    assert write_table(path, form, SCHEMA, [batch.slice(0, half), batch.slice(half)] if half else [batch]) == len(rows)
    told = frame_schema("dictionary", "", DICTIONARY_FIELDS, has_run=False)
    write_table(folder / f"x-dictionary.{form}", form, told, [pa.RecordBatch.from_pylist(dictionary({"things": SCHEMA}, []), schema=told)])
    return path


def bits(rows: list[tuple]) -> list[tuple]:
    """Rows by which NaN equals itself, and minus zero does not equal zero."""
    return [tuple(("nan" if math.isnan(v) else struct.pack("d", v)) if isinstance(v, float) else v for v in row) for row in rows]


def as_rows(table: pa.Table) -> list[tuple]:
    assert table.schema.names == SCHEMA.names
    assert table.schema.types == SCHEMA.types
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


@pytest.mark.parametrize("form", ["csv", "parquet"])
@settings(max_examples=150, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=8))
@example(
    rows=[
        (None, None, None, None, None),
        ("", math.nan, 0, False, ""),
        ("a\rb", -0.0, -1, True, "'"),
        ("x", math.inf, 1, None, "y"),
        ("z", 5e-324, 2, True, "="),
    ]
)
def test_what_is_written_reads_back_to_the_bit(form, rows):
    with TemporaryDirectory() as folder:
        assert bits(as_rows(read_table(written(Path(folder), form, rows)))) == bits(rows)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(ROW, min_size=1, max_size=8))
def test_json_reads_back_exactly_but_for_numbers_that_are_not_finite(rows):
    expected = [(a, b if b is not None and math.isfinite(b) else None, c, d, e) for a, b, c, d, e in rows]
    with TemporaryDirectory() as folder:
        assert bits(as_rows(read_table(written(Path(folder), "json", rows)))) == bits(expected)


@pytest.mark.parametrize("form", FORMATS)
def test_a_table_without_rows_keeps_its_columns(form, tmp_path):
    written(tmp_path, form, [("a", 1.0, 1, True, "b")])
    write_table(tmp_path / f"x-things.{form}", form, SCHEMA, [])
    assert read_table(tmp_path / f"x-things.{form}").to_pydict() == {name: [] for name in SCHEMA.names}


@pytest.mark.parametrize("form", FORMATS)
def test_a_write_that_fails_leaves_the_file_before_and_nothing_else(form, tmp_path):
    path = written(tmp_path, form, [("before", 1.0, 1, True, "b")])
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    batch = read_table(path).cast(SCHEMA).to_batches()[0]

    def rows() -> Iterator[pa.RecordBatch]:
        yield batch
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_table(path, form, SCHEMA, rows())
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"{", b'name,value\n"a', b"PAR1"])
def test_a_file_that_is_no_table_is_one_clear_line(form, data, tmp_path):
    path = written(tmp_path, form, [("a", 1.0, 1, True, "b")])
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=rf"x-things\.{form} can't be read as an exported table") as told:
        read_table(path)
    assert "\n" not in str(told.value)
