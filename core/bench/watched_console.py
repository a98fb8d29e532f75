"""The console of a chaos run: its server, which is killed and started again, and who compares what it says with what lives."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil

from core.errors import BenchError
from core.paths import HOME_VARIABLE, PROJECT
from core.runs.status import Status

WRONG_AFTER_S = 15.0  # how long a console may show what is no longer so
UP_S = 60.0  # how long it may take to start


class Server:
    """The console's server on a home; started again whenever it was killed. ``environment``: what is set beside the home; ``up_s``: how long
    it may take to start.

    It leads a process group of its own: Ctrl-C in the terminal reaches whoever watches it alone.
    """

    def __init__(self, home: Path, log: Path, environment: Mapping[str, str] | None = None, up_s: float = UP_S) -> None:
        self._home, self._log, self._up_s = home, log, up_s
        self._environment = {**os.environ, HOME_VARIABLE: str(home), **(environment or {})}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.up_since = 0.0
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(self.port), "--server.headless", "true"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=PROJECT, env=self._environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self._await_up()
        except BaseException:  # it leads a group of its own: nothing else would end it
            self.kill()
            raise
        self.up_since = time.monotonic()

    def _await_up(self) -> None:
        deadline = time.monotonic() + self._up_s
        while self.ask("health") is None:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise BenchError(f"the console did not start:\n{self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)

    def ask(self, what: str) -> dict[str, Any] | None:
        """An answer of its JSON interface; None while it is down."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/{what}", timeout=10) as answer:  # nosec B310
                found: dict[str, Any] = json.load(answer)
                return found
        except (OSError, ValueError, HTTPException):  # the last: it was killed while it answered
            return None

    def kill(self, number: int = signal.SIGKILL) -> bool:
        """Send it a signal, and wait for its end; whether that took at most a minute, after which it is killed."""
        self.up_since = 0.0
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            return False
        return True


class Watcher:
    """Compares what the console says with the trainers that live; enter it to start."""

    def __init__(self, server: Server, home: Path) -> None:
        self._server, self._home = server, home
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self.wrong: list[str] = []
        self.longest_s = 0.0
        self.n_looks = 0

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._thread.is_alive():
            self.wrong.append("what the console shows was not compared to the end: the thread that does it ended")
        self._stop.set()
        self._thread.join(30)

    def _watch(self) -> None:
        since: dict[tuple[str, str], float] = {}
        told: set[tuple[str, str]] = set()
        while not self._stop.wait(0.5):
            up = self._server.up_since
            answer = self._server.ask("runs") if up else None
            if answer is None:
                since.clear()
                continue
            self.n_looks += 1
            alive, now = trainers(self._home), time.monotonic()
            wrong = {(row["run_id"], row["status"]) for row in answer["runs"] if Status(row["status"]).is_live != (row["run_id"] in alive)}
            since = {key: since.get(key, now) for key in wrong}
            for key, begun in since.items():
                lasted = now - max(begun, up)
                self.longest_s = max(self.longest_s, lasted)
                if lasted > WRONG_AFTER_S and key not in told:
                    told.add(key)
                    self.wrong.append(
                        f"{key[0]} shown as {key[1]} for {lasted:.0f} s; its trainer {'lives' if key[0] in alive else 'is gone'}"
                    )


def trainers(home: Path) -> dict[str, psutil.Process]:
    """{run id: its live trainer} by the processes of this machine."""
    found = {}
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        if "train" in line and "-m" in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            for part in line:
                if part.startswith(f"{home}{os.sep}"):
                    found[Path(part).name] = process
    return found


def kill(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.kill()
        process.wait(10)
