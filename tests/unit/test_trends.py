"""Lines through values over time, held against what is known of them."""

import math

import numpy as np
import pytest
from scipy import stats

from core.trends import fit, running_mean


def test_independent_values_give_the_interval_of_the_textbooks():
    """Held against scipy's own regression; where rests do not follow each other, nothing is taken off."""
    x = np.arange(12.0)
    y = 0.3 * x + np.tile([0.2, -0.2], 6)  # each rest is the opposite of the one before
    found = fit(x, y)
    assert found is not None
    oracle = stats.linregress(x, y)
    half = stats.t.ppf(0.975, 10) * oracle.stderr
    assert found.n_effective == 12
    assert found.slope == pytest.approx(oracle.slope)
    assert (found.low, found.high) == pytest.approx((oracle.slope - half, oracle.slope + half))
    assert found.word == "rises"
    middle, low, high = found.line(np.array([x.mean()]))
    assert middle[0] == pytest.approx(y.mean())
    assert high[0] - low[0] == pytest.approx(2 * stats.t.ppf(0.975, 10) * found.deviation / math.sqrt(12))


def test_a_slow_wave_is_not_called_a_trend():
    """Taken for independent, its 200 values would be one."""
    x = np.linspace(0, 1, 200)
    y = np.sin(2 * np.pi * 0.7 * x)
    found = fit(x, y)
    assert found is not None
    assert abs(stats.linregress(x, y).slope) > 10 * stats.linregress(x, y).stderr
    assert found.n_effective < 20
    assert found.word == "shows no clear trend"


def test_a_true_trend_lies_in_its_interval_nearly_always():
    rng, n_inside = np.random.default_rng(0), 0
    for _ in range(300):
        rest = np.zeros(80)
        for i in range(1, 80):
            rest[i] = 0.5 * rest[i - 1] + rng.normal()
        found = fit(np.arange(80.0), 0.02 * np.arange(80.0) + rest)
        assert found is not None
        n_inside += found.low <= 0.02 <= found.high
    assert 0.90 <= n_inside / 300 <= 0.99


def test_what_has_no_line():
    assert fit(np.arange(3.0), np.arange(3.0)) is None
    assert fit(np.full(9, 2.0), np.arange(9.0)) is None
    assert fit(np.arange(9.0), np.full(9, math.nan)) is None
    flat = fit(np.arange(9.0), np.full(9, 1.0))
    assert flat is not None
    assert (flat.slope, flat.low, flat.high) == (0, 0, 0)
    falling = fit(np.array([3.0, 1.0, 2.0, 0.0, math.nan]), np.array([0.0, 2.0, 1.0, 3.0, 9.0]))
    assert falling is not None
    assert (falling.n, falling.word) == (4, "falls")


def test_a_running_mean_begins_with_what_is_there():
    found = running_mean(np.array([1.0, 3.0, math.nan, 5.0]), 2)
    assert found == pytest.approx([1.0, 2.0, 3.0, 5.0])
    assert math.isnan(running_mean(np.array([math.nan, 1.0]), 3)[0])
