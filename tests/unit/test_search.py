"""Statistics, searchers, the outcome model and the policy search: what a comparison of methods rests on."""

import numpy as np
import pytest

from core.search.policy_search import Kernel
from core.search.searchers import TPE, Fixed, RandomSearch
from core.statistics import Paired, Summary, conversions_worth, interquartile_mean, worth_interval
from core.tracing.outcome import Outcome
from core.tracing.params import DEFAULTS, N_PARAMS

NOTHING = Outcome(0.9, 100, 1, 0.01)


def test_the_interquartile_mean_leaves_outliers_out():
    assert interquartile_mean(np.array([-1000.0, 1, 2, 3, 4, 5, 6, 1000])) == 3.5


def test_paired_differences_count_wins_ties_and_losses():
    found = Paired.of(np.array([0.3, 0.1, 0.2]), np.array([0.1, 0.101, 0.5]))
    assert (found.wins, found.ties, found.losses) == (1, 1, 1)
    assert found.low <= found.difference <= found.high


def test_a_gain_is_worth_the_conversions_that_reach_it():
    curve = np.array([-0.5, 0.0, 0.2, 0.2, 0.3])
    assert conversions_worth(-1.0, curve) == 0
    assert conversions_worth(0.1, curve) == pytest.approx(2.5)
    assert conversions_worth(0.2, curve) == pytest.approx(4)  # what four reach, four are worth
    assert conversions_worth(0.25, curve) == pytest.approx(4.5)
    assert conversions_worth(9.0, curve) == 5
    rng = np.random.default_rng(0)
    curves = np.maximum.accumulate(rng.normal(0, 1, (40, 30)), axis=1)
    low, high = worth_interval(curves[:, 9], curves)
    assert low - 1e-6 <= 10 <= high + 1e-6


def test_a_summary_repeats():
    values = np.random.default_rng(0).normal(0.3, 0.2, 60)
    assert Summary.of(values) == Summary.of(values)


def test_searchers_repeat_stay_in_range_and_learn():
    def score(params) -> float:
        return -abs(params.color_precision - 3) - abs(params.layer_difference - 60) / 20

    best = {}
    for kind in (RandomSearch, TPE):
        runs = []
        for _ in range(2):
            searcher, found = kind(7), []
            for _ in range(40):
                params = searcher.ask()
                params.check()
                searcher.tell(params, NOTHING, score(params))
                found.append(params)
            runs.append(found)
        assert runs[0] == runs[1]
        best[kind] = np.mean([score(p) for p in runs[0][-10:]])
    assert best[TPE] > best[RandomSearch]
    fixed = Fixed(DEFAULTS)
    assert (fixed.ask(), fixed.ask()) == (DEFAULTS, None)


def test_the_kernel_is_a_covariance():
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (30, N_PARAMS))
    kernel = Kernel()
    matrix = kernel.between(actions, actions)
    np.testing.assert_allclose(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > -1e-6
    np.testing.assert_allclose(np.diag(matrix) + kernel.chance**2, kernel.variance, rtol=1e-3)
