"""The one interface behind which every other tracker stands, and what goes through it: readings of a run's event log.

A sink knows nothing of logs, attempts or files of ours; core/trackers/follower.py reads those. Guarantee: a reading's names are the CSV
export's: a metric's own, ``evaluation/<column of the summary>``, ``baseline/<method>``; so the same figure is called the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol

from core.config.config import RunConfig
from core.runs.event_types import BaselineMeasured, EvaluationEnded, Metrics
from core.runs.events import Event

State = dict[str, Any]  # plain JSON
KINDS = (Metrics.kind, EvaluationEnded.kind, BaselineMeasured.kind)  # the events that hold readings
EVALUATION, BASELINE = "evaluation/", "baseline/"
_FIGURES = tuple(f.name for f in fields(EvaluationEnded) if f.name not in ("is_best", "by_category"))


def whole(value: object, least: int) -> int:
    """A whole number that a state holds, which comes from a file; ``least`` where it holds another thing."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= least else least


@dataclass(frozen=True)
class Reading:
    """What one event says in numbers. ``step``: num_timesteps; ``ts``: seconds since 1970. A value may be NaN."""

    step: int
    ts: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class About:
    """The run that the readings are of. ``settings``: {dotted name: number, text, switch or null}; ``text``: the config as YAML."""

    run_id: str
    name: str
    note: str
    settings: Mapping[str, Any]
    text: str
    started_ts: float


class Sink(Protocol):
    """Where readings go. Whatever a method raises is caught by who calls it, told once, and ends this sink alone."""

    def open(self, about: About, state: State | None) -> bool:
        """Make ready; ``state`` is what the last :meth:`flush` gave, None the first time. Returns whether it goes on exactly there;
        where not, all readings of the run are given again, and what was written of it before is replaced."""

    def start_over(self) -> None:
        """A resumed attempt replaces what was written: forget it all; every reading is given again."""

    def write(self, readings: Sequence[Reading]) -> None:
        """Take readings, in the log's order."""

    def flush(self) -> State:
        """Have all that was given kept; returns what :meth:`open` needs to go on behind it."""

    def close(self, status: str) -> None:
        """The run is over with this status (of core.runs.status), or only no longer followed: an empty one."""


def about(run_id: str, config: RunConfig, text: str, label: Mapping[str, str], started_ts: float) -> About:
    """What sinks are told of a run; ``label``: its name and note as last edited."""
    name = label.get("name") or config.name or run_id
    settings = dict(flat(config.model_dump(mode="json")))
    return About(run_id, name, label.get("note", config.note), settings, text, started_ts)


def flat(data: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of nested settings; an item of a list has its place as a name, an empty list or section none."""
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else None
    if parts is None:
        yield prefix, data
        return
    for key, value in parts:
        yield from flat(value, f"{prefix}.{key}" if prefix else str(key))


def reading_of(event: Event) -> Reading | None:
    """The numbers of an event; None where it has none. An evaluation without a gain is left out, as in the CSV."""
    match event.data:
        case Metrics(values):
            return Reading(event.step, event.ts, dict(values))
        case EvaluationEnded() as told if math.isfinite(told.gain):
            figures = {f"{EVALUATION}{name}": float(getattr(told, name)) for name in _FIGURES}
            figures |= {f"{EVALUATION}gain_{category}": float(gain) for category, gain in told.by_category.items()}
            return Reading(event.step, event.ts, {name: value for name, value in figures.items() if not math.isnan(value)})
        case BaselineMeasured(method, gain) if math.isfinite(gain):
            return Reading(event.step, event.ts, {f"{BASELINE}{method}": float(gain)})
    return None
