"""Every question the pages and the command line ask: Store -> tidy DataFrame.

Series are down-sampled here, in SQL, with minimum and maximum kept per bucket, so that a chart of a million points
costs what a chart of a thousand does. Buckets are fixed by powers of two, so that points do not jitter as rows come.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import pandas as pd

from core.runs.events import Event
from storage.schema import PARAMS
from storage.store import Store

Axis = Literal["step", "episode", "minutes", "wall"]
Window = tuple[float, float]  # of the x axis, both ends included
_COLUMN = {"step": "step", "episode": "episode", "minutes": "minutes", "wall": "ts"}  # wall: seconds since 1970
EPISODE_COLUMNS = ("reward", "gain", "ssim", "quality", "size", "speed", "bytes", "paths", "cpu_s", "length", "success", *PARAMS)
MAX_POINTS = 1000


def _marks(values: list[str]) -> str:
    return ", ".join("?" for _ in values)


def run_overview(store: Store, runs: list[str] | None = None) -> pd.DataFrame:
    """One row a run, of all or of ``runs``: run_id, started_ts, minutes, step, episodes, total_timesteps, stage, best_gain, last_gain, best_step,
    n_bad, n_attempts, ended_status."""
    where = "" if runs is None else f"WHERE run_id IN ({_marks(runs)})"
    return store.query(
        f"""
        WITH e AS (SELECT run_id, count(*) AS episodes, max(step) AS step, arg_max(stage, step) AS stage FROM current_episodes {where} GROUP BY 1),
             v AS (SELECT run_id, max(gain) AS best_gain, arg_max(gain, step) AS last_gain, arg_max(step, gain) AS best_step,
                          max(step) AS step FROM current_evaluations {where} GROUP BY 1),
             a AS (SELECT run, min(started_ts) AS started_ts, max(last_ts) AS last_ts, sum(last_ts - started_ts) / 60 AS minutes,
                          count(*) AS n_attempts FROM attempts GROUP BY 1),
             t AS (SELECT run, arg_max((data->>'total_timesteps')::BIGINT, attempt) AS total_timesteps FROM events
                   WHERE kind = 'attempt_started' GROUP BY 1)
        SELECT r.run_id, a.started_ts, a.last_ts, a.minutes, a.n_attempts, greatest(coalesce(e.step, 0), coalesce(v.step, 0)) AS step,
               coalesce(e.episodes, 0) AS episodes, e.stage, t.total_timesteps, v.best_gain, v.last_gain, v.best_step, s.n_events, s.n_bad
        FROM runs r LEFT JOIN e USING (run_id) LEFT JOIN v USING (run_id) LEFT JOIN a USING (run) LEFT JOIN t USING (run)
             LEFT JOIN sources s USING (run) {where} ORDER BY a.started_ts DESC NULLS FIRST
        """,
        (runs or []) * 3,
    )


def _within(x: str, window: Window | None) -> str:
    """A condition on ``x``, with its two parameters still to be given."""
    return "" if window is None else f" AND {x} BETWEEN ? AND ?"


def _series(
    store: Store, source: str, value: str, runs: list[str], x: str, names: list[str] | None, max_points: int, window: Window | None
) -> pd.DataFrame:
    """Columns run_id, name, x, mean, low, high, n."""
    name = "name" if names is not None else f"'{value}'"
    where = f"run_id IN ({_marks(runs)})" + (f" AND name IN ({_marks(names)})" if names is not None else "") + _within(x, window)
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
    return _series(store, "current_metrics", "value", runs, _COLUMN[axis], names, max_points, window)


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
    found = store.rows(f"SELECT DISTINCT name FROM current_metrics WHERE run_id IN ({_marks(runs)}) ORDER BY name", list(runs))
    return [str(row[0]) for row in found]


def episode_series(
    store: Store, runs: list[str], column: str, axis: Axis = "step", max_points: int = MAX_POINTS, window: Window | None = None
) -> pd.DataFrame:
    """A column of the episodes over time: run_id, name, x, mean, low, high, n."""
    if column not in EPISODE_COLUMNS:
        raise ValueError(f"{column} is none of {', '.join(EPISODE_COLUMNS)}")
    if not runs:
        return pd.DataFrame(columns=["run_id", "name", "x", "mean", "low", "high", "n"])
    return _series(store, "current_episodes", column, runs, _COLUMN[axis], None, max_points, window)


def evaluations(store: Store, runs: list[str], axis: Axis = "step") -> pd.DataFrame:
    """One row an evaluation: run_id, attempt, step, minutes, ts, gain, gain_low, gain_high, ..., the gain of each category
    as gain_<category>, and x on the axis; on "episode" that is the episodes done by then, which costs a look at all of them."""
    if not runs:
        return pd.DataFrame(columns=["run_id", "step", "minutes", "x", "gain", "gain_low", "gain_high"])
    x = f"({_COLUMN[axis]})::DOUBLE"
    if axis == "episode":
        # Each episode is put between two evaluations, and only the last of each such stretch is joined
        x = """coalesce((SELECT max(c.episode) FROM c WHERE c.run_id = v.run_id AND c.place < list_position(b.steps, v.step)), 0)::DOUBLE"""
    frame = store.query(
        f"""
        WITH v AS MATERIALIZED (SELECT * FROM current_evaluations WHERE run_id IN ({_marks(runs)})),
             b AS MATERIALIZED (SELECT run_id, list(DISTINCT step ORDER BY step) AS steps FROM v GROUP BY 1),
             c AS (SELECT run_id, place, max(episode) AS episode FROM
                   (SELECT e.run_id, e.episode, len(list_filter(b.steps, lambda s: s < e.step)) AS place
                    FROM current_episodes e JOIN b USING (run_id)) GROUP BY ALL)
        SELECT run_id, attempt, step, minutes, ts, {x} AS x, gain, gain_low, gain_high, gain_median, share_better, ssim, ssim_default,
               bytes, bytes_default, n_logos, n_failed, is_best, by_category
        FROM v JOIN b USING (run_id) ORDER BY run_id, step
        """,
        list(runs),
    )
    shares = [json.loads(text) if isinstance(text, str) else {} for text in frame.pop("by_category")]
    for category in sorted({c for share in shares for c in share}):
        frame[f"gain_{category}"] = [share.get(category) for share in shares]
    return frame


def evaluated_logos(store: Store, run: str, step: int | None = None) -> pd.DataFrame:
    """Every logo of a run's evaluations, or of the one at ``step``."""
    where = "run_id = ?" + ("" if step is None else " AND step = ?")
    columns = (
        "run_id, attempt, step, logo, category, digest, gain, ssim, bytes, paths, cpu_s, failure, ssim_default, bytes_default, "
        f"paths_default, svg, {', '.join(PARAMS)}"
    )
    return store.query(f"SELECT {columns} FROM current_evaluated WHERE {where} ORDER BY step, logo", [run] if step is None else [run, step])


