"""Long use: thousands of random parameters over real and strange pictures, and workers that are killed all the time.

Short by default; TRACEWRIGHT_SLOW=1 runs them at full length (20,000 parameter sets; three minutes of kills; nine of faults).
"""

import hashlib
import os
import signal
import threading
import time

import numpy as np
import psutil
import pytest

from core.logos.dataset import Logo, load_logos
from core.runs.event_types import Metrics
from core.runs.events import read_events
from core.runs.records import claim
from core.runs.status import Status
from core.tracing.params import HIGH, LOW, N_PARAMS, Params
from core.tracing.picture import fit
from core.training.trainer import train
from core.workers.picture_store import PictureStore
from core.workers.pool import Limits, WorkerPool
from core.workers.worker import Job
from tests.support.runs import tiny_config

IS_FULL = bool(os.environ.get("TRACEWRIGHT_SLOW"))
pytestmark = pytest.mark.timeout(1800 if IS_FULL else 300)
N_SETS = 20_000 if IS_FULL else 1_500
N_STEPS, KILL_EVERY_S = (25_600, 5.0) if IS_FULL else (1_024, 1.5)


def strange_pictures() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (256, 256, 3)).astype(np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], (256, 256, 3))
    return {
        "noise": noise,
        "two-tone noise": (noise > 127).astype(np.uint8)[:, :, :1].repeat(3, axis=2) * 255,
        "white": np.full((256, 256, 3), 255, np.uint8),
        "black": np.zeros((64, 64, 3), np.uint8),
        "one pixel": np.full((1, 1, 3), 200, np.uint8),
        "thin": noise[:2],
        "tall": noise[:, :3],
        "a dot": np.where(np.indices((128, 128)).sum(axis=0)[:, :, None] == 100, 0, 255).astype(np.uint8).repeat(3, axis=2),
        "ramp": np.ascontiguousarray(ramp),
        "primaries": np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255], [255, 0, 255]]], np.uint8).repeat(40, 0).repeat(40, 1),
    }  # fmt: skip


def as_logo(name: str, pixels: np.ndarray) -> Logo:
    small = fit(pixels, 256)
    return Logo(name, "complex", "train", "", name, small, hashlib.sha256(small.tobytes() + name.encode()).hexdigest()[:16])


def own_mb(pool: WorkerPool) -> list[float]:
    found = [psutil.Process(worker.process.pid).memory_info() for worker in pool._workers]
    return [(m.rss - getattr(m, "shared", 0)) / 2**20 for m in found]


