"""The console: from navigation to drawn chart in Chromium over a million points, bytes over the socket, idle cost.

The logs are synthetic and written as a training writes them; the server reads them in before the clock starts.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from core.bench.ingest import episode, write_run
from core.bench.report import BenchError, Report, say
from core.runs.config import RunConfig
from core.runs.events import EventWriter
from core.runs.records import Heartbeat, Process
from core.runs.run_dir import RunDir, all_runs, claim

ROOT = Path(__file__).resolve().parents[2]
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
_UPDATES = 2_000  # of metrics in each log
_VIEWPORT: Any = {"width": 1440, "height": 900}
_DRAWN = """() => {
  const charts = [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')].slice(0, 1);
  return charts.length > 0 && charts.every(c => { const d = c.querySelector('canvas, svg.marks'); return d && d.getBoundingClientRect().width > 50; });
}"""


def measure(n_repeats: int, n_points: int, idle_s: float) -> Report:
    """Run the benchmark: one run of ``n_points`` episodes and 20 of a tenth of that.

    Raises:
        BenchError: no Chromium or no playwright.
    """
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        raise BenchError("the ui benchmark needs Chromium (Debian: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise BenchError("the ui benchmark needs playwright: pip install -r requirements-dev.txt") from error
    report = Report("ui", "Console")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        say(f"writing a run of {n_points:,} episodes and 20 of {n_points // 10:,}")
        many = [claim(home, RunConfig(name=f"compared {k:02}")) for k in range(20)]
        for run in many:
            write_run(run, _UPDATES // 10, n_points // 10)
        large = claim(home, RunConfig(name="large", total_timesteps=2 * n_points))
        write_run(large, _UPDATES, n_points)
        with _server(home) as (url, server), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=_FLAGS)
            try:
                _visit(
                    browser.new_context(viewport=_VIEWPORT), f"{url}/live?run={many[0].run_id}"
                )  # the server's first visit loads the pages
                cold = [_visit(browser.new_context(viewport=_VIEWPORT), f"{url}/live?run={large.run_id}")[0] for _ in range(n_repeats)]
                known = browser.new_context(viewport=_VIEWPORT)
                _visit(known, f"{url}/live?run={many[0].run_id}")
                others = "&".join(f"with={run.run_id}" for run in many[1:])
                first, twenty = [], []
                for n in range(n_repeats):
                    for run in (*many, large):  # so that no result that the server keeps can serve
                        _go_on(run, (n_points if run is large else n_points // 10) + n)
                    _await_read(url, home)
                    first.append(_visit(known, f"{url}/live?run={large.run_id}"))
                    twenty.append(_visit(known, f"{url}/live?run={many[0].run_id}&{others}"))
                report.keys["live_chart_1m_s"] = statistics.median(seconds for seconds, _ in first)
                for what, visits in ((f"one run of {n_points:,} episodes", first), (f"20 runs of {n_points // 10:,}", twenty)):
                    seconds, received = (statistics.median(column) for column in zip(*visits, strict=True))
                    report.add(f"chart drawn, {what}", f"{seconds:.2f} s", f"{received / 1e6:.2f} MB over the socket for the whole page")
                    report.details[what] = {"seconds": [v[0] for v in visits], "bytes": received}
                report.add("the same for a browser's first visit ever", f"{statistics.median(cold):.2f} s", "nothing in its cache")
                say(f"an idle live page for {idle_s:g} s")
                with _alive(large):
                    page = browser.new_page()
                    page.goto(f"{url}/live?run={large.run_id}")
                    page.wait_for_function(_DRAWN, timeout=120_000)
                    page.wait_for_timeout(5000)
                    before, started = _cpu(server), time.monotonic()
                    page.wait_for_timeout(idle_s * 1000)
                    share = (_cpu(server) - before) / (time.monotonic() - started)
                report.add(
                    "idle live page", f"{share:.0%} of a core", f"of the server; one visitor, {n_points:,} episodes, updates every 2 s"
                )
                report.details["idle_cpu"] = share
            finally:
                browser.close()
    return report


def _visit(context: Any, url: str) -> tuple[float, int]:
    """(seconds to the drawn chart, bytes received over the socket until the page rests) of a visit in a new tab."""
    page, received = context.new_page(), [0]

    def follow(websocket: Any) -> None:
        websocket.on("framereceived", lambda frame: received.__setitem__(0, received[0] + len(frame)))

    page.on("websocket", follow)
    try:
        say(f"visiting {url.split('&')[0]}")
        started = time.perf_counter()
        page.goto(url)
        page.wait_for_function(_DRAWN, timeout=120_000)
        seconds = time.perf_counter() - started
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=120_000)
        return seconds, received[0]
    finally:
        page.close()


def _go_on(run: RunDir, step: int) -> None:
    """One more episode, at ``step``."""
    with EventWriter(run.events_file) as events:
        events.write("episode", step, episode(random.Random(step), step))


def _await_read(url: str, home: Path) -> None:
    """Wait until the server has read all that is written."""
    wanted = sum(run.events_file.stat().st_size for run in all_runs(home))
    while True:
        with urllib.request.urlopen(f"{url}/api/health", timeout=30) as answer:
            if json.load(answer)["read_bytes"] >= wanted:
                return
        time.sleep(0.1)


def _cpu(server: psutil.Process) -> float:
    times = server.cpu_times()
    return float(times.user + times.system)


@contextmanager
def _alive(run: RunDir) -> Iterator[None]:
    """Let the run look as if this process trained it."""
    stop, process = threading.Event(), Process.of(os.getpid())

    def beat() -> None:
        while not stop.is_set():
            run.write_heartbeat(Heartbeat(process, time.time(), 1, "training"))
            stop.wait(2)

    thread = threading.Thread(target=beat, daemon=True)
    run.write_heartbeat(Heartbeat(process, time.time(), 1, "training"))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _server(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A console on ``home`` that has read all logs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port), "--server.headless", "true"]
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"TRACEWRIGHT_HOME": str(home)}, stdout=log, stderr=log)
    try:
        say("the server reads the logs")
        while True:
            if process.poll() is not None:
                raise BenchError(f"the console ended: {(home / 'server.log').read_text()[-500:]}")
            try:
                _await_read(url, home)
                break
            except OSError:  # not up yet
                time.sleep(0.2)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)
