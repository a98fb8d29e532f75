"""Owns the DuckDB file: its lock, its cursors, and the one transaction that takes in lines of an event log.

Only one process may open the file; inside it every call works on a cursor of its own. Guarantee: rows and the read
offset are committed together, so a line is taken in exactly once, whatever is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from core import machine
from core.errors import StoreError
from core.runs.event_fields import OLDEST_VERSION
from core.runs.event_types import EVENT_VERSION, Metrics
from storage.schema import RECORD_TABLES, TABLES, prepare
from storage.statements import IN_RANGE, LINE, METRICS, OTHERS, OWN_TABLE, insert_statement

log = logging.getLogger("tracewright")
CLOSE_PATIENCE_S = 5.0
_MAX_KEPT, _MAX_KEPT_ROWS = 256, 5000  # results of queries, and their rows
TAIL_BYTES = 64
THREAD_MB = 64  # that a thread of DuckDB is given at least
MEMORY_MB, LEAST_MB = 1024, 128  # of DuckDB, and no more than a quarter of the machine's where that is enough to work with
_PART = 2048  # lines: what DuckDB takes at once
DATABASE = "index.duckdb"
_PROBE_BYTES = 1_000_000
Parameters = list[Any] | dict[str, Any]

_ADVANCE = (
    "UPDATE sources SET read_bytes = b.read_bytes, n_events = n_events + b.events, n_bad = n_bad + b.bad, n_newer = n_newer + b.newer, "
    "tail = b.tail FROM (SELECT unnest(?) AS run, unnest(?) AS read_bytes, unnest(?) AS events, unnest(?) AS bad, unnest(?) AS newer, "
    "unnest(?) AS tail) b WHERE sources.run = b.run"
)


@dataclass(frozen=True)
class LogPart:
    """Whole lines of a run's log that start at byte ``at``."""

    run_id: str
    lines: bytes
    at: int


def _lines(data: bytes) -> pa.ChunkedArray:
    """One string a line, newline included, without a copy; in parts, so that all cores can parse."""
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")).astype(np.int32) + 1
    starts = np.concatenate([np.zeros(1, np.int32), ends])
    whole = pa.StringArray.from_buffers(len(ends), pa.py_buffer(starts), pa.py_buffer(data))
    return pa.chunked_array([whole[at : at + _PART] for at in range(0, len(whole), _PART)], pa.string())


