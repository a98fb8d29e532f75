"""Events that have no table of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.runs.event_fields import from_data, table_columns
from core.runs.event_types import EVENT_VERSION, EvaluationEnded, Record
from core.runs.events import Event
from storage.queries.series import marks
from storage.store import Store


@dataclass(frozen=True)
class TimedEvent(Event):
    """An event with ``minutes``: of training until then, over all attempts."""

    minutes: float


def events_of(store: Store, run: str, kinds: Sequence[type[Record]] = ()) -> list[TimedEvent]:
    """Events that are neither episodes, metrics nor evaluations, of some kinds only where they are given, in order."""
    where = f" AND kind IN ({marks([kind.kind for kind in kinds])})" if kinds else ""
    found = store.rows(
        f"SELECT seq, attempt, ts, step, kind, v, data::VARCHAR, minutes FROM current_events WHERE run_id = ?{where} ORDER BY seq",
        [run, *(kind.kind for kind in kinds)],
    )
    events = []
    for seq, attempt, ts, step, kind, version, text, minutes in found:
        record = _record(str(kind), text, int(version))
        if record is not None:
            events.append(TimedEvent(int(seq), int(attempt), float(ts), int(step), record, float(minutes)))
    return events


def notable_events(store: Store, kinds: Sequence[str], limit: int = 500) -> list[tuple[str, Event]]:
    """The last events of some kinds over all runs, evaluations that were a new best among them, newest first."""
    figures = ", ".join(f"'{name}', {name}" for name in table_columns(EvaluationEnded))
    found = store.query(
        f"""
        SELECT run_id, seq, attempt, ts, step, kind, v, data::VARCHAR AS data FROM current_events WHERE kind IN ({marks(list(kinds))})
        UNION ALL
        SELECT run_id, seq, attempt, ts, step, '{EvaluationEnded.kind}', {EVENT_VERSION}, json_object({figures})::VARCHAR FROM current_evaluations
        WHERE is_best ORDER BY ts DESC LIMIT {int(limit)}
        """,
        [*kinds],
    )
    events = []
    for run_id, seq, attempt, ts, step, kind, version, text in found.itertuples(index=False):
        record = _record(str(kind), text, int(version))
        if record is not None:
            events.append((str(run_id), Event(int(seq), int(attempt), float(ts), int(step), record)))
    return events


def notable_mark(store: Store, kinds: Sequence[str]) -> tuple[int, float]:
    """(how many events :func:`notable_events` has to choose from, when the newest was; 0 without any)."""
    found = store.query(
        f"""
        SELECT count(*) AS n, coalesce(max(ts), 0) AS newest FROM (
            SELECT ts FROM current_events WHERE kind IN ({marks(list(kinds))}) UNION ALL SELECT ts FROM current_evaluations WHERE is_best
        )
        """,
        [*kinds],
    )
    return int(found["n"].iloc[0]), float(found["newest"].iloc[0])


def _record(kind: str, text: Any, version: int) -> Record | None:
    """None where the event does not say what its kind says; the log keeps it."""
    try:
        return from_data(kind, json.loads(text), version)
    except (TypeError, ValueError, RecursionError):
        return None
