"""A real server (``streamlit run``) on a folder of runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.runs.records import drop_queue_entry
from core.runs.run_dir import all_runs
from core.runs.status import Status, run_state
from core.scheduling import local
from pages.server import service
from tests.support.paths import ROOT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One ``streamlit run`` on a folder of runs."""

    def __init__(self, home: Path, output: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.output = output
        environment = os.environ | {"TRACEWRIGHT_HOME": str(home)}
        command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port)]
        with output.open("ab") as file:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)
        self._await_up()

    def _await_up(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.health()
                return
            except OSError:
                assert self.process.poll() is None, self.output.read_text()
                assert time.monotonic() < deadline, self.output.read_text()
                time.sleep(0.1)

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/api/health", timeout=5) as answer:
            assert answer.headers["content-security-policy"] == service.CONTENT_SECURITY_POLICY
            found: dict[str, Any] = json.load(answer)
            return found

    def await_read(self, n_bytes: int) -> None:
        deadline = time.monotonic() + 30
        while self.health()["read_bytes"] < n_bytes:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def end(self, number: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)


@contextmanager
def serving(home: Path, tmp_path: Path) -> Iterator[Server]:
    server = Server(home, tmp_path / "server.log")
    try:
        yield server
    finally:
        server.end()
        for run in all_runs(home):
            drop_queue_entry(run)
            if run_state(run).status in (Status.RUNNING, Status.PAUSED):
                local.stop(run, force=True)
                while run_state(run).status is Status.RUNNING:
                    time.sleep(0.05)
