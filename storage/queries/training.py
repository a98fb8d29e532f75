"""What trainings cost and came to, across runs: conversions, logos they trained on, and the gains of each logo in the end."""

from __future__ import annotations

import pandas as pd

from storage.queries.series import marks
from storage.store import Store


def data_digests(store: Store, runs: list[str]) -> dict[str, str]:
    """{run id: digest of the logos that it loaded last}; runs that loaded none yet are not in it."""
    if not runs:
        return {}
    found = store.rows(
        f"SELECT run_id, arg_max(data->>'digest', seq) FROM current_events WHERE kind = 'logos_loaded' AND run_id IN ({marks(runs)}) GROUP BY 1",
        list(runs),
    )
    return {str(run): str(digest or "") for run, digest in found}


def work_done(store: Store, runs: list[str]) -> pd.DataFrame:
    """One row per run with episodes: run_id, episodes, steps, conversions (of its episodes), cpu_ms (per conversion, median of the best ones)."""
    if not runs:
        return pd.DataFrame(columns=["run_id", "episodes", "steps", "conversions", "cpu_ms"])
    return store.query(
        f"SELECT run_id, count(*) AS episodes, max(step) AS steps, sum(length)::BIGINT AS conversions, 1000 * median(cpu_s) AS cpu_ms "
        f"FROM current_episodes WHERE run_id IN ({marks(runs)}) GROUP BY 1 ORDER BY 1",
        list(runs),
    )


def final_logos(store: Store, runs: list[str]) -> pd.DataFrame:
    """The logos of each run's last evaluation with a gain: run_id, digest, logo, gain."""
    if not runs:
        return pd.DataFrame(columns=["run_id", "digest", "logo", "gain"])
    return store.query(
        f"""
        WITH last AS (SELECT run_id, max(step) AS step FROM current_evaluations WHERE run_id IN ({marks(runs)}) AND isfinite(gain) GROUP BY 1)
        SELECT e.run_id, e.digest, any_value(e.logo) AS logo, arg_max(e.gain, e.seq) AS gain
        FROM current_evaluated e JOIN last USING (run_id, step) WHERE isfinite(e.gain) GROUP BY 1, 2 ORDER BY 1, 2
        """,
        list(runs),
    )
