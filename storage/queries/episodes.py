"""Episodes: distributions, parameters explored, successes."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from core.tracing.params import NAMES, SPECS
from storage.queries.series import COLUMN_OF, EPISODE_COLUMNS, Axis, Window, within
from storage.store import Store


def success_by(
    store: Store, run: str, by: Literal["category", "stage"], axis: Axis = "step", n_buckets: int = 60, window: Window | None = None
) -> pd.DataFrame:
    """Share of successes over time: group, x, success, gain, n."""
    return store.query(
        f"""
        WITH p AS (SELECT {by} AS "group", ({COLUMN_OF[axis]})::DOUBLE AS x, success, headline_gain AS gain FROM current_episodes
                   WHERE run_id = ?{within(COLUMN_OF[axis], window)}),
             w AS (SELECT pow(2, ceil(log2(greatest((max(x) - min(x)) / ?, 1e-9)))) AS width FROM p)
        SELECT "group", floor(x / width) * width + width / 2 AS x, avg(success::INTEGER) AS success, avg(gain) AS gain, count(*) AS n
        FROM p, w GROUP BY ALL ORDER BY ALL
        """,
        [run, *(window or ()), n_buckets],
    )


def n_cells(param: str, low: float, high: float, most: int) -> int:
    """Cells of a parameter's range; one a value where there are few."""
    is_whole = next(spec.is_integer for spec in SPECS if spec.name == param)
    return int(min(most, high - low + 1)) if is_whole else most


def param_density(  # noqa: PLR0913 - a query's bounds are its parameters
    store: Store,
    run: str,
    param: str,
    low: float,
    high: float,
    axis: Axis = "step",
    n_x: int = 48,
    n_y: int = 24,
    window: Window | None = None,
) -> pd.DataFrame:
    """Explored values over time, in cells: x, x2, y, y2, n, share (of the column), gain (mean)."""
    if param not in NAMES:
        raise ValueError(f"{param} is not one of {', '.join(NAMES)}")
    n_y = n_cells(param, low, high, n_y)
    inside = "" if window is None else f" AND {COLUMN_OF[axis]} BETWEEN $first AND $last"
    bounds = {} if window is None else {"first": window[0], "last": window[1]}
    return store.query(
        f"""
        WITH p AS (SELECT ({COLUMN_OF[axis]})::DOUBLE AS x, {param} AS y, headline_gain AS gain FROM current_episodes
                   WHERE run_id = $run{inside}),
             w AS (SELECT pow(2, ceil(log2(greatest((max(x) - min(x)) / $nx, 1e-9)))) AS wx, ($high::DOUBLE - $low) / $ny AS wy FROM p),
             c AS (SELECT floor(x / wx) * wx AS x, any_value(wx) AS wx, any_value(wy) AS wy,
                          least(floor((y - $low) / wy), $ny - 1) AS cell, count(*) AS n, avg(gain) AS gain FROM p, w GROUP BY 1, cell)
        SELECT x, x + wx AS x2, $low + cell * wy AS y, $low + (cell + 1) * wy AS y2, n, n / sum(n) OVER (PARTITION BY x) AS share, gain
        FROM c ORDER BY x, y
        """,
        {"run": run, "nx": n_x, "ny": n_y, "low": low, "high": high} | bounds,
    )


def gain_by_value(store: Store, run: str, param: str, n_buckets: int = 24) -> pd.DataFrame:
    """Mean gain by the value of a parameter: value, gain, q25, q75, n."""
    if param not in NAMES:
        raise ValueError(f"{param} is not one of {', '.join(NAMES)}")
    return store.query(
        f"""
        WITH p AS (SELECT {param} AS y, headline_gain AS gain FROM current_episodes WHERE run_id = ?),
             w AS (SELECT greatest((max(y) - min(y)) / ?, 1e-9) AS width, min(y) AS low FROM p)
        SELECT avg(y) AS value, avg(gain) AS gain, quantile_cont(gain, 0.25) AS q25, quantile_cont(gain, 0.75) AS q75, count(*) AS n
        FROM p, w GROUP BY least(floor((y - low) / width), ? - 1) ORDER BY value
        """,
        [run, n_buckets, n_buckets],
    )


