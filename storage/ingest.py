"""Follows the event logs of a folder of runs and takes them into the store, with one thread.

watchdog wakes it at an append; a scan every second finds what a watch misses (overflow, network drives, a folder that
was not there). Guarantee: a torn last line waits for the next read; a log that was replaced is read again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from core.runs.events import CHUNK_BYTES, read_new_lines
from core.runs.rounds import Rounds, known_runs
from core.runs.run_dir import EVENTS_FILE
from storage.store import LogPart, Store

log = logging.getLogger("tracewright.ingest")
SCAN_S, MAX_SCAN_S = 1.0, 10.0
UNREADABLE = (duckdb.DataError, duckdb.InvalidInputException, duckdb.NotSupportedError)  # of a value in a line, not of the disk
MIN_PAUSE_S = 0.05  # bursts of appends become one transaction
SCANNING_SHARE = 0.05  # of a core, that the scans of a home with thousands of runs may take
AT_ONCE = 500  # logs that are taken in by one transaction at most
WATCHED = 32  # runs, those that began last: each watch is a thread


def catch_up(
    store: Store,
    home: Path,
    offsets: dict[str, int],
    failed: dict[str, str] | None = None,
    rounds: Rounds | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> int:
    """Take in all whole lines that are new; ``offsets`` is kept up to date. Returns the number of events.

    ``failed``: {run id: why its log can't be read}, kept up to date; one such run does not hold the others. ``rounds``: says which logs are
    worth a look; else all are. Ends early once ``is_over``.
    """
    n_events = 0
    failed = {} if failed is None else failed
    rounds = Rounds(home) if rounds is None else rounds
    pending = _Pending(store, offsets)
    for run in rounds.due():
        if is_over():
            return n_events
        try:
            n_events += pending.read(run.run_id, run.events_file)
            failed.pop(run.run_id, None)
            rounds.done_with(run.run_id)  # as it was before it was read: what came meanwhile makes it due again
        except OSError as error:
            problem = f"{EVENTS_FILE} can't be read: {error.strerror or error}; figures read earlier are shown"
            if failed.get(run.run_id) != problem:
                log.warning("%s: %s", run.run_id, problem)
            failed[run.run_id] = problem
    n_events += pending.flush()
    for gone in failed.keys() - rounds.runs.keys():
        del failed[gone]
    for gone in offsets.keys() - rounds.runs.keys():
        store.forget(gone)
        del offsets[gone]
    return n_events


class _Pending:
    """What was read of short logs and is not in the store yet: many are taken in at once."""

    def __init__(self, store: Store, offsets: dict[str, int]) -> None:
        self._store, self._offsets = store, offsets
        self._parts: list[LogPart] = []
        self._n_bytes = 0

    def read(self, run_id: str, path: Path) -> int:
        """Read what is new in a log; returns the number of events that were taken in on the way."""
        at = self._offsets.get(run_id, 0)
        new = read_new_lines(path, at, self._store.tail(run_id), CHUNK_BYTES)
        if new.was_replaced or new.has_more:
            return read_new(self._store, run_id, path, self._offsets)
        if new.data:
            self._parts.append(LogPart(run_id, new.data, at))
            self._n_bytes += len(new.data)
        return self.flush() if self._n_bytes >= CHUNK_BYTES or len(self._parts) >= AT_ONCE else 0

    def flush(self) -> int:
        """Take in what waits; where DuckDB refuses a value, each log by itself."""
        parts, self._parts, self._n_bytes = self._parts, [], 0
        if not parts:
            return 0
        try:
            n_events = self._store.take_in_all(parts)
            self._offsets |= {part.run_id: part.at + len(part.lines) for part in parts}
            return n_events
        except UNREADABLE:
            n_events = 0
            for part in parts:
                n_events += _take_in(self._store, part.run_id, part.lines, part.at)
                self._offsets[part.run_id] = part.at + len(part.lines)
            return n_events


def read_new(store: Store, run_id: str, path: Path, offsets: dict[str, int], told: Callable[[int], None] | None = None) -> int:
    """Take in one log's new lines. ``told``: called with the bytes of the log that are taken in, as it goes on."""
    n_events = 0
    while True:
        at = offsets.get(run_id, 0)
        new = read_new_lines(path, at, store.tail(run_id), CHUNK_BYTES)
        if new.was_replaced:
            log.warning("%s: its log differs from the one read up to byte %d; reading it again", run_id, at)
            store.forget(run_id)
            at = offsets[run_id] = 0
        if new.data:
            n_events += _take_in(store, run_id, new.data, at)
            offsets[run_id] = new.offset
        if told is not None:
            told(new.offset)
        if not new.has_more:
            return n_events


def _take_in(store: Store, run_id: str, lines: bytes, at: int) -> int:
    """Take in whole lines; where DuckDB refuses a value among them, all but the lines that it refuses, which are counted as bad."""
    try:
        return store.take_in(run_id, lines, at)
    except UNREADABLE as error:
        half = lines.rfind(b"\n", 0, len(lines) // 2) + 1 or lines.find(b"\n") + 1
        if half == len(lines):
            log.warning("%s: the line at byte %d can't be ingested and is skipped: %s", run_id, at, str(error)[:200])
            store.leave_out(run_id, lines, at)
            return 0
        return _take_in(store, run_id, lines[:half], at) + _take_in(store, run_id, lines[half:], at + half)


class _Wake(FileSystemEventHandler):
    def __init__(self, wake: threading.Event) -> None:
        self._wake = wake

    def on_any_event(self, event: FileSystemEvent) -> None:
        is_log = str(event.src_path).endswith(EVENTS_FILE)
        if (is_log or event.is_directory) and event.event_type in ("modified", "created", "deleted", "moved"):
            self._wake.set()


class Ingest:
    """The thread. Enter it to start, leave it to stop."""

    def __init__(self, store: Store, home: Path) -> None:
        self._store, self._home = store, home
        self._offsets = store.offsets()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="ingest", daemon=True)
        self._observer: BaseObserver | None = None
        self._watched: dict[str, ObservedWatch] = {}  # the one that began last at the end
        self._rounds = Rounds(home)
        self.failed: dict[str, str] = {}  # {run id: why its log can't be read}
        self.error = ""

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # no watches left: the scan does it alone
            self._observer = Observer()
            self._observer.schedule(_Wake(self._wake), str(self._home))
            self._observer.start()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._wake.set()
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join(10)
        self._thread.join(30)

    def _start_over(self, error: Exception) -> None:
        """Go on from what the database says was ingested; reopen it where it broke."""
        try:
            if isinstance(error, duckdb.FatalException | duckdb.InternalException | duckdb.IOException):
                self._store.reopen()
            self._offsets = self._store.offsets()
            self._rounds = Rounds(self._home)
        except Exception as worse:  # the disk is still full, perhaps; the next scan comes here again
            self.error = str(worse)

    def _watch_new_runs(self) -> None:
        """Watch the own folder of each of the newest runs, not what lies below: checkpoints and SVGs come and go there."""
        if self._observer is None:
            return
        newest = dict(list(known_runs(self._home).items())[-WATCHED:])
        for run_id in set(self._watched) - set(newest):
            watch = self._watched.pop(run_id)
            if os.path.isdir(watch.path):  # the watch of one that is gone ends by itself
                with contextlib.suppress(KeyError, OSError):
                    self._observer.unschedule(watch)
        for run_id, run in newest.items():
            if run_id not in self._watched:
                with contextlib.suppress(OSError):  # no watches left, or it is gone already: the scan finds it
                    self._watched[run_id] = self._observer.schedule(_Wake(self._wake), str(run.path))

    def _work(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            began = time.thread_time()
            try:
                self._watch_new_runs()
                catch_up(self._store, self._home, self._offsets, self.failed, self._rounds, self._stop.is_set)
                self.error = ""
            except Exception as error:  # one bad run must not end the thread; the next scan tries again
                if str(error) != self.error:
                    log.exception("ingest failed; trying again every %g s", SCAN_S)
                self.error = str(error)
                self._start_over(error)
            self._stop.wait(MIN_PAUSE_S)
            self._wake.wait(min(max(SCAN_S, (time.thread_time() - began) / SCANNING_SHARE), MAX_SCAN_S))
