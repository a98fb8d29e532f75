"""Files that somebody gave and that wait for what is to be done with them: on disk as they are, so that neither a lost connection nor a
server that comes back loses any.

``<home>/uploads/<id>/`` holds them under numbers, and names.json says what they were called. Nothing looks into them here.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import DamagedFileError
from core.files import read_json, write_aside
from core.logos.uploads import MAX_BYTES, MAX_FILES
from core.names import printable

KEPT_S = 2 * 86_400.0  # of those that nothing is done with
MAX_NAME = 2000  # characters
_ID = re.compile(r"[0-9a-f]{16}")
_NUMBER = re.compile(r"[0-9]{5}")
_NAMES = "names.json"


@dataclass(frozen=True)
class Waiting:
    """Files that wait together, and their folder."""

    path: Path

    @property
    def waiting_id(self) -> str:
        return self.path.name

    def files(self) -> list[tuple[str, Path]]:
        """(what it was called, where it lies) of each, in the order in which they came."""
        names = self._names()
        found = sorted(path for path in self.path.glob("*") if _NUMBER.fullmatch(path.name))
        return [(names.get(path.name, f"file {int(path.name) + 1}"), path) for path in found]

    def n_bytes(self) -> int:
        return sum(_size(path) for _, path in self.files())

    def leave_out(self, paths: Iterable[Path]) -> None:
        """Some of them are not wanted after all; with the last one the folder goes."""
        for path in paths:
            path.unlink(missing_ok=True)
        if not self.files():
            self.drop()

    def drop(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _names(self) -> dict[str, str]:
        """{number of a file: what it was called}; without those that can't be read."""
        try:
            found = read_json(self.path / _NAMES)
        except DamagedFileError:
            return {}
        return {number: printable(name)[:MAX_NAME] for number, name in (found or {}).items() if isinstance(name, str)}


def find(home: Path, waiting_id: str) -> Waiting | None:
    """The files of an id; None where it is none, or they are gone."""
    path = _folder(home) / waiting_id
    return Waiting(path) if _ID.fullmatch(waiting_id) and path.is_dir() else None


def keep(home: Path, files: Iterable[tuple[str, bytes]], among: Waiting | None = None) -> tuple[Waiting, Sequence[str]]:
    """Write files to disk, beside those that wait already; (all of them, the names of those that are over the limits). Others that nothing
    was done with for KEPT_S go.

    Raises:
        OSError: there is no room, or the folder can't be written to.
    """
    sweep(home, among)
    waiting = among or Waiting(_folder(home) / secrets.token_hex(8))
    waiting.path.mkdir(parents=True, exist_ok=True)
    there = waiting.files()
    names = {path.name: name for name, path in there}
    written: list[Path] = []
    number, n_bytes, refused = max((int(path.name) for _, path in there), default=-1) + 1, waiting.n_bytes(), []
    try:
        for name, content in files:
            if len(names) >= MAX_FILES or n_bytes + len(content) > MAX_BYTES:
                refused.append(printable(name))
                continue
            stored = f"{number:05d}"
            written.append(waiting.path / stored)
            written[-1].write_bytes(content)
            names[stored] = printable(name)[:MAX_NAME]
            number, n_bytes = number + 1, n_bytes + len(content)
        write_aside(waiting.path / _NAMES, json.dumps(names).encode())
    except OSError:
        with suppress(OSError):
            waiting.leave_out(written)
        raise
    return waiting, refused


def _folder(home: Path) -> Path:
    return home / "uploads"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def sweep(home: Path, but: Waiting | None = None) -> None:
    """Remove what nothing was done with for KEPT_S."""
    for path in _folder(home).glob("*"):
        with suppress(OSError):
            is_kept = but is not None and path == but.path
            if _ID.fullmatch(path.name) and not is_kept and time.time() - path.stat().st_mtime > KEPT_S:
                shutil.rmtree(path)
