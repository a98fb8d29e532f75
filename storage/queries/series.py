"""Curves: metrics and columns of the episodes over time.

Series are down-sampled here, in SQL, with minimum and maximum kept per bucket, so that a chart of a million points
costs what a chart of a thousand does. Buckets are fixed by powers of two, so that points do not jitter as rows come.
"""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from core.runs.event_fields import table_columns
from core.runs.event_types import EpisodeEnded
from storage.store import Store

Axis = Literal["step", "episode", "minutes", "wall"]
Window = tuple[float, float]  # of the x axis, both ends included
COLUMN_OF = {"step": "step", "episode": "episode", "minutes": "minutes", "wall": "ts"}  # wall: seconds since 1970
EPISODE_COLUMNS = tuple(  # what can be drawn over time
    name for name, kind in table_columns(EpisodeEnded).items() if kind in ("DOUBLE", "BIGINT", "BOOLEAN") and name not in ("episode", "env")
)
MAX_POINTS = 1000


def marks(values: list[str]) -> str:
    return ", ".join("?" for _ in values)


def within(x: str, window: Window | None) -> str:
    """A condition on ``x``, with its two parameters still to be given."""
    return "" if window is None else f" AND {x} BETWEEN ? AND ?"


def _series(
    store: Store, source: str, value: str, runs: list[str], x: str, names: list[str] | None, max_points: int, window: Window | None
) -> pd.DataFrame:
    """Columns run_id, name, x, mean, low, high, n."""
    name = "name" if names is not None else f"'{value}'"
    where = f"run_id IN ({marks(runs)})" + (f" AND name IN ({marks(names)})" if names is not None else "") + within(x, window)
    parameters: list[Any] = [*runs, *(names or []), *(window or ())]
    return store.query(
        f"""
        WITH p AS (SELECT run_id, {name} AS name, ({x})::DOUBLE AS x, ({value})::DOUBLE AS y FROM {source} WHERE {where}),
             w AS (SELECT run_id, name, pow(2, ceil(log2(greatest((max(x) - min(x)) / ?, 1e-9)))) AS width, count(*) AS n
                   FROM p GROUP BY ALL)
        SELECT run_id, name, CASE WHEN any_value(w.n) <= ? THEN avg(x) ELSE max(x) END AS x,
               avg(y) AS mean, min(y) AS low, max(y) AS high, count(*) AS n
        FROM p JOIN w USING (run_id, name)
        GROUP BY run_id, name, CASE WHEN w.n <= ? THEN x ELSE floor(x / w.width) END ORDER BY run_id, name, x
        """,
        [*parameters, max_points, max_points, max_points],
    )


def metric_series(
    store: Store, runs: list[str], names: list[str], axis: Axis = "step", max_points: int = MAX_POINTS, window: Window | None = None
) -> pd.DataFrame:
    """Metrics by name: run_id, name, x, mean, low, high, n. For "episode" the x is the episodes done by then.

    ``window``: only what lies in it, with all points going into it.
    """
    if not runs or not names:
        return pd.DataFrame(columns=["run_id", "name", "x", "mean", "low", "high", "n"])
    if axis == "episode":
        source = (
            "(SELECT m.*, e.episode FROM current_metrics m ASOF JOIN (SELECT run_id, step, max(episode) AS episode FROM current_episodes "
            "GROUP BY ALL) e ON m.run_id = e.run_id AND m.step >= e.step)"
        )
        return _series(store, source, "value", runs, "episode", names, max_points, window)
    return _series(store, "current_metrics", "value", runs, COLUMN_OF[axis], names, max_points, window)


def latest_value(store: Store, run: str, name: str, after_step: int = -1) -> float | None:
    """The newest value of a metric after a step; None without one."""
    found = store.rows(
        "SELECT value FROM current_metrics WHERE run_id = ? AND name = ? AND step > ? ORDER BY step DESC LIMIT 1", [run, name, after_step]
    )
    return None if not found or found[0][0] is None else float(found[0][0])


def metric_names(store: Store, runs: list[str]) -> list[str]:
    """The names of all metrics of some runs."""
    if not runs:
        return []
    found = store.rows(f"SELECT DISTINCT name FROM current_metrics WHERE run_id IN ({marks(runs)}) ORDER BY name", list(runs))
    return [str(row[0]) for row in found]


def episode_series(
    store: Store, runs: list[str], column: str, axis: Axis = "step", max_points: int = MAX_POINTS, window: Window | None = None
) -> pd.DataFrame:
    """A column of the episodes over time: run_id, name, x, mean, low, high, n."""
    if column not in EPISODE_COLUMNS:
        raise ValueError(f"{column} is not one of {', '.join(EPISODE_COLUMNS)}")
    if not runs:
        return pd.DataFrame(columns=["run_id", "name", "x", "mean", "low", "high", "n"])
    return _series(store, "current_episodes", column, runs, COLUMN_OF[axis], None, max_points, window)
