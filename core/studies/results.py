"""What a trial's run came to, from its log: validation gains by step, the objectives, how many results look worse than the defaults'.

Pure but for reading the log. Guarantee: the same log gives the same figures, whatever process reads it and how often.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from core.runs.event_types import AttemptStarted, Continued, EvaluationEnded, LogoEvaluated, Paused
from core.runs.events import Event, read_events
from core.runs.run_dir import RunDir
from core.tracing.outcome import Outcome

KINDS = ("attempt_started", "evaluation", "evaluated", "paused", "continued", "ended")


@dataclass(frozen=True)
class Result:
    """``gain``: of the best evaluation; ``step``: its num_timesteps; ``n_bytes``: mean over its logos; ``share_worse``: of its logos, in
    [0, 1], whose result looks worse than the defaults'; ``minutes``: of training, without pauses, over all attempts."""

    gain: float
    step: int
    n_bytes: float
    share_worse: float
    minutes: float

    def value(self, objective: str) -> float:
        return {"gain": self.gain, "minutes": self.minutes, "bytes": self.n_bytes}[objective]


def result_of(run: RunDir) -> Result | None:
    """The result of a run; None where nothing was evaluated."""
    return summed(read_events(run.events_file, KINDS))


def summed(events: Iterable[Event]) -> Result | None:
    """The result that a log's events give; None without an evaluation."""
    best: tuple[int, EvaluationEnded] | None = None
    worse: dict[int, list[bool]] = {}
    clock = _Clock()
    for event in events:
        clock.see(event)
        record = event.data
        if isinstance(record, LogoEvaluated):
            worse.setdefault(event.step, []).append(looks_worse(record))
        elif isinstance(record, EvaluationEnded) and math.isfinite(record.gain) and (best is None or record.gain > best[1].gain):
            best = event.step, record
    if best is None:
        return None
    seen = worse.get(best[0], [])
    return Result(best[1].gain, best[0], float(best[1].bytes), sum(seen) / len(seen) if seen else 0.0, clock.seconds / 60)


def looks_worse(record: LogoEvaluated) -> bool:
    """Whether a result is visibly worse than the defaults' in structure, colour or edges, or failed."""
    if record.failure is not None:
        return True
    own = Outcome(record.ssim, record.bytes, record.paths, record.cpu_s, colour=record.colour, edge=record.edge)
    defaults = Outcome(
        record.ssim_default, record.bytes_default, record.paths_default, 0.0, colour=record.colour_default, edge=record.edge_default
    )
    return own.is_visibly_worse(defaults)


class _Clock:
    """Seconds of training: of each attempt from its start to its last event, without what it was paused."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last = math.nan
        self._is_paused = False

    def see(self, event: Event) -> None:
        if not isinstance(event.data, AttemptStarted) and math.isfinite(self._last) and not self._is_paused:
            self.seconds += max(event.ts - self._last, 0.0)
        self._last = event.ts
        if isinstance(event.data, Paused | Continued | AttemptStarted):
            self._is_paused = isinstance(event.data, Paused)
