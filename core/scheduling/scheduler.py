"""Starts queued runs, as many at a time as cores and memory allow, and restarts those that died.

It runs in the console, or headless as ``python -m core runs serve``. If several share a home, only one is active: it holds
a lock that the system releases when it ends, and then another takes over. All its state is in the runs' folders, so it may
be killed at any moment. Guarantees: runs start in the order of the queue, and none overtakes one that does not fit yet;
the workers of all live runs never exceed the cores; a run is never started twice.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from filelock import FileLock

from core.config.config import RunConfig
from core.config.installation import Settings, read_settings
from core.errors import ConfigError
from core.files import NO_ROOM
from core.locks import take
from core.machine import Process, available_cores, disk_free_mb, memory_mb, tree_memory_mb
from core.runs.event_types import Ended
from core.runs.events import read_backwards
from core.runs.records import (
    drop_queue_entry,
    is_ours,
    moment,
    peek_config,
    read_heartbeat,
    read_process,
    read_queue_entry,
    read_recovery,
    read_stop,
    write_queue_entry,
    write_recovery,
    write_scheduler_state,
)
from core.runs.requirements import MIN_DISK_MB, estimated_disk_mb, estimated_memory_mb, workers_of
from core.runs.rounds import Rounds
from core.runs.run_dir import RunDir
from core.runs.small_files import QueueEntry, Recovery, SchedulerState
from core.runs.status import Status, run_state
from core.scheduling import local
from core.scheduling.queue import RESTART_PRIORITY, in_order

log = logging.getLogger("tracewright.scheduler")
TICK_S = 1.0
LOCK_FILE = "scheduler.lock"
RECOVER_WITHIN_S = 86_400.0  # if a run died longer ago, its owner decides
RETRIED = ("WorkerError", "ClusterError", "OSError", "MemoryError", "RuntimeError")  # errors after which a restart may succeed
Launch = Callable[[RunDir, str, str], None]


class Scheduler:
    """A context manager that runs the scheduler thread. ``launch``: starts a trainer, given (run, checkpoint, cause)."""

    def __init__(self, home: Path, launch: Launch = local.spawn) -> None:
        self.home, self._launch = home, launch
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="scheduler", daemon=True)
        self._lock: FileLock | None = None
        self._reasons: dict[str, str] | None = None
        self._rounds = Rounds(home)
        self._is_woken = True
        self._heartbeats: dict[str, tuple[float, float]] = {}  # of live runs: the last heartbeat, and when it was first seen
        self.error = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join(30)
        self.release()

    def wake(self) -> None:
        """Check the queue now rather than within a second."""
        self._is_woken = True
        self._wake.set()

    def release(self) -> None:
        """Release the lock, so that another scheduler can become active."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _work(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                self.tick()
                self.error = ""
            except Exception as error:  # one odd run must not end the thread; the next tick tries again
                self.error = str(error)
                log.exception("the scheduler failed; retrying in %g s", TICK_S)
            self._wake.wait(TICK_S)

    def is_acting(self) -> bool:
        """Whether this scheduler holds the lock."""
        return self._lock is not None

    def acts(self) -> bool:
        """Whether this is the active scheduler; takes the lock if it is free."""
        if self._lock is None:
            self.home.mkdir(parents=True, exist_ok=True)
            self._lock = take(self.home / LOCK_FILE)
            self._reasons = None
        return self._lock is not None

    def tick(self) -> list[str]:
        """Look at all runs that may need it: restart those that died, start those that fit. Returns the ids of the started runs."""
        if not self.acts():
            return []
        live: list[RunDir] = []
        queued: list[RunDir] = []
        is_woken, self._is_woken = self._is_woken, False
        for run in self._rounds.due(looks_at_all=is_woken):
            try:
                status = self._look_after(run)
            except OSError as error:  # of one run, which must not hold the others
                log.warning("%s can't be supervised: %s", run.run_id, error)
                continue
            if status.is_live:
                live.append(run)
            if read_queue_entry(run) is not None:
                queued.append(run)
            elif status.is_finished:
                self._rounds.done_with(run.run_id)
        return self._admit(live, queued)

    def _look_after(self, run: RunDir) -> Status:
        """Kill what hangs, queue again what died. Returns the status that it was found in."""
        status = run_state(run).status
        if status.is_live:
            self._watch(run)
        elif status.has_died:
            self._recover(run, status)
        return status

    def _watch(self, run: RunDir) -> None:
        """Kill a trainer whose heartbeat has stopped. Time during which the machine slept does not count."""
        beat, now = read_heartbeat(run), time.monotonic()
        if beat is None or not beat.process.is_alive():
            return
        last, since = self._heartbeats.get(run.run_id, (0.0, now))
        self._heartbeats[run.run_id] = (beat.ts, now if beat.ts != last else since)
        config = _config(run)
        if config is None or not config.recovery.enabled or beat.ts != last or now - since < config.recovery.stalled_s:
            return
        if disk_free_mb(self.home) < 1.0:
            return  # it can't write its heartbeat, and waits for disk space by itself
        log.warning("%s has had no heartbeat for %.0f s; killing it", run.run_id, now - since)
        beat.process.send(signal.SIGKILL)
        self._heartbeats.pop(run.run_id, None)

    def _recover(self, run: RunDir, status: Status) -> None:
        """Put a run that died back into the queue, unless that was tried too often, its owner stopped it, or it is not of this machine."""
        config = _config(run)
        if config is None or not config.recovery.enabled or not is_ours(run):
            return
        last = next(read_backwards(run.events_file), None)
        spawned, beat = read_process(run), read_heartbeat(run)
        if last is None and (run.checkpoint_names() or (beat is not None and beat.step > 0)):
            return  # its log is gone, and what it would do again may have been done: its owner decides
        seen = max((found.ts for found in (spawned, beat, last) if found is not None), default=0.0)
        if read_stop(run) > (spawned.ts if spawned else 0.0) or time.time() - seen > RECOVER_WITHIN_S:
            return
        reason = "the trainer died"
        if status is Status.FAILED:
            if last is None or not isinstance(last.data, Ended) or last.data.error not in RETRIED:
                return
            reason = f"it failed: {last.data.reason}"
        step, before = beat.step if beat else 0, read_recovery(run)
        n = before.n_restarts + 1 if step <= before.step else 1
        if n > config.recovery.max_restarts:
            return
        pause = config.recovery.backoff_s * 2 ** (n - 1)
        cause = f"automatic restart {n} of {config.recovery.max_restarts} ({reason[:200]})"
        write_recovery(run, Recovery(n, step))
        made = moment(run)
        write_queue_entry(run, QueueEntry(made, RESTART_PRIORITY, not_before=made + pause, cause=cause, made=made))
        log.warning("%s at step %d: %s in %.0f s", run.run_id, step, cause, pause)

    def _admit(self, live: list[RunDir], queued: list[RunDir]) -> list[str]:
        """Start runs from the head of the queue as long as the next one fits; record why the others wait."""
        started: list[str] = []
        reasons: dict[str, str] = {}
        ahead = ""
        settings = self._settings()
        for run, entry in in_order(queued):
            if local.trainers(run):
                spawned = read_process(run)
                if spawned is not None and spawned.ts > entry.made:
                    drop_queue_entry(run)  # whoever started it was killed before doing this
                else:
                    reasons[run.run_id] = "waiting for its previous attempt to end"  # this does not block the others
                continue
            if entry.left_s(time.time()) > 0:
                continue  # it does not block the others
            why = f"waiting behind {ahead}" if ahead else self._obstacle(run, live, settings)
            if why:
                reasons[run.run_id] = why
                ahead = ahead or run.run_id
                continue
            if read_queue_entry(run) is None:
                continue  # it was cancelled since the list was read
            try:
                self._launch(run, entry.checkpoint, entry.cause)
            except OSError as error:
                reasons[run.run_id], ahead = f"could not be started and will be retried: {error}", run.run_id
                continue
            if not drop_queue_entry(run) and read_stop(run) > entry.made:
                local.recall(run)  # it was cancelled meanwhile
            live.append(run)
            started.append(run.run_id)
            log.info("started %s%s", run.run_id, f": {entry.cause}" if entry.cause else "")
        if reasons != self._reasons:
            try:
                write_scheduler_state(self.home, SchedulerState(Process.of(os.getpid()), reasons))
            except OSError as error:  # the queue goes on without saying why runs wait; on a full disk it says so once there is space
                if error.errno in NO_ROOM:
                    return started
                log.warning("the reasons why runs are queued can't be saved: %s", error)
            self._reasons = reasons
        return started

    def _settings(self) -> Settings:
        try:
            return read_settings(self.home)
        except ConfigError as error:
            self.error = str(error)
            return Settings()

    def _obstacle(self, run: RunDir, live: list[RunDir], settings: Settings) -> str:
        """Why a run can't be started now; "" if it can."""
        try:
            config = peek_config(run)
        except ConfigError as error:
            return f"its config is not valid: {str(error).splitlines()[0]}"
        cores = settings.queue.cores or available_cores()
        taken = sum(workers_of(c) for other in live if (c := _config(other)) is not None)
        wanted = workers_of(config)
        if live and taken + wanted > cores:
            names = ", ".join(other.run_id for other in live[:3])
            return f"waiting for {wanted} free core{'s' if wanted > 1 else ''}: {taken} of {cores} are used by {names}"
        _, available = memory_mb()
        # The live runs will still grow to their estimated size.
        growth = sum(max(estimated_memory_mb(c) - _used_mb(other), 0.0) for other in live if (c := _config(other)) is not None)
        needed = estimated_memory_mb(config) + settings.queue.reserve_mb
        if live and needed > available - growth:
            return f"waiting for memory: needs about {needed:.0f} MB, {max(available - growth, 0):.0f} MB are free"
        free = disk_free_mb(self.home)
        if free < min(estimated_disk_mb(config), MIN_DISK_MB):
            return f"waiting for disk space: {free:.0f} MB are free"
        return ""


def _config(run: RunDir) -> RunConfig | None:
    try:
        return peek_config(run)
    except ConfigError:
        return None


def _used_mb(run: RunDir) -> float:
    return sum(tree_memory_mb(process.pid) for process in local.trainers(run))
