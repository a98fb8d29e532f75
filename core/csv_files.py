"""The one way out for tables: CSV that no spreadsheet runs.

A text that begins like a formula is written with an apostrophe before it, which spreadsheets take for text. :func:`unguarded` takes
exactly that apostrophe off again, so what is written for ourselves reads back as it was.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.files import write_aside

_FORMULA = "=+-@\t\r\n＝＋－＠"  # a spreadsheet takes the wide ones for the narrow


def _is_formula(text: str) -> bool:
    return text.lstrip("' ")[:1] in tuple(_FORMULA)


def guarded(value: Any) -> Any:
    """A cell as it is written: text that begins like a formula (after apostrophes and spaces) gets one apostrophe more."""
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def unguarded(text: str) -> str:
    """What :func:`guarded` was given."""
    return text[1:] if text.startswith("'") and _is_formula(text) else text


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """A CSV of rows that share their keys, at least one, written aside first."""
    write_aside(path, csv_bytes(rows))


def csv_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The same, not written; of a file's name what is no UTF-8 is written as its bytes."""
    lines = [_line(list(rows[0])), *(_line([row[key] for key in rows[0]]) for row in rows)]
    return "".join(f"{line}\n" for line in lines).encode(errors="backslashreplace")


def append_csv(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row in one write, after a header where the file is new or empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        lines = [_line(list(row))] if file.tell() == 0 else []
        file.write("".join(f"{line}\n" for line in [*lines, _line(list(row.values()))]).encode())


def _line(values: Sequence[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(guarded(value) for value in values)  # quotes what holds any of its own line's end
    return text.getvalue().removesuffix("\r\n")
