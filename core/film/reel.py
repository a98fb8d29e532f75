"""What a film shows: pictures of logos at a run's evaluations, with what is known of each, and the runs' mean gains.

Data alone, and how it is laid out in time and space. Imports nothing that draws. Guarantee: whatever the runs' evaluations are, the key
frames of a film are in the order of their steps, and every run shows at each its newest evaluation up to there.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

MAX_TRACKS = 16  # pictures side by side
MAX_KEY_FRAMES = 240
NOT_KEPT, MISSING, DAMAGED, EMPTY = "not kept", "missing", "damaged", "empty"  # words in the place of a picture
NOT_YET, ELSEWHERE = "not yet", "not in this run"
LOWEST_GAIN = -1.0  # where curves are cut off: a failed trace's gain of -3 would flatten all others
_COLUMNS = {1: 1, 2: 2, 3: 3, 4: 2, 5: 3, 6: 3, 7: 4, 8: 4, 9: 3}  # of so many pictures of one run; else 4


@dataclass(frozen=True)
class Take:
    """A logo at one evaluation. ``svg``: None where there is none, and ``word`` says why; ``params``: in the order of
    :data:`core.tracing.params.NAMES`; gains and SSIM may be NaN."""

    step: int
    gain: float
    ssim: float
    n_bytes: int
    params: tuple[float, ...]
    svg: Path | None
    word: str = ""


@dataclass(frozen=True)
class Line:
    """A run: its name, and its mean gain at each evaluation (step, gain), in the order of steps."""

    name: str
    points: tuple[tuple[int, float], ...]

    def until(self, step: int) -> tuple[tuple[int, float], ...]:
        return tuple(point for point in self.points if point[0] <= step)


@dataclass(frozen=True)
class Track:
    """One logo in one run (its place among the film's lines). ``picture``: the file of the original."""

    line: int
    logo: str
    takes: tuple[Take, ...]
    picture: Path | None = None

    @cached_property
    def _steps(self) -> list[int]:
        return [take.step for take in self.takes]

    def at(self, step: int) -> Take | None:
        """The newest take up to ``step``; None before the first."""
        place = bisect_right(self._steps, step)
        return self.takes[place - 1] if place else None


@dataclass(frozen=True)
class Problem:
    """A picture that can't be shown, and why, in a word."""

    run: str
    logo: str
    step: int
    word: str


@dataclass(frozen=True)
class Reel:
    """All of a film but its pixels. ``tracks``: row by row, each row of :attr:`n_columns`.

    ``steps``: of the key frames; ``n_steps``: how many there were before some were left out.
    """

    lines: tuple[Line, ...]
    tracks: tuple[Track, ...]
    steps: tuple[int, ...]
    n_steps: int
    problems: list[Problem] = field(default_factory=list, compare=False)  # filled as pictures are drawn

    @property
    def n_columns(self) -> int:
        """A column per run where there are several, so that a row is a logo."""
        return len(self.lines) if len(self.lines) > 1 else _COLUMNS.get(len(self.tracks), 4)

    @property
    def n_rows(self) -> int:
        return -(-len(self.tracks) // self.n_columns)

    @cached_property
    def gains(self) -> tuple[float, float]:
        """The lowest and the highest gain that curves of single logos reach; 0 is between."""
        return span(take.gain for track in self.tracks for take in track.takes)

    @cached_property
    def mean_gains(self) -> tuple[float, float]:
        """The same of the runs' mean gains."""
        return span(gain for line in self.lines for _, gain in line.points)


def span(gains: Iterable[float]) -> tuple[float, float]:
    """From the lowest to the highest, 0 included, cut off below :data:`LOWEST_GAIN`; at least 0.1 wide."""
    known = [gain for gain in gains if math.isfinite(gain)]
    low = max(min([0.0, *known]), LOWEST_GAIN)
    return low, max([low + 0.1, *known])


def key_steps(steps: Iterable[int], most: int = MAX_KEY_FRAMES) -> tuple[int, ...]:
    """The steps in order, each once; where there are too many, as many as there may be, spread evenly, the first and the last among them."""
    found = sorted(set(steps))
    if len(found) <= most:
        return tuple(found)
    return tuple(found[round(k * (len(found) - 1) / (most - 1))] for k in range(most))


def spread(names: Sequence[str], n: int) -> list[str]:
    """``n`` of the names, from the first to the last in even distances."""
    if len(names) <= n:
        return list(names)
    return [names[round(k * (len(names) - 1) / max(n - 1, 1))] for k in range(n)]