class Store:
    """The index of one folder of runs; ``path`` None keeps it in memory, with as much of it as DuckDB takes by itself. ``memory_mb``: what DuckDB
    may take for a file; beyond it, it works on disk."""

    def __init__(self, path: Path | None, memory_mb: int = MEMORY_MB) -> None:
        self.path, self._memory_mb = path, memory_mb
        self._at_work, self._n_at_work = threading.Lock(), 0  # statements that run
        self._connection = self._connect()
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[tuple[int, ...], pd.DataFrame]] = OrderedDict()
        self._generation = self.n_reads = 0  # n_reads: queries that were begun
        self._generations = {str(run_id): 0 for (run_id,) in self.rows("SELECT run_id FROM runs")}
        self._tails = self._read_tails()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = duckdb.connect(str(self.path) if self.path else ":memory:")
        except duckdb.IOException as error:
            if "lock" not in str(error).lower():
                raise
            raise StoreError(
                f"{self.path} is open in another process: a console is already running on these runs. Use that one, or stop it first."
            ) from error
        if self.path is not None:
            n_threads = min(machine.available_cores(), max(int(self._most_mb() / THREAD_MB), 1))
            connection.execute(f"SET memory_limit = '{self._most_mb():.0f}MB'; SET threads = {n_threads}")
        prepare(connection)
        return connection

    def _most_mb(self) -> float:
        """What DuckDB may take for a file."""
        return min(self._memory_mb, max(machine.memory_mb()[0] / 4, LEAST_MB))

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """For a statement or more; nothing is taken from DuckDB's memory meanwhile."""
        with self._at_work:
            self._n_at_work += 1
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        finally:
            with self._at_work:
                self._n_at_work -= 1

    def give_back_memory(self) -> bool:
        """Have DuckDB forget what it read of its file, all of which it keeps by itself, up to its limit; whether it did: not while a query runs.
        One that begins meanwhile waits, some milliseconds, so that it never meets the low limit.
        """
        with self._at_work:
            if self.path is None or self._n_at_work:
                return False
            with contextlib.suppress(duckdb.Error), self._connection.cursor() as cursor:
                try:
                    # It lets go of what it can, and then refuses so low a limit, or takes it where it holds nothing
                    with contextlib.suppress(duckdb.OutOfMemoryException):
                        cursor.execute("SET memory_limit = '1KB'")
                finally:
                    cursor.execute(f"SET memory_limit = '{self._most_mb():.0f}MB'")
            return True

    def reopen(self) -> None:
        """Reopen the file: after a full disk DuckDB refuses all further work on a connection."""
        with contextlib.suppress(duckdb.Error):
            self._connection.close()
        self._connection = self._connect()
        self._generation += 1
        self._tails = self._read_tails()

    def _read_tails(self) -> dict[str, bytes]:
        return {str(run): bytes.fromhex(tail or "") for run, tail in self.rows("SELECT run_id, tail FROM sources JOIN runs USING (run)")}

    def tail(self, run_id: str) -> bytes:
        """The last bytes that were taken in of a run's log; empty where that is not known."""
        return self._tails.get(run_id, b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; waits for pages that are still reading, since DuckDB refuses to close under a query."""
        deadline = time.monotonic() + CLOSE_PATIENCE_S
        while True:
            try:
                self._connection.close()
                return
            except duckdb.Error:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def query(self, sql: str, parameters: Parameters | None = None) -> pd.DataFrame:
        """Run a query on a cursor of its own.

        A small result is kept until a run among the parameters has new events; one that names no run, until any has.
        """
        key = (sql, repr(parameters))
        version = self._version(parameters)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0] == version:
                self._kept.move_to_end(key)
                return kept[1].copy()
        self.n_reads += 1
        with self._cursor() as cursor:
            found = cursor.execute(sql, parameters or []).df()
        if len(found) <= _MAX_KEPT_ROWS:
            with self._lock:
                self._kept[key] = (version, found.copy())
                while len(self._kept) > _MAX_KEPT:
                    self._kept.popitem(last=False)
        return found

    def _version(self, parameters: Parameters | None) -> tuple[int, ...]:
        """Changes with what the runs among the parameters, or all, have taken in. To be asked before the query."""
        values = parameters.values() if isinstance(parameters, dict) else parameters or []
        named = [self._generations[value] for value in values if isinstance(value, str) and value in self._generations]
        return (self._generation, 0) if not named else tuple(named)

    def generation(self, run_id: str) -> int:
        """Changes when something of a run's log was taken in; 0 for one that is not known."""
        return self._generations.get(run_id, 0)

    def _changed(self, run_id: str) -> None:
        self._generation += 1
        self._generations[run_id] = self._generation

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """The same as plain tuples, for small results; not kept."""
        self.n_reads += 1
        with self._cursor() as cursor:
            return cursor.execute(sql, parameters or []).fetchall()

    def batches(self, sql: str, parameters: list[Any] | None = None, n_rows: int = 65_536) -> Iterator[pa.RecordBatch]:
        """The same as Arrow batches of at most ``n_rows``, for results of any size; not kept."""
        self.n_reads += 1
        with self._cursor() as cursor:
            yield from cursor.sql(sql, params=parameters or []).to_arrow_reader(n_rows)

    def offsets(self) -> dict[str, int]:
        """{run id: bytes of its log that were taken in}."""
        return dict(self.rows("SELECT run_id, read_bytes FROM sources JOIN runs USING (run)"))

    def take_in(self, run_id: str, lines: bytes, at: int) -> int:
        """Take in whole lines that start at byte ``at`` of the run's log; returns the number of events."""
        return self.take_in_all([LogPart(run_id, lines, at)])

    def take_in_all(self, parts: Sequence[LogPart]) -> int:
        """Take in what is new in several logs, each once among ``parts``: thousands of short logs cost little more than one of their length.

        Rows and the new offsets become visible together or not at all. Lines that are no events are counted.
        """
        tails: dict[str, bytes] = {}
        with self._cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                runs = self._run_keys(cursor, [part.run_id for part in parts])
                stored = dict(
                    cursor.execute("SELECT run, read_bytes FROM sources WHERE run IN (SELECT unnest(?))", [list(runs.values())]).fetchall()
                )
                for part in parts:
                    if stored[runs[part.run_id]] != part.at:
                        raise StoreError(
                            f"{part.run_id}: bytes from {part.at} were offered, those from {stored[runs[part.run_id]]} are due"
                        )
                batches = [_lines(part.lines) for part in parts]
                keys = [np.full(len(batch), runs[part.run_id], np.int32) for part, batch in zip(parts, batches, strict=True)]
                lines = pa.chunked_array([chunk for batch in batches for chunk in batch.chunks], pa.string())
                n_events, n_newer = self._insert(cursor, pa.table({"run": np.concatenate(keys), "line": lines}))
                told: list[tuple[Any, ...]] = []
                for part, batch in zip(parts, batches, strict=True):
                    run = runs[part.run_id]
                    tails[part.run_id] = ((self.tail(part.run_id) if part.at else b"") + part.lines[-TAIL_BYTES:])[-TAIL_BYTES:]
                    events, newer = n_events.get(run, 0), n_newer.get(run, 0)
                    told.append((run, part.at + len(part.lines), events, len(batch) - events - newer, newer, tails[part.run_id].hex()))
                cursor.execute(_ADVANCE, [list(column) for column in zip(*told, strict=True)])
                cursor.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):  # on a full disk the transaction is gone already
                    cursor.execute("ROLLBACK")
                raise
        self._tails |= tails
        for part in parts:
            self._changed(part.run_id)
        return sum(n_events.values())

    def leave_out(self, run_id: str, line: bytes, at: int) -> None:
        """Count a line that starts at byte ``at`` as bad, without taking it in."""
        tail = (self.tail(run_id) + line[-TAIL_BYTES:])[-TAIL_BYTES:]
        with self._cursor() as cursor:
            run = self._run_keys(cursor, [run_id])[run_id]
            cursor.execute(
                "UPDATE sources SET read_bytes = ?, n_bad = n_bad + 1, tail = ? WHERE run = ? AND read_bytes = ?",
                [at + len(line), tail.hex(), run, at],
            )
        self._tails[run_id] = tail
        self._changed(run_id)

    def _insert(self, cursor: duckdb.DuckDBPyConnection, table: pa.Table) -> tuple[dict[int, int], dict[int, int]]:
        """By run: events taken in, and events of a newer version, which stay in the log until this version can read them."""
        cursor.register("lines", table)
        cursor.execute(
            # Materialised, or every condition parses each line again
            "CREATE OR REPLACE TEMP TABLE batch AS WITH parsed AS MATERIALIZED (SELECT run, json_transform(line, "
            f"'{LINE}') AS e FROM lines WHERE json_valid(line)) "
            f"SELECT run, e.* REPLACE (coalesce(e.v, {EVENT_VERSION}) AS v) FROM parsed "
            f"WHERE e.kind IS NOT NULL AND starts_with(e.data, '{{') AND coalesce(e.v, {EVENT_VERSION}) >= {OLDEST_VERSION} AND {IN_RANGE}"
        )
        cursor.unregister("lines")
        newer = dict(cursor.execute("SELECT run, count(*) FROM batch WHERE v > ? GROUP BY run", [EVENT_VERSION]).fetchall())
        if newer:
            cursor.execute("DELETE FROM batch WHERE v > ?", [EVENT_VERSION])
        n_events = dict(cursor.execute("SELECT run, count(*) FROM batch GROUP BY run").fetchall())
        kinds = cursor.execute("SELECT DISTINCT kind, v FROM batch").fetchall()
        for name, record in RECORD_TABLES.items():
            for version in sorted({int(v) for kind, v in kinds if kind == record.kind}):
                cursor.execute(insert_statement(name, record, version))
        names = {kind for kind, _ in kinds}
        if Metrics.kind in names:
            cursor.execute(METRICS)
        if names - set(OWN_TABLE):
            cursor.execute(OTHERS)
        if "attempt_started" in names:
            cursor.execute(
                "INSERT INTO attempts(run, attempt, started_ts, last_ts, from_step) "
                "SELECT run, attempt, ts, ts, coalesce(TRY_CAST(data->>'from_step' AS BIGINT), 0) FROM batch WHERE kind = 'attempt_started'"
            )
        cursor.execute(
            "UPDATE attempts SET last_ts = greatest(last_ts, b.ts) FROM (SELECT run, attempt, max(ts) AS ts FROM batch GROUP BY ALL) b "
            "WHERE attempts.run = b.run AND attempts.attempt = b.attempt"
        )
        return n_events, newer

    @staticmethod
    def _run_keys(cursor: duckdb.DuckDBPyConnection, run_ids: Sequence[str]) -> dict[str, int]:
        """{run id: its number here}; runs that are new get one."""
        found = dict(cursor.execute("SELECT run_id, run FROM runs WHERE run_id IN (SELECT unnest(?))", [list(run_ids)]).fetchall())
        if new := [run_id for run_id in run_ids if run_id not in found]:
            (last,) = cursor.execute("SELECT coalesce(max(run), 0) FROM runs").fetchall()[0]
            keys = [last + n for n in range(1, len(new) + 1)]
            cursor.execute("INSERT INTO runs(run, run_id) SELECT unnest(?), unnest(?)", [keys, new])
            cursor.execute("INSERT INTO sources(run, read_bytes, n_events, n_bad, n_newer, tail) SELECT unnest(?), 0, 0, 0, 0, ''", [keys])
            found |= dict(zip(new, keys, strict=True))
        return found

    def forget(self, run_id: str) -> None:
        """Remove every row of a run."""
        with self._cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                found = cursor.execute("SELECT run FROM runs WHERE run_id = ?", [run_id]).fetchall()
                for (run,) in found:
                    for table in TABLES:
                        cursor.execute(f"DELETE FROM {table} WHERE run = ?", [run])
                cursor.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):  # on a full disk the transaction is gone already
                    cursor.execute("ROLLBACK")
                raise
        self._tails.pop(run_id, None)
        self._changed(run_id)