@pytest.mark.slow
@pytest.mark.logos
def test_every_step_returns_and_memory_stays(real_logos, capsys):
    logos = [*load_logos(str(real_logos), 256).logos, *(as_logo(*item) for item in strange_pictures().items())]
    rng = np.random.default_rng(1)
    values = rng.uniform(LOW, HIGH, (N_SETS, N_PARAMS))
    wild = rng.random(N_SETS) < 0.02  # out of range too: VTracer panics on some
    values[wild] = rng.uniform(LOW - 2, HIGH + 4, (int(wild.sum()), N_PARAMS))
    strange = rng.random(N_SETS) < 0.05
    places = np.where(strange, rng.integers(len(logos) - 10, len(logos), N_SETS), rng.integers(0, len(logos) - 10, N_SETS))
    jobs = [Job(int(place), Params.from_values(row)) for place, row in zip(places, values, strict=True)]
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    pool = WorkerPool(PictureStore.create(logos), 2, Limits(time_s=120))
    try:
        n_warm = min(2 * N_SETS // 3, 4000)  # all places for open pictures are taken
        results = pool.measure(jobs[:n_warm])
        warm = own_mb(pool)
        results += pool.measure(jobs[n_warm:])
        late = own_mb(pool)
        children = psutil.Process().children(recursive=True)
        assert all(child.status() != psutil.STATUS_ZOMBIE for child in children)
        assert pool.n_lost == 0
    finally:
        pool.close()
    left = [p for p in psutil.Process().children(recursive=True) if p.pid not in before and "resource_tracker" not in " ".join(p.cmdline())]
    growth = [b - a for a, b in zip(warm, late, strict=True)]
    failures = [r.outcome.failure for r in results]
    with capsys.disabled():
        counts = {str(kind): failures.count(kind) for kind in sorted(set(failures), key=str)}
        print(f"\n{len(results)} sets: {counts}; a worker {max(late):.0f} MB, grown by {max(growth):.1f} MB since set {n_warm}")
    assert len(results) == N_SETS
    assert all(np.isfinite(r.outcome.ssim) and -1 <= r.outcome.ssim <= 1 for r in results)
    assert failures.count(None) > 0.9 * N_SETS
    assert max(growth) < 50
    assert max(late) < 400
    assert left == []


def logos_of_environments(episodes: list[dict]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for episode in episodes:
        found.setdefault(episode.env, []).append(episode.logo)
    return found


@pytest.mark.slow
@pytest.mark.logos
def test_a_run_whose_workers_are_killed_completes(home, real_logos, capsys):
    config = tiny_config(
        real_logos,
        total_timesteps=N_STEPS,
        n_envs=16,
        logos={"path": str(real_logos), "work_size": 256},
        ppo={"n_steps": 16, "batch_size": 128},
        evaluation={"every_steps": 4096, "max_logos": 24},
        workers={"max_losses": 1000},
    )
    undisturbed, run, over, kills = claim(home, config), claim(home, config), threading.Event(), []
    train(undisturbed)

    def kill() -> None:
        rng = np.random.default_rng(0)
        while not over.wait(KILL_EVERY_S):
            workers = [p for p in psutil.Process().children(recursive=True) if "spawn_main" in " ".join(p.cmdline())]
            if workers:
                os.kill(workers[int(rng.integers(len(workers)))].pid, signal.SIGKILL)
                kills.append(time.monotonic())

    killer = threading.Thread(target=kill, name="killer")
    killer.start()
    try:
        ending = train(run)
    finally:
        over.set()
        killer.join()
    events = list(read_events(run.events_file))
    episodes = [e.data for e in events if e.kind == "episode"]
    lost = [e.data for e in events if e.kind == "worker_lost"]
    failed = [e for e in episodes if e.end_reason in ("crashed", "timeout", "memory")]
    with capsys.disabled():
        seconds = events[-1].ts - events[0].ts
        print(
            f"\n{len(kills)} kills in {seconds:.0f} s: {len(lost)} workers replaced, {len(failed)} of {len(episodes)} episodes failed by it"
        )
    assert ending.status is Status.COMPLETED
    assert len(kills) >= 3
    assert len(kills) - 2 <= len(lost) <= len(kills)  # one or two may fall into the start or the end
    assert {loss.reason for loss in lost} == {"killed by signal 9"}
    assert len(failed) <= len(lost)
    assert all(e.training_gain == -3.0 for e in failed)
    assert [e.episode for e in episodes] == list(range(1, N_STEPS + 1))
    # Every environment drew the logos that it would have drawn
    calm = [e.data for e in read_events(undisturbed.events_file) if e.kind == "episode"]
    assert logos_of_environments(episodes) == logos_of_environments(calm)
    # and until the first loss everything is the same
    first = next((i for i, e in enumerate(episodes) if e in failed), len(episodes))
    same = [
        (a.logo, a.params, a.headline_gain) == (b.logo, b.params, b.headline_gain) for a, b in zip(episodes[:first], calm, strict=False)
    ]
    assert all(same)
    metrics = [e.data.values["trace/workers_lost"] for e in events if isinstance(e.data, Metrics) and "trace/workers_lost" in e.data.values]
    assert metrics == sorted(metrics)
    assert all((run.path / loss.case).is_file() for loss in lost if loss.case)
    assert all("resource_tracker" in " ".join(p.cmdline()) for p in psutil.Process().children())


@pytest.mark.slow
def test_faults_at_random_moments_lose_nothing(capsys):
    """Trainers, workers, the console's server and the disk fail while three runs are live."""
    from core.bench import chaos

    report = chaos.measure(9.0 if IS_FULL else 0.6, seed=1)
    with capsys.disabled():
        print(f"\n{report.as_text()}")
    assert report.keys["faults"] >= (60 if IS_FULL else 3)
    assert report.keys["events_lost"] == 0, report.details["lost"]
    assert report.keys["events_doubled"] == 0
    assert report.keys["wrong_states"] == 0, report.details["wrong"]
    assert report.keys["orphans"] == 0, report.details["orphans"]
    assert report.keys["runs_unresumable"] == 0
    assert report.keys["runs_completed"] >= 3
