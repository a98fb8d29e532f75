"""Deterministic evaluation: a method's choice on each logo, traced on all cores, against VTracer's defaults.

Guarantee: the same method on the same logos gives the same figures, CPU seconds apart. The gain is always the
headline gain (weights 1, 0.1, 0), whatever a run trains for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.environment.env import Logos
from core.environment.episode import Actor, EnvSpec, Episode, PreparedLogo
from core.search.baselines import BASELINES
from core.statistics import bootstrap_interval
from core.tracing.outcome import HEADLINE, Outcome, gain
from core.tracing.params import Params
from core.workers.pool import WorkerPool
from core.workers.worker import Job


@dataclass(frozen=True)
class LogoResult:
    """A method's result on one logo. ``gain`` is the headline gain over the defaults."""

    logo: PreparedLogo
    params: Params
    outcome: Outcome
    gain: float
    svg: str


def evaluate_policy(pool: WorkerPool, logos: Logos, indices: Sequence[int], spec: EnvSpec, policy: Actor) -> list[LogoResult]:
    """One episode on each of ``indices`` (places in ``logos`` and the pool's store), acting deterministically."""
    episodes = [Episode(logos[i], spec) for i in indices]
    svgs = [""] * len(episodes)
    for _ in range(spec.max_steps):
        actions = policy.actions(np.stack([episode.observation() for episode in episodes]))
        chosen = [episode.params_of(action) for episode, action in zip(episodes, actions, strict=True)]
        results = pool.measure([Job(i, params, keep_svg=True) for i, params in zip(indices, chosen, strict=True)])
        for k, (episode, result) in enumerate(zip(episodes, results, strict=True)):
            before = episode.best
            episode.record(actions[k], chosen[k], result.outcome)
            if episode.best is not before:
                svgs[k] = result.svg
    found = []
    for episode, svg in zip(episodes, svgs, strict=True):
        best = episode.best
        assert best is not None
        found.append(LogoResult(episode.logo, best.params, best.outcome, best.headline_gain, svg))
    return found


def evaluate_settings(pool: WorkerPool, logos: Logos, indices: Sequence[int], choose: Callable[[PreparedLogo], Params]) -> list[LogoResult]:
    """The outcome of one chosen setting per logo."""
    chosen = [choose(logos[i]) for i in indices]
    results = pool.measure([Job(i, params, keep_svg=True) for i, params in zip(indices, chosen, strict=True)])
    return [
        LogoResult(logos[i], params, result.outcome, gain(result.outcome, logos[i].defaults, HEADLINE).total, result.svg)
        for i, params, result in zip(indices, chosen, results, strict=True)
    ]


def evaluate_baseline(pool: WorkerPool, logos: Logos, indices: Sequence[int], method: str) -> list[LogoResult]:
    """A baseline of :data:`core.search.baselines.BASELINES` by name."""
    return evaluate_settings(pool, logos, indices, lambda logo: BASELINES[method].choose(logo.features))


def summarise(results: Sequence[LogoResult]) -> dict[str, Any]:
    """Means over the logos: gain with its bootstrap 95% interval, by category, SSIM, bytes, share better."""
    gains = np.array([r.gain for r in results])
    low, high = bootstrap_interval(gains)
    categories = sorted({r.logo.category for r in results})
    return {
        "n_logos": len(results),
        "gain": float(gains.mean()),
        "gain_low": low,
        "gain_high": high,
        "gain_median": float(np.median(gains)),
        "share_better": float((gains > 0).mean()),
        "ssim": float(np.mean([r.outcome.ssim for r in results])),
        "ssim_default": float(np.mean([r.logo.defaults.ssim for r in results])),
        **{
            name + suffix: float(np.mean([getattr(outcome, attribute) for outcome in outcomes]))
            for name, attribute in (("colour", "colour"), ("edge", "edge"), ("bytes", "n_bytes"), ("nodes", "n_nodes"))
            for suffix, outcomes in (("", [r.outcome for r in results]), ("_default", [r.logo.defaults for r in results]))
        },
        "n_failed": sum(r.outcome.failure is not None for r in results),
        "by_category": {c: float(np.mean([r.gain for r in results if r.logo.category == c])) for c in categories},
    }


def spread_over_categories(logos: Sequence[PreparedLogo] | Sequence[Any], indices: Sequence[int], limit: int) -> list[int]:
    """At most ``limit`` of ``indices``, taking turns between the categories, in the order given."""
    by_category: dict[str, list[int]] = {}
    for i in indices:
        by_category.setdefault(logos[i].category, []).append(i)
    taken: list[int] = []
    queues = [by_category[c] for c in sorted(by_category)]
    while len(taken) < limit and any(queues):
        for queue in queues:
            if queue and len(taken) < limit:
                taken.append(queue.pop(0))
    return sorted(taken)
