"""The event log's format, both directions: ``runs/<id>/events.jsonl``.

One JSON object per line: {v, seq, attempt, ts, kind, step, data}; what ``data`` says is in core/runs/event_types.py. One
writer, the trainer's main process; one write() per line, so a reader sees whole lines or a torn last one, which waits.
After a crash the next writer cuts the torn line off and counts on: nothing that was written whole is ever lost or
written twice. NaN becomes null. One log tailer, :func:`read_new_lines`, serves everything that follows a log.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson

from core.files import open_file
from core.runs.event_fields import from_data, to_data
from core.runs.event_types import EVENT_VERSION, Ended, LogRepaired, Record

Listener = Callable[[int, Record], None]
CHUNK_BYTES = 8_000_000  # of whole lines that a reader is given at once
MAX_LINE_BYTES = 16_000_000  # our longest, an SVG's, is below 4 MB
LIMITS = {"seq": 2**62, "attempt": 2**31, "ts": 1e11, "step": 2**62}  # of an event's numbers, all from 0 on; ts in seconds since 1970
_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


@dataclass(frozen=True)
class Event:
    """One line. ``ts``: seconds since 1970 by the clock as the attempt began, counted on evenly; ``step``: num_timesteps."""

    seq: int
    attempt: int
    ts: float
    step: int
    data: Record

    @property
    def kind(self) -> str:
        return self.data.kind


def line_of(event: Event) -> bytes:
    """An event as the log's line, newline included."""
    told = {
        "v": EVENT_VERSION,
        "seq": event.seq,
        "attempt": event.attempt,
        "ts": event.ts,
        "kind": event.kind,
        "step": event.step,
        "data": to_data(event.data),
    }
    return orjson.dumps(told, default=_plain, option=_OPTIONS)


class EventWriter:
    """Appends events. ``seq`` counts on over attempts; ``attempt`` is one more than the log's last.

    ``on_error``: called when a line can't be written; it is tried again when that returns.
    """

    def __init__(self, path: Path, on_error: Callable[[OSError], None] | None = None) -> None:
        self.on_error = on_error or _raise
        self._listeners: list[Listener] = []
        tail = repair(path)
        self._clock_s = time.time() - time.monotonic()  # of this attempt: its elapsed times survive a clock that is set
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._seq = tail.seq
        self.attempt = tail.attempt + 1
        if tail.n_cut:
            self.write(0, LogRepaired(tail.n_cut))

    def write(self, step: int, record: Record) -> int:
        """Append one event at a step (num_timesteps) and return its ``seq``."""
        self._seq += 1
        self._append(line_of(Event(self._seq, self.attempt, round(self._clock_s + time.monotonic(), 4), step, record)))
        for listener in self._listeners:
            listener(step, record)
        return self._seq

    def listen(self, listener: Listener) -> None:
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


def whole_bytes(path: Path) -> int:
    """How much of a log is whole lines by now; 0 where there is none."""
    try:
        with open_file(path) as file:
            return _last_newline(file, file.seek(0, os.SEEK_END))
    except (FileNotFoundError, NotADirectoryError):
        return 0


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
    if len(line) > MAX_LINE_BYTES:
        return None
    try:
        return _event(orjson.loads(line))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, OverflowError, AttributeError):
        return None


def _event(raw: Any) -> Event:
    numbers = int(raw["seq"]), int(raw["attempt"]), float(raw["ts"]), int(raw["step"])
    if not all(0 <= number < limit for number, limit in zip(numbers, LIMITS.values(), strict=True)):
        raise ValueError(f"{numbers} are none of an event")
    kind, data, version = str(raw["kind"]), dict(raw["data"]), int(raw.get("v", EVENT_VERSION))
    try:
        record = from_data(kind, data, version)
    except ValueError as error:
        if kind != Ended.kind:
            raise
        record = Ended("", f"its last line can't be read: {error}")  # that it ended is known, and it must not be restarted
    return Event(*numbers, record)


@dataclass(frozen=True)
class NewLines:
    """What was appended to a log. ``data``: whole lines; ``offset``: the byte behind them.

    ``was_replaced``: the log is not the one that was read before (cut, or another run of that name), and ``data`` is its beginning.
    ``has_more``: there was more than fits; a reader who asks only then is never held by a writer who goes on writing.
    """

    data: bytes
    offset: int
    was_replaced: bool = False
    has_more: bool = False

    def events(self, kinds: Collection[str] = ()) -> Iterator[Event]:
        """Its well-formed events, of some kinds only where they are given; lines that don't name one are not even parsed."""
        marks = [f'"{kind}"'.encode() for kind in kinds]
        for line in self.data.split(b"\n"):
            event = parse(line) if line and (not marks or any(mark in line for mark in marks)) else None
            if event is not None and (not kinds or event.kind in kinds):
                yield event


def read_new_lines(path: Path, offset: int, tail: bytes = b"", max_bytes: int = CHUNK_BYTES) -> NewLines:
    """The whole lines from ``offset`` on, about ``max_bytes`` of them; a torn last line waits, an absent log has none.

    ``tail``: the bytes before the offset as they were read, by which a log that was cut and grew again is told apart.
    """
    try:
        with open_file(path) as file:
            size = file.seek(0, os.SEEK_END)
            was_replaced = offset > 0 and not _is_same(file, size, offset, tail)
            at = 0 if was_replaced else offset
            file.seek(at)
            data = file.read(min(max_bytes, size - at))
            end = data.rfind(b"\n") + 1
            if end == 0 and len(data) == max_bytes:  # one line that is longer
                data += file.readline()
                end = data.rfind(b"\n") + 1
            return NewLines(data[:end], at + end, was_replaced, has_more=at + len(data) < size)
    except (FileNotFoundError, NotADirectoryError):
        return NewLines(b"", offset)


def _is_same(file: BinaryIO, size: int, at: int, tail: bytes) -> bool:
    if size < at:
        return False
    file.seek(at - len(tail))
    return file.read(len(tail)) == tail


def read_events(path: Path, kinds: Collection[str] = ()) -> Iterator[Event]:
    """Every whole, well-formed event of a log in order (of some kinds only, where they are given); an absent log has none."""
    offset = 0
    while True:
        new = read_new_lines(path, offset)
        yield from new.events(kinds)
        offset = new.offset
        if not new.has_more:
            return


def read_backwards(path: Path, block: int = 65536) -> Iterator[Event]:
    """Events from the last to the first, reading the file from its end."""
    try:
        with open_file(path) as file:
            at = file.seek(0, os.SEEK_END)
            rest = b""
            while at > 0:
                start = max(at - max(block, len(rest)), 0)  # doubles within a long line, so that its bytes are not copied again and again
                file.seek(start)
                chunk = file.read(at - start) + rest
                at = start
                lines = chunk.split(b"\n")
                rest = lines[0] if start > 0 else b""
                for line in reversed(lines[1 if start > 0 else 0 :]):
                    event = parse(line) if line else None
                    if event is not None:
                        yield event
    except (FileNotFoundError, NotADirectoryError):
        return
