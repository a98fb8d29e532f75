"""Which pictures ``optimize`` converts, and what their SVGs are called.

Guarantee: no file is overwritten but the SVG that an earlier ``optimize`` into the same folder made of the same picture, and lists.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.csv_files import unguarded, write_csv
from core.errors import DamagedFileError
from core.files import open_file, read_text, write_aside
from core.logos.dataset import IGNORED, Skipped
from core.logos.pictures import FORMATS, kind_of
from core.logos.uploads import take_in
from core.names import MAX_BYTES, printable, safe_name
from core.staging import staging

TABLE, PARQUET = "optimized.csv", "optimized.parquet"
JOURNAL = ".optimized.jsonl"  # of core/evaluation/journal.py
MAX_JOURNAL_BYTES = 1_000_000_000
_NOT_OURS = "__MACOSX"  # what macOS adds to its zip files
_MAX_TABLE_BYTES = 512_000_000  # of a million pictures


@dataclass(frozen=True)
class Source:
    """A picture. ``name``: its path inside the folder that was given, without its ending, with "/" between folders; ``given``: what it is
    called, for one that was in a zip file."""

    path: Path
    name: str
    given: str = ""

    @property
    def shown(self) -> str:
        return self.given or str(self.path).encode(errors="replace").decode()


@contextmanager
def given_pictures(paths: Sequence[Path], out: Path, home: Path) -> Iterator[tuple[list[Source], list[Skipped]]]:
    """As :func:`find_pictures`, with the pictures in zip files that are given, which are unpacked in ``home`` meanwhile."""
    sources, skipped = find_pictures(paths, out)
    zips = [source for source in sources if not source.path.is_dir() and _kind(source.path) == "ZIP"]
    if not zips:
        yield sources, skipped
        return
    with staging(home, ".optimizing-") as folder:
        intake = take_in([(str(source.path), source.path) for source in zips], folder)
        unpacked = [Source(folder / item.name, Path(item.name).stem, item.given) for item in intake.taken]
        skipped += [Skipped(item.given, item.reason) for item in intake.refused]
        yield [source for source in sources if source not in zips] + unpacked, skipped


def find_pictures(paths: Sequence[Path], out: Path | None = None) -> tuple[list[Source], list[Skipped]]:
    """The pictures to convert: each file given, and every picture in each folder given; in order, each once.

    What begins with a dot, what macOS adds to zip files, and what lies in the folder ``out`` is no input; where the folder of pictures is
    itself ``out``, what an earlier run wrote there. What is no picture by its content nor by its ending is skipped with the reason.
    """
    found: dict[Path, Source] = {}
    skipped = []
    for path in paths:
        if path.is_dir():
            is_result = _results(path, out)
            for file in sorted(path.rglob("*")):
                if file.is_dir() or not _is_meant(file.relative_to(path)) or is_result(file):
                    continue
                if why := _why_not(file):
                    skipped.append(Skipped(printable(str(file)), why))
                else:
                    found.setdefault(file, Source(file, _readable(file.relative_to(path).with_suffix("").as_posix())))
        elif path.is_file():
            found.setdefault(path, Source(path, _readable(path.stem)))
        else:
            skipped.append(Skipped(str(path), "no such file or folder"))
    return list(found.values()), skipped


def _is_meant(inside: PurePath) -> bool:
    return inside.name.lower() not in (TABLE, PARQUET, *IGNORED) and not any(
        part.startswith(".") or part == _NOT_OURS for part in inside.parts
    )


def _readable(name: str) -> str:
    """A name as it can be written anywhere; one that no file system takes with what is put behind it is cut."""
    return "/".join(
        part if len(part.encode(errors="replace")) <= MAX_BYTES else safe_name(part)
        for part in name.encode(errors="replace").decode().split("/")
    )


def _kind(file: Path) -> str:
    try:
        with open_file(file) as opened:
            return kind_of(opened.read(4096))
    except (OSError, ValueError):
        return ""


def _why_not(file: Path) -> str:
    """Why a file in a folder is not taken for a picture; "" for one that may be."""
    if not file.is_file():
        return "it is not a file, or a link to nothing"
    kind = _kind(file)
    if kind == "ZIP":
        return "a ZIP file inside a folder is not unpacked; give it by itself"
    if kind or file.suffix.lower() in FORMATS:
        return ""
    return f"its content is no picture of a supported format; supported are {', '.join(sorted(FORMATS))}"


def _real(path: Path) -> Path:
    """The path without links, also where these lead round in a circle."""
    return Path(os.path.realpath(path))


def _results(given: Path, out: Path | None) -> Callable[[Path], bool]:
    """Which files of a folder are results and no pictures."""
    if out is None:
        return lambda file: False
    above = _real(out)
    if _real(given).is_relative_to(above):  # the pictures lie in the folder of results, or below it
        written = {*written_before(out), *_written_now(out)}
        return lambda file: _real(file) in written
    return lambda file: _real(file).is_relative_to(above)


def _written_now(out: Path) -> set[Path]:
    """The SVGs of a run that is under way or was killed, which may not be listed yet."""
    found = set()
    with suppress(DamagedFileError):
        for line in (read_text(out / JOURNAL, MAX_JOURNAL_BYTES) or "").splitlines():
            with suppress(ValueError, LookupError, TypeError, RecursionError):
                found.add(_real(out / json.loads(line)["path"]))
    return found


def written_before(out: Path) -> dict[Path, dict[str, str]]:
    """{SVG: its row} of what earlier runs wrote to ``out`` and list; nothing where the list is missing or damaged."""
    try:
        text = read_text(out / TABLE, _MAX_TABLE_BYTES) or ""
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except (DamagedFileError, csv.Error):
        return {}
    found = {}
    for row in rows:
        name = unguarded(row.get("svg") or "")
        if name:
            found[_inside(out, name)] = {key: unguarded(value or "") for key, value in row.items() if isinstance(key, str)}
    return found


def _inside(out: Path, name: str) -> Path:
    """An SVG as the list names it: as it was given, or relative to the list itself."""
    path = Path(name)
    beside = _real(out / path)
    return beside if beside.exists() or not path.exists() else _real(path)


class OutNames:
    """Names for the SVGs of one run, all different, in the sub-folders that their pictures have. ``done``: rows that are not listed yet."""

    def __init__(self, out: Path, sources: Sequence[Source], done: Sequence[Mapping[str, Any]] = ()) -> None:
        self.out = out
        self._inputs = {_real(source.path) for source in sources}
        self._before: dict[Path, Mapping[str, Any]] = written_before(out) | {_real(Path(row["svg"])): row for row in done}
        self._taken: set[str] = set()

    def of(self, name: str, picture: Path) -> Path:
        """Where the SVG of ``picture`` goes, which is called ``name``: over an earlier one of the same picture, else to a free place."""
        number = 1
        while True:
            path = self.out / (f"{name}.svg" if number == 1 else f"{name}-{number}.svg")
            key = path.as_posix().lower()
            is_free = key not in self._taken and _real(path) not in self._inputs
            if is_free and (self._is_earlier(path, picture) or not (path.exists() or path.is_symlink())):
                self._taken.add(key)
                return path
            number += 1

    def _is_earlier(self, path: Path, picture: Path) -> bool:
        row = self._before.get(_real(path))
        return row is not None and _real(Path(row.get("file", ""))) == _real(picture)

    def write_table(self, rows: Sequence[Mapping[str, Any]], is_last: bool = False) -> None:
        """The list of this run's SVGs, and below it of earlier ones that are still there; in the end as Parquet too."""
        new = {_real(Path(row["svg"])) for row in rows}
        kept = [row for path, row in self._before.items() if path not in new and path.is_file()]
        if not rows and not kept:
            return
        keys = list((rows or kept)[0])
        listed = [*rows, *({key: row.get(key, "") for key in keys} for row in kept)]
        write_csv(self.out / TABLE, listed)
        if is_last and rows:
            write_aside(self.out / PARQUET, parquet_bytes([*rows, *(_typed(row, rows[0]) for row in kept)]))


def _typed(row: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """A row that was read from the list, its cells of the types that another row has; None for what is missing or can't be read."""
    found: dict[str, Any] = {}
    for key, other in like.items():
        cell = row.get(key, "")
        try:
            found[key] = cell if not isinstance(cell, str) else cell == "True" if isinstance(other, bool) else type(other)(cell)
        except ValueError:
            found[key] = None
    return found


def parquet_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A Parquet file of rows that share their keys; of a file's name what is no UTF-8 is written as its bytes."""
    told = [{k: v.encode(errors="backslashreplace").decode() if isinstance(v, str) else v for k, v in row.items()} for row in rows]
    made = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(told), made, compression="zstd")
    return bytes(made.getvalue())
