"""The audit trail: who did what, when and to what. One JSON object per line in ``audit.jsonl`` of the home.

One module writes and reads it. One write() per line, under a lock that all processes share; at 10 MB the file is set aside once. Guarantee:
an entry holds a name, an action and the name of what it was done to, never a value that somebody typed into a form.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from filelock import FileLock

from core.files import open_file

FILE, OLDER = "audit.jsonl", "audit.1.jsonl"
VERSION = 1
MAX_BYTES = 10_000_000  # of one file, of which two are kept
MAX_TEXT = 200  # characters of a name or a target
LOCK_S = 5.0
Outcome = Literal["allowed", "refused", "limited"]


@dataclass(frozen=True)
class Entry:
    """One action. ``ts``: Unix seconds; ``who``: a person's name; ``role``: theirs at that moment; ``outcome``: whether it was let happen."""

    ts: float
    who: str
    role: str
    action: str
    target: str
    outcome: Outcome

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Trail:
    """``entries``: newest first; ``n_bad``: lines that can't be read."""

    entries: list[Entry]
    n_bad: int = 0


def record(home: Path, entry: Entry) -> None:
    """Add an entry.

    Raises:
        OSError: it can't be written. Then what it records must not happen.
    """
    cut = {key: value[:MAX_TEXT] if isinstance(value, str) else value for key, value in entry.as_dict().items()}
    line = json.dumps({"v": VERSION, **cut}, ensure_ascii=True) + "\n"
    home.mkdir(parents=True, exist_ok=True)
    path = home / FILE
    try:
        with FileLock(home / f".{FILE}.lock", timeout=LOCK_S):
            if os.path.lexists(path) and path.stat().st_size >= MAX_BYTES:
                os.replace(path, home / OLDER)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW, 0o600)
            try:
                os.write(descriptor, line.encode("ascii"))
            finally:
                os.close(descriptor)
    except TimeoutError as error:
        raise OSError(f"{FILE} is locked by another process") from error


def read(home: Path, limit: int | None = None) -> Trail:
    """The trail, newest first; ``limit``: entries at most. A line that can't be read is counted and left out."""
    found: list[Entry] = []
    n_bad = 0
    for name in (FILE, OLDER):
        for line in reversed(list(_lines(home / name))):
            entry = _parsed(line)
            if entry is None:
                n_bad += 1
            elif limit is None or len(found) < limit:
                found.append(entry)
    return Trail(found, n_bad)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with open_file(path) as file:
            yield from (line for line in file.read(2 * MAX_BYTES).splitlines() if line.strip())
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield f"{path.name} can't be read: {error.strerror}".encode()  # counted as a bad line, so that it shows


def _parsed(line: bytes) -> Entry | None:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("v") != VERSION or data.get("outcome") not in get_args(Outcome):
        return None
    values = {field.name: data.get(field.name) for field in fields(Entry)}
    ts = values.pop("ts")
    if (
        isinstance(ts, bool)
        or not isinstance(ts, int | float)
        or not 0 <= ts < 1e11
        or not all(isinstance(v, str) for v in values.values())
    ):
        return None
    return Entry(ts=float(ts), **values)  # type: ignore[arg-type]


def now_entry(who: str, role: str, action: str, target: str, outcome: Outcome) -> Entry:
    return Entry(time.time(), who, role, action, target, outcome)


def target_of(given: Iterable[object]) -> str:
    """What an action is done to, from what its function is given: the identifier of the first that has one, else the first short text."""
    texts = []
    for each in (inner for outer in given for inner in (outer if isinstance(outer, list | tuple) else [outer])):
        for attribute in ("run_id", "study_id", "batch_id", "film_id", "model_id"):
            value = getattr(each, attribute, None)
            if isinstance(value, str):
                return value[:MAX_TEXT]
        if isinstance(each, str):
            texts.append(each)
    return texts[0][:MAX_TEXT] if texts else ""
