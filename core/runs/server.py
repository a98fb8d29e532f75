"""The scheduler without a console: ``python -m core runs serve``."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path

from core.runs.queue import waiting
from core.runs.run_dir import all_runs
from core.runs.scheduler import TICK_S, Scheduler
from core.runs.status import Status, run_state

log = logging.getLogger("tracewright.scheduler")
LIVE = (Status.RUNNING, Status.PAUSED, Status.QUEUED)


def serve(home: Path, until_idle: bool = False) -> int:
    """Run the scheduler until a signal, or until nothing waits or runs; returns how many runs it started."""
    ending = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ending.set())
    scheduler, n_started = Scheduler(home), 0
    log.info("serving %s; %d runs wait", home, len(waiting(home)))
    try:
        while not ending.is_set():
            n_started += len(scheduler.tick())
            if until_idle and not any(run_state(run).status in LIVE for run in all_runs(home)):
                break
            ending.wait(TICK_S)
    finally:
        scheduler.release()
    return n_started
