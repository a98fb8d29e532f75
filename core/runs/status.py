"""A run's status: derived, never stored.

Terminal event > live process with a fresh heartbeat > otherwise INTERRUPTED.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.errors import ConfigError, RunError
from core.paths import program
from core.runs.event_types import EVENT_VERSION, AttemptStarted, Ended, EvaluationEnded, Unknown
from core.runs.events import Event, read_backwards
from core.runs.records import (
    is_copy,
    is_pause_wanted,
    peek_config,
    problems,
    read_heartbeat,
    read_parent,
    read_process,
    read_pruning,
    read_queue_entry,
    read_recovery,
    read_scheduler_state,
    read_stop,
    read_trial,
)
from core.runs.run_dir import RunDir
from core.runs.small_files import QueueEntry, Spawned
from core.statistics import verdict

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
    UNKNOWN = "UNKNOWN"  # what a newer version wrote, or what can't be read

    @classmethod
    def _missing_(cls, value: object) -> Status:
        return cls.UNKNOWN

    @property
    def is_finished(self) -> bool:
        """An attempt ended, one way or another."""
        return not self.is_moving

    @property
    def is_live(self) -> bool:
        """A trainer works on it, or holds."""
        return self in (Status.RUNNING, Status.PAUSED)

    @property
    def is_moving(self) -> bool:
        """Live, or waiting to be."""
        return self.is_live or self is Status.QUEUED

    @property
    def has_died(self) -> bool:
        """It ended without being asked to."""
        return self in (Status.INTERRUPTED, Status.FAILED)

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
        raise RunError(f"{run.run_id} is {state.status.value}; only a RUNNING run's curriculum can be controlled")
    if not peek_config(run).curriculum.enabled:
        raise RunError(f"{run.run_id} trains without a curriculum; there is no stage to control")


def run_state(run: RunDir, now: float | None = None) -> RunState:
    """Derive the state from the log's last event, the processes and the heartbeat. Reads a few kB; never raises."""
    try:
        last = next(read_backwards(run.events_file), None)
        return derive(run, last, time.time() if now is None else now)
    except OSError as error:
        return RunState(Status.UNKNOWN, f"{run.path} can't be read: {error.strerror or error}; check its permissions and disk")


def derive(run: RunDir, last: Event | None, now: float) -> RunState:
    """``last``: the log's last event; an attempt that ended says so there."""
    entry = read_queue_entry(run)  # first: a scheduler writes the process before it takes the queue entry away
    spawned, beat = read_process(run), read_heartbeat(run)
    ended = last.data if last is not None and isinstance(last.data, Ended) else None
    if ended is not None and last is not None and spawned is not None and spawned.ts > last.ts and spawned.process.is_alive():
        ended = None
    if ended is None:
        if beat is not None and beat.process.is_alive():
            status = Status.PAUSED if beat.is_paused else Status.RUNNING
            return RunState(status, _phase(run, beat.phase, beat.ts), is_stalled=abs(now - beat.ts) > FRESH_S)
        if spawned is not None and spawned.process.is_alive():
            return RunState(Status.RUNNING, "starting", is_stalled=abs(now - spawned.ts) > STARTUP_S)
    if entry is not None:
        return RunState(Status.QUEUED, waiting_reason(run, entry, now))
    if ended is not None:
        return _end(ended)
    if last is not None and isinstance(last.data, Unknown) and last.data.version > EVENT_VERSION:
        return RunState(
            Status.UNKNOWN, f"its log ends with an event of a newer version of Tracewright ({last.data.kind!r}); update to continue it"
        )
    if last is None and spawned is None and beat is None:
        return RunState(Status.STOPPED, "not started yet")
    if last is None and spawned is not None and read_stop(run) > spawned.ts:
        return RunState(Status.STOPPED, "stopped before it started")
    if last is None and beat is None and not is_copy(run):
        return RunState(Status.FAILED, "the trainer ended before its first step; see its log")
    if (pruning := read_pruning(run)) is not None:  # its trainer was killed before it could say so
        return RunState(Status.PRUNED, pruning.reason)
    return RunState(Status.INTERRUPTED, _death(run, spawned))


def _end(ended: Ended) -> RunState:
    status = Status(ended.status)
    if status in (Status.UNKNOWN, Status.QUEUED, Status.RUNNING, Status.PAUSED):
        return RunState(
            Status.UNKNOWN,
            f"its log ends with the status {ended.status[:40]!r}, which this version does not know (a newer version?); "
            "update Tracewright, or fork it from a checkpoint",
        )
    return RunState(status, ended.reason)


