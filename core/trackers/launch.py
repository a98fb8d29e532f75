"""The trainer's side of the trackers: one follower process for each that the run's settings ask for.

Guarantee: a training is neither slowed nor ended by one. A follower is a process of its own, of lowest priority, that only reads the log;
where it can't be started, or fails, that is said once as a warning in the log, and the training goes on.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from core.config.config import RunConfig
from core.files import open_file
from core.paths import PROJECT, program
from core.runs.event_types import WarningGiven
from core.runs.events import EventWriter
from core.runs.run_dir import RunDir
from core.trackers.targets import TRACKERS, Target, wanted

log = logging.getLogger("tracewright")
LOOK_S = 5.0
LOG_TAIL_BYTES = 65_536
_ERROR = "error: "


class Followers:
    """The followers of one attempt."""

    def __init__(self, run: RunDir, config: RunConfig, events: EventWriter) -> None:
        self._run, self._config, self._events = run, config, events
        self.processes: dict[str, subprocess.Popen[bytes]] = {}  # by tracker, those that are watched
        self._looked = 0.0  # monotonic seconds

    def start(self, step: int) -> None:
        """Start a follower for each tracker that is asked for; they end by themselves when the run does."""
        for name, target in wanted(self._run, self._config).items():
            try:
                self.processes[name] = self._spawn(name, target)
            except OSError as error:
                self._say(step, name, f"its follower can't be started: {error.strerror or error}")

    def look(self, step: int, is_last: bool = False) -> None:
        """Say of each follower that has failed why, once; looks every five seconds at most, and once more in the end."""
        now = time.monotonic()
        if not self.processes or (now - self._looked < LOOK_S and not is_last):
            return
        self._looked = now
        for name, process in list(self.processes.items()):
            code = process.poll()
            if code is None:
                continue
            del self.processes[name]
            if code != 0:
                self._say(step, name, self._reason(name, code))

    def _reason(self, name: str, code: int) -> str:
        """What the follower said last, or its exit code."""
        said: list[str] = []
        with suppress(OSError), open_file(self._log_file(name)) as file:
            file.seek(max(os.fstat(file.fileno()).st_size - LOG_TAIL_BYTES, 0))
            said = file.read(LOG_TAIL_BYTES).decode(errors="replace").splitlines()
        errors = [line.removeprefix(_ERROR) for line in said if line.startswith(_ERROR)]
        return errors[-1] if errors else f"its follower ended with exit code {code}; see {self._log_file(name)}"

    def _say(self, step: int, name: str, problem: str) -> None:
        text = (
            f"{TRACKERS[name].label} receives no more data from this run: {problem}. Training continues; "
            f"{program()} export {self._run.run_id} --format {name} sends it later"
        )
        log.warning("%s", text)
        self._events.write(step, WarningGiven(text))

    def _log_file(self, name: str) -> Path:
        return self._run.trackers / f"{name}.log"

    def _spawn(self, name: str, target: Target) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "core", "export", str(self._run.path.resolve()), "--format", name, "--follow"]
        command += ["--out", str(target.folder.resolve()), "--project", target.project, *(["--online"] if target.is_online else [])]
        self._run.trackers.mkdir(exist_ok=True)
        with self._log_file(name).open("wb") as output:
            return subprocess.Popen(
                ["nice", "-n", "19", *command] if sys.platform != "win32" else command,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
