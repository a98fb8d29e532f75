"""The queue: which runs wait to be started, and in which order.

A run waits while a ticket lies in its folder, so the queue survives whatever is killed and needs no process of its own;
core/scheduling/scheduler.py starts what it says.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

from core.config.config import RunConfig
from core.config.text import changed
from core.errors import RunError
from core.runs.records import (
    Parent,
    QueueEntry,
    claim,
    drop_queue_entry,
    read_config,
    read_label,
    read_queue_entry,
    want_pause,
    write_parent,
    write_queue_entry,
    write_stop,
)
from core.runs.run_dir import PARENT_CHECKPOINT, RunDir, all_runs
from core.runs.status import run_state

_GAP = 0.001
RESTART_PRIORITY = 1_000_000  # a run that died goes on before new ones begin
Place = Literal["first", "last", "up", "down"]


def waiting(home: Path) -> list[tuple[RunDir, QueueEntry]]:
    """The queue, the next run first."""
    found = [(run, ticket) for run in all_runs(home) if (ticket := read_queue_entry(run)) is not None]
    return sorted(found, key=lambda pair: (pair[1].rank, pair[0].run_id))


def submit(home: Path, config: RunConfig, priority: int = 0) -> RunDir:
    """Make a new run and put it at the end of the queue."""
    run = claim(home, config)
    write_queue_entry(run, QueueEntry(_end(home), priority))
    return run


def _end(home: Path) -> float:
    """An order behind all that wait."""
    return max([time.time(), *(ticket.order + _GAP for _, ticket in waiting(home) if ticket.priority < RESTART_PRIORITY)])


def resume(run: RunDir, checkpoint: str = "", priority: int = 0) -> None:
    """Put a run at the end of the queue to go on, from its last checkpoint or the one named.

    Raises:
        RunError: it is live, waiting or complete, or has no such checkpoint.
    """
    state = run_state(run)
    if not state.status.can_resume:
        raise RunError(f"{run.run_id} is {state.status.value}: only a stopped, failed or interrupted run can be resumed")
    if checkpoint and checkpoint not in run.checkpoint_names():
        raise RunError(f"{run.run_id} has no checkpoint {checkpoint!r}; it has {', '.join(run.checkpoint_names()) or 'none'}")
    want_pause(run, False)
    write_queue_entry(run, QueueEntry(_end(run.path.parent), priority, checkpoint))


def cancel(run: RunDir) -> None:
    """Take a run out of the queue; what it has done stays.

    Raises:
        RunError: it does not wait.
    """
    if not drop_queue_entry(run):
        raise RunError(f"{run.run_id} is not in the queue; it is {run_state(run).status.value}")
    write_stop(run)  # a restart that was cancelled must not be wished for again


def move(run: RunDir, place: Place) -> None:
    """Change a run's place in the queue. First and last hold over all priorities.

    Raises:
        RunError: it does not wait.
    """
    queue = waiting(run.path.parent)
    at = next((i for i, (other, _) in enumerate(queue) if other.run_id == run.run_id), None)
    if at is None:
        raise RunError(f"{run.run_id} is not in the queue; it is {run_state(run).status.value}")
    rest = [pair for i, pair in enumerate(queue) if i != at]
    to = {"first": 0, "last": len(rest), "up": max(at - 1, 0), "down": min(at + 1, len(rest))}[place]
    before, after = rest[to - 1][1] if to > 0 else None, rest[to][1] if to < len(rest) else None
    ticket = queue[at][1]
    if after is None:
        moved = replace(ticket, priority=before.priority, order=before.order + _GAP) if before else ticket
    elif before is None or before.priority != after.priority:
        moved = replace(ticket, priority=after.priority, order=after.order - _GAP)
    else:
        moved = replace(ticket, priority=after.priority, order=(before.order + after.order) / 2)
    write_queue_entry(run, moved)


def prioritise(run: RunDir, priority: int) -> None:
    """Give a waiting run another priority; the highest come first.

    Raises:
        RunError: it does not wait.
    """
    ticket = read_queue_entry(run)
    if ticket is None:
        raise RunError(f"{run.run_id} is not in the queue; it is {run_state(run).status.value}")
    write_queue_entry(run, replace(ticket, priority=priority))


def fork(home: Path, parent: RunDir, checkpoint: str, config: RunConfig, is_queued: bool = True) -> RunDir:
    """Make a new run that goes on from another's checkpoint under changed settings; the parent stays as it is.

    Raises:
        RunError: there is no such checkpoint, or the new run's steps are done already.
    """
    folder = parent.checkpoints / checkpoint
    if checkpoint not in parent.checkpoint_names():
        raise RunError(f"{parent.run_id} has no checkpoint {checkpoint!r}; it has {', '.join(parent.checkpoint_names()) or 'none'}")
    step = checkpoint_step(folder)
    if config.total_timesteps <= step:
        raise RunError(f"total_timesteps = {config.total_timesteps} ends before step {step} of {checkpoint}; take more than {step}")
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
    """A parent's config as a fork begins with it, with changed settings: as many steps beyond the checkpoint as are left, or as the
    run had. A ``total_timesteps`` among the settings stands as it is.

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
