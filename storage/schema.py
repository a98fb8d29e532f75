"""The database's tables, as ordered, named migrations. Each runs once, in a transaction.

The database is an index over the event logs: when a migration can't carry rows over, it empties ``sources`` and the
ingest reads the logs again.
"""

from __future__ import annotations

import duckdb

_KEYS = "run INTEGER, attempt INTEGER, seq BIGINT, ts DOUBLE, step BIGINT"
PARAMS = (
    "color_precision", "layer_difference", "corner_threshold", "length_threshold",
    "max_iterations", "splice_threshold", "path_precision",
)  # fmt: skip
_PARAM_COLUMNS = ", ".join(f"{name} DOUBLE" for name in PARAMS)
_SPANNED = ("metrics", "episodes", "evaluated", "evaluations", "events")

MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "0001_tables",
        (
            "CREATE TABLE runs(run INTEGER, run_id VARCHAR)",
            "CREATE TABLE sources(run INTEGER, read_bytes BIGINT, n_events BIGINT, n_bad BIGINT)",
            "CREATE TABLE attempts(run INTEGER, attempt INTEGER, started_ts DOUBLE, last_ts DOUBLE, from_step BIGINT)",
            f"CREATE TABLE metrics({_KEYS}, name VARCHAR, value DOUBLE)",
            f"CREATE TABLE episodes({_KEYS}, episode BIGINT, env INTEGER, logo VARCHAR, category VARCHAR, stage VARCHAR, "
            "reward DOUBLE, quality DOUBLE, size DOUBLE, speed DOUBLE, length INTEGER, end_reason VARCHAR, ssim DOUBLE, "
            f"bytes BIGINT, paths BIGINT, cpu_s DOUBLE, gain DOUBLE, success BOOLEAN, {_PARAM_COLUMNS})",
            f"CREATE TABLE evaluated({_KEYS}, logo VARCHAR, category VARCHAR, digest VARCHAR, gain DOUBLE, ssim DOUBLE, "
            "bytes BIGINT, paths BIGINT, cpu_s DOUBLE, failure VARCHAR, ssim_default DOUBLE, bytes_default BIGINT, "
            f"paths_default BIGINT, svg VARCHAR, {_PARAM_COLUMNS})",
            f"CREATE TABLE evaluations({_KEYS}, gain DOUBLE, gain_low DOUBLE, gain_high DOUBLE, gain_median DOUBLE, "
            "share_better DOUBLE, ssim DOUBLE, ssim_default DOUBLE, bytes DOUBLE, bytes_default DOUBLE, n_logos INTEGER, "
            "n_failed INTEGER, is_best BOOLEAN, by_category JSON)",
            f"CREATE TABLE events({_KEYS}, kind VARCHAR, data JSON)",
            # What a resumed attempt does again replaces what the one before did beyond the checkpoint.
            "CREATE VIEW spans AS SELECT run, attempt, started_ts, from_step, "
            "coalesce(min(CASE WHEN from_step = 0 THEN -1 ELSE from_step END) OVER (PARTITION BY run ORDER BY attempt "
            "ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), 9223372036854775807) AS until_step, "
            "coalesce(sum(last_ts - started_ts) OVER (PARTITION BY run ORDER BY attempt "
            "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS earlier_s FROM attempts",
            *(
                f"CREATE VIEW current_{table} AS SELECT r.run_id, t.*, (t.ts - s.started_ts + s.earlier_s) / 60 AS minutes "
                f"FROM {table} t JOIN spans s USING (run, attempt) JOIN runs r USING (run) WHERE t.step <= s.until_step"
                for table in _SPANNED
            ),
        ),
    ),
    # The bytes before the offset, in hex: a log that was cut and grew again is told from the one that was read.
    ("0002_tail", ("ALTER TABLE sources ADD COLUMN tail VARCHAR DEFAULT ''",)),
)


def migrate(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Run what has not run yet; returns the names of what ran."""
    connection.execute("CREATE TABLE IF NOT EXISTS migrations(name VARCHAR)")
    done = {row[0] for row in connection.execute("SELECT name FROM migrations").fetchall()}
    ran = []
    for name, statements in MIGRATIONS:
        if name in done:
            continue
        connection.execute("BEGIN")
        try:
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO migrations VALUES (?)", [name])
            connection.execute("COMMIT")
        except duckdb.Error:
            connection.execute("ROLLBACK")
            raise
        ran.append(name)
    return ran
