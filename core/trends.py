"""Trends: running averages, and a straight line through values over time with the interval that it deserves.

Pure functions of arrays. Guarantee: values that follow each other closely are not counted as if each were news, so a slow
wave is not called a trend. Source: Santer et al., "Statistical significance of trends and trend differences in
layer-average atmospheric temperature time series", 2000 (effective sample size from the lag-1 autocorrelation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
LEAST = 4  # points below which no line is drawn
MOST_CORRELATED = 0.95  # what a short series may claim of itself at most


@dataclass(frozen=True)
class Trend:
    """A line by least squares. ``slope``: per unit of x, with its 95% interval; ``n_effective``: how many independent values those
    given are worth, at most ``n``."""

    n: int
    n_effective: float
    slope: float
    low: float
    high: float
    x_mean: float
    y_mean: float
    deviation: float  # of the values from the line
    spread: float  # of x: the root of its mean squared distance from the mean
    quantile: float  # Student's t

    @property
    def word(self) -> str:
        """rises, falls, or neither for sure."""
        return "rises" if self.low > 0 else "falls" if self.high < 0 else "shows no clear trend"

    def line(self, x: Values) -> tuple[Values, Values, Values]:
        """The line at ``x`` and the 95% interval of its height there: (middle, low, high)."""
        middle = self.y_mean + self.slope * (x - self.x_mean)
        share = (1 + ((x - self.x_mean) / self.spread) ** 2) / self.n_effective
        half = self.quantile * self.deviation * np.sqrt(share)
        return middle, middle - half, middle + half


def fit(x: Values, y: Values) -> Trend | None:
    """A line through the points in the order of ``x``; those that are not finite do not count.

    None where there are fewer than four, or all lie at one x.
    """
    is_known = np.isfinite(x) & np.isfinite(y)
    order = np.argsort(x[is_known], kind="stable")
    x, y = x[is_known][order], y[is_known][order]
    n = len(x)
    if n < LEAST or float(np.ptp(x)) == 0:
        return None
    from scipy.special import stdtrit  # where it is needed: pages draw without it

    x_mean, y_mean = float(x.mean()), float(y.mean())
    spread = float(np.sqrt(((x - x_mean) ** 2).mean()))
    slope = float(((x - x_mean) * (y - y_mean)).mean() / spread**2)
    rest = y - y_mean - slope * (x - x_mean)
    correlation = _correlation(rest)
    n_effective = max(n * (1 - correlation) / (1 + correlation), 3.0)
    deviation = float(np.sqrt((rest**2).sum() / (n - 2)))
    quantile = float(stdtrit(n_effective - 2, 0.975))
    half = quantile * deviation / (spread * np.sqrt(n_effective))
    return Trend(n, n_effective, slope, slope - half, slope + half, x_mean, y_mean, deviation, spread, quantile)


def _correlation(rest: Values) -> float:
    """How much each value says of the next, in [0, 0.95]."""
    total = float((rest**2).sum())
    if total <= 1e-18:
        return 0.0
    return float(np.clip((rest[1:] * rest[:-1]).sum() / total, 0.0, MOST_CORRELATED))


def running_mean(values: Values, window: int) -> Values:
    """The mean of each value and those before it, ``window`` of them at most; those that are not finite do not count."""
    is_known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(is_known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(is_known)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - max(window, 1), 0)
    n = counts[ends] - counts[starts]
    return np.divide(sums[ends] - sums[starts], n, out=np.full(len(values), np.nan), where=n > 0)
