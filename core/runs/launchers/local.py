"""Starts, stops and resumes trainers as processes of their own on this machine.

A trainer gets a session of its own and writes to ``train.log``, never to a pipe: it outlives the browser tab and the
server. Guarantee: a run that already has a live trainer is not started a second time by this module.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from core.runs.config import RunConfig
from core.runs.run_dir import Process, RunDir, RunError, claim
from core.runs.status import Status, run_state

PROJECT = Path(__file__).resolve().parents[3]
_start_lock = threading.Lock()


def start(home: Path, config: RunConfig) -> RunDir:
    """Claim a new run and spawn its trainer."""
    run = claim(home, config)
    _spawn(run, ["--run-dir", str(run.path)])
    return run


def resume(run: RunDir) -> None:
    """Spawn a trainer that goes on from the last checkpoint.

    Raises:
        RunError: the run is live or complete.
    """
    with _start_lock:
        state = run_state(run)
        if not state.status.can_resume and state.status is not Status.QUEUED:
            raise RunError(f"{run.run_id} is {state.status}: only a stopped, failed or interrupted run can be resumed")
        _spawn(run, ["--resume", str(run.path)])


def stop(run: RunDir, force: bool = False) -> None:
    """Ask the trainer to write a checkpoint and end; ``force`` kills it.

    Raises:
        RunError: no trainer is running.
    """
    alive = {found.process for found in (run.read_process(), run.read_heartbeat()) if found and found.process.is_alive()}
    if not alive:
        raise RunError(f"{run.run_id} has no running trainer; it is {run_state(run).status}")
    for process in alive:
        os.kill(process.pid, signal.SIGKILL if force else signal.SIGTERM)


def delete(run: RunDir) -> None:
    """Remove a run and all its files.

    Raises:
        RunError: it is live.
    """
    if run_state(run).status in (Status.RUNNING, Status.PAUSED):
        raise RunError(f"{run.run_id} is running; stop it first")
    run.delete()


def _spawn(run: RunDir, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "core", "train", *arguments]
    with run.log_file.open("ab") as log:
        child = subprocess.Popen(
            command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    run.write_process(Process.of(child.pid))
    # A zombie looks alive to whoever asks: someone must take the exit code.
    threading.Thread(target=child.wait, name=f"reaper-{child.pid}", daemon=True).start()
