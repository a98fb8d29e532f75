"""Starts, stops, pauses and deletes runs whose trainers are processes on this machine.

A trainer gets its own session and writes to ``train.log``, never to a pipe, so it outlives the browser tab and the server.
Guarantee: a run that already has a live trainer is never started a second time; the trainer's lock ensures it, whoever
tries.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from core.config.config import RunConfig
from core.errors import RunError
from core.machine import Process
from core.paths import PROJECT
from core.runs.events import read_backwards
from core.runs.records import (
    claim,
    delete_run,
    drop_queue_entry,
    is_pause_wanted,
    read_heartbeat,
    read_process,
    read_stop,
    want_pause,
    write_process,
    write_stop,
)
from core.runs.run_dir import RunDir
from core.runs.status import Status, check_checkpoint, check_idle, run_state

GRACE_S = 10.0  # after this, a second stop kills
_start_lock = threading.Lock()


def start(home: Path, config: RunConfig) -> RunDir:
    """Create a new run and spawn its trainer at once, bypassing the queue."""
    run = claim(home, config)
    spawn(run)
    return run


def resume(run: RunDir, checkpoint: str = "") -> None:
    """Resume a run at once, bypassing the queue.

    Raises:
        RunError: the run is live or complete, or has no such checkpoint.
    """
    with _start_lock:
        state = run_state(run)
        if not state.status.can_resume and state.status is not Status.QUEUED:
            raise RunError(f"{run.run_id} is {state.status.value}: only a stopped, failed or interrupted run can be resumed")
        check_checkpoint(run, checkpoint)
        drop_queue_entry(run)
        want_pause(run, False)
        spawn(run, checkpoint)


def spawn(run: RunDir, checkpoint: str = "", cause: str = "") -> None:
    """Start the trainer of a run that has none: from the first step if it never started, else from where it was."""
    last = next(read_backwards(run.events_file), None)
    arguments = ["--run-dir" if last is None else "--resume", str(run.path), "--after-attempt", str(last.attempt if last else 0)]
    if checkpoint:
        arguments += ["--checkpoint", checkpoint]
    if cause:
        arguments += ["--cause", cause]
    command = [sys.executable, "-m", "core", "train", *arguments]
    with run.log_file.open("ab") as log:
        child = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    write_process(run, Process.of(child.pid), after=last.ts if last else 0.0)
    # A zombie looks alive to others, so someone must collect the exit code.
    threading.Thread(target=child.wait, name=f"reaper-{child.pid}", daemon=True).start()


def trainers(run: RunDir) -> set[Process]:
    """The live trainers of a run: one, or two while one is taking over from the other."""
    return {found.process for found in (read_process(run), read_heartbeat(run)) if found and found.process.is_alive()}


def stop(run: RunDir, force: bool = False) -> None:
    """Ask the trainer to save a checkpoint and end; if asked again after a grace period, or with ``force``, kill it.
    Either way, it is not restarted automatically.

    Raises:
        RunError: no trainer is running, or it was asked less than the grace period ago.
    """
    alive = trainers(run)
    if not alive:
        raise RunError(f"{run.run_id} has no running trainer; it is {run_state(run).status.value}")
    left = kill_in_s(run)
    if left and not force:
        raise RunError(f"{run.run_id} was asked to stop and is saving a checkpoint; it can be killed in {left:.0f} s")
    write_stop(run)
    for process in alive:
        process.send(signal.SIGKILL if force or left is not None else signal.SIGTERM)


def recall(run: RunDir) -> None:
    """Have a run that was cancelled just as its trainer was spawned end like one that is stopped."""
    alive = trainers(run)
    if alive:
        write_stop(run)  # later than what was spawned
    for process in alive:
        process.send(signal.SIGTERM)


def kill_in_s(run: RunDir) -> float | None:
    """Seconds until a run that was asked to stop may be killed; None if it was not asked."""
    asked, spawned = read_stop(run), read_process(run)
    begun = [spawned.ts if spawned and spawned.process == process else process.create_time for process in trainers(run)]
    return min(max(asked + GRACE_S - time.time(), 0.0), GRACE_S) if begun and asked > max(begun) else None


def pause(run: RunDir) -> None:
    """Have a trainer pause after its current step. It keeps its memory, and the queue still counts its cores as taken.

    Raises:
        RunError: it is not running.
    """
    state = run_state(run)
    if state.status is not Status.RUNNING:
        raise RunError(f"{run.run_id} is {state.status.value}; only a RUNNING run can be paused")
    want_pause(run, True)


def proceed(run: RunDir) -> None:
    """Have a paused trainer continue.

    Raises:
        RunError: it is not paused.
    """
    if not is_pause_wanted(run):
        raise RunError(f"{run.run_id} is {run_state(run).status.value}, not paused")
    want_pause(run, False)


def delete(run: RunDir) -> None:
    """Delete a run and all its files permanently.

    Raises:
        RunError: it is live.
    """
    check_idle(run)
    delete_run(run)