def picture_history(store: Store, digest: str) -> pd.DataFrame:
    """Every evaluation of a picture, over all runs: the columns of :func:`evaluated_logos`, by run and step."""
    columns = (
        "run_id, attempt, step, logo, category, digest, gain, ssim, bytes, paths, cpu_s, failure, ssim_default, bytes_default, "
        f"paths_default, svg, {', '.join(PARAMS)}"
    )
    return store.query(f"SELECT {columns} FROM current_evaluated WHERE digest = ? ORDER BY run_id, step", [digest])


def baselines(store: Store, runs: list[str]) -> pd.DataFrame:
    """Reference methods measured on a run's validation logos: run_id, method, gain."""
    if not runs:
        return pd.DataFrame(columns=["run_id", "method", "gain"])
    return store.query(
        f"SELECT run_id, data->>'method' AS method, any_value((data->>'gain')::DOUBLE) AS gain FROM current_events "
        f"WHERE kind = 'baseline' AND run_id IN ({_marks(runs)}) GROUP BY ALL ORDER BY ALL",
        list(runs),
    )


def success_by(
    store: Store, run: str, by: Literal["category", "stage"], axis: Axis = "step", n_buckets: int = 60, window: Window | None = None
) -> pd.DataFrame:
    """Share of successes over time: group, x, success, gain, n."""
    return store.query(
        f"""
        WITH p AS (SELECT {by} AS "group", ({_COLUMN[axis]})::DOUBLE AS x, success, gain FROM current_episodes
                   WHERE run_id = ?{_within(_COLUMN[axis], window)}),
             w AS (SELECT pow(2, ceil(log2(greatest((max(x) - min(x)) / ?, 1e-9)))) AS width FROM p)
        SELECT "group", floor(x / width) * width + width / 2 AS x, avg(success::INTEGER) AS success, avg(gain) AS gain, count(*) AS n
        FROM p, w GROUP BY ALL ORDER BY ALL
        """,
        [run, *(window or ()), n_buckets],
    )


