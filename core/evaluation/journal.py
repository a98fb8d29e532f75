"""What an ``optimize`` that is under way has done: one that was killed goes on where it was, when it is asked for the same again.

``.optimized.jsonl`` in the folder of results, which is gone when all is done: first what was asked for, then a line per picture, written before
its SVG. Guarantees: a picture counts as done where its file is still the same and its SVG is whole; a line that is torn or damaged is as if the
picture had not been done.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import Field, TypeAdapter, ValidationError

from core.errors import DamagedFileError
from core.evaluation.files import JOURNAL, MAX_JOURNAL_BYTES, Source
from core.evaluation.optimized import Result
from core.files import make_folder, open_file, read_text

Inside = Annotated[str, Field(min_length=1, max_length=4096)]


@dataclass(frozen=True)
class Entry:
    """A picture that is done. ``picture`` and ``svg``: SHA-256 of the file that was read and of the SVG; ``path``: of the SVG in the folder;
    ``beside``: {choice: figures} of its alternatives."""

    picture: str
    svg: str
    path: Inside
    result: Result
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)


class Journal:
    """``asked``: all that decides what a picture becomes. What an earlier call wrote is used where it was asked for the same."""

    def __init__(self, out: Path, asked: Mapping[str, Any]) -> None:
        self._out, self._file = out, out / JOURNAL
        self._pictures: dict[str, str] = {}  # {file: SHA-256} of what is being worked on
        lines = _lines(self._file)
        head = json.dumps({"v": 1, "asked": asked}, sort_keys=True)
        self.is_same = next(lines, "") == head
        self._entries = {entry.result.file: entry for line in lines if (entry := _entry(line)) and self._is_whole(entry)}
        self._head = head

    def rows(self) -> list[dict[str, Any]]:
        """What is done, as the list of results has it, whatever was asked for."""
        return [self._result(entry).as_dict() for entry in self._entries.values()]

    def begin(self) -> None:
        """Write on from here, or from the start where something else was asked for."""
        make_folder(self._out)
        if self.is_same:
            with self._file.open("ab") as file:
                file.write(b"\n")  # after a torn line
        else:
            self._entries.clear()
            self._file.write_text(self._head + "\n", encoding="utf-8")

    def split(self, files: Sequence[Source]) -> tuple[list[Entry], list[Source]]:
        """(what is done of these, the rest of them)."""
        done, rest = [], []
        for file in files:
            entry = self._entries.get(file.shown)
            if self.is_same and entry is not None and entry.picture == _digest(file.path):
                done.append(replace(entry, result=self._result(entry)))
            else:
                rest.append(file)
        return done, rest

    def reads(self, file: Source) -> None:
        """A picture is about to be read."""
        self._pictures[file.shown] = _digest(file.path)

    def add(self, result: Result, path: str, svg: bytes, beside: Mapping[str, Any]) -> None:
        """A picture's SVG is about to be written to ``path``, from the folder of results."""
        entry = Entry(self._pictures.pop(result.file, ""), hashlib.sha256(svg).hexdigest(), path, result, dict(beside))
        line = json.dumps(asdict(entry), default=float, ensure_ascii=True)
        descriptor = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)

    def end(self) -> None:
        """All is done, and listed elsewhere."""
        self._file.unlink(missing_ok=True)

    def _result(self, entry: Entry) -> Result:
        return replace(entry.result, svg=str(self._out / entry.path))

    def _is_whole(self, entry: Entry) -> bool:
        path = self._out / entry.path
        return path.resolve().is_relative_to(self._out.resolve()) and _digest(path) == entry.svg


def _lines(file: Path) -> Iterator[str]:
    try:
        yield from (read_text(file, MAX_JOURNAL_BYTES) or "").split("\n")
    except DamagedFileError:
        return


@cache
def _reader() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)


def _entry(line: str) -> Entry | None:
    """What a line says; None for one that is torn or damaged."""
    try:
        return _reader().validate_python(json.loads(line)) if line else None
    except (ValidationError, ValueError, RecursionError):
        return None


def _digest(path: Path) -> str:
    """SHA-256 of a file; "" for one that can't be read, which equals no other's."""
    try:
        with open_file(path) as file:
            return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()
    except (OSError, ValueError):
        return ""
