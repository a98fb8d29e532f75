"""The Ray backend without Ray: what is shared out, what is compared, and what is said where a cluster can't be used."""

import socket
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.config import RunConfig
from core.config.workers import WorkersConfig, workers_on
from core.errors import ClusterError, ClusterRefusedError, ConfigError
from core.logos.dataset import BUILTIN, load_logos
from core.runs import requirements
from core.runs.event_types import WarningGiven, WorkerLost
from core.runs.events import EventWriter, read_events
from core.scheduling import known_cluster
from core.scheduling.probe import TEST_S, answer
from core.tracing.pipeline import Pipeline
from core.training.data_loader import DataLoader
from core.workers import ray_cluster, ray_pool
from core.workers.picture_store import PictureStore
from core.workers.pool import REFUSED, Loss
from core.workers.ray_cluster import Cluster, differences, why_not
from core.workers.ray_node import facts
from core.workers.ray_pool import RayPool
from core.workers.ray_shares import AHEAD, MOST_AHEAD, depth, share_out
from core.workers.worker import Job
from tests.support.ray_stand_in import Hung, RayError, RayStandIn

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
        **{f"old{i}": {"vtracer": "0.9", "numpy": "2", "auth": "token"} for i in range(6)},
    }
    assert differences(own, found) == [
        "empty: Tracewright does not answer there",
        "old, old0, old1, old2, old3 and 2 more: vtracer is 0.9, here 1",
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


@pytest.fixture
def ray(without_token, monkeypatch):
    """A stand-in with nothing in it; this process has a token and is connected."""
    stand_in = RayStandIn()
    for name, module in stand_in.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    return stand_in


class Clock:
    """Time that passes in sleep alone. ``later``: what happens at which time."""

    def __init__(self):
        self.now, self.later = 0.0, {}

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        for due in [when for when in self.later if when <= self.now]:
            self.later.pop(due)()


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(ray_pool, "time", made)
    return made


def test_a_joining_node_with_other_versions_is_refused_and_no_loss(ray, clock):
    told = []
    ray.add("a")
    pool = pool_of(ray, on_loss=told.append, patience_s=60)
    ray.add("b", vtracer="0.9")
    clock.sleep(10)
    pool.measure([Job(0)])
    pool.measure([Job(1)])
    assert pool.by_node() == {"host/a": 1}
    (loss,) = told
    assert (loss.failure, loss.is_node, pool.n_lost) == (REFUSED, False, 0)
    assert loss.reason.startswith("the node host/b of the cluster differs from this machine and is not used: vtracer is 0.9, here ")
    del ray.rows["a"]
    clock.sleep(10)
    with pytest.raises(ClusterError, match=r"no node that works .*host/b has 1 of 1 CPUs free, but is not used any more: vtracer is 0.9"):
        pool.measure([Job(2)])
    pool.close()


def test_a_run_tells_a_refused_node_as_a_warning_and_a_lost_one_as_lost(tmp_path, caplog):
    with EventWriter(tmp_path / "events.jsonl") as events:
        loader = DataLoader(None, RunConfig(), None, events, SimpleNamespace(step=7), None)
        loader._on_loss(Loss("node b", REFUSED, "the node b is not used: numpy is 1, here 2", None, False))
        loader._on_loss(Loss("node a", "crashed", "it left the cluster", None, False, is_node=True))
    warning, lost = [event.data for event in read_events(tmp_path / "events.jsonl")]
    assert (type(warning), warning.text) == (WarningGiven, "the node b is not used: numpy is 1, here 2")
    assert (type(lost), lost.is_node, lost.reason) == (WorkerLost, True, "it left the cluster")
    assert caplog.messages == []  # the pool has said both


def test_nodes_that_hang_are_waited_for_together_and_hide_no_other(ray, clock, monkeypatch):
    monkeypatch.setattr(ray_cluster, "time", clock)
    ray.sleep = clock.sleep
    for node_id in "abc":
        ray.add(node_id, vtracer="0.9")
    ray.told["a"] = ray.told["b"] = Hung("no answer")
    cluster = Cluster.connect(WorkersConfig(backend="ray"))
    with pytest.raises(ClusterError) as told:
        cluster.check(cluster.nodes())
    assert clock.now < TEST_S
    _, silent, differs = str(told.value).splitlines()
    assert silent.strip().startswith("host/a, host/b: Tracewright does not answer there (Hung: no answer)")
    assert differs.strip().startswith("host/c: vtracer is 0.9, here ")


def test_a_cluster_whose_nodes_all_fail_says_why_of_each(ray, clock):
    ray.add("a")
    ray.broken["a"] = RayError("boom")
    pool = pool_of(ray, patience_s=60)
    pool.submit(0, Job(0))
    with pytest.raises(ClusterError) as told:
        list(pool.results())
    assert str(told.value).startswith(
        "the Ray cluster at auto has had no node that works for 60 s (host/a has 1 of 1 CPUs free, but is not used any more: RayError: boom)"
    )
    assert pool.n_lost == 3
    pool.close()


def test_nodes_that_left_while_nothing_was_asked_may_come_back(ray, clock):
    """A long update, say: only then is it noticed that there is no node, and from then on the time counts."""
    ray.add("a")
    pool = pool_of(ray, patience_s=60)
    pool.measure([Job(0)])
    ray.rows.clear()
    clock.sleep(600)
    clock.later[650] = lambda: ray.add("b")
    assert [result.outcome.failure for result in pool.measure([Job(1)])] == [None]
    assert ray.n_converted == {"a": 1, "b": 1}
    pool.close()


def pool_of(ray, n_workers=0, patience_s=0.2, **options):
    """A pool of the stand-in over four made-up logos."""
    logos = load_logos(BUILTIN, 32, n_per_category=1).logos
    settings = WorkersConfig(backend="ray")
    return RayPool(PictureStore.create(logos, Pipeline(trace_size=64)), settings, n_workers, patience_s=patience_s, **options)


def test_a_head_without_token_is_refused_though_the_nodes_that_are_used_have_one(ray):
    ray.add("head", cpus=0, resource="node:__internal_head__", auth="", vtracer="of no concern")
    ray.add("a", resource="for_us")
    cluster = Cluster.connect(WorkersConfig(backend="ray", node_resource="for_us"))
    assert [node.name for node in cluster.nodes()] == ["host/a"]
    with pytest.raises(ClusterRefusedError, match=r"differ from this machine:\n  host/head: token authentication is off; start Ray there"):
        cluster.check(cluster.nodes())
    ray.told["head"] = OSError("gone")
    with pytest.raises(ClusterError, match=r"host/head: the head does not answer \(OSError: gone\)"):
        cluster.check(cluster.nodes())
    ray.told["head"] = {"auth": "token"}
    assert cluster.check(cluster.nodes())["host/a"]["auth"] == "token"


def test_without_ray_the_option_says_how_to_get_it(without_token, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterRefusedError, match=r"Ray is not installed .* pip install -r requirements-ray.txt"):
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
    with pytest.raises(ClusterRefusedError, match="no token for the Ray cluster: set RAY_AUTH_TOKEN"):
        Cluster.connect(settings)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    with pytest.raises(ClusterError, match=rf"no Ray cluster answers at 127.0.0.1:{port} \(.*refused\); check the address") as told:
        Cluster.connect(settings)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("host", ["a..b", "a" * 64])
def test_a_host_that_is_no_name_answers_nowhere(ray, monkeypatch, host):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ClusterError, match=rf"no Ray cluster answers at {host}:6379 \(.*label .*too long"):
        Cluster.connect(WorkersConfig(backend="ray", address=f"{host}:6379"))


