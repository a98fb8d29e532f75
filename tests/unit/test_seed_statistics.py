"""Interquartile mean, stratified bootstrap and probability of improvement, against what can be worked out by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from core import statistics
from core.statistics import Interval, interquartile_mean, interquartile_means, iqm_band, iqm_interval, probability_of_improvement


def test_the_interquartile_mean_leaves_a_quarter_out_at_either_end():
    """Of eight values the two lowest and the two highest, as scipy's trimmed mean does."""
    values = np.array([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -100.0])
    assert interquartile_mean(values) == (2 + 3 + 4 + 5) / 4
    table = np.stack([values, values + 1], axis=1)
    assert interquartile_means(table) == pytest.approx([3.5, 4.5])
    assert interquartile_mean(np.array([1.0, 2.0, 6.0])) == 3.0  # of three none: a quarter of them is less than one


def enumerated(scores: np.ndarray, are_runs_whole: bool) -> tuple[float, float]:
    """The bootstrap interval over every draw that there is, instead of some by chance."""
    n, tasks = scores.shape
    of_task = list(itertools.product(range(n), repeat=n))
    draws = [(rows,) * tasks for rows in of_task] if are_runs_whole else itertools.product(of_task, repeat=tasks)
    found = [interquartile_mean(np.stack([scores[list(rows), t] for t, rows in enumerate(draw)], axis=1).ravel()) for draw in draws]
    return float(np.quantile(found, 0.025, method="inverted_cdf")), float(np.quantile(found, 0.975, method="inverted_cdf"))


@pytest.mark.parametrize("are_runs_whole", [False, True])
def test_the_stratified_bootstrap_is_that_over_all_draws(are_runs_whole, monkeypatch):
    """Two tasks of three runs: 27 draws of whole runs, 27 x 27 where runs are drawn per task."""
    monkeypatch.setattr(statistics, "BOOTSTRAP_DRAWS", 40_000)
    scores = np.array([[0.0, 10.0], [1.0, 12.0], [3.0, 17.0]])
    found = iqm_interval(scores, are_runs_whole)
    assert found.value == (1 + 3 + 10 + 12) / 4  # of six values the lowest and the highest are left out
    low, high = enumerated(scores, are_runs_whole)
    assert found.low == pytest.approx(low, abs=0.26)
    assert found.high == pytest.approx(high, abs=0.26)


def test_tasks_are_strata():
    """Every draw has each task as often as the data: runs that agree on each task leave no doubt, however far apart the tasks are."""
    scores = np.tile([0.0, 1.0, 50.0, 51.0], (5, 1))
    found = iqm_interval(scores)
    assert (found.low, found.value, found.high) == (25.5, 25.5, 25.5)


def test_the_interval_holds_the_truth_as_often_as_it_says_where_runs_are_whole():
    """Runs whose scores rise and fall together: drawn task by task the interval would claim far too much."""
    rng = np.random.default_rng(5)
    inside = {True: 0, False: 0}
    n = 120
    for seed in range(n):
        scores = rng.normal(0, 1, (10, 1)) + rng.normal(0, 0.1, (10, 12))
        for are_runs_whole in inside:
            found = iqm_interval(scores, are_runs_whole, seed)
            inside[are_runs_whole] += found.low <= 0.0 <= found.high
    assert inside[True] / n > 0.85
    assert inside[False] / n < 0.6


def test_the_probability_of_improvement_counts_pairs_and_halves_ties():
    """By hand: on the first task 3 of 4 pairs are won and 1 is a tie, on the second 1 of 4 is won."""
    scores = np.array([[2.0, 1.0], [3.0, 5.0]])
    others = np.array([[1.0, 4.0], [2.0, 6.0]])
    assert probability_of_improvement(scores, others).value == pytest.approx(((3 + 0.5) / 4 + 1 / 4) / 2)
    assert probability_of_improvement(others, scores).value == pytest.approx(1 - ((3 + 0.5) / 4 + 1 / 4) / 2)


def test_the_probability_of_improvement_is_the_u_statistic_of_each_task():
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(0)
    scores, others = rng.normal(0.3, 1, (6, 4)), rng.normal(0, 1, (9, 4))
    by_task = [mannwhitneyu(scores[:, t], others[:, t], alternative="greater").statistic / 54 for t in range(4)]
    for are_runs_whole in (False, True):
        found = probability_of_improvement(scores, others, are_runs_whole)
        assert found.value == pytest.approx(np.mean(by_task))
        assert found.low < found.value < found.high
    apart = probability_of_improvement(scores + 100, others)
    assert (apart.low, apart.value, apart.high) == (1.0, 1.0, 1.0)


def test_a_single_run_has_no_interval():
    for found in (iqm_interval(np.array([[0.5, 0.7]])), probability_of_improvement(np.ones((1, 2)), np.zeros((3, 2)))):
        assert math.isnan(found.low)
        assert math.isnan(found.high)
    centre, low, high = iqm_band(np.array([[1.0, 2.0]]))
    assert centre.tolist() == [1.0, 2.0]
    assert np.isnan(low).all()
    assert np.isnan(high).all()


def test_a_band_has_at_each_point_the_interval_of_that_point():
    scores = np.random.default_rng(1).normal(0, 1, (7, 5))
    centre, low, high = iqm_band(scores)
    for point in range(5):
        alone = iqm_band(scores[:, [point]])
        assert (centre[point], low[point], high[point]) == (alone[0][0], alone[1][0], alone[2][0])
    assert ((low <= centre) & (centre <= high)).all()


def test_large_data_is_drawn_in_blocks(monkeypatch):
    scores = np.random.default_rng(2).normal(0, 1, (4, 30))
    whole = iqm_interval(scores)
    monkeypatch.setattr(statistics, "_BLOCK", 120 * 7)
    blocks = iqm_interval(scores)
    assert (blocks.low, blocks.high) == pytest.approx((whole.low, whole.high), abs=1e-12)


def test_an_interval_reads_as_text():
    assert Interval(0.5, 0.25, 0.75).text == "+0.500 (+0.250 to +0.750)"
    assert Interval(0.5, math.nan, math.nan).text == "+0.500"
