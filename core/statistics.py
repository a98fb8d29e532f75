"""What a comparison of methods says: centre and interval, differences on the same logos, worth in conversions of TPE; and what one of groups of
runs says: interquartile mean with its stratified bootstrap interval, probability of improvement.

Pure functions of arrays of gains, one value per logo, or per run and task. Guarantee: the same values give the same figures; the
bootstrap draws from a generator of a fixed seed. Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993;
Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021 (the method of rliable).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BOOTSTRAP_DRAWS = 2000
TIE = 0.005  # gains that differ by less are a tie: half a percent of the bytes or the error

Values = NDArray[np.float64]


def interquartile_mean(values: Values) -> float:
    """Mean of the middle half: outliers count no more than their rank."""
    ordered = np.sort(values)
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def _draws(n: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(n, size=(BOOTSTRAP_DRAWS, n))


def bootstrap_interval(values: Values, seed: int = 0) -> tuple[float, float]:
    """95% interval of the mean by the percentile bootstrap over logos."""
    means = values[_draws(len(values), seed)].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


@dataclass(frozen=True)
class Summary:
    """Centre and 95% interval of the mean."""

    mean: float
    low: float
    high: float
    median: float
    iqm: float

    @classmethod
    def of(cls, values: Values) -> Summary:
        low, high = bootstrap_interval(values)
        return cls(float(values.mean()), low, high, float(np.median(values)), interquartile_mean(values))


@dataclass(frozen=True)
class Paired:
    """One method less another on the same logos."""

    difference: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int

    @classmethod
    def of(cls, values: Values, others: Values) -> Paired:
        """``values`` less ``others``, both shape (n_logos,) in the same order of logos."""
        differences = values - others
        low, high = bootstrap_interval(differences)
        wins, losses = int((differences > TIE).sum()), int((differences < -TIE).sum())
        return cls(float(differences.mean()), low, high, wins, len(differences) - wins - losses, losses)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def verdict(over: float | None, low: float | None, high: float | None) -> str:
    """Whether an agent is worth its training, in words: its mean gain over the best single setting, paired, with the 95% interval. Empty where
    that is not known."""
    if over is None or low is None or high is None or not np.isfinite([over, low, high]).all():
        return ""
    figures = f"{over:+.3f} ({low:+.3f} to {high:+.3f})"
    return f"better than the best single setting: {figures}" if low > 0 else f"no better than the best single setting: {figures}"


def conversions_worth(gain: float, curve: Values) -> float:
    """How many conversions a search needs, on average, for a mean gain: ``curve[k - 1]`` is its mean after k.

    Between two conversions linear; 0 where the gain is below the curve's first value, ``len(curve)``
    where the search never reaches it (then: at least so many).
    """
    curve = np.maximum.accumulate(curve)
    gain += 1e-12  # two orders of adding the same gains may differ by their last bit
    if gain >= curve[-1]:
        return float(len(curve))
    k = int(np.searchsorted(curve, gain, side="right"))  # the first value above the gain
    if k == 0:
        return 0.0
    return k + float((gain - curve[k - 1]) / (curve[k] - curve[k - 1]))


def worth_interval(gains: Values, curves: NDArray[np.float64], seed: int = 0) -> tuple[float, float]:
    """95% interval of :func:`conversions_worth` over logos drawn together for both.

    ``gains``: shape (n_logos,); ``curves``: best gain so far, shape (n_logos, n_conversions).
    """
    return _interval_of(lambda rows: conversions_worth(float(gains[rows].mean()), curves[rows].mean(axis=0)), len(gains), seed)


def _interval_of(measure: Callable[[NDArray[np.int64]], float], n: int, seed: int) -> tuple[float, float]:
    found = np.array([measure(rows) for rows in _draws(n, seed)])
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


_BLOCK = 4_000_000  # scores that are drawn at once


@dataclass(frozen=True)
class Interval:
    """A figure with its 95% interval; the ends are NaN where there is a single run, which says nothing of the spread."""

    value: float
    low: float
    high: float

    @property
    def text(self) -> str:
        """ "+0.812 (+0.790 to +0.833)", without the bracket where there is no interval."""
        return f"{self.value:+.3f}" + (f" ({self.low:+.3f} to {self.high:+.3f})" if np.isfinite([self.low, self.high]).all() else "")


def interquartile_means(values: Values) -> Values:
    """:func:`interquartile_mean` of each column: over the first axis."""
    ordered = np.sort(values, axis=0)
    cut = len(ordered) // 4
    return ordered[cut : len(ordered) - cut].mean(axis=0)


def _strata(n_runs: int, n_tasks: int, n: int, rng: np.random.Generator, are_runs_whole: bool) -> NDArray[np.int64]:
    """``n`` draws of runs with replacement: shape (n, n_runs, n_tasks), or (n, n_runs, 1) where a run is drawn with all its scores."""
    return rng.integers(n_runs, size=(n, n_runs, 1 if are_runs_whole else n_tasks))


def _quantiles(found: Values) -> tuple[float, float]:
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))


def iqm_interval(scores: Values, are_runs_whole: bool = False, seed: int = 0) -> Interval:
    """Interquartile mean over all runs and tasks, with its 95% interval by the stratified percentile bootstrap.

    ``scores``: shape (n_runs, n_tasks). Tasks are the strata: every draw has all of them, and as many runs of each as there are. As in
    rliable, runs are resampled for each task, which suits one training per run and task. With ``are_runs_whole`` a run is drawn
    with its scores on all tasks: where one policy acts on all of them they rise and fall together, and the interval is wider.
    Source: Agarwal et al., 2021, section 4.1; rliable's ``StratifiedBootstrap``.
    """
    n_runs, n_tasks = scores.shape
    value = interquartile_mean(scores.ravel())
    if n_runs < 2:
        return Interval(value, float("nan"), float("nan"))
    rng, found, tasks = np.random.default_rng(seed), [], np.arange(n_tasks)
    block = max(_BLOCK // scores.size, 1)
    for at in range(0, BOOTSTRAP_DRAWS, block):
        rows = _strata(n_runs, n_tasks, min(block, BOOTSTRAP_DRAWS - at), rng, are_runs_whole)
        found.append(interquartile_means(scores[rows, tasks].reshape(len(rows), -1).T))
    return Interval(value, *_quantiles(np.concatenate(found)))


def iqm_band(scores: Values, seed: int = 0) -> tuple[Values, Values, Values]:
    """(interquartile mean, low, high) over runs at each point of a curve, with the 95% interval by the bootstrap over runs.

    ``scores``: shape (n_runs, n_points), without NaN. A run is drawn with its whole curve. The ends are NaN for a single run.
    """
    centre = interquartile_means(scores)
    if len(scores) < 2:
        return centre, np.full_like(centre, np.nan), np.full_like(centre, np.nan)
    rows = _draws(len(scores), seed)
    low, high = np.empty_like(centre), np.empty_like(centre)
    for point in range(scores.shape[1]):
        low[point], high[point] = _quantiles(interquartile_means(scores[:, point][rows].T))
    return centre, low, high


def probability_of_improvement(scores: Values, others: Values, are_runs_whole: bool = False, seed: int = 0) -> Interval:
    """How likely a run of ``scores`` is to be better than one of ``others`` on a task drawn at random, in [0, 1]; a tie counts half.

    Both of shape (n_runs, n_tasks), with the same tasks in the same order. Per task it is the Mann-Whitney U statistic over the number of
    pairs; the runs of each side are drawn apart for the interval (as :func:`iqm_interval`). Source: Agarwal et al., 2021, section 4.3.
    """
    wins = np.sign(scores[:, None, :] - others[None, :, :]) / 2 + 0.5  # (runs, other runs, tasks)
    value = float(wins.mean())
    if min(len(scores), len(others)) < 2:
        return Interval(value, float("nan"), float("nan"))
    rng, tasks = np.random.default_rng(seed), np.arange(scores.shape[1])
    if are_runs_whole:
        wins, tasks = wins.mean(axis=2, keepdims=True), tasks[:1]
    rows = _strata(len(scores), len(tasks), BOOTSTRAP_DRAWS, rng, are_runs_whole)
    columns = _strata(len(others), len(tasks), BOOTSTRAP_DRAWS, rng, are_runs_whole)
    found = np.array([wins[a[:, None, :], b[None, :, :], tasks].mean() for a, b in zip(rows, columns, strict=True)])
    return Interval(value, *_quantiles(found))
