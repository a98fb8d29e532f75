"""What speaks against starting a run on this machine, before it is started."""

from __future__ import annotations

import contextlib
import os
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from core.config.config import RunConfig
from core.errors import RunError
from core.machine import MB, available_cores, disk_free_mb, memory_mb
from core.paths import how_to_install

# Measured: a trainer beside its pictures, and a worker beside the pictures that all share
TRAINER_MB, WORKER_MB = 430.0, 110.0
CHECKPOINT_MB = 1.2  # of a checkpoint with networks of the default size, without environments
SVG_MB = 0.007  # of an SVG of a logo, on average
EPISODE_MB = 0.00048  # a line of the event log
TYPICAL_RATE = 18.0  # steps per second and core at 256 px traced at 512, where nothing is known of this machine yet
STARTUP_MINUTES = 0.25
MIN_DISK_MB = 50.0  # with less nothing is started


def preflight(config: RunConfig, home: Path) -> list[str]:
    """What speaks against starting a run on this machine, a line each; empty where nothing does."""
    found = []
    total, available = memory_mb()
    memory, disk, free = estimated_memory_mb(config), estimated_disk_mb(config), disk_free_mb(home)
    if memory > total:
        found.append(f"it may need {memory:.0f} MB of memory, but this machine has {total:.0f} MB; use fewer workers, logos or variants")
    elif memory > available:
        found.append(f"it may need {memory:.0f} MB of memory, but only {available:.0f} MB are free now")
    if disk > free:
        found.append(
            f"it may need {disk:.0f} MB of disk space in {home}, but only {free:.0f} MB are free; lower checkpoint.disk_budget_mb or free some"
        )
    found += [
        f"trackers.{name} is on, but the package {name} is not installed; the run continues without it ({how_to_install('trackers')})"
        for name in ("tensorboard", "wandb", "mlflow")  # each a setting and its package
        if getattr(config.trackers, name) not in (False, "off") and find_spec(name) is None
    ]
    if config.workers.backend == "ray" and find_spec("ray") is None:
        found.append(f"workers.backend is ray, but the package ray is not installed; the run will fail ({how_to_install('ray')})")
    cores = available_cores()
    if workers_of(config) > cores:
        found.append(f"n_workers = {config.n_workers} is more than this machine's {cores} cores; it will run alone and no faster")
    return found


def check_preflight(config: RunConfig, home: Path) -> None:
    """Raise :class:`RunError` where a run can't but fail: the disk has no space for it."""
    free = disk_free_mb(home)
    if free < min(estimated_disk_mb(config), MIN_DISK_MB):
        raise RunError(f"{home} has {free:.0f} MB of disk space left; free at least {MIN_DISK_MB:.0f} MB, then start again")


@lru_cache(maxsize=64)
def _n_files(path: str, _mtime_ns: int) -> int:
    return sum(len(names) for _, _, names in os.walk(path))


def n_pictures(config: RunConfig) -> int:
    """At most so many pictures a run holds, variants included; a folder's files are counted, not read."""
    c = config.logos
    if c.path == "builtin":
        n = 4 * c.n_per_category
    else:
        with contextlib.suppress(OSError):
            n = _n_files(c.path, os.stat(c.path).st_mtime_ns) + 4 * c.add_builtin
            return n * (1 + c.variants)
        n = 0
    return n * (1 + c.variants)


def workers_of(config: RunConfig) -> int:
    """Worker processes that a run starts here; on a Ray cluster, the trainer alone takes a core."""
    if config.workers.backend == "ray":
        return 1
    return config.n_workers or available_cores()


def estimated_memory_mb(config: RunConfig) -> float:
    """Memory that a run takes at most, pictures included."""
    picture = config.logos.work_size**2 * 3 * 0.75 / MB  # few logos are square
    return TRAINER_MB + workers_of(config) * WORKER_MB + 2 * n_pictures(config) * picture


def estimated_disk_mb(config: RunConfig) -> float:
    """Disk space that a run takes at most, within its budget."""
    n_evaluations = config.total_timesteps / max(config.evaluation.every_steps, config.rollout_steps) + 1
    svgs = n_evaluations * config.evaluation.max_logos * SVG_MB if config.evaluation.keep_svgs else 0.0
    checkpoints = (config.checkpoint.keep + 3) * CHECKPOINT_MB
    log = config.total_timesteps / config.env.max_steps * EPISODE_MB
    return min(svgs + checkpoints + log, config.checkpoint.disk_budget_mb)


def relative_cost(config: RunConfig) -> float:
    """Of a step, 1 at 256 px traced at 512: about a third goes by the work size, the rest by what VTracer sees."""
    work = config.logos.work_size
    traced = work * max(config.pipeline.trace_size // work, 1)
    return float(0.3 * (work / 256) ** 2 + 0.7 * (traced / 512) ** 2)


def estimated_rate(config: RunConfig, measured: float | None) -> float:
    """Steps per second of a config. ``measured``: this machine's own at a relative cost of 1; None where nothing is known of it."""
    if config.workers.backend == "ray":
        return TYPICAL_RATE * max(config.n_workers, 1) / relative_cost(config)
    return (measured or TYPICAL_RATE * workers_of(config)) / relative_cost(config)


def has_open_end(config: RunConfig) -> bool:
    """Whether a run takes all workers that fit on a Ray cluster, which nobody has counted: it is estimated with one."""
    return config.workers.backend == "ray" and not config.n_workers


def basis_of_estimate(config: RunConfig, measured: float | None) -> str:
    """What the estimated rate stands on, for a person."""
    rate = f"{estimated_rate(config, measured):.0f} steps per second"
    if has_open_end(config):
        return f"at a typical {rate} of one worker; with n on the cluster, an nth of this"
    if config.workers.backend == "ray":
        return f"at a typical {rate} of {config.n_workers:,} worker{'s'[: config.n_workers != 1]} on the cluster"
    return (
        f"at {rate}, as in this machine's last runs" if measured else f"at a typical {rate}; no run on this machine has been measured yet"
    )


def estimated_minutes(config: RunConfig, measured: float | None) -> float:
    """How long a run is going to take."""
    return config.planned_steps() / estimated_rate(config, measured) / 60 + STARTUP_MINUTES
