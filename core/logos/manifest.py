"""A folder's manifest.csv as people and spreadsheets write it: any usual separator, encoding and spelling of its columns."""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path

from core.csv_files import unguarded
from core.errors import LogosError
from core.files import open_file

COLUMNS = ("name", "category", "split", "brand")  # what is read; others are passed over
MAX_BYTES = 64_000_000
_SEPARATORS = (",", ";", "\t")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


def read_manifest(path: Path) -> list[dict[str, str]]:
    """One row per logo, with :data:`COLUMNS`, empty where left out; in the order of the file.

    Raises:
        LogosError: it can't be read, or has no column of names.
    """
    text = _text(path)
    lines = text.splitlines()
    header = next((line for line in lines if line.strip()), "")
    separator = max(_SEPARATORS, key=lambda s: ("name" in _names(header, s), header.count(s)))
    names = _names(header, separator)
    if "name" not in names:
        raise LogosError(f"{path}: its first line is {header[:100]!r}; expected columns are {', '.join(COLUMNS)}, at least name")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error as error:
        raise LogosError(f"{path} can't be read: {error}") from error
    while rows and not any(value.strip() for value in rows[0]):
        rows.pop(0)
    found = []
    for row in rows[1:]:
        values = dict(zip(names, row, strict=False))
        found.append({column: unguarded(values.get(column, "").strip()) for column in COLUMNS})
    return found


def _names(header: str, separator: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(csv.reader([header], delimiter=separator), [])]
    except csv.Error:
        return []


def _text(path: Path) -> str:
    try:
        with open_file(path) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise LogosError(f"{path} can't be read: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise LogosError(f"{path} exceeds the limit of {MAX_BYTES} bytes")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding:
        odd, even = data[1:400:2].count(0), data[0:400:2].count(0)  # letters of UTF-16 without a mark have a zero byte each
        encoding = "utf-16-le" if odd > 60 or (odd and odd >= len(data[1:400:2]) * 0.9) else "utf-16-be" if even > 60 else "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise LogosError(f"{path} is neither UTF-8 nor UTF-16 (byte {error.start}); save it as UTF-8") from error
