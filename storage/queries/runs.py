"""What is known of whole runs: how far they are, how long they took, how fast they go."""

from __future__ import annotations

from typing import Any

import pandas as pd

from storage.queries.series import marks
from storage.store import Store

RUN_FIGURES = (
    "SELECT r.run_id, v.best_gain, a.minutes FROM runs r LEFT JOIN (SELECT run_id, max(gain) AS best_gain FROM current_evaluations "
    "GROUP BY 1) v USING (run_id) LEFT JOIN (SELECT run, sum(last_ts - started_ts) / 60 AS minutes FROM attempts GROUP BY 1) a USING (run)"
)


def run_overview(store: Store, runs: list[str] | None = None) -> pd.DataFrame:
    """One row per run, of all or of ``runs``: run_id, started_ts, minutes, step, episodes, total_timesteps, stage, best_gain, last_gain, best_step,
    over_single with its interval (of the best evaluation: mean gain over the best single setting, paired),
    n_bad (lines of its log that are no events), n_newer (events of a newer version), n_attempts."""
    where = "" if runs is None else f"WHERE run_id IN ({marks(runs)})"
    return store.query(
        f"""
        WITH e AS (SELECT run_id, count(*) AS episodes, max(step) AS step, arg_max(stage, step) AS stage FROM current_episodes {where} GROUP BY 1),
             v AS (SELECT run_id, max(gain) AS best_gain, arg_max(gain, step) AS last_gain, arg_max(step, gain) AS best_step,
                          arg_max(over_single, gain) AS over_single, arg_max(over_single_low, gain) AS over_single_low,
                          arg_max(over_single_high, gain) AS over_single_high,
                          max(step) AS step FROM current_evaluations {where} GROUP BY 1),
             a AS (SELECT run, min(started_ts) AS started_ts, max(last_ts) AS last_ts, sum(last_ts - started_ts) / 60 AS minutes,
                          count(*) AS n_attempts FROM attempts GROUP BY 1),
             t AS (SELECT run, arg_max(TRY_CAST(data->>'total_timesteps' AS BIGINT), attempt) AS total_timesteps FROM events
                   WHERE kind = 'attempt_started' GROUP BY 1)
        SELECT r.run_id, a.started_ts, a.last_ts, a.minutes, a.n_attempts, greatest(coalesce(e.step, 0), coalesce(v.step, 0)) AS step,
               coalesce(e.episodes, 0) AS episodes, e.stage, t.total_timesteps, v.best_gain, v.last_gain, v.best_step,
               v.over_single, v.over_single_low, v.over_single_high, s.n_events, s.n_bad, s.n_newer
        FROM runs r LEFT JOIN e USING (run_id) LEFT JOIN v USING (run_id) LEFT JOIN a USING (run) LEFT JOIN t USING (run)
             LEFT JOIN sources s USING (run) {where} ORDER BY a.started_ts DESC NULLS FIRST
        """,
        (runs or []) * 3,
    )


def run_figures(store: Store) -> pd.DataFrame:
    """What a list of thousands of runs is ordered by, without a look at their episodes: run_id, best_gain, minutes."""
    return store.query(RUN_FIGURES)


def best_gains(store: Store) -> list[tuple[str, float]]:
    """(run id, best gain) of all runs that have one, the best first."""
    found = store.query(f"SELECT run_id, best_gain FROM ({RUN_FIGURES}) WHERE isfinite(best_gain) ORDER BY best_gain DESC, run_id")
    return list(zip(found["run_id"], found["best_gain"], strict=True))


def run_totals(store: Store, run: str) -> dict[str, Any]:
    """Figures of one run: step, episodes, minutes, rates, last gains. Empty where nothing is known yet."""
    frame = run_overview(store, [run])
    return {} if frame.empty else {str(k): (None if pd.isna(v) else v) for k, v in frame.astype(object).to_dict("records")[0].items()}


def minutes_of(store: Store, runs: list[str]) -> dict[str, float]:
    """How long runs have been trained, over all their attempts."""
    if not runs:
        return {}
    found = store.rows(
        f"SELECT run_id, sum(last_ts - started_ts) / 60 FROM attempts JOIN runs USING (run) WHERE run_id IN ({marks(runs)}) GROUP BY 1",
        list(runs),
    )
    return {str(run): float(minutes) for run, minutes in found}


def newest_ts(store: Store, run: str) -> float | None:
    """When a run last told anything, in seconds since 1970."""
    found = store.rows("SELECT max(last_ts) FROM attempts JOIN runs USING (run) WHERE run_id = ?", [run])
    return None if not found or found[0][0] is None else float(found[0][0])


def recent_rate(store: Store, run: str, last: int = 5) -> float | None:
    """Steps per second over the last updates of the newest attempt, before two updates over its episodes; None before there are any."""
    found = store.query(
        "SELECT (max(step) - min(step)) / nullif(max(ts) - min(ts), 0) AS rate FROM (SELECT DISTINCT ON (step) step, ts FROM current_metrics WHERE run_id = ? "
        "AND attempt = (SELECT max(attempt) FROM attempts JOIN runs USING (run) WHERE run_id = ?) AND name = 'train/loss' ORDER BY step DESC LIMIT ?)",
        [run, run, last],
    )["rate"]
    if not found.empty and not pd.isna(found.iloc[0]):
        return float(found.iloc[0])
    early = store.rows(
        "SELECT max(step), min(step), max(ts) - min(ts) FROM current_episodes WHERE run_id = ? "
        "AND attempt = (SELECT max(attempt) FROM attempts JOIN runs USING (run) WHERE run_id = ?)",
        [run, run],
    )
    high, low, seconds = early[0] if early else (None, None, None)
    return (high - low) / seconds if high is not None and high > low and seconds and seconds > 0 else None


def last_checkpoint_step(store: Store, run: str) -> int:
    """The step of a run's last update, after which there always is a checkpoint; that of its start before the first update."""
    found = store.rows(
        "SELECT greatest(coalesce((SELECT max(step) FROM current_metrics WHERE run_id = ? AND name = 'train/loss'), 0), "
        "coalesce((SELECT arg_max(from_step, attempt) FROM attempts JOIN runs USING (run) WHERE run_id = ?), 0))",
        [run, run],
    )
    return int(found[0][0])


def counts(store: Store, run: str) -> dict[str, int]:
    """Rows of each table that a run's log gave, superseded attempts included."""
    tables = ("episodes", "metrics", "evaluated", "evaluations", "events")
    each = ", ".join(f"(SELECT count(*) FROM {table} t WHERE t.run = r.run) AS {table}" for table in tables)
    found = store.query(f"SELECT {each} FROM runs r WHERE run_id = ?", [run])
    return {table: 0 if found.empty else int(found[table].iloc[0]) for table in tables}


def usual_rate(store: Store, last: int = 50) -> float | None:
    """Steps per second of this machine's runs: the median of the last rollouts; None before there were any."""
    found = store.rows("SELECT median(value) FROM (SELECT value FROM metrics WHERE name = 'time/fps' ORDER BY ts DESC LIMIT ?)", [last])
    return float(found[0][0]) if found and found[0][0] else None
