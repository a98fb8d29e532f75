"""Which pictures ``optimize`` is given, and what their SVGs are called.

Guarantee: no file is overwritten but the SVG that an earlier ``optimize`` into the same folder made of the same picture, and lists.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from core.csv_files import unguarded, write_csv
from core.errors import DamagedFileError
from core.files import read_text
from core.logos.dataset import Skipped
from core.logos.pictures import FORMATS

TABLE = "optimized.csv"
_NOT_OURS = "__MACOSX"  # what macOS adds to its zip files
_MAX_TABLE_BYTES = 64_000_000


@dataclass(frozen=True)
class Source:
    """A picture. ``name``: its path inside the folder that was given, without its ending, with "/" between folders."""

    path: Path
    name: str


def find_pictures(paths: Sequence[Path], out: Path | None = None) -> tuple[list[Source], list[Skipped]]:
    """The files that are meant: each file given, and every picture in each folder given; in order, each once.

    What begins with a dot, what macOS adds to zip files, and what lies in the folder ``out`` is no input; where the folder of pictures is
    itself ``out``, what an earlier run wrote there.
    """
    found: dict[Path, Source] = {}
    skipped = []
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                if (
                    file.suffix.lower() in FORMATS
                    and _is_meant(file.relative_to(path))
                    and not _is_result(file, path, out)
                    and file.is_file()
                ):
                    found.setdefault(file, Source(file, file.relative_to(path).with_suffix("").as_posix()))
        elif path.is_file():
            found.setdefault(path, Source(path, path.stem))
        else:
            skipped.append(Skipped(str(path), "no such file or folder"))
    return list(found.values()), skipped


def _is_meant(inside: PurePath) -> bool:
    return not any(part.startswith(".") or part == _NOT_OURS for part in inside.parts)


def _is_result(file: Path, given: Path, out: Path | None) -> bool:
    if out is None or not file.resolve().is_relative_to(out.resolve()):
        return False
    if given.resolve().is_relative_to(out.resolve()):  # the pictures lie in the folder of results, or below it
        return file.resolve() in written_before(out)
    return True


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
    beside = (out / path).resolve()
    return beside if beside.exists() or not path.exists() else path.resolve()


class OutNames:
    """Names for the SVGs of one run, all different, in the sub-folders that their pictures have."""

    def __init__(self, out: Path, sources: Sequence[Source]) -> None:
        self.out = out
        self._inputs = {source.path.resolve() for source in sources}
        self._before = written_before(out)
        self._taken: set[str] = set()

    def of(self, name: str, picture: Path) -> Path:
        """Where the SVG of ``picture`` goes, which is called ``name``: over an earlier one of the same picture, else to a free place."""
        number = 1
        while True:
            path = self.out / (f"{name}.svg" if number == 1 else f"{name}-{number}.svg")
            key = path.as_posix().lower()
            is_free = key not in self._taken and path.resolve() not in self._inputs
            if is_free and (self._is_earlier(path, picture) or not (path.exists() or path.is_symlink())):
                self._taken.add(key)
                return path
            number += 1

    def _is_earlier(self, path: Path, picture: Path) -> bool:
        row = self._before.get(path.resolve())
        return row is not None and Path(row.get("file", "")).resolve() == picture.resolve()

    def write_table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """The list of this run's SVGs, and below it of earlier ones that are still there."""
        if not rows:
            return
        new = {Path(row["svg"]).resolve() for row in rows}
        kept = [row for path, row in self._before.items() if path not in new and path.is_file()]
        write_csv(self.out / TABLE, [*rows, *({key: row.get(key, "") for key in rows[0]} for row in kept)])
