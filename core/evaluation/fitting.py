"""``baselines fit``: the best single setting for all logos of a split, and a portfolio whose settings complement each other.

Optuna's TPE proposes settings, each of which is measured on every logo. First for the mean gain; then, for each further place of the portfolio,
for what a setting adds to those that are in it already, where each logo takes its best; all that was measured before counts as known. A greedy
choice from everything measured makes the portfolio. Guarantee: the same command gives the same settings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.config.workers import WorkersConfig, workers_on
from core.environment.preparation import Preparations
from core.errors import LogosError
from core.logos.dataset import load_logos
from core.search.fitted import Fitted
from core.search.parallel import headline
from core.search.searchers import OptunaSearch, tpe_search
from core.tracing.cache import TraceCache
from core.tracing.params import BEST_SINGLE, Params
from core.tracing.pipeline import Pipeline
from core.workers.backend import open_pool
from core.workers.picture_store import PictureStore
from core.workers.worker import Job


@dataclass(frozen=True)
class Request:
    """``n_single``: settings tried for the best single one; ``n_each``: for each further place of the portfolio; ``n_settings``: in it."""

    images: str
    split: str = "train"
    work_size: int = 256
    n_single: int = 60
    n_each: int = 6
    n_settings: int = 20
    seed: int = 0
    n_workers: int = 0
    cluster: str = ""  # address of a Ray cluster to convert on; empty uses this machine


@dataclass
class _Tried:
    """Settings and what each gained on each logo: ``gains[setting]`` has shape (n_logos,)."""

    measure: Callable[[Params], NDArray[np.float64]]
    gains: dict[Params, NDArray[np.float64]] = field(default_factory=dict)

    def __call__(self, params: Params) -> NDArray[np.float64]:
        if params not in self.gains:
            self.gains[params] = self.measure(params)
        return self.gains[params]

    def search(self, n: int, seed: int, worth: Callable[[NDArray[np.float64]], float], start: Params | None = None) -> None:
        """Try ``n`` settings for a worth of their gains; the search is told first what is already known."""
        study: OptunaSearch = tpe_search(seed, start)
        for params, gains in self.gains.items():
            study.add(params, worth(gains))
        for _ in range(n):
            asked = study.ask()
            study.report(worth(self(asked)))

    def greedy(self, n: int) -> list[Params]:
        """Settings in the order in which they add most to the mean of each logo's best."""
        chosen: list[Params] = []
        best = np.full(len(next(iter(self.gains.values()))), -np.inf)
        for _ in range(min(n, len(self.gains))):
            params = max(self.gains, key=lambda p: float(np.maximum(best, self.gains[p]).mean()))
            if chosen and np.maximum(best, self.gains[params]).mean() <= best.mean():
                break
            chosen.append(params)
            best = np.maximum(best, self.gains[params])
        return chosen


def _added(best: NDArray[np.float64], gains: NDArray[np.float64]) -> float:
    """What a setting adds to the mean of each logo's best."""
    return float(np.maximum(gains - best, 0).mean())


def fit(request: Request, cache: Path | None, on_progress: Callable[[str, int, int], None]) -> Fitted:
    """Find them. ``cache``: where conversions are kept from command to command.

    Raises:
        LogosError: no logo in the split.
        ConfigError: what is given is no address of a cluster.
        ClusterError: the cluster can't be used.
    """
    on_progress(f"loading {request.images}", 0, 0)
    logos = [logo for logo in load_logos(request.images, request.work_size).logos if request.split in ("all", logo.split)]
    if not logos:
        raise LogosError(f"{request.images} has no logo in the split {request.split!r}")
    pipeline = Pipeline()
    workers = workers_on(WorkersConfig(), request.cluster)
    pool = open_pool(workers, PictureStore.create(logos, pipeline), request.n_workers, TraceCache(cache))
    try:
        prepared = Preparations(logos, range(len(logos)))
        places = prepared.prepare(pool, range(len(logos)), lambda n: on_progress("preparing", n, len(logos)))
        if not places:
            raise LogosError(f"none of the logos of {request.images} can be traced; see the log")
        n_all = request.n_single + (request.n_settings - 1) * request.n_each + 1

        def measure(params: Params) -> NDArray[np.float64]:
            results = pool.measure([Job(i, params) for i in places])
            on_progress("settings", len(tried.gains) + 1, n_all)
            return np.array([headline(result.outcome, prepared[i].defaults) for i, result in zip(places, results, strict=True)])

        tried = _Tried(measure)
        tried(BEST_SINGLE)
        tried.search(request.n_single, request.seed, lambda gains: float(gains.mean()), BEST_SINGLE)
        for n in range(1, request.n_settings):
            best = np.max([tried.gains[params] for params in tried.greedy(n)], axis=0)
            tried.search(request.n_each, request.seed + n, partial(_added, best))
        portfolio = tried.greedy(request.n_settings)
        curve = np.maximum.accumulate([tried.gains[params] for params in portfolio], axis=0).mean(axis=1)
        digest = hashlib.sha256("".join(sorted(logos[i].digest for i in places)).encode()).hexdigest()[:16]
        return Fitted(
            tuple(params.as_dict() for params in portfolio),
            tuple(round(float(gain), 6) for gain in curve),
            Path(request.images).name,
            request.split,
            digest,
            len(places),
            len(tried.gains) * len(places),
            request.work_size,
            pipeline.key,
            request.seed,
        )
    finally:
        pool.close()
