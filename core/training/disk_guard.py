"""What a trainer does while the disk is full: it waits for free space, and says so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from core.files import NO_ROOM, write_aside
from core.runs.run_dir import RunDir
from core.training.heartbeat import HeartbeatWriter, StopFlag

log = logging.getLogger("tracewright")
T = TypeVar("T")
RETRY_S = 1.0


class DiskGuard:
    """Waits for free space while the disk is full, and says so; a request to stop ends the wait with the error."""

    def __init__(self, run: RunDir, heartbeat: HeartbeatWriter, stop: StopFlag) -> None:
        self._run, self._heartbeat, self._stop = run, heartbeat, stop

    def wait(self, error: OSError) -> None:
        """Return when it is time to try again.

        Raises:
            OSError: ``error``, where it is not about disk space, or the run is to stop.
        """
        if error.errno not in NO_ROOM or self._stop:
            raise error
        log.warning("the disk is full (%s); waiting for free space", error.filename or "event log")
        with self._heartbeat.busy_with("waiting for disk space"):
            if self._stop.wait(RETRY_S):
                raise error

    def keep(self, act: Callable[[], T]) -> T:
        """Do ``act``, and repeat it while the disk is full."""
        while True:
            try:
                return act()
            except OSError as error:
                self.wait(error)

    def write(self, path: Path, data: bytes) -> None:
        """Write one of the run's files as a whole."""
        self.keep(lambda: write_aside(path, data, within=self._run.path))
