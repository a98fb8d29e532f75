"""What a trainer's process shows and hears: its heartbeat, and the signals that ask it to stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from core.runs.run_dir import Process, RunDir

log = logging.getLogger("tracewright")
HEARTBEAT_S = 2.0


class Heartbeat:
    """Writes the trainer's pulse every two seconds from a thread of its own."""

    def __init__(self, run: RunDir) -> None:
        self._run, self._process = run, Process.of(os.getpid())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self.step, self.phase = 0, "starting"

    def __enter__(self) -> Heartbeat:
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            self._write()

    def _write(self) -> None:
        try:
            self._run.write_heartbeat(self.step, self.phase, self._process)
        except OSError as error:  # a full disk: the run goes on, the next beat tries again
            log.warning("heartbeat not written: %s", error)


class StopFlag:
    """Set by SIGTERM or Ctrl-C; a second signal ends the process at once."""

    def __init__(self) -> None:
        self.reason = ""

    def __bool__(self) -> bool:
        return bool(self.reason)

    @contextmanager
    def listening(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT)}
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
