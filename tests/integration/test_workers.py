"""The worker pool: what it measures, and what it does when workers die, hang or grow."""

import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from core.environment.episode import EnvSpec
from core.environment.preparation import Preparations
from core.environment.vec_env import COLUMN, PoolVecEnv
from core.errors import WorkerError
from core.evaluation.evaluate import evaluate_baseline, summarise
from core.logos.dataset import load_logos
from core.machine import available_cores
from core.tracing.cache import TraceCache
from core.tracing.outcome import ENDS, HEADLINE, Outcome
from core.tracing.params import BEST_SINGLE, DEFAULTS, N_PARAMS, Params
from core.tracing.picture import Picture
from core.workers.picture_store import PictureStore
from core.workers.pool import MAX_LOSSES_IN_A_ROW, Limits, WorkerPool
from core.workers.worker import Job, JobResult, pack_job, pack_result, unpack_job, unpack_result
from tests.support.paths import ROOT


@pytest.fixture
def open_pool(logo_folder):
    """Makes pools over twelve small logos, and closes them."""
    logos, opened = list(load_logos(str(logo_folder), 48).logos), []

    def make(n_workers=2, **more):
        opened.append(WorkerPool(PictureStore.create(logos), n_workers, **more))
        return opened[-1], logos

    yield make
    for pool in opened:
        pool.close()


def environments(pool, logos, n_envs=4, max_steps=1, seed=11) -> PoolVecEnv:
    envs = PoolVecEnv(pool, Preparations(logos), EnvSpec(max_steps, BEST_SINGLE, HEADLINE), n_envs, seed)
    envs.reset()
    return envs


def workers_of(pool) -> list[psutil.Process]:
    return [psutil.Process(worker.process.pid) for worker in pool._workers]


def random_params(n, seed=0):
    rng = np.random.default_rng(seed)
    return [Params(4, int(rng.integers(0, 128)), int(rng.integers(0, 180)), float(rng.uniform(3.5, 10)), 10, 45, 2) for _ in range(n)]


def test_jobs_and_results_cross_the_pipe_unchanged(logo_folder):
    picture = Picture(load_logos(str(logo_folder), 48).logos[0].pixels)
    job = Job(7, BEST_SINGLE, keep_svg=True, with_features=True)
    assert unpack_job(pack_job(job)) == job
    for features in (None, picture.features):
        result = JobResult(Outcome(0.5, 12, 3, 0.25, "panic"), "<svg>\u00e9</svg>", features)
        assert unpack_result(pack_result(result)) == result


@pytest.mark.parametrize("max_steps", [1, 3])
def test_episodes_and_what_is_learned_from_do_not_depend_on_the_number_of_workers(open_pool, max_steps, tmp_path):
    runs, learned_from = [], []
    for n_workers in (1, 3):
        envs = environments(*open_pool(n_workers), max_steps=max_steps)
        rng, seen = np.random.default_rng(0), [envs.observations.copy()]
        for _ in range(6):
            envs.step(rng.uniform(-1, 1, (4, N_PARAMS)).astype(np.float32))
            columns = [COLUMN[c] for c in ("logo", "done", "step_reward", "ssim", "bytes", "headline_gain")]
            seen += [envs.observations.copy(), envs.records[:, columns].copy()]
        runs.append(seen)
        envs.experience.write(tmp_path / f"{n_workers}.bin")
        learned_from.append((tmp_path / f"{n_workers}.bin").read_bytes())
    assert learned_from[0] == learned_from[1] != b""
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_pool_measures_what_a_picture_measures(open_pool, tmp_path):
    pool, logos = open_pool(cache=TraceCache(tmp_path / "traces.sqlite"))
    jobs = [Job(i, p, keep_svg=True) for i in (0, 5) for p in (DEFAULTS, BEST_SINGLE)]
    expected = [Picture(logos[job.index].pixels).measure(job.params) for job in jobs]
    for _ in range(2):  # the second time from the cache
        results = pool.measure(jobs)
        assert [(r.outcome.ssim, r.svg) for r in results] == [(e.outcome.ssim, e.trace.svg) for e in expected]
    assert pool.cache.take_hit_rate() == 0.5


