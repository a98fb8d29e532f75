"""The queue: the runs that are waiting to start, and their order.

A run is queued while its folder holds a queue entry, so the queue survives any kill and needs no process of its own;
core/scheduling/scheduler.py starts the runs.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from core.config.config import RunConfig
from core.config.text import changed
from core.errors import RunError
from core.runs.records import (
    claim,
    drop_queue_entry,
    moment,
    read_config,
    read_label,
    read_queue_entry,
    want_pause,
    write_parent,
    write_queue_entry,
    write_stop,
)
from core.runs.run_dir import PARENT_CHECKPOINT, RunDir, all_runs
from core.runs.small_files import Parent, QueueEntry
from core.runs.status import check_checkpoint, run_state
from core.scheduling import local

_GAP = 0.001
RESTART_PRIORITY = 1_000_000  # a run that died is resumed before new ones start
Place = Literal["first", "last", "up", "down"]


def waiting(home: Path) -> list[tuple[RunDir, QueueEntry]]:
    """The queue, the next run first."""
    return in_order(all_runs(home))


def in_order(runs: Iterable[RunDir]) -> list[tuple[RunDir, QueueEntry]]:
    """Those of some runs that wait, the next one first."""
    found = [(run, entry) for run in runs if (entry := read_queue_entry(run)) is not None]
    return sorted(found, key=lambda pair: (pair[1].rank, pair[0].run_id))


def submit(home: Path, config: RunConfig, priority: int = 0) -> RunDir:
    """Create a new run at the end of the queue."""
    run = claim(home, config)
    write_queue_entry(run, QueueEntry(_end(home), priority))
    return run


def _end(home: Path) -> float:
    """An order value behind all queued runs."""
    return max([time.time(), *(entry.order + _GAP for _, entry in waiting(home) if entry.priority < RESTART_PRIORITY)])


def resume(run: RunDir, checkpoint: str = "", priority: int = 0) -> None:
    """Queue a run, at the end, to resume from its last checkpoint or from the one named.

    Raises:
        RunError: it is live, queued or complete, or has no such checkpoint.
    """
    state = run_state(run)
    if not state.status.can_resume:
        raise RunError(f"{run.run_id} is {state.status.value}: only a stopped, failed or interrupted run can be resumed")
    check_checkpoint(run, checkpoint)
    want_pause(run, False)
    write_queue_entry(run, QueueEntry(_end(run.path.parent), priority, checkpoint, made=moment(run)))


def cancel(run: RunDir) -> None:
    """Remove a run from the queue; its results so far are kept.

    Raises:
        RunError: it is not in the queue.
    """
    if not drop_queue_entry(run):
        raise RunError(f"{run.run_id} is not in the queue; it is {run_state(run).status.value}")
    write_stop(run)  # a cancelled restart must not be queued again
    local.recall(run)  # where a scheduler was at it just now


def move(run: RunDir, place: Place) -> None:
    """Move a run in the queue. "first" and "last" apply regardless of priority.

    Raises:
        RunError: it is not in the queue.
    """
    queue = waiting(run.path.parent)
    at = next((i for i, (other, _) in enumerate(queue) if other.run_id == run.run_id), None)
    if at is None:
        raise RunError(f"{run.run_id} is not in the queue; it is {run_state(run).status.value}")
    rest = [pair for i, pair in enumerate(queue) if i != at]
    to = {"first": 0, "last": len(rest), "up": max(at - 1, 0), "down": min(at + 1, len(rest))}[place]
    before, after = rest[to - 1][1] if to > 0 else None, rest[to][1] if to < len(rest) else None
    entry = queue[at][1]
    if after is None:
        moved = replace(entry, priority=before.priority, order=before.order + _GAP) if before else entry
    elif before is None or before.priority != after.priority:
        moved = replace(entry, priority=after.priority, order=after.order - _GAP)
    else:
        moved = replace(entry, priority=after.priority, order=(before.order + after.order) / 2)
    write_queue_entry(run, moved)


def prioritise(run: RunDir, priority: int) -> None:
    """Change a queued run's priority; higher priorities start first.

    Raises:
        RunError: it is not in the queue.
    """
    entry = read_queue_entry(run)
    if entry is None:
        raise RunError(f"{run.run_id} is not in the queue; it is {run_state(run).status.value}")
    write_queue_entry(run, replace(entry, priority=priority))


def fork(home: Path, parent: RunDir, checkpoint: str, config: RunConfig, is_queued: bool = True) -> RunDir:
    """Create a run that continues from another's checkpoint with changed settings; the parent is not changed.

    Raises:
        RunError: there is no such checkpoint, or the new run would already be complete.
    """
    folder = parent.checkpoints / checkpoint
    if checkpoint not in parent.checkpoint_names():
        raise RunError(f"{parent.run_id} has no checkpoint {checkpoint!r}; it has {', '.join(parent.checkpoint_names()) or 'none'}")
    step = checkpoint_step(folder)
    if config.total_timesteps <= step:
        raise RunError(
            f"total_timesteps = {config.total_timesteps} does not exceed step {step} of checkpoint {checkpoint}; it must be more than {step}"
        )
    run = claim(home, config)
    try:
        shutil.copytree(folder, run.checkpoints / PARENT_CHECKPOINT)
        write_parent(run, Parent(parent.run_id, checkpoint, step))
        if is_queued:
            write_queue_entry(run, QueueEntry(_end(home)))
    except OSError:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def checkpoint_step(folder: Path) -> int:
    """The step at which a checkpoint was written.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        return int(json.loads((folder / "state.json").read_text(encoding="utf-8"))["step"])
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{folder} can't be read as a checkpoint: {error}") from error


def fork_config(parent: RunDir, checkpoint: str, settings: list[str] | None = None) -> RunConfig:
    """The config that a fork of ``parent`` starts with, with changed settings. If no steps are left after the checkpoint, it gets as
    many again as the parent had. A ``total_timesteps`` among the settings is used as it is.

    Raises:
        RunError: the checkpoint is missing or damaged.
        ConfigError: a setting is not valid.
    """
    config = read_config(parent)
    step = checkpoint_step(parent.checkpoints / checkpoint)
    if config.total_timesteps <= step:
        config.total_timesteps += step
    name = read_label(parent).get("name") or config.name or parent.run_id
    config.name = f"{name} (fork)"[:80]
    return changed(config, settings or [])
