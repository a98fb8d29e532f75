"""Events that have no table of their own."""

from __future__ import annotations

import json
from typing import Any

from core.runs.events import Event
from storage.queries.series import marks
from storage.store import Store


def events_of(store: Store, run: str, kinds: list[str] | None = None) -> list[dict[str, Any]]:
    """Events that are neither episodes, metrics nor evaluations: {attempt, ts, step, minutes, kind, data}, in order."""
    where = f" AND kind IN ({marks(kinds)})" if kinds else ""
    found = store.rows(
        f"SELECT attempt, ts, step, minutes, kind, data FROM current_events WHERE run_id = ?{where} ORDER BY seq", [run, *(kinds or [])]
    )
    return [dict(zip(("attempt", "ts", "step", "minutes", "kind", "data"), (*row[:5], json.loads(row[5])), strict=True)) for row in found]


def notable_events(store: Store, kinds: list[str], limit: int = 500) -> list[tuple[str, Event]]:
    """The last events of some kinds over all runs, evaluations that were a new best among them, newest first."""
    found = store.query(
        f"""
        SELECT run_id, attempt, seq, ts, step, kind, data::VARCHAR AS data FROM current_events WHERE kind IN ({marks(kinds)})
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