def test_workers_end_with_the_pool(open_pool):
    pool, _ = open_pool()
    workers = workers_of(pool)
    assert len(workers) == 2
    pool.measure([Job(0)])
    pool.close()
    assert psutil.wait_procs(workers, timeout=10)[1] == []


def test_a_killed_worker_is_replaced_and_every_job_gets_its_result(open_pool):
    losses = []
    pool, _ = open_pool(on_loss=losses.append)
    jobs = [Job(i % 12, params) for i, params in enumerate(random_params(200))]
    pool.measure(jobs[:2])

    def kill(n_done):
        if n_done in (20, 100):
            workers_of(pool)[0].send_signal(signal.SIGKILL)

    results = pool.measure(jobs, kill)
    assert all(r.outcome.failure is None for r in results), "a lost conversion is tried again"
    assert pool.n_lost == len(losses) == 2
    assert {loss.reason for loss in losses} == {"killed by signal 9"}
    assert all(worker.is_running() for worker in workers_of(pool))


def test_what_a_worker_hangs_on_fails_and_is_put_aside(open_pool):
    """A stopped process stands for a conversion that never ends."""
    losses = []
    pool, logos = open_pool(1, limits=Limits(time_s=0.5, losses=2), on_loss=losses.append)
    envs = environments(pool, logos, n_envs=1)
    rng, stuck = np.random.default_rng(0), envs.envs[0].index
    for n in range(2):
        envs.envs[0].set_eligible(np.array([stuck]))
        pool.measure([Job(0, random_params(1, n)[0])])  # the new worker is ready
        workers_of(pool)[0].suspend()
        _, rewards, dones, _ = envs.step(rng.uniform(-1, 1, (1, N_PARAMS)).astype(np.float32))
        assert ENDS[int(envs.records[0, COLUMN["failure"]])] == "timeout"
        assert (rewards[0], dones[0]) == (-3.0, True)
        assert losses[n].job.index == stuck
        assert losses[n].is_quarantined == (n == 1)
    envs.set_eligible(np.array([stuck]), np.arange(12))
    for _ in range(10):
        assert envs.envs[0].index != stuck
        envs.step(rng.uniform(-1, 1, (1, N_PARAMS)).astype(np.float32))


def test_an_episode_of_several_steps_ends_with_its_worker(open_pool):
    pool, logos = open_pool(1, limits=Limits(time_s=0.5))
    envs = environments(pool, logos, n_envs=1, max_steps=5)
    envs.step(np.zeros((1, N_PARAMS), np.float32))
    workers_of(pool)[0].suspend()
    envs.step(np.full((1, N_PARAMS), 0.5, np.float32))
    record = envs.records[0]
    assert record[COLUMN["done"]] == 1
    assert record[COLUMN["length"]] == 2
    assert ENDS[int(record[COLUMN["failure"]])] == "timeout"
    assert record[COLUMN["headline_gain"]] > -3  # of the step before


def test_a_worker_beyond_its_memory_is_replaced(open_pool):
    losses = []

    def on_loss(loss):
        losses.append(loss)
        pool.limits = Limits()  # or every new worker is beyond it too

    pool, _ = open_pool(1, limits=Limits(memory_mb=1), on_loss=on_loss)
    for seed in range(100):  # memory is looked at once a second
        if not losses:
            pool.measure([Job(i % 12, params) for i, params in enumerate(random_params(50, seed))])
    assert losses[0].failure == "memory"
    assert "MB of memory, limit 1" in losses[0].reason


def test_a_worker_that_hangs_while_it_starts_is_replaced(open_pool, monkeypatch):
    monkeypatch.setattr("core.workers.pool.START_S", 3.0)
    losses = []
    pool, _ = open_pool(1, on_loss=losses.append)
    workers_of(pool)[0].suspend()
    assert pool.measure([Job(0)])[0].outcome.failure is None
    assert [(loss.reason, loss.job) for loss in losses] == [("not ready after 3 s", None)]


def test_workers_that_never_live_end_the_run(open_pool, monkeypatch):
    pool, _ = open_pool(1)
    pool.measure([Job(0)])
    start = pool._start

    def start_and_kill(name):
        worker = start(name)
        worker.process.kill()
        return worker

    monkeypatch.setattr(pool, "_start", start_and_kill)
    workers_of(pool)[0].kill()
    with pytest.raises(WorkerError, match=f"{MAX_LOSSES_IN_A_ROW} workers were lost in a row"):
        pool.measure([Job(1, BEST_SINGLE)])


