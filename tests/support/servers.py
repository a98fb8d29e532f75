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
from collections.abc import Iterator, Mapping
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


WATCHED = Path(__file__).parent / "watched"


class Server:
    """One ``streamlit run`` on a folder of runs. ``flags``: of Streamlit; ``environment``: what is set beside the home; ``base``: its
    base path.

    ``is_open``: whether it answers whoever asks; else people sign in. ``addresses``: what the server and its children asked for or spoke to, as (event, address) in Python's terms.
    """

    def __init__(
        self, home: Path, output: Path, *flags: str, environment: Mapping[str, str] | None = None, host: str = "127.0.0.1", base: str = "",
        is_open: bool = True,
    ) -> None:  # fmt: skip
        self.url = f"http://{host}:{(port := free_port())}"
        self._is_open = is_open
        self._base = base
        self.output = output
        self._addresses = output.with_suffix(".addresses")
        self._environment = os.environ | {
            "TRACEWRIGHT_HOME": str(home),
            "TRACEWRIGHT_ADDRESSES": str(self._addresses),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(WATCHED), os.environ.get("PYTHONPATH", "")])),
            **(environment or {}),
        }
        self._command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port), *flags]
        self.start()

    def start(self) -> None:
        """Also after it ended: at the address that it had."""
        with self.output.open("ab") as file:
            self.process = subprocess.Popen(self._command, cwd=ROOT, env=self._environment, stdout=file, stderr=subprocess.STDOUT)
        self._await_up()

    def addresses(self) -> set[tuple[str, str]]:
        return {tuple(json.loads(line)) for line in self._addresses.read_text().splitlines()} if self._addresses.exists() else set()

    def _await_up(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                if self._is_open:
                    self.health()
                else:
                    urllib.request.urlopen(f"{self.url}{self._base}/_stcore/health", timeout=5).close()
                return
            except OSError:
                assert self.process.poll() is None, self.output.read_text()
                assert time.monotonic() < deadline, self.output.read_text()
                time.sleep(0.1)

    def health(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}{self._base}/api/health", timeout=5) as answer:
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
def serving(home: Path, tmp_path: Path, *flags: str, **more: Any) -> Iterator[Server]:
    server = Server(home, tmp_path / "server.log", *flags, **more)
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


def speaks_to_itself_only(server: Server) -> None:
    """Whatever Host and Origin said: no look-up and no packet to anything but this machine."""
    told = server.addresses()
    assert told, "nothing was recorded"
    own = ("'127.0.0.1'", "'::1'", "'localhost'", "('127.0.0.1', ", "('::1', ", "'/", "b'127.0.0.1'")
    assert not {(event, address) for event, address in told if not address.startswith(own)}