def param_pair(store: Store, run: str, a: tuple[str, float, float], b: tuple[str, float, float], n: int = 24) -> pd.DataFrame:
    """Two parameters against each other, each (name, low, high): x, x2, y, y2, n, share, gain (mean)."""
    for name in (a[0], b[0]):
        if name not in NAMES:
            raise ValueError(f"{name} is not one of {', '.join(NAMES)}")
    return store.query(
        f"""
        WITH w AS (SELECT ($ah::DOUBLE - $al) / $an AS wa, ($bh::DOUBLE - $bl) / $bn AS wb),
             c AS (SELECT least(floor(({a[0]} - $al) / wa), $an - 1) AS i, least(floor(({b[0]} - $bl) / wb), $bn - 1) AS j,
                          any_value(wa) AS wa, any_value(wb) AS wb, count(*) AS n, avg(headline_gain) AS gain
                   FROM current_episodes, w WHERE run_id = $run GROUP BY i, j)
        SELECT $al + i * wa AS x, $al + (i + 1) * wa AS x2, $bl + j * wb AS y, $bl + (j + 1) * wb AS y2, n, n / sum(n) OVER () AS share, gain
        FROM c ORDER BY x, y
        """,
        {"run": run, "al": a[1], "ah": a[2], "an": n_cells(*a, n), "bl": b[1], "bh": b[2], "bn": n_cells(*b, n)},
    )


def quantiles(store: Store, run: str, column: str, axis: Axis = "step", n_buckets: int = 60, window: Window | None = None) -> pd.DataFrame:
    """Distribution of a column of the episodes over time: x, q05, q25, q50, q75, q95, n."""
    if column not in EPISODE_COLUMNS:
        raise ValueError(f"{column} is not one of {', '.join(EPISODE_COLUMNS)}")
    return store.query(
        f"""
        WITH p AS (SELECT ({COLUMN_OF[axis]})::DOUBLE AS x, {column} AS y FROM current_episodes WHERE run_id = ?{within(COLUMN_OF[axis], window)}),
             w AS (SELECT pow(2, ceil(log2(greatest((max(x) - min(x)) / ?, 1e-9)))) AS width FROM p),
             q AS (SELECT avg(x) AS x, quantile_cont(y, [0.05, 0.25, 0.5, 0.75, 0.95]) AS q, count(*) AS n FROM p, w GROUP BY floor(p.x / width))
        SELECT x, q[1] AS q05, q[2] AS q25, q[3] AS q50, q[4] AS q75, q[5] AS q95, n FROM q ORDER BY x
        """,
        [run, *(window or ()), n_buckets],
    )


def reward_histogram(store: Store, run: str, last: int = 2000, n_buckets: int = 40) -> pd.DataFrame:
    """Distribution of rewards, first and last ``last`` episodes: part, low, high, n, share."""
    return store.query(
        """
        WITH e AS (SELECT training_gain AS reward, row_number() OVER (ORDER BY step, seq) AS i, count(*) OVER () AS total FROM current_episodes WHERE run_id = ?),
             p AS (SELECT reward, 'first' AS part FROM e WHERE i <= least(?, total // 2) UNION ALL
                   SELECT reward, 'latest' FROM e WHERE i > total - least(?, greatest(total // 2, 1))),
             w AS (SELECT quantile_cont(reward, 0.005) AS low, greatest((quantile_cont(reward, 0.995) - quantile_cont(reward, 0.005)) / ?, 1e-6) AS width FROM p),
             h AS (SELECT part, greatest(least(floor((reward - low) / width), ?), 0) AS cell, any_value(low) AS low, any_value(width) AS width, count(*) AS n
                   FROM p, w GROUP BY ALL)
        SELECT part, low + cell * width AS low, low + (cell + 1) * width AS high, n, n / sum(n) OVER (PARTITION BY part) AS share FROM h ORDER BY ALL
        """,
        [run, last, last, n_buckets, n_buckets - 1],
    )


def end_reasons(store: Store, run: str) -> pd.DataFrame:
    """How episodes ended: end_reason, n."""
    return store.query("SELECT end_reason, count(*) AS n FROM current_episodes WHERE run_id = ? GROUP BY 1 ORDER BY n DESC", [run])


def episode_at(store: Store, run: str, step: int) -> int:
    """The episodes that a run had done at a step."""
    return int(store.rows("SELECT coalesce(max(episode), 0) FROM current_episodes WHERE run_id = ? AND step <= ?", [run, step])[0][0])


def episode_outcomes(store: Store, run: str) -> pd.DataFrame:
    """SSIM and gain of each episode, in order."""
    return store.query("SELECT ssim, headline_gain AS gain FROM current_episodes WHERE run_id = ? ORDER BY step, seq", [run])


def recent_episodes(store: Store, run: str, n: int = 100) -> pd.DataFrame:
    """The last episodes of a run, newest first."""
    return store.query("SELECT * EXCLUDE (run) FROM current_episodes WHERE run_id = ? ORDER BY seq DESC LIMIT ?", [run, n])
