"""Evaluations, their logos and the baselines beside them."""

from __future__ import annotations

import math

import orjson
import pandas as pd

from core.runs.event_fields import table_columns
from core.runs.event_types import EvaluationEnded, LogoEvaluated
from storage.queries.series import COLUMN_OF, Axis, marks
from storage.store import Store

_EVALUATED = ", ".join(["run_id", "attempt", "step", *table_columns(LogoEvaluated)])
_EVALUATION = ", ".join(table_columns(EvaluationEnded))


def evaluations(store: Store, runs: list[str], axis: Axis = "step") -> pd.DataFrame:
    """One row per evaluation: run_id, attempt, step, minutes, ts, gain, gain_low, gain_high, ..., the gain of each category
    as gain_<category>, and x on the axis; on "episode" that is the episodes done by then, which costs a look at all of them."""
    if not runs:
        return pd.DataFrame(columns=["run_id", "step", "minutes", "x", "gain", "gain_low", "gain_high"])
    x = f"({COLUMN_OF[axis]})::DOUBLE"
    if axis == "episode":
        # Each episode is put between two evaluations, and only the last of each such stretch is joined
        x = """coalesce((SELECT max(c.episode) FROM c WHERE c.run_id = v.run_id AND c.place < list_position(b.steps, v.step)), 0)::DOUBLE"""
    frame = store.query(
        f"""
        WITH v AS MATERIALIZED (SELECT * FROM current_evaluations WHERE run_id IN ({marks(runs)}) AND gain IS NOT NULL),
             b AS MATERIALIZED (SELECT run_id, list(DISTINCT step ORDER BY step) AS steps FROM v GROUP BY 1),
             c AS (SELECT run_id, place, max(episode) AS episode FROM
                   (SELECT e.run_id, e.episode, len(list_filter(b.steps, lambda s: s < e.step)) AS place
                    FROM current_episodes e JOIN b USING (run_id)) GROUP BY ALL)
        SELECT run_id, attempt, step, minutes, ts, {x} AS x, {_EVALUATION}
        FROM v JOIN b USING (run_id) ORDER BY run_id, step
        """,
        list(runs),
    )
    shares = [_numbers_of(text) for text in frame.pop("by_category")]
    for category in sorted({c for share in shares for c in share}):
        if (column := f"gain_{category}") not in frame:  # a category may be called "low"
            frame[column] = [share.get(category, math.nan) for share in shares]
    return frame


def _numbers_of(text: object) -> dict[str, float]:
    """A column of JSON that should be {name: number}: what is a number in it."""
    try:
        found = orjson.loads(text) if isinstance(text, str) else {}
    except orjson.JSONDecodeError:
        return {}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)} if isinstance(found, dict) else {}


def evaluated_logos(store: Store, run: str, step: int | None = None) -> pd.DataFrame:
    """Every logo of a run's evaluations, or of the one at ``step``; once each, though a log may say a thing twice."""
    where = "run_id = ?" + ("" if step is None else " AND step = ?")
    return store.query(
        f"SELECT {_EVALUATED} FROM current_evaluated WHERE {where} QUALIFY row_number() OVER (PARTITION BY step, logo ORDER BY seq DESC) = 1 "
        "ORDER BY step, logo",
        [run] if step is None else [run, step],
    )


def picture_history(store: Store, digest: str) -> pd.DataFrame:
    """Every evaluation of a picture, over all runs: the columns of :func:`evaluated_logos`, by run and step."""
    return store.query(f"SELECT {_EVALUATED} FROM current_evaluated WHERE digest = ? ORDER BY run_id, step", [digest])


def baselines(store: Store, runs: list[str]) -> pd.DataFrame:
    """Reference methods measured on a run's validation logos: run_id, method, gain."""
    if not runs:
        return pd.DataFrame(columns=["run_id", "method", "gain"])
    return store.query(
        f"SELECT run_id, data->>'method' AS method, any_value(TRY_CAST(data->>'gain' AS DOUBLE)) AS gain FROM current_events "
        f"WHERE kind = 'baseline' AND json_type(data, '$.method') = 'VARCHAR' AND run_id IN ({marks(runs)}) GROUP BY ALL ORDER BY ALL",
        list(runs),
    )


def evaluated_runs(store: Store) -> set[str]:
    """The runs that have an evaluation with a gain."""
    return {str(run) for (run,) in store.rows("SELECT DISTINCT run_id FROM current_evaluations WHERE isfinite(gain)")}


def runs_with_pictures(store: Store) -> set[str]:
    """The runs that have an evaluation with its single logos; in the middle of the first one a run has only some of these."""
    return evaluated_runs(store) & {str(run) for (run,) in store.rows("SELECT DISTINCT run_id FROM current_evaluated")}
