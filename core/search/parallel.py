"""Searchers on many logos at once, each waiting only for its own last conversion, all cores at work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from core.environment.env import Logos
from core.environment.episode import PreparedLogo
from core.search.searchers import Searcher, SearcherFactory
from core.tracing.outcome import HEADLINE, Outcome, gain
from core.tracing.params import Params
from core.workers.pool import WorkerPool
from core.workers.worker import Job


@dataclass(frozen=True)
class Conversion:
    """One conversion of a search. ``gain``: what it is worth to the search."""

    params: Params
    outcome: Outcome
    gain: float


@dataclass
class Trajectory:
    """All conversions of one search on one logo, in order."""

    logo: PreparedLogo
    conversions: list[Conversion] = field(default_factory=list)
    best_svg: str = ""  # where SVGs are kept

    def best(self, budget: int) -> Conversion:
        """The best of the first ``budget`` conversions (or of all, if there are fewer); the first of equals."""
        return max(self.conversions[:budget], key=lambda c: c.gain)

    def curve(self, budget: int) -> NDArray[np.float64]:
        """Best gain after 1, 2, ... ``budget`` conversions; one that stopped early keeps its best."""
        best = np.maximum.accumulate([c.gain for c in self.conversions[:budget]])
        return np.concatenate([best, np.full(budget - len(best), best[-1])])


def headline(outcome: Outcome, defaults: Outcome) -> float:
    """The headline gain of a conversion over VTracer's defaults."""
    return gain(outcome, defaults, HEADLINE).total


def search_in_parallel(
    pool: WorkerPool,
    logos: Logos,
    indices: Sequence[int],
    make: SearcherFactory,
    budget: int,
    on_progress: Callable[[int], None] = lambda n_done: None,
    worth: Callable[[Outcome, Outcome], float] = headline,
    keep_svg: bool = False,
) -> list[Trajectory]:
    """Search each of ``indices`` (places in ``logos`` and the pool's store) for ``budget`` conversions.

    ``worth``: what the search maximises, from an outcome and that of the defaults. ``keep_svg``: keep the SVG of each logo's best conversion.
    """
    trajectories = [Trajectory(logos[i]) for i in indices]
    searchers: list[Searcher] = [make(logos[i]) for i in indices]
    asked: list[Params | None] = [None] * len(indices)

    def go_on(k: int) -> None:
        asked[k] = searchers[k].ask() if len(trajectories[k].conversions) < budget else None
        params = asked[k]
        if params is not None:
            pool.submit(k, Job(indices[k], params, keep_svg))

    for k in range(len(indices)):
        go_on(k)
    for n_done, (key, result) in enumerate(pool.results(), start=1):
        k = cast(int, key)
        params = asked[k]
        assert params is not None
        found = worth(result.outcome, trajectories[k].logo.defaults)
        if keep_svg and all(found > c.gain for c in trajectories[k].conversions):
            trajectories[k].best_svg = result.svg
        trajectories[k].conversions.append(Conversion(params, result.outcome, found))
        searchers[k].tell(params, result.outcome, found)
        go_on(k)
        on_progress(n_done)
    return trajectories
