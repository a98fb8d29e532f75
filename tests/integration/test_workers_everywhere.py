"""What a worker pool promises, wherever its workers are: here, in this process, or on the nodes of a Ray cluster; and nodes that are lost."""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from importlib.util import find_spec

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from core.agents.loading import load_model
from core.agents.ppo import build_agent
from core.bench.ray_here import add_node, ray_cluster
from core.config.installation import Settings, write_settings
from core.config.workers import WorkersConfig
from core.environment.episode import EnvSpec
from core.environment.preparation import Preparations
from core.environment.spec import env_spec, pipeline_of
from core.environment.vec_env import COLUMN, PoolVecEnv
from core.errors import ClusterError, ClusterRefusedError, RunError
from core.evaluation import fitting
from core.evaluation.comparison import Request, compare
from core.evaluation.files import find_pictures
from core.evaluation.optimize import Extras, optimize
from core.logos.dataset import load_logos
from core.runs.event_types import WorkerLost
from core.runs.events import read_events
from core.runs.records import claim, read_config, read_heartbeat, read_log_tail, read_trial
from core.runs.run_dir import all_runs
from core.runs.status import Status
from core.scheduling import local
from core.scheduling.scheduler import Scheduler
from core.studies.runner import Runner
from core.studies.storage import read_trials
from core.studies.study import StudyStatus, create, validate_study
from core.tracing.outcome import HEADLINE
from core.tracing.params import BEST_SINGLE, DEFAULTS, N_PARAMS
from core.tracing.picture import Picture
from core.tracing.pipeline import Pipeline
from core.training.data_loader import load_set
from core.training.trainer import train
from core.workers.backend import open_pool
from core.workers.picture_store import PictureStore
from core.workers.pool import REFUSED, Limits
from core.workers.ray_cluster import Cluster
from core.workers.ray_pool import RayPool
from core.workers.worker import Job
from tests.support.command_line import core
from tests.support.documents import DOCS, read
from tests.support.inline_pool import InlinePool
from tests.support.json_outputs import described, paths_of
from tests.support.logos import write_logos
from tests.support.paths import ROOT
from tests.support.ray_nodes import TO_BE_KILLED, actors, lose_a_node
from tests.support.requirements import need
from tests.support.runs import await_end, await_status, follow, tiny_config, values
from tests.support.studies import follow_first

pytestmark = pytest.mark.xdist_group("ray")  # one cluster serves them all
PIPELINE = Pipeline(trace_size=96)


@pytest.fixture(scope="module")
def nodes():
    """A cluster of two nodes of one CPU; this process is connected, so that Ray's threads are no test's."""
    need(find_spec("ray"), "Ray (pip install -r requirements-ray.txt)")
    with ray_cluster(2) as cluster:
        Cluster.connect(WorkersConfig(backend="ray", address=cluster.address))
        yield cluster


@pytest.fixture(params=["local", "inline", "ray"])
def open_anywhere(request, logo_folder):
    """Makes pools of one kind over twelve small logos, and closes them."""
    is_ray = request.param == "ray"
    settings = WorkersConfig(backend="ray", address=request.getfixturevalue("nodes").address) if is_ray else WorkersConfig()
    logos, opened = list(load_logos(str(logo_folder), 48).logos), []

    def make():
        store = PictureStore.create(logos, PIPELINE)
        opened.append(InlinePool(store, 1) if request.param == "inline" else open_pool(settings, store, 2))
        return opened[-1], logos

    yield make
    for pool in opened:
        pool.close()


def test_every_job_gets_the_result_that_its_picture_gives(open_anywhere):
    pool, logos = open_anywhere()
    pictures = [Picture(logo.pixels, PIPELINE) for logo in logos]
    jobs = [Job(i, p, keep_svg=i % 2 == 0, with_features=i == 4) for i in (0, 4, 5) for p in (DEFAULTS, BEST_SINGLE)]
    jobs.append(Job(1, BEST_SINGLE, keep_svg=True, trace_size=192, minify=True))
    for _ in range(2):  # the second time from the cache
        results = pool.measure(jobs)
        for job, result in zip(jobs[:-1], results[:-1], strict=True):
            expected = pictures[job.index].measure(job.params)
            assert (result.outcome.ssim, result.outcome.n_bytes) == (expected.outcome.ssim, expected.outcome.n_bytes)
            assert not job.keep_svg or result.svg == expected.trace.svg
            assert (result.features is not None) >= job.with_features
        assert results[-1].svg.startswith("<svg")
    more = {key for key, _ in pool.results()}
    for key in "ab":
        pool.submit(key, Job(2, BEST_SINGLE))
    while found := pool.poll() or pool._is_busy():
        more |= {key for key, _ in found or ()} if found is not True else set()
    assert more == {"a", "b"}


