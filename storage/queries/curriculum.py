"""What became of a run's curriculum."""

from __future__ import annotations

from typing import Any

import pandas as pd

from storage.queries.series import latest_value
from storage.store import Store


def stage_spans(store: Store, run: str) -> pd.DataFrame:
    """The stages a run went through: name, reason, why, success_share, n_episodes, and where each began and ended on
    every axis (step, step_end, minutes, ...). The one it is in has no reason: it ends where the run is now, with the share
    of now (None before its first update)."""
    columns = ["step", "minutes", "ts", "episode"]
    found = store.query(
        """
        SELECT v.kind, v.data->>'name' AS name, coalesce(v.data->>'reason', '') AS reason,
               coalesce(v.data->>'why', '') AS why,
               TRY_CAST(v.data->>'success_share' AS DOUBLE) AS success_share, TRY_CAST(v.data->>'n_episodes' AS BIGINT) AS n_episodes, v.step, v.minutes, v.ts,
               (SELECT coalesce(max(episode), 0) FROM current_episodes e WHERE e.run_id = v.run_id AND e.step <= v.step) AS episode
        FROM current_events v WHERE v.run_id = ? AND v.kind IN ('stage_started', 'stage_ended') AND json_type(v.data, '$.name') = 'VARCHAR'
        ORDER BY v.seq
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
