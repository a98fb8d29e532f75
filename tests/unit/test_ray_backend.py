"""The Ray backend without Ray: what is shared out, what is compared, and what is said where a cluster can't be used."""

import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.config import RunConfig
from core.config.workers import WorkersConfig
from core.errors import ClusterError, ConfigError
from core.runs import requirements
from core.workers.backend import workers_on
from core.workers.ray_cluster import Cluster, differences, why_not
from core.workers.ray_node import facts
from core.workers.ray_shares import AHEAD, MOST_AHEAD, depth, share_out

CAPACITIES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 5))


@given(CAPACITIES, st.integers(0, 40), st.sampled_from(["spread", "pack"]))
def test_workers_are_shared_out_as_far_as_they_fit(capacity, wanted, placement):
    shares = share_out(capacity, wanted, placement)
    assert all(0 < n <= capacity[node] for node, n in shares.items())
    assert sum(shares.values()) == min(wanted or 10**6, sum(capacity.values()))


def test_spread_uses_all_nodes_and_pack_as_few_as_it_can():
    capacity = {"a": 2, "b": 4, "c": 2}
    assert share_out(capacity, 3, "spread") == {"a": 1, "b": 1, "c": 1}
    assert share_out(capacity, 3, "pack") == {"b": 3}
    assert share_out(capacity, 5, "pack") == {"a": 1, "b": 4}


@pytest.mark.parametrize(("n_jobs", "n_workers", "expected"), [(0, 4, AHEAD), (40, 4, 5), (10_000, 4, MOST_AHEAD), (3, 0, AHEAD)])
def test_nodes_hold_half_of_their_share_within_bounds(n_jobs, n_workers, expected):
    assert depth(n_jobs, n_workers) == expected


def test_every_difference_of_a_node_is_listed():
    own = {"vtracer": "1", "numpy": "2"}
    found = {
        "good": {**own, "auth": "token"},
        "old": {"vtracer": "0.9", "auth": ""},
        "empty": "Tracewright does not answer there",
    }
    assert differences(own, found) == [
        "empty: Tracewright does not answer there",
        "old: vtracer is 0.9, here 1",
        "old: numpy is missing, here 2",
        "old: token authentication is off; start Ray there with RAY_AUTH_MODE=token",
    ]


def test_what_a_result_depends_on_is_compared():
    assert {"vtracer", "thorvg-python", "numpy", "Python", "Tracewright"} <= set(facts())


@pytest.fixture
def without_token(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HOME", str(tmp_path))


def test_without_ray_the_option_says_how_to_get_it(without_token, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"Ray is not installed .* pip install -r requirements-ray.txt"):
        Cluster.connect(WorkersConfig(backend="ray"))
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    notes = requirements.preflight(RunConfig(workers=WorkersConfig(backend="ray")), tmp_path)
    assert any("the package ray is not installed; the run will fail (pip install -r requirements-ray.txt)" in note for note in notes)


def test_no_token_and_no_cluster_are_told_apart(without_token, monkeypatch):
    class Package:
        @staticmethod
        def is_initialized():
            return False

    monkeypatch.setitem(sys.modules, "ray", Package)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = WorkersConfig(backend="ray", address=f"127.0.0.1:{port}")
    with pytest.raises(ClusterError, match="no token for the Ray cluster: set RAY_AUTH_TOKEN"):
        Cluster.connect(settings)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with pytest.raises(ClusterError, match=rf"no Ray cluster answers at 127.0.0.1:{port} \(.*refused\); check the address") as told:
        Cluster.connect(settings)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("address", "error", "expected"),
    [
        ("h:1", RuntimeError("Invalid authentication token"), "the Ray cluster at h:1 refuses the token; use the one that its head was"),
        (
            "h:1",
            RuntimeError("Version mismatch: The cluster was started with:\n  Ray: 2.1\n"),
            "the Ray cluster at h:1 has other versions: Ver",
        ),
        (
            "h:1",
            RuntimeError("Can't find a raylet here"),
            "this machine has not joined the Ray cluster at h:1; join it with: ray start --ad",
        ),
        (
            "auto",
            ConnectionError("Could not find any running Ray instance."),
            "this machine has joined no Ray cluster (ConnectionError: Could",
        ),
        ("h:1", OSError("first\nlast"), "the Ray cluster at h:1 can't be used (OSError: last)"),
    ],
)
def test_why_a_connection_failed_is_one_clear_line(address, error, expected):
    told = why_not(address, error)
    assert told.startswith(expected)
    assert "\n" not in told


def test_a_model_of_a_cluster_is_used_here_unless_a_cluster_is_named():
    trained = WorkersConfig(backend="ray", address="head:6379", time_limit_s=7)
    assert workers_on(trained, "") == WorkersConfig(backend="local", address="head:6379", time_limit_s=7)
    assert workers_on(WorkersConfig(), "[::1]:6379").address == "[::1]:6379"
    with pytest.raises(ConfigError, match="'ray://x' is no address of a Ray cluster; give HOST:PORT, or auto"):
        workers_on(trained, "ray://x")


def test_the_trainer_alone_takes_a_core_of_this_machine():
    config = RunConfig(n_workers=500, workers=WorkersConfig(backend="ray"))
    assert requirements.workers_of(config) == 1
    assert requirements.estimated_rate(config, 20.0) == 500 * requirements.TYPICAL_RATE