def test_a_seed_gives_the_same_episodes_wherever_they_are_converted(open_anywhere):
    """Each place is compared with one pool of this process."""

    def episodes(pool, logos):
        envs = PoolVecEnv(pool, Preparations(logos), EnvSpec(2, BEST_SINGLE, HEADLINE), 4, 11)
        rng, seen = np.random.default_rng(0), [envs.reset()]
        for _ in range(5):
            envs.step(rng.uniform(-1, 1, (4, N_PARAMS)).astype(np.float32))
            columns = [COLUMN[c] for c in ("logo", "done", "step_reward", "ssim", "bytes", "headline_gain")]
            seen += [envs.observations.copy(), envs.records[:, columns].copy()]
        return seen

    pool, logos = open_anywhere()
    with closing(InlinePool(PictureStore.create(logos, PIPELINE), 1)) as reference:
        for here, there in zip(episodes(reference, logos), episodes(pool, logos), strict=True):
            np.testing.assert_array_equal(here, there)


def test_a_conversion_that_hangs_fails_alone_on_a_cluster_as_here(nodes, logo_folder):
    losses = []
    store = PictureStore.create(list(load_logos(str(logo_folder), 48).logos), PIPELINE)
    settings = WorkersConfig(backend="ray", address=nodes.address)
    pool = RayPool(store, settings, 1, Limits(time_s=0.5, losses=1), on_loss=losses.append)
    try:
        pool.measure([Job(0)])
        (actor,) = actors(1)
        for worker in actor.children():
            worker.suspend()
        pool.submit("stuck", Job(3, BEST_SINGLE), n_tries=1)
        ((key, result),) = list(pool.results())
        assert (key, result.outcome.failure, result.reason) == ("stuck", "timeout", "no result after 0.5 s")
        assert [(loss.job.index, loss.is_quarantined) for loss in losses] == [(3, True)]
        assert pool.quarantined == {3}
    finally:
        pool.close()


def test_jobs_that_are_late_on_one_node_are_done_on_an_idle_one(nodes, logo_folder):
    """A stopped process stands for a slow node; nothing waits for it, nothing is doubled, and nobody is blamed."""
    losses = []
    store = PictureStore.create(list(load_logos(str(logo_folder), 48).logos), PIPELINE)
    pool = RayPool(store, WorkersConfig(backend="ray", address=nodes.address), 2, Limits(time_s=60), on_loss=losses.append)
    try:
        pool.wait_for_all()
        pool.measure([Job(i) for i in range(12)])
        actor, _ = actors(2)
        stopped = actor.children()
        for worker in stopped:
            worker.suspend()
        for i in range(12):
            pool.submit(i, Job(i, BEST_SINGLE))
        assert sorted(key for key, _ in pool.results()) == list(range(12))
        for worker in stopped:
            assert worker.status() == psutil.STATUS_STOPPED
            worker.resume()
        assert not losses
    finally:
        pool.close()


def test_a_node_that_joins_is_used_and_one_with_other_versions_is_not(nodes, logo_folder, tmp_path, monkeypatch):
    """The latter says so through a module that Python loads first there; a pool that begins while it is there is refused."""
    losses = []
    logos, settings = list(load_logos(str(logo_folder), 48).logos), WorkersConfig(backend="ray", address=nodes.address)
    fake = "from importlib import metadata\nreal = metadata.version\nmetadata.version = lambda name: '0.1' if name == 'vtracer' else real(name)\n"
    (tmp_path / "sitecustomize.py").write_text(fake)
    pool = RayPool(PictureStore.create(logos, PIPELINE), settings, on_loss=losses.append)
    try:
        pool.wait_for_all()
        before = actors(2)
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
            other = add_node(nodes)
        deadline = time.monotonic() + 60
        while not losses:
            assert time.monotonic() < deadline
            pool._take_in()
        assert (losses[0].failure, losses[0].is_node, len(pool.by_node())) == (REFUSED, False, 2)
        assert "is not used: vtracer is 0.1, here" in losses.pop().reason
        with pytest.raises(ClusterRefusedError, match=r"nodes differ from this machine:\n  .*: vtracer is 0.1, here"):
            RayPool(PictureStore.create(logos, PIPELINE), settings)
        nodes.remove_node(other)
        joined = add_node(nodes)
        while len(pool.by_node()) < 3:
            assert time.monotonic() < deadline
            pool._take_in()
        stopped = [worker for actor in before for worker in actor.children()]
        for worker in stopped:
            worker.suspend()
        assert all(result.outcome.failure is None for result in pool.measure([Job(i, BEST_SINGLE) for i in range(12)]))
        assert all(worker.status() == psutil.STATUS_STOPPED for worker in stopped)  # so the one that joined did them
        for worker in stopped:
            worker.resume()
        assert not losses
        nodes.remove_node(joined)
    finally:
        pool.close()


