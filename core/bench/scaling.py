"""The same training on one-core nodes of a Ray cluster and on as many cores of this machine, and what a thousand workers would give.

All nodes are on this machine, by Ray's own cluster utility, so the network between them is not measured but assumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from statistics import mean, median
from typing import Any

import numpy as np

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
LOCAL = f"local, {N_NODES} workers"
LATENCY_S = 0.0005  # one way, within a data centre; on one machine there is none to measure
N_CALLS = 200  # by which the cost of one is measured
MOST_ENVS = 1024  # what n_envs allows
SIMULATED = (1, 2, 4, 16, 64, 256, 1000)


@dataclass(frozen=True)
class _Repeat:
    """One training. ``rate``: steps per second, updates included; of the learner's process ``job_s`` per step, of its CPU, and ``update_s`` per step
    learned from; ``call_s``: its CPU per call of a node, ``answer_s``: until one is answered; ``n_calls``: per step."""

    rate: float
    job_s: float
    update_s: float
    call_s: float = 0.0
    answer_s: float = 0.0
    n_calls: float = 0.0


Sides = dict[str, Callable[[PictureStore], WorkerPool]]
Found = dict[str, list[_Repeat]]


def measure(images: str, n_repeats: int, is_short: bool = False) -> Report:
    """Run the benchmark.

    Raises:
        BenchError: Ray is not installed, or its cluster does not work here.
    """
    config = load_config(PRESET, settings(images, is_short))
    if is_short:
        config = config.model_copy(update={"n_envs": 16, "ppo": config.ppo.model_copy(update={"n_steps": 4, "batch_size": 64})})
    logos = load_set(config).of_split("train")[: 8 if is_short else 120]
    report = Report("scale", "Measured")
    try:
        with ray_cluster(N_NODES) as cluster:
            workers = config.workers.model_copy(update={"backend": "ray", "address": cluster.address})
            sides: Sides = {_node_name(1): partial(_on_ray, workers, 1), LOCAL: lambda store: WorkerPool(store, N_NODES)}
            sides |= {_node_name(n): partial(_on_ray, workers, n) for n in range(2, N_NODES + 1)}
            _tell(report, config, logos, _measured(config, logos, sides, n_repeats))
    except ClusterError as error:
        raise BenchError(str(error)) from error
    return report


def _on_ray(workers: WorkersConfig, n: int, store: PictureStore) -> WorkerPool:
    return RayPool(store, workers, n)


def _node_name(n: int) -> str:
    return f"Ray, {n} node{'s'[: n > 1]} of one core"


def _measured(config: RunConfig, logos: list[Logo], sides: Sides, n_repeats: int) -> Found:
    """Each side trains by itself, since together they would want more cores than there are; in turns, the local workers beside the most nodes."""
    found: Found = {name: [] for name in sides}
    for repeat in range(n_repeats):
        for name in list(sides) if repeat % 2 == 0 else reversed(sides):
            say(f"{name}, repeat {repeat + 1} of {n_repeats}")
            found[name].append(_trained(config, logos, sides[name]))
    return found


def _trained(config: RunConfig, logos: list[Logo], open_pool: Callable[[PictureStore], WorkerPool]) -> _Repeat:
    """Two rollouts with their updates, all pictures prepared before."""
    from core.agents.ppo import build_agent

    pool = open_pool(PictureStore.create(logos, pipeline_of(config)))
    try:
        call_s, answer_s = _call(pool)
        preparations = Preparations(logos)
        preparations.prepare(pool, range(len(logos)))
        pool.measure([Job(i, BEST_SINGLE) for i in range(len(logos))])
        agent = build_agent(config, PoolVecEnv(pool, preparations, env_spec(config), config.n_envs, config.seed))
        update, updates = agent.train, np.zeros(2)

        def timed_update() -> None:
            started = _clocks()
            update()
            updates[:] += _clocks() - started

        agent.train = timed_update  # type: ignore[method-assign]
        n_steps, n_before = 2 * config.rollout_steps, pool.n_calls if isinstance(pool, RayPool) else 0
        started = _clocks()
        agent.learn(n_steps)
        seconds, cpu_s = _clocks() - started
        n_calls = (pool.n_calls - n_before) / n_steps if isinstance(pool, RayPool) else 0.0
        job_s = max((cpu_s - updates[1]) / n_steps - n_calls * call_s, 0.0)
        return _Repeat(n_steps / seconds, job_s, updates[0] / n_steps, call_s, answer_s, n_calls)
    finally:
        pool.close()


def _clocks() -> Any:
    """Seconds of the wall and of this process's CPU."""
    return np.array([time.perf_counter(), time.process_time()])


