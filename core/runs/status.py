"""A run's status: derived, never stored.

Terminal event > live process with a fresh heartbeat > otherwise INTERRUPTED.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum

from core.runs.events import Event, read_backwards
from core.runs.run_dir import RunDir, RunError

FRESH_S = 30.0
STARTUP_S = 30.0


class Status(StrEnum):
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"
    PRUNED = "PRUNED"

    @property
    def is_finished(self) -> bool:
        return self not in (Status.QUEUED, Status.RUNNING, Status.PAUSED)

    @property
    def can_resume(self) -> bool:
        return self in (Status.STOPPED, Status.FAILED, Status.INTERRUPTED)


@dataclass(frozen=True)
class RunState:
    """Status with its reason; ``is_stalled``: the process lives, its heartbeat is old."""

    status: Status
    reason: str = ""
    is_stalled: bool = False


def check_steerable(run: RunDir) -> None:
    """Raise :class:`RunError` where no trainer would act on a command for the curriculum."""
    state = run_state(run)
    if state.status is not Status.RUNNING:
        raise RunError(f"{run.run_id} is {state.status.value}; only a run that is RUNNING can be steered")
    if not run.read_config().curriculum.enabled:
        raise RunError(f"{run.run_id} trains without a curriculum; there is no stage to steer")


def run_state(run: RunDir, now: float | None = None) -> RunState:
    """Derive the state from the log's last event, the processes and the heartbeat. Reads a few kB."""
    last = next(read_backwards(run.events_file), None)
    return derive(run, last, time.time() if now is None else now)


def derive(run: RunDir, last: Event | None, now: float) -> RunState:
    """``last``: the log's last event; an attempt that ended says so there."""
    spawned, beat = run.read_process(), run.read_heartbeat()
    if last is not None and last.kind == "ended":
        is_newer = spawned is not None and spawned.ts > last.ts and spawned.process.is_alive()
        if not is_newer:
            return RunState(Status(last.data["status"]), str(last.data.get("reason", "")))
    if beat is not None and beat.process.is_alive():
        return RunState(Status.RUNNING, beat.phase, is_stalled=now - beat.ts > FRESH_S)
    if spawned is not None and spawned.process.is_alive():
        return RunState(Status.RUNNING, "starting", is_stalled=now - spawned.ts > STARTUP_S)
    if last is None and spawned is None:
        return RunState(Status.QUEUED, "not started yet")
    if last is None:
        return RunState(Status.FAILED, "the trainer ended before it began; see its log")
    return RunState(Status.INTERRUPTED, "the trainer's process is gone")


def check_resumable(run: RunDir) -> None:
    """Raise :class:`RunError` where a run can't be gone on with.

    A log that ends with "ended" is believed even while its process is still closing: the trainer's lock sees to it
    that the next one waits for that.
    """
    last = next(read_backwards(run.events_file), None)
    if last is not None and last.kind == "ended":
        if last.data["status"] == Status.COMPLETED:
            raise RunError(f"{run.run_id} is complete: {last.data.get('reason', '')}; clone it as a new run to train more")
        return
    beat = run.read_heartbeat()
    if beat is not None and beat.process.is_alive():
        raise RunError(f"{run.run_id} is running already")