@pytest.mark.timeout(300)
def test_one_two_and_four_nodes_train_the_same(nodes, recordings):
    """To the last weight of the networks."""
    config = tiny_config(recordings.logos)
    logos = load_set(config).of_split("train")

    def trained(pool):
        preparations = Preparations(logos)
        preparations.prepare(pool, range(len(logos)))
        agent = build_agent(config, PoolVecEnv(pool, preparations, env_spec(config), config.n_envs, config.seed))
        agent.learn(2 * config.rollout_steps)
        return [weight.numpy().copy() for weight in agent.policy.state_dict().values()]

    def store():
        return PictureStore.create(logos, pipeline_of(config))

    here = InlinePool(store(), 1)
    expected = trained(here)
    here.close()
    added = [add_node(nodes) for _ in range(2)]
    try:
        for n in (1, 2, 4):
            pool = RayPool(store(), WorkersConfig(backend="ray", address=nodes.address), n)
            try:
                pool.wait_for_all()
                assert sorted(pool.by_node().values()) == [1] * n
                for own, other in zip(expected, trained(pool), strict=True):
                    np.testing.assert_array_equal(own, other)
            finally:
                pool.close()
    finally:
        for node in added:
            nodes.remove_node(node)


@pytest.mark.parametrize("backend", ["local", "ray"])
def test_a_run_that_a_launcher_starts_is_the_run_of_this_process(request, home, recordings, recorded, backend):
    """``recorded`` was trained inline; these are processes, one of them with its workers on the cluster."""
    workers = {"backend": "ray", "address": request.getfixturevalue("nodes").address} if backend == "ray" else {}
    run = local.start(home, tiny_config(recordings.logos, workers=workers))
    assert await_end(run, 120) is Status.COMPLETED, read_log_tail(run, 30)
    assert values(run) == values(recorded())
    with pytest.raises(RunError, match="COMPLETED"):
        local.resume(run)


@pytest.mark.timeout(400)
def test_trials_run_on_nodes_and_a_lost_one_loses_and_doubles_nothing(nodes, home, tmp_path, recordings):
    """Two trials at a time, each with a node; one of these goes, and its trial takes what the other leaves."""
    write_settings(home, Settings.model_validate({"reports": {"at_end": False}, "queue": {"cores": 2}}))
    actors(0)  # those of the tests before have ended
    base = tiny_config(recordings.logos, workers={"backend": "ray", "address": nodes.address})
    wanted = {"name": "far", "sampler": "random", "space": {"ppo.n_epochs": {"low": 1, "high": 3}}, "n_trials": 2, "parallel": 2}
    study = create(home, validate_study(wanted | {"evaluations": 3, "pruner": "none"}, base), base)

    def lose():
        follow_first(study, lambda event: event.kind == "episode" and event.step >= 8)
        (raylet, *_) = {actor.ppid() for actor in actors()}
        (busy,) = [node for node in nodes.list_all_nodes() if node.all_processes["raylet"][0].process.pid == raylet]
        nodes.remove_node(busy, allow_graceful=False)

    losing = threading.Thread(target=lose)
    losing.start()
    with Scheduler(home):
        status, reason = Runner(study).run()
    losing.join()
    add_node(nodes)
    assert (status, reason) == (StudyStatus.COMPLETED, "all 2 trials are done")
    rows = read_trials(study)
    assert [(row.number, row.state) for row in rows] == [(0, "COMPLETE"), (1, "COMPLETE")]
    assert sorted(read_trial(run).number for run in all_runs(home)) == [0, 1]
    n_lost = 0
    for row in rows:
        run = study.run_of(row.number)
        events = list(read_events(run.events_file))
        n_lost += sum(isinstance(event.data, WorkerLost) for event in events)
        assert values(run) == values(recordings.copy(tmp_path / "alone", read_config(run).model_copy(update={"workers": WorkersConfig()})))
    assert n_lost >= 1


def test_a_comparison_with_policy_search_is_the_same_though_a_node_is_lost(nodes, home, tmp_path):
    folder, seen = write_logos(tmp_path / "pictures", 6), []

    def losing(what, n_done, n_all):
        seen.append(n_done)
        if len(seen) == 20:
            lose_a_node(nodes)
            add_node(nodes)

    def call(home, progress, cluster=""):
        asked = Request("default", str(folder), "all", ["policy_search"], [4], 48, n_workers=1, cluster=cluster)
        return compare(asked, home, progress).curves("policy_search")

    there = call(home, losing, nodes.address)
    assert len(seen) > 20
    np.testing.assert_array_equal(there, call(tmp_path / "another", lambda *_: None))