def test_what_ray_raises_is_one_clear_line(ray):
    """An upload that does not fit, then a cluster that goes away under a pool at work."""
    ray.add("a")
    ray.full = RayError("the store is full\nno space left")
    with pytest.raises(ClusterError, match=r"the Ray cluster at auto can't go on \(RayError: no space left\); see Ray's log"):
        pool_of(ray)
    ray.full = None
    pool = pool_of(ray)
    pool.submit(0, Job(0))
    ray.wait = ray.broken_wait
    with pytest.raises(ClusterError, match="can't go on"):
        list(pool.results())
    pool.close()


@pytest.mark.parametrize(
    ("code", "told", "complaints", "expected"),
    [
        (0, 'noise\n{"n_workers": 3}\n', "", {"n_workers": 3}),
        (1, "", "noise: error: none\nerror: no cluster (grpc error: refused)\n", "no cluster (grpc error: refused)"),
        (1, "", "error: the nodes differ:\n  a: numpy\n  b: numpy\n", "the nodes differ:\n  a: numpy\n  b: numpy"),
        (0, "", "killed", None),
        (0, "[1]\n", "", None),
        (-9, "", "", None),
    ],
)
def test_what_a_test_of_a_cluster_said_is_an_answer_or_one_text(caplog, code, told, complaints, expected):
    assert answer(code, told, complaints) == (expected or "the test failed; see the console's log")
    assert bool(caplog.messages) is (expected is None)
    assert complaints in "".join(caplog.messages) or expected


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
    told = str(why_not(address, error))
    assert told.startswith(expected)
    assert "\n" not in told


def test_a_model_of_a_cluster_is_used_here_unless_a_cluster_is_named():
    trained = WorkersConfig(backend="ray", address="head:6379", time_limit_s=7)
    assert workers_on(trained, "") == WorkersConfig(backend="local", address="head:6379", time_limit_s=7)
    assert workers_on(WorkersConfig(), "[::1]:6379").address == "[::1]:6379"
    with pytest.raises(ConfigError, match="'ray://x' is no address of a Ray cluster; give HOST:PORT, or auto"):
        workers_on(trained, "ray://x")


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"v": 9}', b'{"v": 1, "address": "no address"}', b'{"v": 1, "address": 3}'])
def test_an_address_that_was_kept_and_damaged_stands_for_none(tmp_path, damage):
    home = tmp_path / "home"
    known_cluster.remember(home, "head:6379")
    assert known_cluster.remembered(home) == "head:6379"
    (home / known_cluster.FILE).write_bytes(damage)
    assert known_cluster.remembered(home) == known_cluster.JOINED


def test_the_trainer_alone_takes_a_core_of_this_machine():
    config = RunConfig(n_workers=500, workers=WorkersConfig(backend="ray"))
    assert requirements.workers_of(config) == 1
    assert requirements.estimated_rate(config, 20.0) == 500 * requirements.TYPICAL_RATE
    assert requirements.basis_of_estimate(config, 20.0).endswith("steps per second of 500 workers on the cluster")
    assert not requirements.has_open_end(config)


def test_where_nobody_knows_how_many_workers_a_cluster_has_the_estimate_is_the_most():
    config = RunConfig(workers=WorkersConfig(backend="ray"))
    assert requirements.has_open_end(config)
    assert requirements.basis_of_estimate(config, 20.0).endswith("steps per second of one worker; with n on the cluster, an nth of this")
    assert requirements.basis_of_estimate(RunConfig(), 20.0).endswith("as in this machine's last runs")
