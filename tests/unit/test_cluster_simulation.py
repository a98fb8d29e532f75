"""The simulated cluster, held against what can be said by hand."""

from dataclasses import replace

import pytest

from core.bench.cluster_simulation import Costs, simulate

FREE = Costs([0.1], job_s=0.0, call_s=0.0, update_s=0.0, latency_s=0.0, job_bytes=0, result_bytes=0)


@pytest.mark.parametrize(("n_workers", "per_node"), [(1, 1), (2, 1), (16, 16), (64, 16), (100, 16)])
def test_without_costs_the_workers_are_the_limit(n_workers, per_node):
    found = simulate(FREE, n_workers, 20 * n_workers, per_node)
    assert found.rate == pytest.approx(10 * n_workers, rel=0.1)
    assert found.learner_share == 0


def test_updates_add_their_time():
    assert simulate(replace(FREE, update_s=0.1), 1, 16, 1).rate == pytest.approx(5)


def test_a_learner_that_is_always_at_work_is_the_limit():
    found = simulate(replace(FREE, job_s=0.001), 1000, 4000)
    assert 900 < found.rate <= 1000
    assert found.learner_share > 0.9


def test_latency_is_hidden_while_nodes_hold_several_jobs():
    assert simulate(replace(FREE, latency_s=0.05), 4, 400, 1).rate == pytest.approx(simulate(FREE, 4, 400, 1).rate, rel=0.15)