def database_file(home: Path) -> Path:
    """The index beside the runs."""
    return home / DATABASE


# What DuckDB says where the disk, not the file, is at fault
_NOT_DAMAGE = (
    "no space",
    "disk full",
    "disk quota",
    "read-only",
    "permission denied",
    "too many open files",
    "input/output error",
    "out of memory",
)


def _obstacle(path: Path, error: duckdb.Error) -> str:
    """What keeps a healthy database from being opened; "" where the file itself is damaged."""
    said = str(error).lower()
    if isinstance(error, duckdb.OutOfMemoryException) or any(part in said for part in _NOT_DAMAGE):
        return f"{path} can't be opened: {str(error).splitlines()[0]}"
    if "version number" in said:
        return f"{path} was written by another version of DuckDB: {str(error).splitlines()[0]}"
    try:
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as problem:
        return f"{path.parent} can't be written to: {problem.strerror}"
    return ""


def open_store(home: Path) -> Store:
    """Open the index; one that is damaged is quarantined and rebuilt, since the event logs are the truth.

    Raises:
        StoreError: another process has it open, the disk is full or read-only, or a newer DuckDB wrote it.
    """
    path = database_file(home)
    try:
        return Store(path)
    except duckdb.Error as error:
        if obstacle := _obstacle(path, error):
            raise StoreError(f"{obstacle}; nothing was changed. Fix this, then start again") from error
        aside = path.with_name(f"{path.name}.damaged")
        log.warning("%s is damaged and is rebuilt from the event logs; the damaged file is saved as %s: %s", path, aside.name, error)
        os.replace(path, aside)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
    try:
        return Store(path)
    except duckdb.Error as error:
        raise StoreError(f"{path} can't be created: {str(error).splitlines()[0]}") from error
