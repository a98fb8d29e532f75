"""What speaks against starting a run on this machine, before it is started."""

from __future__ import annotations

from pathlib import Path

from core.runs.config import RunConfig
from core.runs.resources import available_cores, disk_free_mb, estimated_disk_mb, estimated_memory_mb, memory_mb, workers_of
from core.runs.run_dir import RunError

MIN_DISK_MB = 50.0  # with less nothing is started


def preflight(config: RunConfig, home: Path) -> list[str]:
    """What speaks against starting a run on this machine, a line each; empty where nothing does."""
    found = []
    total, available = memory_mb()
    memory, disk, free = estimated_memory_mb(config), estimated_disk_mb(config), disk_free_mb(home)
    if memory > total:
        found.append(f"it may need {memory:.0f} MB of memory, this machine has {total:.0f} MB; take fewer workers, logos or variants")
    elif memory > available:
        found.append(f"it may need {memory:.0f} MB of memory, {available:.0f} MB are free now")
    if disk > free:
        found.append(
            f"it may need {disk:.0f} MB of disk space in {home}, {free:.0f} MB are free; lower checkpoint.disk_budget_mb or free some"
        )
    cores = available_cores()
    if workers_of(config) > cores:
        found.append(f"n_workers = {config.n_workers} is more than this machine's {cores} cores; it will run alone, and no faster")
    return found


def check_preflight(config: RunConfig, home: Path) -> None:
    """Raise :class:`RunError` where a run can't but fail: there is no room for it on the disk."""
    free = disk_free_mb(home)
    if free < min(estimated_disk_mb(config), MIN_DISK_MB):
        raise RunError(f"{home} has {free:.0f} MB of disk space left; free at least {MIN_DISK_MB:.0f} MB, then start again")