def test_no_environment_is_left_without_a_logo_unnoticed(open_pool):
    pool, logos = open_pool(1)
    envs = environments(pool, logos, n_envs=1)
    for i in range(12):
        pool.quarantine(i)
    with pytest.raises(WorkerError, match="no logo is left to train on: 12 were quarantined"):
        envs.step(np.zeros((1, N_PARAMS), np.float32))


def test_a_restored_environment_goes_on_where_it_was(open_pool):
    envs = environments(*open_pool(), max_steps=3)
    rng = np.random.default_rng(3)
    envs.step(rng.uniform(-1, 1, (4, N_PARAMS)).astype(np.float32))
    state = envs.dump()
    other = environments(*open_pool(1), max_steps=3, seed=99)
    np.testing.assert_array_equal(other.restore(state), envs.observations)
    for _ in range(4):
        actions = rng.uniform(-1, 1, (4, N_PARAMS)).astype(np.float32)
        for a, b in zip(envs.step(actions), other.step(actions), strict=True):
            np.testing.assert_array_equal(a, b)


def test_cores_are_those_this_process_may_use():
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_baselines_and_summaries(open_pool):
    pool, logos = open_pool()
    prepared = Preparations(logos)
    places = prepared.prepare(pool, range(12))
    summary = summarise(evaluate_baseline(pool, prepared, places, "default"))
    assert summary["gain"] == 0
    assert summary["n_logos"] == 12
    assert set(summary["by_category"]) == {"simple", "text", "gradient", "complex"}


def test_figures_do_not_depend_on_the_process_that_computes_them():
    """A sum of floats depends on the order of adding, and that on where the array lies: a feature differed between
    two processes by its last bit, and two runs of one seed drifted apart after a thousand episodes."""
    logos = load_logos("builtin", 256, n_per_category=20).logos
    seen = []
    for n_workers in (2, 3, 2):
        pool = WorkerPool(PictureStore.create(logos), n_workers)
        try:
            prepared = Preparations(logos)
            places = prepared.prepare(pool, range(len(logos)))
        finally:
            pool.close()
        found = [prepared[i] for i in places]
        seen.append([(x.picture_observation.tobytes(), x.defaults.ssim, x.defaults.n_bytes) for x in found])
    assert seen[0] == seen[1] == seen[2]


def test_a_pool_that_was_stopped_itself_blames_no_worker(open_pool, monkeypatch):
    """As a laptop's lid does: the trainer was stopped for long, and its worker with it."""
    pool, _ = open_pool(1, limits=Limits(time_s=5.0))
    pool.measure([Job(0)])
    (worker,) = pool._workers
    process, look = psutil.Process(worker.process.pid), pool._take_in
    process.suspend()
    pool.submit("x", Job(1, BEST_SINGLE))

    def look_after_a_long_sleep():
        monkeypatch.setattr(pool, "_take_in", look)
        pool._looked -= 100
        worker.since -= 100
        look()
        process.resume()

    monkeypatch.setattr(pool, "_take_in", look_after_a_long_sleep)
    assert [(key, result.outcome.failure) for key, result in pool.results()] == [("x", None)]
    assert pool._workers == [worker]


def test_a_worker_runs_nothing_of_the_script_that_opened_it(logo_folder, tmp_path):
    """A console's pages open pools too, and its script sets up a server."""
    script = tmp_path / "script.py"
    script.write_text(f"""
print("the script runs")
from core.logos.dataset import load_logos
from core.tracing.params import DEFAULTS
from core.workers.picture_store import PictureStore
from core.workers.pool import WorkerPool
from core.workers.worker import Job
if __name__ == "__main__":
    pool = WorkerPool(PictureStore.create(list(load_logos({str(logo_folder)!r}, 48).logos)[:1]), 1)
    print(pool.measure([Job(0, DEFAULTS)])[0].outcome.failure)
    pool.close()
""")
    done = subprocess.run(
        [sys.executable, str(script)], env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines() == ["the script runs", "None"], done.stderr
