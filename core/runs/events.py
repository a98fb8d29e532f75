"""The event log's format, both directions: ``runs/<id>/events.jsonl``.

One JSON object a line: {v, seq, attempt, ts, kind, step, data}. One writer, the trainer's main process; one write()
a line, so a reader sees whole lines or a torn last one, which waits. After a crash the next writer cuts the torn
line off and counts on: nothing that was written whole is ever lost or written twice. NaN becomes null.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import orjson

EVENT_VERSION = 1
Kind = Literal[
    "attempt_started",  # pid, versions, machine, from_step, from_checkpoint
    "logos_loaded",  # path, counts, skipped, digest
    "phase",  # what the trainer is busy with before the first step
    "stage_started",
    "stage_ended",
    "stage_decision",  # extended, eased, held, released
    "stage_evaluation",  # share of logos on which the policy meets each stage's demands
    "episode",
    "metrics",
    "evaluated",  # one logo of an evaluation
    "evaluation",  # its summary
    "baseline",  # a reference method on the same logos
    "checkpoint",
    "warning",
    "paused",
    "continued",
    "alert",  # a finding of the doctor's: rule, severity, title, evidence, cause, remedy, changes
    "action",  # what was done about it
    "worker_lost",
    "log_repaired",
    "ended",  # status, reason
]
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True)
class Event:
    """One line. ``ts``: seconds since 1970; ``step``: num_timesteps."""

    seq: int
    attempt: int
    ts: float
    kind: str
    step: int
    data: dict[str, Any]


class EventWriter:
    """Appends events. ``seq`` counts on over attempts; ``attempt`` is one more than the log's last.

    ``on_error``: called when a line can't be written; it is tried again when that returns.
    """

    def __init__(self, path: Path, on_error: Callable[[OSError], None] | None = None) -> None:
        self.on_error = on_error or _raise
        self._listeners: list[Callable[[Kind, int, dict[str, Any]], None]] = []
        tail = repair(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._seq = tail.seq
        self.attempt = tail.attempt + 1
        if tail.n_cut:
            self.write("log_repaired", 0, {"bytes": tail.n_cut})

    def write(self, kind: Kind, step: int, data: dict[str, Any]) -> int:
        """Append one event and return its ``seq``."""
        self._seq += 1
        line = orjson.dumps(
            {
                "v": EVENT_VERSION,
                "seq": self._seq,
                "attempt": self.attempt,
                "ts": round(time.time(), 4),
                "kind": kind,
                "step": step,
                "data": data,
            },
            default=_plain,
            option=_OPTIONS,
        )
        self._append(line)
        for listener in self._listeners:
            listener(kind, step, data)
        return self._seq

    def listen(self, listener: Callable[[Kind, int, dict[str, Any]], None]) -> None:
        """Have a listener called after each event."""
        self._listeners.append(listener)

    def _append(self, line: bytes) -> None:
        """A short write goes on where it stopped; on a full disk the torn line is taken back before anybody waits."""
        view = memoryview(line)
        while view:
            try:
                view = view[os.write(self._file, view) :]
            except OSError as error:
                os.ftruncate(self._file, os.fstat(self._file).st_size - (len(line) - len(view)))
                view = memoryview(line)
                self.on_error(error)

    def sync(self) -> None:
        """Force what was written to the disk: with checkpoints and ends only."""
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _raise(error: OSError) -> None:
    raise error


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} can't be written to the event log")


@dataclass(frozen=True)
class Tail:
    """How a log ends. ``n_cut``: bytes of a torn last line that were cut off."""

    seq: int
    attempt: int
    n_cut: int


def repair(path: Path) -> Tail:
    """Cut off a torn last line and return the last event's numbers (0, 0 for an empty log)."""
    if not path.exists():
        return Tail(0, 0, 0)
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        end = _last_newline(file, size)
        if end < size:
            file.truncate(end)
    seq = attempt = 0
    for event in read_backwards(path):
        seq, attempt = event.seq, event.attempt
        break
    return Tail(seq, attempt, size - end)


def _last_newline(file: Any, size: int) -> int:
    """Offset just behind the last newline, 0 where there is none."""
    at = size
    while at > 0:
        start = max(at - 65536, 0)
        file.seek(start)
        found = file.read(at - start).rfind(b"\n")
        if found >= 0:
            return int(start + found + 1)
        at = start
    return 0


def parse(line: bytes) -> Event | None:
    """One line to an event; None where it is none (a reader counts those)."""
    try:
        raw = orjson.loads(line)
        return Event(int(raw["seq"]), int(raw["attempt"]), float(raw["ts"]), str(raw["kind"]), int(raw["step"]), dict(raw["data"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def read_events(path: Path) -> Iterator[Event]:
    """Every whole, well-formed event of a log in order; an absent log has none."""
    try:
        with path.open("rb") as file:
            for line in file:
                event = parse(line) if line.endswith(b"\n") else None
                if event is not None:
                    yield event
    except FileNotFoundError:
        return


def read_backwards(path: Path, block: int = 65536) -> Iterator[Event]:
    """Events from the last to the first, reading the file from its end."""
    try:
        with path.open("rb") as file:
            at = file.seek(0, os.SEEK_END)
            rest = b""
            while at > 0:
                start = max(at - block, 0)
                file.seek(start)
                chunk = file.read(at - start) + rest
                at = start
                lines = chunk.split(b"\n")
                rest = lines[0] if start > 0 else b""
                for line in reversed(lines[1 if start > 0 else 0 :]):
                    event = parse(line) if line else None
                    if event is not None:
                        yield event
    except FileNotFoundError:
        return
