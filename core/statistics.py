"""What a comparison of methods says: centre and interval, differences on the same logos, worth in conversions of TPE.

Pure functions of arrays of gains, one value per logo. Guarantee: the same values give the same figures; the bootstrap
draws logos from a generator of a fixed seed. Sources: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993;
Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021 (interquartile mean).
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
    """95 % interval of the mean by the percentile bootstrap over logos."""
    means = values[_draws(len(values), seed)].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


@dataclass(frozen=True)
class Summary:
    """Centre and 95 % interval of the mean."""

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
    """Whether an agent is worth its training, in words: its mean gain over the best single setting, paired, with the 95 % interval. Empty where
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
    """95 % interval of :func:`conversions_worth` over logos drawn together for both.

    ``gains``: shape (n_logos,); ``curves``: best gain so far, shape (n_logos, n_conversions).
    """
    return _interval_of(lambda rows: conversions_worth(float(gains[rows].mean()), curves[rows].mean(axis=0)), len(gains), seed)


def _interval_of(measure: Callable[[NDArray[np.int64]], float], n: int, seed: int) -> tuple[float, float]:
    found = np.array([measure(rows) for rows in _draws(n, seed)])
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))