def _call(pool: WorkerPool) -> tuple[float, float]:
    """What a call of a node that has nothing to do costs this process, and how long it takes; 0 without nodes."""
    if not isinstance(pool, RayPool):
        return 0.0, 0.0
    pool.wait_for_all()
    pool.call_idle(N_CALLS // 10)  # the first ones also connect
    started = _clocks()
    pool.call_idle(N_CALLS)
    seconds, cpu_s = (_clocks() - started) / N_CALLS
    return min(cpu_s, seconds), seconds


def _tell(report: Report, config: RunConfig, logos: list[Logo], found: Found) -> None:
    most = _node_name(N_NODES)
    ratios = [ray.rate / local.rate for ray, local in zip(found[most], found[LOCAL], strict=True)]
    report.keys["ray_over_local"] = median(ratios)
    rates = {name: median(repeat.rate for repeat in found[name]) for name in (LOCAL, *(name for name in found if name != LOCAL))}
    for name, rate in rates.items():
        own = [repeat.rate for repeat in found[name]]
        spread = f"; {min(own):.1f} to {max(own):.1f} in {len(own)} repeats" if len(own) > 1 else ""
        report.add(name, f"{rate:.1f} steps/s", f"the same training, {config.n_envs} environments, updates included{spread}")
    costs = _costs(config, logos, found[most])
    n_cores, off = available_cores(), {}
    for n in range(1, N_NODES + 1):
        here = replace(costs, latency_s=median(max(x.answer_s - x.call_s, 0.0) / 2 for x in found[most]))
        simulated = min(simulate(here, n, config.n_envs, per_node=1).rate, _rate_of_cores(here, n_cores, found[most]))
        off[n] = simulated / rates[_node_name(n)] - 1
        remark = f"{off[n]:+.0%} of what was measured; learner and nodes share {n_cores} core{'s'[: n_cores > 1]}"
        report.add(f"simulated: {n} node{'s'[: n > 1]} of one core", f"{simulated:.1f} steps/s", remark)
    for n in SIMULATED:
        far = simulate(costs, n, MOST_ENVS)
        report.keys["simulated_rate_1000"] = far.rate  # of the last
        remark = f"nodes of 16 cores, {MOST_ENVS:,} environments; the learner works {far.learner_share:.0%} of the time"
        report.add(f"simulated: {n:,} worker{'s'[: n > 1]}", f"{far.rate:,.0f} steps/s", remark)
    report.add("one conversion", f"{mean(costs.conversions_s) * 1000:.1f} ms", f"of {len(costs.conversions_s)} on one core")
    report.add("the learner per step", f"{costs.job_s * 1000:.2f} ms", "of its CPU: handing out, taking in, its environment and policy")
    report.add(
        "the learner per call of a node", f"{costs.call_s * 1000:.2f} ms", f"of its CPU, over {N_CALLS} calls of a node with nothing to do"
    )
    report.add("updates per step", f"{costs.update_s * 1000:.2f} ms")
    report.add("messages", f"{costs.job_bytes:.0f} and {costs.result_bytes:.0f} bytes", "a job and its result")
    report.details = {
        "rates": rates, "ratios": ratios, "simulated_less_measured": off,
        "costs": {key: value for key, value in vars(costs).items() if key != "conversions_s"},
    }  # fmt: skip


def _rate_of_cores(costs: Costs, n_cores: int, repeats: list[_Repeat]) -> float:
    """Steps per second at most where the learner and all nodes share so many cores; the simulation gives each its own."""
    calls_s = median(repeat.n_calls for repeat in repeats) * costs.call_s
    return 1 / ((mean(costs.conversions_s) + costs.job_s + calls_s) / n_cores + costs.update_s)


def _costs(config: RunConfig, logos: list[Logo], repeats: list[_Repeat]) -> Costs:
    pipeline, seconds, sizes = pipeline_of(config), [], []
    for logo in logos[:40]:
        picture = Picture(logo.pixels, pipeline)
        _ = picture.reference, picture.canvas(pipeline)
        started = time.perf_counter()
        measured = picture.measure(BEST_SINGLE)
        seconds.append(time.perf_counter() - started)
        sizes.append(len(pack_result(JobResult(measured.outcome))))
    job_s, call_s, update_s = (median(getattr(repeat, name) for repeat in repeats) for name in ("job_s", "call_s", "update_s"))
    return Costs(seconds, job_s, call_s, update_s, LATENCY_S, len(pack_job(Job(0))), mean(sizes))
