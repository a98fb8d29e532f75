"""Owns the DuckDB file: its lock, its cursors, and the one transaction that takes in lines of an event log.

Only one process may open the file; inside it every call works on a cursor of its own. Guarantee: rows and the read
offset are committed together, so a line is taken in exactly once, whatever is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

from core.errors import StoreError
from storage.schema import PARAMS, migrate

log = logging.getLogger("tracewright")
CLOSE_PATIENCE_S = 5.0
_MAX_KEPT, _MAX_KEPT_ROWS = 256, 5000  # results of queries, and their rows
TAIL_BYTES = 64
_PART = 2048  # lines: what DuckDB takes at once
DATABASE = "index.duckdb"
_TABLES = ("metrics", "episodes", "evaluated", "evaluations", "events", "attempts", "sources", "runs")
Parameters = list[Any] | dict[str, Any]
_OWN_TABLE = ("metrics", "episode", "evaluated", "evaluation")


def _struct(types: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{key}": "{kind}"' for key, kind in types.items()) + "}"


_LINE = _struct({"seq": "BIGINT", "attempt": "INTEGER", "ts": "DOUBLE", "kind": "VARCHAR", "step": "BIGINT", "data": "JSON"})
_EPISODE = {
    "episode": "BIGINT", "env": "INTEGER", "logo": "VARCHAR", "category": "VARCHAR", "stage": "VARCHAR", "reward": "DOUBLE",
    "quality": "DOUBLE", "size": "DOUBLE", "speed": "DOUBLE", "length": "INTEGER", "end": "VARCHAR", "ssim": "DOUBLE",
    "bytes": "BIGINT", "paths": "BIGINT", "cpu_s": "DOUBLE", "gain": "DOUBLE", "success": "BOOLEAN",
}  # fmt: skip
_EVALUATED = {
    "logo": "VARCHAR", "category": "VARCHAR", "digest": "VARCHAR", "gain": "DOUBLE", "ssim": "DOUBLE", "bytes": "BIGINT",
    "paths": "BIGINT", "cpu_s": "DOUBLE", "failure": "VARCHAR", "ssim_default": "DOUBLE", "bytes_default": "BIGINT",
    "paths_default": "BIGINT", "svg": "VARCHAR",
}  # fmt: skip
_EVALUATION = {
    "gain": "DOUBLE", "gain_low": "DOUBLE", "gain_high": "DOUBLE", "gain_median": "DOUBLE", "share_better": "DOUBLE",
    "ssim": "DOUBLE", "ssim_default": "DOUBLE", "bytes": "DOUBLE", "bytes_default": "DOUBLE", "n_logos": "INTEGER",
    "n_failed": "INTEGER", "is_best": "BOOLEAN", "by_category": "JSON",
}  # fmt: skip
_HEAD = "?::INTEGER, attempt, seq, ts, step"


def _take(table: str, kind: str, types: dict[str, str], has_params: bool) -> str:
    all_types = types | ({"params": "DOUBLE[]"} if has_params else {})
    columns = [f'd."{key}"' for key in types] + [f"d.params[{i}]" for i in range(1, len(PARAMS) + 1) if has_params]
    shape = "{" + ", ".join(f'"{k}": {_json_type(t)}' for k, t in all_types.items()) + "}"
    return (
        f"INSERT INTO {table} WITH parsed AS MATERIALIZED (SELECT *, json_transform(data, '{shape}') AS d FROM batch "
        f"WHERE kind = '{kind}') SELECT {_HEAD}, {', '.join(columns)} FROM parsed"
    )


def _json_type(kind: str) -> str:
    return f'["{kind[:-2]}"]' if kind.endswith("[]") else f'"{kind}"'


_STATEMENTS = {
    "episode": _take("episodes", "episode", _EPISODE, has_params=True),
    "evaluated": _take("evaluated", "evaluated", _EVALUATED, has_params=True),
    "evaluation": _take("evaluations", "evaluation", _EVALUATION, has_params=False),
    "metrics": f"INSERT INTO metrics SELECT {_HEAD}, e.key, e.value FROM (SELECT *, "
    "unnest(map_entries(from_json(data, '\"MAP(VARCHAR, DOUBLE)\"'))) AS e FROM batch WHERE kind = 'metrics')",
}


def _lines(data: bytes) -> pa.ChunkedArray:
    """One string a line, newline included, without a copy; in parts, so that all cores can parse."""
    ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == ord("\n")).astype(np.int32) + 1
    starts = np.concatenate([np.zeros(1, np.int32), ends])
    whole = pa.StringArray.from_buffers(len(ends), pa.py_buffer(starts), pa.py_buffer(data))
    return pa.chunked_array([whole[at : at + _PART] for at in range(0, len(whole), _PART)], pa.string())


class Store:
    """The index of one folder of runs; ``path`` None keeps it in memory."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._connection = self._connect()
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], tuple[tuple[int, ...], pd.DataFrame]] = OrderedDict()
        self._generation = 0
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
                f"{self.path} is open in another process: a console runs already on these runs. Use that one, or stop it first."
            ) from error
        migrate(connection)
        return connection

    def reopen(self) -> None:
        """Open the file anew: after a full disk DuckDB refuses all further work on a connection."""
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
        with self._connection.cursor() as cursor:
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

    def _changed(self, run_id: str) -> None:
        self._generation += 1
        self._generations[run_id] = self._generation

    def rows(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """The same as plain tuples, for small results; not kept."""
        with self._connection.cursor() as cursor:
            return cursor.execute(sql, parameters or []).fetchall()

    def offsets(self) -> dict[str, int]:
        """{run id: bytes of its log that were taken in}."""
        return dict(self.rows("SELECT run_id, read_bytes FROM sources JOIN runs USING (run)"))  # type: ignore[arg-type]

    def take_in(self, run_id: str, lines: bytes, at: int) -> int:
        """Take in whole lines that start at byte ``at`` of the run's log; returns the number of events.

        Rows and the new offset become visible together or not at all. Lines that are no events are counted.
        """
        batch = pa.table({"line": _lines(lines)})
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                run = self._run_key(cursor, run_id)
                stored = cursor.execute("SELECT read_bytes FROM sources WHERE run = ?", [run]).fetchall()[0][0]
                if stored != at:
                    raise StoreError(f"{run_id}: bytes from {at} were offered, those from {stored} are due")
                n_events = self._insert(cursor, run, batch)
                n_bad = batch.num_rows - n_events
                tail = (self.tail(run_id) + lines[-TAIL_BYTES:])[-TAIL_BYTES:] if at else lines[-TAIL_BYTES:]
                cursor.execute(
                    "UPDATE sources SET read_bytes = ?, n_events = n_events + ?, n_bad = n_bad + ?, tail = ? WHERE run = ?",
                    [at + len(lines), n_events, n_bad, tail.hex(), run],
                )
                cursor.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):  # on a full disk the transaction is gone already
                    cursor.execute("ROLLBACK")
                raise
        self._tails[run_id] = tail
        self._changed(run_id)
        return n_events

    def _insert(self, cursor: duckdb.DuckDBPyConnection, run: int, table: pa.Table) -> int:
        cursor.register("lines", table)
        cursor.execute(
            # Materialised, or every condition parses each line again
            "CREATE OR REPLACE TEMP TABLE batch AS WITH parsed AS MATERIALIZED (SELECT json_transform(line, "
            f"'{_LINE}') AS e FROM lines WHERE json_valid(line)) "
            "SELECT e.* FROM parsed WHERE e.seq IS NOT NULL AND e.kind IS NOT NULL AND e.attempt IS NOT NULL"
        )
        cursor.unregister("lines")
        kinds = dict(cursor.execute("SELECT kind, count(*) FROM batch GROUP BY kind").fetchall())
        for kind, statement in _STATEMENTS.items():
            if kind in kinds:
                cursor.execute(statement, [run])
        if set(kinds) - set(_OWN_TABLE):
            own = ", ".join(f"'{kind}'" for kind in _OWN_TABLE)
            cursor.execute(f"INSERT INTO events SELECT {_HEAD}, kind, data FROM batch WHERE kind NOT IN ({own})", [run])
        if "attempt_started" in kinds:
            cursor.execute(
                "INSERT INTO attempts SELECT ?, attempt, ts, ts, (data->>'from_step')::BIGINT FROM batch WHERE kind = 'attempt_started'",
                [run],
            )
        cursor.execute(
            "UPDATE attempts SET last_ts = greatest(last_ts, b.ts) FROM (SELECT attempt, max(ts) AS ts FROM batch GROUP BY attempt) b "
            "WHERE attempts.run = ? AND attempts.attempt = b.attempt",
            [run],
        )
        return int(sum(kinds.values()))

    @staticmethod
    def _run_key(cursor: duckdb.DuckDBPyConnection, run_id: str) -> int:
        found = cursor.execute("SELECT run FROM runs WHERE run_id = ?", [run_id]).fetchall()
        if found:
            return int(found[0][0])
        key = int(cursor.execute("SELECT coalesce(max(run), 0) + 1 FROM runs").fetchall()[0][0])
        cursor.execute("INSERT INTO runs VALUES (?, ?)", [key, run_id])
        cursor.execute("INSERT INTO sources VALUES (?, 0, 0, 0, '')", [key])
        return key

    def forget(self, run_id: str) -> None:
        """Remove every row of a run."""
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                found = cursor.execute("SELECT run FROM runs WHERE run_id = ?", [run_id]).fetchall()
                for (run,) in found:
                    for table in _TABLES:
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


def open_store(home: Path) -> Store:
    """Open the index; one that is damaged is put aside and made again, since the event logs are the truth."""
    path = database_file(home)
    try:
        return Store(path)
    except duckdb.Error as error:
        aside = path.with_name(f"{path.name}.damaged")
        log.warning("%s is damaged and is made again from the event logs; it is kept as %s: %s", path, aside.name, error)
        os.replace(path, aside)
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        return Store(path)
