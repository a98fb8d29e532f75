"""The same training on one-core nodes of a Ray cluster and on as many cores of this machine, and what a thousand workers would give.

All nodes are on this machine, by Ray's own cluster utility, so the network between them is not measured but assumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import mean, median
from typing import Any

from core.bench.cluster_simulation import Costs, simulate
from core.bench.preset import PRESET, settings
from core.bench.ray_here import ray_cluster
from core.bench.report import Report, say
from core.config.config import RunConfig
from core.config.text import load_config
from core.config.workers import WorkersConfig
from core.environment.preparation import Preparations
from core.environment.spec import env_spec, pipeline_of
from core.environment.vec_env import PoolVecEnv
from core.errors import BenchError, ClusterError
from core.logos.dataset import Logo
from core.machine import available_cores
from core.tracing.params import BEST_SINGLE
from core.tracing.picture import Picture
from core.training.data_loader import load_set
from core.workers.picture_store import PictureStore
from core.workers.pool import WorkerPool
from core.workers.ray_pool import RayPool
from core.workers.worker import Job, JobResult, pack_job, pack_result

N_NODES = 2
LATENCY_S = 0.0005  # one way, within a data centre; on one machine there is none to measure
CALL_S = 0.0007  # an actor's call in Ray 2.60, measured apart
MOST_ENVS = 1024  # what n_envs allows
SIMULATED = (1, 2, 4, 16, 64, 256, 1000)


@dataclass
class _Side:
    """One kind of workers. ``rates``: steps per second of each repeat, updates included."""

    pool: WorkerPool
    agent: Any
    rates: list[float] = field(default_factory=list)
    updates_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0  # of this process, updates left out
    n_steps: int = 0
    n_calls: int = 0


def measure(images: str, n_repeats: int, is_short: bool = False) -> Report:
    """Run the benchmark.

    Raises:
        BenchError: Ray is not installed, or its cluster does not work here.
    """
    config = load_config(PRESET, settings(images, is_short))
    if is_short:
        config = config.model_copy(update={"n_envs": 16, "ppo": config.ppo.model_copy(update={"n_steps": 4, "batch_size": 64})})
    logos = load_set(config).of_split("train")[: 8 if is_short else 120]
    report = Report("scale", "Many machines")
    try:
        with ray_cluster(N_NODES) as cluster:
            workers = config.workers.model_copy(update={"backend": "ray", "address": cluster.address})
            sides: dict[str, Callable[[PictureStore], WorkerPool]] = {"local, 2 workers": lambda store: WorkerPool(store, 2)}
            for n in range(1, N_NODES + 1):
                sides[f"Ray, {n} node{'s'[: n > 1]} of one core"] = partial(_on_ray, workers, n)
            found = _measured(config, logos, sides, n_repeats)
            _tell(report, config, logos, found)
    except ClusterError as error:
        raise BenchError(str(error)) from error
    return report


def _on_ray(workers: WorkersConfig, n: int, store: PictureStore) -> WorkerPool:
    return RayPool(store, workers, n)


def _measured(
    config: RunConfig, logos: list[Logo], sides: dict[str, Callable[[PictureStore], WorkerPool]], n_repeats: int
) -> dict[str, _Side]:
    """Each side trains by itself, one after the other, since together they would want more cores than there are."""
    found: dict[str, _Side] = {}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(n_repeats):
        for name in list(sides) if repeat % 2 == 0 else reversed(sides):
            say(f"{name}, repeat {repeat + 1} of {n_repeats}")
            found[name] = _trained(config, logos, sides[name])
            rates[name] += found[name].rates
    for name in sides:
        found[name].rates = rates[name]
    return {name: found[name] for name in sides}


def _trained(config: RunConfig, logos: list[Logo], open_pool: Callable[[PictureStore], WorkerPool]) -> _Side:
    """Two rollouts with their updates, all pictures prepared before."""
    from core.agents.ppo import build_agent

    pool = open_pool(PictureStore.create(logos, pipeline_of(config)))
    try:
        if isinstance(pool, RayPool):
            pool.wait_for_all()
        preparations = Preparations(logos)
        preparations.prepare(pool, range(len(logos)))
        pool.measure([Job(i, BEST_SINGLE) for i in range(len(logos))])
        envs = PoolVecEnv(pool, preparations, env_spec(config), config.n_envs, config.seed)
        side = _Side(pool, build_agent(config, envs))
        update = side.agent.train

        def timed_update() -> None:
            started = time.perf_counter(), time.process_time()
            update()
            side.updates_s.append(time.perf_counter() - started[0])
            side.cpu_s -= time.process_time() - started[1]

        side.agent.train = timed_update
        side.n_steps = 2 * config.rollout_steps
        calls = pool.n_calls if isinstance(pool, RayPool) else 0
        started = time.perf_counter(), time.process_time()
        side.agent.learn(side.n_steps)
        side.rates.append(side.n_steps / (time.perf_counter() - started[0]))
        side.cpu_s += time.process_time() - started[1]
        side.n_calls = pool.n_calls - calls if isinstance(pool, RayPool) else 0
        return side
    finally:
        pool.close()


def _tell(report: Report, config: RunConfig, logos: list[Logo], found: dict[str, _Side]) -> None:
    names = list(found)
    rates = {name: median(side.rates) for name, side in found.items()}
    report.keys["ray_over_local"] = rates[names[-1]] / rates[names[0]]
    for name, rate in rates.items():
        report.add(name, f"{rate:.1f} steps/s", f"the same training, {config.n_envs} environments, updates included")
    costs = _costs(config, logos, found[names[-1]])
    for k, name in enumerate(names[1:], start=1):
        simulated = simulate(costs, k, config.n_envs, per_node=1)
        report.add(
            f"simulated: {k} node{'s'[: k > 1]} of one core",
            f"{simulated.rate:.1f} steps/s",
            f"{simulated.rate / rates[name] - 1:+.0%} of what was measured",
        )
    for n in SIMULATED:
        simulated = simulate(costs, n, MOST_ENVS)
        if n == SIMULATED[-1]:
            report.keys["simulated_rate_1000"] = simulated.rate
        report.add(
            f"simulated: {n:,} worker{'s'[: n > 1]}",
            f"{simulated.rate:,.0f} steps/s",
            f"nodes of 16 cores, {MOST_ENVS:,} environments; the learner works {simulated.learner_share:.0%} of the time",
        )
    report.add("one conversion", f"{mean(costs.conversions_s) * 1000:.1f} ms", f"of {len(costs.conversions_s)} on one core")
    report.add("the learner per step", f"{costs.job_s * 1000:.2f} ms", "handing out, taking in, its environment and policy")
    report.add("the learner per call of a node", f"{costs.call_s * 1000:.2f} ms", "measured apart, on an idle machine")
    report.add("updates per step", f"{costs.update_s * 1000:.2f} ms")
    report.add("messages", f"{costs.job_bytes:.0f} and {costs.result_bytes:.0f} bytes", "a job and its result")
    report.add("cores of this machine", f"{available_cores()}", "which the learner and all nodes share")
    report.details = {"rates": rates, "costs": {key: value for key, value in vars(costs).items() if key != "conversions_s"}}


def _costs(config: RunConfig, logos: list[Logo], side: _Side) -> Costs:
    pipeline, seconds, sizes = pipeline_of(config), [], []
    for logo in logos[:40]:
        picture = Picture(logo.pixels, pipeline)
        _ = picture.reference, picture.canvas(pipeline)
        started = time.perf_counter()
        measured = picture.measure(BEST_SINGLE)
        seconds.append(time.perf_counter() - started)
        sizes.append(len(pack_result(JobResult(measured.outcome))))
    job_s = max(side.cpu_s - side.n_calls * CALL_S, 0.0) / side.n_steps
    return Costs(seconds, job_s, CALL_S, sum(side.updates_s) / side.n_steps, LATENCY_S, len(pack_job(Job(0))), mean(sizes))