def _phase(run: RunDir, phase: str, now: float) -> str:
    """What a live trainer is at; a stop or pause that it was asked for and has not come to yet is said too."""
    spawned = read_process(run)
    if spawned is not None and read_stop(run) > spawned.ts:
        return f"stopping; {phase}"
    if is_pause_wanted(run) and phase != "paused":
        return f"pausing; {phase}"
    return phase


def _death(run: RunDir, spawned: Spawned | None) -> str:
    if is_copy(run):
        return "a copy of a run; it has no trainer until it is resumed"
    if spawned is not None and read_stop(run) > spawned.ts:
        return "killed by hand"
    n = read_recovery(run).n_restarts
    again = f"; {n} automatic restarts made no progress" if n and n >= run_limit(run) else ""
    return f"the trainer's process has died{again}"


def run_limit(run: RunDir) -> int:
    """Automatic restarts in a row that a run allows; 0 where they are off or its config is broken."""
    try:
        recovery = peek_config(run).recovery
    except ConfigError:
        return 0
    return recovery.max_restarts if recovery.enabled else 0


def waiting_reason(run: RunDir, entry: QueueEntry, now: float) -> str:
    """Why a queued run waits."""
    if (left := entry.left_s(now)) > 0:
        return f"{entry.cause}, in {left:.0f} s"
    scheduler = read_scheduler_state(run.path.parent)
    if scheduler is None:
        return f"no console or '{program()} runs serve' is running to start it"
    return scheduler.reasons.get(run.run_id, "next in the queue")


def check_checkpoint(run: RunDir, checkpoint: str) -> None:
    """Raise :class:`RunError` where a run has no checkpoint of this name; "" is none asked for."""
    if checkpoint and checkpoint not in run.checkpoint_names():
        raise RunError(f"{run.run_id} has no checkpoint {checkpoint!r}; it has {', '.join(run.checkpoint_names()) or 'none'}")


def check_resumable(run: RunDir) -> None:
    """Raise :class:`RunError` where a run can't be gone on with.

    A log that ends with "ended" is believed even while its process is still closing: the trainer's lock sees to it
    that the next one waits for that.
    """
    last = next(read_backwards(run.events_file), None)
    if last is not None and isinstance(last.data, Ended):
        if last.data.status == Status.COMPLETED:
            raise RunError(f"{run.run_id} is complete: {last.data.reason}; clone it as a new run to train more")
        return
    beat = read_heartbeat(run)
    if beat is not None and beat.process.is_alive():
        raise RunError(f"{run.run_id} is running already")


def _gain_of(record: Ended | EvaluationEnded | AttemptStarted) -> float | None:
    if isinstance(record, AttemptStarted):
        return None
    return record.gain if isinstance(record, EvaluationEnded) or record.best_gain is None else record.best_gain


def _verdict_of(record: Ended | EvaluationEnded | AttemptStarted) -> str:
    if isinstance(record, AttemptStarted):
        return ""
    return record.verdict if isinstance(record, Ended) else verdict(record.over_single, record.over_single_low, record.over_single_high)


def overview(run: RunDir) -> dict[str, Any]:
    """A line of a list of runs, from the end of its log; a run whose config is broken is shown as that rather than
    hiding the rest."""
    state, step, best, told = run_state(run), 0, None, ""
    with suppress(OSError):
        for event in read_backwards(run.events_file):
            step = max(step, event.step)
            if isinstance(event.data, Ended | EvaluationEnded | AttemptStarted):
                best, told = _gain_of(event.data), _verdict_of(event.data)
                break
    total: int | None = None
    planned: int | None = None
    with suppress(ConfigError):
        config, parent = peek_config(run), read_parent(run)
        total, planned = config.total_timesteps, config.planned_steps(parent.step if parent else 0)
    trial = read_trial(run)
    return {
        "run_id": run.run_id,
        "status": state.status.value,
        "reason": state.reason,
        "step": step,
        "total_timesteps": total,
        "planned_steps": planned,
        "best_gain": best,
        "verdict": told,
        "study": trial.study if trial else None,
        "trial": trial.number if trial else None,
        "problems": problems(run),
    }


def check_idle(run: RunDir) -> None:
    """Raise :class:`RunError` where a run is live."""
    if run_state(run).status.is_live:
        raise RunError(f"{run.run_id} is running; stop it first")
