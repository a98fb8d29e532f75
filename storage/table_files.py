"""The formats of exported tables, both directions: CSV, JSON and Parquet, written batch by batch and read back exactly.

A file is written aside and renamed once it is whole. Guarantees: what :func:`read_table` gives is what was written, to the bit. CSV tells an
empty text (``""``) from no value (nothing) and NaN (``NaN``) from both, and guards what a spreadsheet would run (core/csv_files.py); JSON
has no NaN and writes null.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from core.csv_files import guarded, unguarded
from core.errors import DamagedFileError
from storage.tables import ARROW, TYPE_KEY

FORMATS = ("csv", "json", "parquet")
_PART = 4096  # rows that are Python objects at once
_NESTED = "JSON"


class TableFile:
    """One table on its way into a file. Enter it, write batches, leave it; after an error nothing is left of it."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema, self.n_rows = path, schema, 0
        self._aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        self._sink: BinaryIO

    def __enter__(self) -> Self:
        self._sink = self._aside.open("wb")
        self._begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if error is None:
                self._end()
            self._sink.close()
            if error is None:
                os.replace(self._aside, self.path)
        finally:
            self._aside.unlink(missing_ok=True)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows; their columns are those of the schema."""
        self._write(batch)
        self.n_rows += batch.num_rows

    def _begin(self) -> None: ...

    def _write(self, batch: pa.RecordBatch) -> None:
        raise NotImplementedError

    def _end(self) -> None: ...


class CsvFile(TableFile):
    """UTF-8, a line feed per row, floats as their shortest exact text, True and False."""

    def _begin(self) -> None:
        self._sink.write((",".join(_text_cell(name) for name in self.schema.names) + "\n").encode())

    def _write(self, batch: pa.RecordBatch) -> None:
        for part in parts(batch):
            columns = [_cells(column) for column in part.columns]
            lines = list(map(",".join, zip(*columns, strict=True)))
            if len(columns) == 1:
                lines = [line or '""' if part.columns[0][n].is_valid else line for n, line in enumerate(lines)]
            self._sink.write(("\n".join(lines) + "\n").encode())


class JsonFile(TableFile):
    """A list of objects, one per line; a column of JSON is the object itself."""

    def _begin(self) -> None:
        self._nested = {field.name for field in self.schema if (field.metadata or {}).get(TYPE_KEY, b"").decode() == _NESTED}
        self._sink.write(b"[")

    def _write(self, batch: pa.RecordBatch) -> None:
        start = b"\n" if self.n_rows == 0 else b",\n"
        for part in parts(batch):
            rows = part.to_pylist()
            for row in rows:
                for name in self._nested:
                    if row[name] is not None:
                        row[name] = orjson.Fragment(row[name])
            self._sink.write(start + b",\n".join(map(orjson.dumps, rows)))
            start = b",\n"

    def _end(self) -> None:
        self._sink.write(b"\n]\n" if self.n_rows else b"]\n")


class ParquetFile(TableFile):
    """Compressed; each column's type and meaning stand in its field's metadata."""

    def _begin(self) -> None:
        self._writer = pq.ParquetWriter(self._sink, self.schema, compression="zstd")

    def _write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def _end(self) -> None:
        self._writer.close()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        super().__exit__(kind, error, trace)
        if error is not None:
            with suppress(OSError, ValueError, pa.ArrowException):
                self._writer.close()


FILES: dict[str, type[TableFile]] = {"csv": CsvFile, "json": JsonFile, "parquet": ParquetFile}


def parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for at in range(0, batch.num_rows, _PART):
        yield batch.slice(at, _PART)


def write_table(path: Path, form: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write a table at once; returns its rows."""
    with FILES[form](path, schema) as file:
        for batch in batches:
            file.write(batch)
    return file.n_rows


def _cells(column: pa.Array) -> list[str]:
    if pa.types.is_floating(column.type):
        return ["" if v is None else repr(v) if v == v else "NaN" for v in column.to_pylist()]
    if pa.types.is_string(column.type):
        coded = column.dictionary_encode()
        texts = [_text_cell(text) for text in coded.dictionary.to_pylist()]
        return ["" if place is None else texts[place] for place in coded.indices.to_pylist()]
    return ["" if v is None else str(v) for v in column.to_pylist()]


def _text_cell(text: str) -> str:
    safe = str(guarded(text))
    if not safe or any(mark in safe for mark in '",\n\r'):
        return '"' + safe.replace('"', '""') + '"'
    return safe


def read_table(path: Path) -> pa.Table:
    """An exported table as it was written, with the types that its data dictionary beside it names (Parquet names its own).

    Raises:
        DamagedFileError: it is no table that was exported.
    """
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        types = _types(path)
        return _read_csv(path, types) if path.suffix == ".csv" else _read_json(path, types)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DamagedFileError(f"{path.name} can't be read as an exported table: {str(error).splitlines()[0][:200]}") from error


def _types(path: Path) -> dict[str, str]:
    """{column: DuckDB's type} by the dictionary beside a table; a dictionary's own columns are all text."""
    start, _, table = path.stem.rpartition("-")
    beside = path.with_name(f"{start}-dictionary{path.suffix}")
    if table == "dictionary" or not beside.is_file():
        return {}
    rows = read_table(beside).to_pylist()
    return {row["column"]: row["type"] for row in rows if row["table"] == table and row["type"] in ARROW}


def _read_csv(path: Path, types: dict[str, str]) -> pa.Table:
    with path.open("rb") as file:
        names = cast(list[str], pyarrow.csv.read_csv(_first_line(file)).schema.names)
    columns = [unguarded(name) for name in names]
    wanted = {name: ARROW[types.get(column, "VARCHAR")] for name, column in zip(names, columns, strict=True)}
    table = pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=wanted, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            true_values=["True"], false_values=["False"],
        ),
    )  # fmt: skip
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            table = table.set_column(place, field, _plain(table.column(place)))
    return table.rename_columns(columns)


def _first_line(file: BinaryIO) -> pa.BufferReader:
    return pa.BufferReader(file.readline())


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Without the apostrophes that guard."""

    def of(chunk: pa.Array) -> pa.Array:
        coded = chunk.dictionary_encode()
        texts = pa.array([unguarded(text) for text in coded.dictionary.to_pylist()], pa.string())
        return pa.DictionaryArray.from_arrays(coded.indices, texts).dictionary_decode()

    return pa.chunked_array([of(chunk) for chunk in column.chunks], pa.string())


def _read_json(path: Path, types: dict[str, str]) -> pa.Table:
    rows: list[dict[str, Any]] = orjson.loads(path.read_bytes())
    columns = {}
    for name in list(rows[0]) if rows else list(types):
        kind = types.get(name, "VARCHAR")
        values = [row[name] for row in rows]
        columns[name] = pa.array([_json_text(value) for value in values] if kind == _NESTED else values, ARROW[kind])
    return pa.table(columns)


def _json_text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
