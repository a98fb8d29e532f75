"""A note in the trainer's log every hour: its progress, gain and speed. It listens to the event log and writes no events.

Guarantee: at most one line per hour, made from existing figures; it costs a training one comparison of two times per event.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from core.runs.event_types import AlertRaised, EpisodeEnded, EvaluationEnded, Record, StageStarted

log = logging.getLogger("tracewright")
HOUR_S = 3600.0


class HourlyNotes:
    """A listener to the log. ``clock``: monotonic seconds; ``tell``: receives the note."""

    def __init__(
        self,
        total_timesteps: int,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] | None = None,
        every_s: float = HOUR_S,
    ) -> None:
        self._total, self._clock, self._tell, self._every_s = total_timesteps, clock, tell or (lambda text: log.info("%s", text)), every_s
        self._began = self._since = clock()
        self._step: int | None = None
        self._first_step = 0
        self._best: float | None = None
        self._last: float | None = None
        self._best_before: float | None = None
        self._stage = ""
        self._forget()

    def _forget(self) -> None:
        """Restart the counts for the next hour."""
        self._n_episodes, self._gain_sum, self._n_findings = 0, 0.0, 0

    def __call__(self, step: int, record: Record) -> None:
        if self._step is None:
            self._first_step = step
        self._step = max(step, self._step or 0)
        match record:
            case EpisodeEnded() if math.isfinite(record.training_gain):
                self._n_episodes += 1
                self._gain_sum += record.training_gain
            case EvaluationEnded() if math.isfinite(record.gain):
                self._last = record.gain
                self._best = record.gain if self._best is None or record.gain > self._best else self._best
            case StageStarted():
                self._stage = record.name
            case AlertRaised():
                self._n_findings += 1
        now = self._clock()
        if now - self._since >= self._every_s:
            self._tell(self._note(now))
            self._since, self._first_step, self._best_before = now, self._step, self._best
            self._forget()

    def _note(self, now: float) -> str:
        step, took = self._step or 0, now - self._since
        rate = (step - self._first_step) / took if took > 0 else 0.0
        parts = [f"step {step:,} of {self._total:,}", f"{self._n_episodes:,} episodes"]
        if self._n_episodes:
            parts.append(f"mean reward {self._gain_sum / self._n_episodes:+.3f}")
        if self._last is not None and self._best is not None:
            change = "" if self._best_before is None else f", {self._best - self._best_before:+.3f} in this period"
            parts.append(f"validation gain {self._last:+.3f}, best {self._best:+.3f}{change}")
        if self._stage:
            parts.append(f"stage {self._stage}")
        if self._n_findings:
            parts.append(f"{self._n_findings} finding{'s' if self._n_findings > 1 else ''}")
        if rate > 0 and self._total > step:
            parts.append(f"{rate:.1f} steps per second, about {(self._total - step) / rate / 3600:.1f} h left")
        return f"after {(now - self._began) / self._every_s:.0f} h: {'; '.join(parts)}"