def test_baselines_are_the_same_wherever_they_are_fitted(nodes, tmp_path):
    folder = write_logos(tmp_path / "pictures", 4)

    def call(cluster):
        return fitting.fit(fitting.Request(str(folder), "all", 32, 3, 1, 2, cluster=cluster), None, lambda *_: None)

    assert call(nodes.address) == call("")


def test_a_training_that_loses_a_node_is_the_training_that_lost_none(nodes, home, recordings, recorded):
    config = tiny_config(recordings.logos, n_workers=0, workers={"backend": "ray", "address": nodes.address})
    run = claim(home, config)

    def lose():
        await_status(run, Status.RUNNING)
        follow(run, lambda event: event.kind == "episode" and event.step >= 20)
        lose_a_node(nodes)

    losing = threading.Thread(target=lose)
    losing.start()
    ending = train(run)
    losing.join()
    add_node(nodes)
    assert ending.status is Status.COMPLETED
    assert set(read_heartbeat(run).nodes.values()) == {1}
    assert values(run) == values(recorded())
    (lost,) = [event.data for event in read_events(run.events_file) if isinstance(event.data, WorkerLost)]
    assert lost.worker.startswith("node ")
    assert "conversions are done elsewhere" in lost.reason


@pytest.mark.timeout(400)
def test_a_folder_is_optimized_whole_though_it_is_killed_and_a_node_is_lost(nodes, home, tmp_path, caplog):
    """SIGKILL in the midst of the second group; in the second call a node goes."""
    folder, out, seen = write_logos(tmp_path / "pictures", 6), tmp_path / "out", []
    files, _ = find_pictures([folder])
    out.mkdir()

    def losing(what, n_done, n_all):
        seen.append(n_done)
        if len(seen) == 6:
            lose_a_node(nodes)
            add_node(nodes)

    def call(progress):
        extras = Extras(cluster=nodes.address, group=len(files) // 2)
        return optimize(files, load_model("default", home), 2, "", 48, out, home, progress, extras=extras)

    command = [sys.executable, "-c", TO_BE_KILLED, *map(str, (folder, home, out)), nodes.address]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "there\n"
        process.kill()
    written = {path: path.stat().st_mtime_ns for path in out.rglob("*.svg")}
    done = call(losing)
    assert len(seen) > 6
    assert done.n_kept == len(written) == len(files) // 2
    assert all(path.stat().st_mtime_ns == at for path, at in written.items())
    assert not done.skipped
    assert done.n_nodes_lost == done.as_dict()["n_nodes_lost"] == 1
    assert done.as_text().endswith("; nodes of the cluster lost meanwhile: 1")
    assert any("was lost" in line and "conversions are done elsewhere" in line for line in caplog.messages)
    table = pq.read_table(out / "optimized.parquet").to_pylist()
    assert [row["file"] for row in table] == [file.shown for file in files]
    assert sorted(row["svg"] for row in table) == sorted(map(str, out.rglob("*.svg")))


def test_a_cluster_without_capacity_says_so(nodes, logo_folder):
    store = PictureStore.create(list(load_logos(str(logo_folder), 48).logos[:1]), PIPELINE)
    settings = WorkersConfig(backend="ray", address=nodes.address, cpus_per_worker=8)
    with pytest.raises(ClusterError, match=r"no capacity for a worker of 8 CPUs for 0.1 s \(.* has 0 of 0 CPUs free"):
        RayPool(store, settings, patience_s=0.1)
    store.close()


def test_the_command_lists_the_nodes_and_a_wrong_token_is_one_clear_line(nodes, home, monkeypatch):
    """In processes of their own, as this one is connected."""
    told = core("cluster", nodes.address, "--json", home=home)
    assert told.returncode == 0, told.stderr
    printed = json.loads(told.stdout.splitlines()[-1])
    section = next(s for s in described(read(DOCS / "json.md")) if "cluster" in s.commands)
    assert [p for path, value in paths_of(printed) if (p := section.problem(path, value))] == []
    assert section.seen == set(section.rows)
    assert [row["cpus"] for row in printed["nodes"]].count(1) == 2
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another")
    refused = core("cluster", nodes.address, home=home)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(f"error: the Ray cluster at {nodes.address} refuses the token")
    assert "Traceback" not in refused.stderr
