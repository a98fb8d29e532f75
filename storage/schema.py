"""The database's tables, as they follow from core/runs/event_types.py, and how an older database becomes today's.

The database is an index over the event logs. So there are no migrations: where its tables are not the ones that follow from
today's event types, they are dropped and made again, and the ingest reads the logs again. Guarantee: no row is ever read or
written by position.
"""

from __future__ import annotations

import hashlib

import duckdb

from core.runs.event_fields import table_columns
from core.runs.event_types import EVENT_VERSION, RECORDS, Metrics, Record

KEYS = {"run": "INTEGER", "attempt": "INTEGER", "seq": "BIGINT", "ts": "DOUBLE", "step": "BIGINT"}
RECORD_TABLES: dict[str, type[Record]] = {record.table: record for record in RECORDS.values() if record.table and record is not Metrics}
EVENT_TABLES: dict[str, dict[str, str]] = {
    **{table: KEYS | table_columns(record) for table, record in RECORD_TABLES.items()},
    Metrics.table: KEYS | {"name": "VARCHAR", "value": "DOUBLE"},
    "events": KEYS | {"kind": "VARCHAR", "v": "INTEGER", "data": "JSON"},
}
TABLES: dict[str, dict[str, str]] = {
    "runs": {"run": "INTEGER", "run_id": "VARCHAR"},
    # tail: the bytes before the offset, in hex, by which a log that was cut and grew again is told from the one that was read
    "sources": {
        "run": "INTEGER", "read_bytes": "BIGINT", "n_events": "BIGINT", "n_bad": "BIGINT", "n_newer": "BIGINT", "tail": "VARCHAR",
    },
    "attempts": {"run": "INTEGER", "attempt": "INTEGER", "started_ts": "DOUBLE", "last_ts": "DOUBLE", "from_step": "BIGINT"},
    **EVENT_TABLES,
}  # fmt: skip
# What a resumed attempt does again replaces what the one before did beyond the checkpoint.
_SPANS = (
    "CREATE VIEW spans AS SELECT run, attempt, started_ts, from_step, "
    "coalesce(min(CASE WHEN from_step = 0 THEN -1 ELSE from_step END) OVER (PARTITION BY run ORDER BY attempt "
    "ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), 9223372036854775807) AS until_step, "
    "coalesce(sum(last_ts - started_ts) OVER (PARTITION BY run ORDER BY attempt "
    "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS earlier_s FROM attempts"
)


def _current(table: str) -> str:
    return (
        f"CREATE VIEW current_{table} AS SELECT r.run_id, t.*, (t.ts - s.started_ts + s.earlier_s) / 60 AS minutes "
        f"FROM {table} t JOIN spans s USING (run, attempt) JOIN runs r USING (run) WHERE t.step <= s.until_step"
    )


def statements() -> list[str]:
    """What makes an empty database today's."""
    tables = [
        f"CREATE TABLE {table}({', '.join(f'{quoted(name)} {kind}' for name, kind in columns.items())})"
        for table, columns in TABLES.items()
    ]
    return [*tables, _SPANS, *(_current(table) for table in EVENT_TABLES)]


def quoted(name: str) -> str:
    return f'"{name}"'


def fingerprint() -> str:
    """What today's tables are known by; with another version of events the logs are read again too."""
    return hashlib.sha256("\n".join([f"events {EVENT_VERSION}", *statements()]).encode()).hexdigest()[:16]


def prepare(connection: duckdb.DuckDBPyConnection) -> bool:
    """Make the tables where they are missing or of another version; returns whether they were recreated."""
    connection.execute("CREATE TABLE IF NOT EXISTS made_for(fingerprint VARCHAR)")
    if connection.execute("SELECT fingerprint FROM made_for").fetchall() == [(fingerprint(),)]:
        return False
    connection.execute("BEGIN")
    try:
        _drop_all(connection)
        for statement in statements():
            connection.execute(statement)
        connection.execute("CREATE TABLE made_for(fingerprint VARCHAR)")
        connection.execute("INSERT INTO made_for(fingerprint) VALUES (?)", [fingerprint()])
        connection.execute("COMMIT")
    except duckdb.Error:
        connection.execute("ROLLBACK")
        raise
    return True


def _drop_all(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute(
        "SELECT table_type, table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY table_type DESC"
    ).fetchall()
    for kind, name in found:  # views first
        connection.execute(f"DROP {'VIEW' if kind == 'VIEW' else 'TABLE'} {quoted(name)}")