def n_cells(param: str, low: float, high: float, most: int) -> int:
    """Cells of a parameter's range; one a value where there are few."""
    return most if param == "length_threshold" else int(min(most, high - low + 1))


def param_density(
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
    if param not in PARAMS:
        raise ValueError(f"{param} is none of {', '.join(PARAMS)}")
    n_y = n_cells(param, low, high, n_y)
    within = "" if window is None else f" AND {_COLUMN[axis]} BETWEEN $first AND $last"
    bounds = {} if window is None else {"first": window[0], "last": window[1]}
    return store.query(
        f"""
        WITH p AS (SELECT ({_COLUMN[axis]})::DOUBLE AS x, {param} AS y, gain FROM current_episodes
                   WHERE run_id = $run{within}),
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
    if param not in PARAMS:
        raise ValueError(f"{param} is none of {', '.join(PARAMS)}")
    return store.query(
        f"""
        WITH p AS (SELECT {param} AS y, gain FROM current_episodes WHERE run_id = ?),
             w AS (SELECT greatest((max(y) - min(y)) / ?, 1e-9) AS width, min(y) AS low FROM p)
        SELECT avg(y) AS value, avg(gain) AS gain, quantile_cont(gain, 0.25) AS q25, quantile_cont(gain, 0.75) AS q75, count(*) AS n
        FROM p, w GROUP BY least(floor((y - low) / width), ? - 1) ORDER BY value
        """,
        [run, n_buckets, n_buckets],
    )


def param_pair(store: Store, run: str, a: tuple[str, float, float], b: tuple[str, float, float], n: int = 24) -> pd.DataFrame:
    """Two parameters against each other, each (name, low, high): x, x2, y, y2, n, share, gain (mean)."""
    for name in (a[0], b[0]):
        if name not in PARAMS:
            raise ValueError(f"{name} is none of {', '.join(PARAMS)}")
    return store.query(
        f"""
        WITH w AS (SELECT ($ah::DOUBLE - $al) / $an AS wa, ($bh::DOUBLE - $bl) / $bn AS wb),
             c AS (SELECT least(floor(({a[0]} - $al) / wa), $an - 1) AS i, least(floor(({b[0]} - $bl) / wb), $bn - 1) AS j,
                          any_value(wa) AS wa, any_value(wb) AS wb, count(*) AS n, avg(gain) AS gain
                   FROM current_episodes, w WHERE run_id = $run GROUP BY i, j)
        SELECT $al + i * wa AS x, $al + (i + 1) * wa AS x2, $bl + j * wb AS y, $bl + (j + 1) * wb AS y2, n, n / sum(n) OVER () AS share, gain
        FROM c ORDER BY x, y
        """,
        {"run": run, "al": a[1], "ah": a[2], "an": n_cells(*a, n), "bl": b[1], "bh": b[2], "bn": n_cells(*b, n)},
    )


def quantiles(store: Store, run: str, column: str, axis: Axis = "step", n_buckets: int = 60, window: Window | None = None) -> pd.DataFrame:
    """Distribution of a column of the episodes over time: x, q05, q25, q50, q75, q95, n."""
    if column not in EPISODE_COLUMNS:
        raise ValueError(f"{column} is none of {', '.join(EPISODE_COLUMNS)}")
    return store.query(
        f"""
        WITH p AS (SELECT ({_COLUMN[axis]})::DOUBLE AS x, {column} AS y FROM current_episodes WHERE run_id = ?{_within(_COLUMN[axis], window)}),
             w AS (SELECT pow(2, ceil(log2(greatest((max(x) - min(x)) / ?, 1e-9)))) AS width FROM p),
             q AS (SELECT avg(x) AS x, quantile_cont(y, [0.05, 0.25, 0.5, 0.75, 0.95]) AS q, count(*) AS n FROM p, w GROUP BY floor(p.x / width))
        SELECT x, q[1] AS q05, q[2] AS q25, q[3] AS q50, q[4] AS q75, q[5] AS q95, n FROM q ORDER BY x
        """,
        [run, *(window or ()), n_buckets],
    )


def stage_spans(store: Store, run: str) -> pd.DataFrame:
    """The stages a run went through: name, reason, why, success_share, n_episodes, and where each began and ended on
    every axis (step, step_end, minutes, ...). The one it is in has no reason: it ends where the run is now, with the share
    of now (None before its first update)."""
    columns = ["step", "minutes", "ts", "episode"]
    found = store.query(
        """
        SELECT v.kind, v.data->>'name' AS name, v.data->>'reason' AS reason, v.data->>'why' AS why,
               (v.data->>'success_share')::DOUBLE AS success_share, (v.data->>'n_episodes')::BIGINT AS n_episodes, v.step, v.minutes, v.ts,
               (SELECT coalesce(max(episode), 0) FROM current_episodes e WHERE e.run_id = v.run_id AND e.step <= v.step) AS episode
        FROM current_events v WHERE v.run_id = ? AND v.kind IN ('stage_started', 'stage_ended') ORDER BY v.seq
        """,
        [run],
    )
    now = found  # without a stage there is no place where one could end
    if len(found):
        now = store.query(
            "SELECT max(step) AS step, max(minutes) AS minutes, max(ts) AS ts, max(episode) AS episode FROM current_episodes WHERE run_id = ?",
            [run],
        )
    rows: list[dict[str, Any]] = []
    for event in found.to_dict("records"):
        if event["kind"] == "stage_started":
            ends = {
                f"{c}_end": max(float(now[c].iloc[0] or 0), float(event[c])) if len(now) and pd.notna(now[c].iloc[0]) else event[c]
                for c in columns
            }
            rows.append(
                {"name": event["name"], "reason": "", "why": "", "success_share": None, "n_episodes": None}
                | {c: event[c] for c in columns}
                | ends
            )
        elif rows:
            rows[-1] |= {key: event[key] for key in ("reason", "why", "success_share", "n_episodes")} | {
                f"{c}_end": event[c] for c in columns
            }
    if rows and not rows[-1]["reason"]:
        rows[-1]["success_share"] = latest_value(store, run, "curriculum/success_share", int(rows[-1]["step"]))
    frame = pd.DataFrame(rows, columns=["name", "reason", "why", "success_share", "n_episodes", *columns, *(f"{c}_end" for c in columns)])
    return frame.rename(columns={"ts": "wall", "ts_end": "wall_end"})


def reward_histogram(store: Store, run: str, last: int = 2000, n_buckets: int = 40) -> pd.DataFrame:
    """Distribution of rewards, first and last ``last`` episodes: part, low, high, n, share."""
    return store.query(
        """
        WITH e AS (SELECT reward, row_number() OVER (ORDER BY step, seq) AS i, count(*) OVER () AS total FROM current_episodes WHERE run_id = ?),
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


def events_of(store: Store, run: str, kinds: list[str] | None = None) -> list[dict[str, Any]]:
    """Events that are neither episodes, metrics nor evaluations: {attempt, ts, step, minutes, kind, data}, in order."""
    where = f" AND kind IN ({_marks(kinds)})" if kinds else ""
    found = store.rows(
        f"SELECT attempt, ts, step, minutes, kind, data FROM current_events WHERE run_id = ?{where} ORDER BY seq", [run, *(kinds or [])]
    )
    return [dict(zip(("attempt", "ts", "step", "minutes", "kind", "data"), (*row[:5], json.loads(row[5])), strict=True)) for row in found]


def notable_events(store: Store, kinds: list[str], limit: int = 500) -> list[tuple[str, Event]]:
    """The last events of some kinds over all runs, evaluations that were a new best among them, newest first."""
    found = store.query(
        f"""
        SELECT run_id, attempt, seq, ts, step, kind, data::VARCHAR AS data FROM current_events WHERE kind IN ({_marks(kinds)})
        UNION ALL
        SELECT run_id, attempt, seq, ts, step, 'evaluation', '{{"is_best": true, "gain": ' || gain || '}}' FROM current_evaluations WHERE is_best
        ORDER BY ts DESC LIMIT {int(limit)}
        """,
        [*kinds],
    )
    return [
        (str(r.run_id), Event(int(r.seq), int(r.attempt), float(r.ts), str(r.kind), int(r.step), json.loads(r.data)))
        for r in found.itertuples()
    ]


def run_totals(store: Store, run: str) -> dict[str, Any]:
    """Figures of one run: step, episodes, minutes, rates, last gains. Empty where nothing is known yet."""
    frame = run_overview(store, [run])
    return {} if frame.empty else {str(k): (None if pd.isna(v) else v) for k, v in frame.astype(object).to_dict("records")[0].items()}


def minutes_of(store: Store, runs: list[str]) -> dict[str, float]:
    """How long runs have been trained, over all their attempts."""
    if not runs:
        return {}
    found = store.rows(
        f"SELECT run_id, sum(last_ts - started_ts) / 60 FROM attempts JOIN runs USING (run) WHERE run_id IN ({_marks(runs)}) GROUP BY 1",
        list(runs),
    )
    return {str(run): float(minutes) for run, minutes in found}


def episode_at(store: Store, run: str, step: int) -> int:
    """The episodes that a run had done at a step."""
    return int(store.rows("SELECT coalesce(max(episode), 0) FROM current_episodes WHERE run_id = ? AND step <= ?", [run, step])[0][0])


def episode_outcomes(store: Store, run: str) -> pd.DataFrame:
    """SSIM and gain of each episode, in order."""
    return store.query("SELECT ssim, gain FROM current_episodes WHERE run_id = ? ORDER BY step, seq", [run])


def newest_ts(store: Store, run: str) -> float | None:
    """When a run last told anything, in seconds since 1970."""
    found = store.rows("SELECT max(last_ts) FROM attempts JOIN runs USING (run) WHERE run_id = ?", [run])
    return None if not found or found[0][0] is None else float(found[0][0])


def recent_rate(store: Store, run: str, last: int = 5) -> float | None:
    """Steps a second over the last updates of the newest attempt, None before two updates."""
    found = store.query(
        "SELECT (max(step) - min(step)) / nullif(max(ts) - min(ts), 0) AS rate FROM (SELECT DISTINCT ON (step) step, ts FROM current_metrics WHERE run_id = ? "
        "AND attempt = (SELECT max(attempt) FROM attempts JOIN runs USING (run) WHERE run_id = ?) AND name = 'train/loss' ORDER BY step DESC LIMIT ?)",
        [run, run, last],
    )["rate"]
    return None if found.empty or pd.isna(found.iloc[0]) else float(found.iloc[0])


def recent_episodes(store: Store, run: str, n: int = 100) -> pd.DataFrame:
    """The last episodes of a run, newest first."""
    return store.query("SELECT * EXCLUDE (run) FROM current_episodes WHERE run_id = ? ORDER BY seq DESC LIMIT ?", [run, n])


def counts(store: Store, run: str) -> dict[str, int]:
    """Rows of each table that a run's log gave, superseded attempts included."""
    return {
        table: int(store.rows(f"SELECT count(*) FROM {table} JOIN runs USING (run) WHERE run_id = ?", [run])[0][0])
        for table in ("episodes", "metrics", "evaluated", "evaluations", "events")
    }
