"""Runs the scheduler without a console: ``python -m core runs serve``."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from core.notifications.notifier import Notifier
from core.reports.reporter import Reporter
from core.runs.run_dir import all_runs
from core.runs.status import run_state
from core.scheduling.queue import waiting
from core.scheduling.scheduler import TICK_S, Scheduler

log = logging.getLogger("tracewright.scheduler")


def serve(home: Path, until_idle: bool = False, is_done: Callable[[], bool] | None = None) -> int:
    """Run the scheduler until a signal, until no run is queued or live, or until ``is_done``, asked each second; returns the number of runs
    it started."""
    signals: list[int] = []
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: signals.append(number))
    scheduler, n_started = Scheduler(home), 0
    reporter = Reporter(home, scheduler.is_acting)
    notifier = Notifier(home, scheduler.is_acting, listener=reporter.note)
    log.info("serving %s; %d runs are queued", home, len(waiting(home)))
    try:
        with reporter, notifier:
            while not signals:
                n_started += len(scheduler.tick())
                if until_idle and not any(run_state(run).status.is_moving for run in all_runs(home)):
                    break
                if is_done is not None and is_done():
                    break
                until = time.monotonic() + TICK_S
                while not signals and time.monotonic() < until:  # a signal handler must not touch a lock that a wait holds
                    time.sleep(0.05)
        if scheduler.is_acting():
            notifier.tick()  # send the notices of the last runs
    finally:
        scheduler.release()
    return n_started
