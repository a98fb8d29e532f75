"""The history of a training as the rules see it. Pure: built from the events of a run, live or from a recorded log."""

from __future__ import annotations

import math
import statistics
from collections import deque
from typing import Any

from core.config.config import RunConfig
from core.runs.event_types import EvaluationEnded, Metrics, Record, StageStarted

WINDOW = 50  # updates that "usual" is computed from
SEEN = (Metrics.kind, EvaluationEnded.kind, StageStarted.kind)  # the kinds of events that matter here
_KEPT = 400


class History:
    """The last values of every metric, one per update, and the gains of the evaluations."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.values: dict[str, deque[float | None]] = {}  # per metric; None where it was not finite
        self.gains: deque[float] = deque(maxlen=_KEPT)  # per evaluation
        self.train_gains: deque[float] = deque(maxlen=_KEPT)  # per evaluation: mean gain of the episodes since the previous one
        self.step = self.n_updates = 0
        self.n_updates_in_stage = 0
        self._since_evaluation: list[float] = []
        self.newest: tuple[str, ...] = ()  # the metrics of the last update
        self._of_rollout: dict[str, float] = {}

    def observe(self, step: int, record: Record) -> str:
        """Take in an event; returns what it completed: "update", "evaluation" or "".

        A missing number is one that was not finite: the log writes NaN as null.
        """
        if isinstance(record, Metrics) and "train/loss" in record.values:
            self._on_update(step, self._of_rollout | dict(record.values))
            self._of_rollout = {}
            return "update"
        if isinstance(record, Metrics) and "time/iterations" in record.values:
            self._of_rollout = dict(record.values)  # a rollout is logged before the update made from it
        elif isinstance(record, EvaluationEnded) and math.isfinite(record.gain):
            self.step = max(self.step, step)
            self.gains.append(record.gain)
            self.train_gains.append(mean(self._since_evaluation) if self._since_evaluation else math.nan)
            self._since_evaluation.clear()
            return "evaluation"
        elif isinstance(record, StageStarted):
            self.n_updates_in_stage = 0
            self._since_evaluation.clear()
            for name in [name for name in self.values if name.startswith(("trace/", "reward/", "rollout/"))]:
                del self.values[name]  # with other logos, values are not comparable
        return ""

    def _on_update(self, step: int, data: dict[str, Any]) -> None:
        self.step = step
        self.n_updates += 1
        self.n_updates_in_stage += 1
        self.newest = tuple(data)
        for name, raw in data.items():
            value = float(raw) if isinstance(raw, int | float) and math.isfinite(raw) else None
            self.values.setdefault(name, deque(maxlen=_KEPT)).append(value)
        gain = self.last("trace/gain")
        if gain is not None:
            self._since_evaluation.append(gain)

    def last(self, name: str, n: int = 1) -> float | None:
        """The mean of a metric's last ``n`` values; None with fewer, or where one is not finite."""
        found = list(self.values.get(name, ()))[-n:]
        known = [v for v in found if v is not None]
        return mean(known) if len(known) == n else None

    def first(self, name: str) -> float | None:
        """The first finite value of a metric among those kept."""
        return next((v for v in self.values.get(name, ()) if v is not None), None)

    def usual(self, name: str, skip: int = 1, window: int = WINDOW) -> list[float]:
        """The finite values of a metric before the last ``skip``."""
        return [v for v in list(self.values.get(name, ()))[-window - skip : -skip] if v is not None]

    def halves(self, name: str, n: int = 20) -> tuple[float, float] | None:
        """Medians of a metric over the last two spans of ``n`` updates; None while there are too few."""
        found = [v for v in list(self.values.get(name, ()))[-2 * n :] if v is not None]
        return None if len(found) < 2 * n else (statistics.median(found[:n]), statistics.median(found[n:]))

    @property
    def progress(self) -> float:
        """Share of the run's steps that are done, in [0, 1]."""
        return self.step / self.config.total_timesteps


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
