"""Statistics, searchers, the outcome model and the policy search: what a comparison of methods rests on."""

import numpy as np
import pytest

from core.search.policy_search import Kernel
from core.search.searchers import Listed, RandomSearch, gp_search, tpe_search
from core.statistics import Paired, Summary, conversions_worth, interquartile_mean, verdict, worth_interval
from core.tracing.outcome import Outcome
from core.tracing.params import BEST_SINGLE, DEFAULTS, N_PARAMS

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


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ((0.08, 0.01, 0.15), "better than the best single setting: +0.080 (+0.010 to +0.150)"),
        ((0.08, -0.01, 0.15), "no better than the best single setting: +0.080 (-0.010 to +0.150)"),
        ((-0.2, -0.3, -0.1), "no better than the best single setting: -0.200 (-0.300 to -0.100)"),
        ((float("nan"), 0.0, 1.0), ""),
        ((None, None, None), ""),
    ],
)
def test_a_verdict_is_said_as_the_interval_has_it(figures, told):
    assert verdict(*figures) == told


def test_a_summary_repeats():
    values = np.random.default_rng(0).normal(0.3, 0.2, 60)
    assert Summary.of(values) == Summary.of(values)


def test_searchers_repeat_stay_in_range_and_learn():
    def score(params) -> float:
        return -abs(params.color_precision - 3) - abs(params.layer_difference - 60) / 20

    best = {}
    for kind, n in (
        (RandomSearch, 40),
        (tpe_search, 40),
        (gp_search, 6),
    ):  # a Gaussian process takes a second for each after its first five
        runs = []
        for _ in range(2):
            searcher, found = kind(7), []
            for _ in range(n):
                params = searcher.ask()
                params.check()
                searcher.tell(params, NOTHING, score(params))
                found.append(params)
            runs.append(found)
        assert runs[0] == runs[1]
        best[kind] = np.mean([score(p) for p in runs[0][-10:]])
    assert best[tpe_search] > best[RandomSearch]
    for kind in (tpe_search, gp_search):
        assert kind(7, BEST_SINGLE).ask() == BEST_SINGLE
    listed = Listed([DEFAULTS, BEST_SINGLE])
    assert [listed.ask() for _ in range(3)] == [DEFAULTS, BEST_SINGLE, None]


def test_the_kernel_is_a_covariance():
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (30, N_PARAMS))
    kernel = Kernel()
    matrix = kernel.between(actions, actions)
    np.testing.assert_allclose(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > -1e-6
    np.testing.assert_allclose(np.diag(matrix) + kernel.chance**2, kernel.variance, rtol=1e-3)
