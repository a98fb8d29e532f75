"""A trainer's contact with the outside: its heartbeat, and the signals that ask it to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from core.machine import Process
from core.runs.records import write_heartbeat
from core.runs.run_dir import RunDir
from core.runs.small_files import Heartbeat

log = logging.getLogger("tracewright")
HEARTBEAT_S = 2.0


class StopFlag:
    """Set by SIGTERM, Ctrl-C or a terminal that closes; a second signal ends the process at once."""

    def __init__(self) -> None:
        self.reason = ""

    def wait(self, seconds: float) -> bool:
        """Sleep in short naps until a signal comes (its handler must not touch a lock that a wait holds); returns
        whether to stop."""
        until = time.monotonic() + seconds
        while not self.reason and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        return bool(self.reason)

    def __bool__(self) -> bool:
        return bool(self.reason)

    @contextmanager
    def listening(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: object) -> None:
        if self.reason:
            os._exit(130)
        self.reason = f"asked to stop ({signal.Signals(number).name})"
        log.info("stopping: %s", self.reason)


class HeartbeatWriter:
    """Writes the trainer's heartbeat every two seconds from a thread of its own; stops a run whose config was deleted."""

    def __init__(self, run: RunDir, stop: StopFlag | None = None) -> None:
        self._run, self._process, self._stop_flag = run, Process.of(os.getpid()), stop
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.step, self.phase, self.is_paused = 0, "starting", False
        self.nodes: dict[str, int] = {}  # workers by node of a cluster

    def __enter__(self) -> HeartbeatWriter:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _beat(self) -> None:
        n_missing = 0
        while not self._stop.wait(HEARTBEAT_S):
            self._write()
            n_missing = 0 if self._run.exists() else n_missing + 1
            if n_missing == 2 and self._stop_flag is not None:  # twice: an editor may take a file away before it puts the new one there
                self._stop_flag.reason = f"{self._run.config_file} no longer exists: the run was deleted or moved"
                log.warning("stopping: %s", self._stop_flag.reason)

    @contextmanager
    def busy_with(self, phase: str, is_paused: bool = False) -> Iterator[None]:
        """Show ``phase`` at once, and afterwards what was shown before."""
        before = self.phase
        self.phase, self.is_paused = phase, is_paused
        self._write()
        try:
            yield
        finally:
            self.phase, self.is_paused = before, False
            self._write()

    def _write(self) -> None:
        try:
            write_heartbeat(self._run, Heartbeat(self._process, time.time(), self.step, self.phase, self.is_paused, nodes=self.nodes))
        except OSError as error:  # the run goes on, the next beat tries again
            log.warning("heartbeat not written: %s", error)
