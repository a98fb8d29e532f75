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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from core.bench.ingest import METRICS as _METRICS
from core.bench.ingest import episode, write_run
from core.bench.made_up import finished_runs
from core.bench.report import Report, say
from core.config.config import RecoveryConfig, RunConfig
from core.errors import BenchError
from core.machine import Process
from core.paths import PROJECT
from core.runs.events import EventWriter
from core.runs.records import claim, write_heartbeat
from core.runs.rounds import HOT_S
from core.runs.run_dir import RunDir, all_runs
from core.runs.small_files import Heartbeat

_N_METRICS = len(_METRICS)
REFRESH_S = 2.0  # of the live page
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
_EVALUATIONS = 20
_QUIET_PERCENT = 10.0
SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
VIEWPORT: Any = {"width": 1440, "height": 900}
DRAWN = """() => {
  const charts = [...document.querySelectorAll('[data-testid="stVegaLiteChart"]')].slice(0, 1);
  return charts.length > 0 && charts.every(c => { const d = c.querySelector('canvas, svg.marks'); return d && d.getBoundingClientRect().width > 50; });
}"""


LISTED = """() => document.querySelectorAll('[class*="st-key-pick-"]').length >= 5 || document.querySelectorAll('[class*="st-key-group-"]').length >= 5"""
_SETTLED_NOW = f"() => document.querySelector('{SETTLED}') !== null"


def written(**settings: Any) -> RunConfig:
    """The settings of a run that only its log exists of: the console must not try to go on with it."""
    return RunConfig(recovery=RecoveryConfig(enabled=False), **settings)


def browser_parts() -> tuple[str, Any]:
    """(path of a Chromium, playwright's entry).

    Raises:
        BenchError: one of them is missing.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise BenchError("this benchmark needs Chromium (Debian: apt-get install chromium)")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise BenchError("this benchmark needs playwright: pip install -r requirements-dev.txt") from error
    return path, sync_playwright


@contextmanager
def chromium(**options: Any) -> Iterator[Any]:
    """A browser, which ends with the block. ``options``: of playwright's ``launch``.

    Raises:
        BenchError: no Chromium or no playwright, or it did not do what was asked of it.
    """
    path, sync_playwright = browser_parts()
    from playwright.sync_api import Error

    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS, **options)
            try:
                yield browser
            finally:
                with suppress(Error):  # it has ended
                    browser.close()
    except Error as error:
        raise BenchError(f"the browser did not do what was asked: {' '.join(str(error).split())[:300]}") from error


def frames_of(page: Any) -> list[int]:
    """The sizes of what a page receives over its socket, in bytes, as it comes; to be asked before the page is opened."""
    sizes: list[int] = []
    page.on("websocket", lambda w: w.on("framereceived", lambda frame: sizes.append(len(frame))))
    return sizes


@dataclass(frozen=True)
class _Size:
    """How much is measured; ``n_points``: episodes of the large run; ``n_small``: other runs, at least two; ``n_many``: runs of a list."""

    n_repeats: int
    n_points: int = 1_000_000
    n_small: int = 20
    n_many: int = 10_000
    idle_s: float = 30.0
    settle_s: float = 5.0
    waits_for_quiet: bool = True

    @property
    def n_each(self) -> int:
        """Episodes of each of the small runs."""
        return self.n_points // 10


@dataclass(frozen=True)
class _Runs:
    """One run of ``n_points`` episodes, and ``n_small`` of a tenth of that."""

    large: RunDir
    small: list[RunDir]


def measure(n_repeats: int, is_short: bool = False) -> Report:
    """Run the benchmark.

    Raises:
        BenchError: no Chromium or no playwright.
    """
    size = _Size(n_repeats, 20_000, 3, 50, 4.0, 0.5, waits_for_quiet=False) if is_short else _Size(n_repeats)
    report = Report("ui", "Console")
    with chromium() as browser:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            home = Path(folder)
            runs = _write_runs(home, size)
            with server_on(home) as (url, server):
                _measure_visits(report, browser, url, home, runs, size)
                _measure_idling(report, browser, url, server, runs.large, size)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            _measure_many(report, browser, Path(folder), size)
    return report


def _measure_many(report: Report, browser: Any, home: Path, size: _Size) -> None:
    """A home of thousands of runs that ended: the first page of the list, and what a server costs that nobody looks at."""
    say(f"writing {size.n_many:,} runs")
    finished_runs(home, size.n_many)
    with server_on(home) as (url, server):
        visit = partial(_visit, waits_for_quiet=size.waits_for_quiet, drawn=LISTED)
        first = visit(browser.new_context(viewport=VIEWPORT), f"{url}/")
        known = browser.new_context(viewport=VIEWPORT)
        visit(known, f"{url}/alerts", drawn=_SETTLED_NOW)
        seconds = {page: [visit(known, f"{url}/{page}") for _ in range(size.n_repeats)] for page in ("", "?sort=best+gain", "?fold=seeds")}
        time.sleep(size.settle_s + HOT_S if size.waits_for_quiet else size.settle_s)
        before, started = _cpu(server), time.monotonic()
        time.sleep(size.idle_s)
        share = (_cpu(server) - before) / (time.monotonic() - started)
    report.keys |= {"runs_10k_s": statistics.median(seconds[""]), "runs_10k_idle_share": share}
    for page, found in seconds.items():
        report.add(
            f"first page of {size.n_many:,} runs{f' with {page}' if page else ''}",
            f"{statistics.median(found):.2f} s",
            f"{min(found):.2f} to {max(found):.2f} s",
        )
    report.add("the same on a server's and a browser's first visit", f"{first:.2f} s")
    report.add(f"idle server with {size.n_many:,} runs", f"{share:.1%} of a core", "no page is open")
    report.details["runs_10k"] = {"seconds": seconds, "first_visit_s": first, "idle_share": share}


def _write_runs(home: Path, size: _Size) -> _Runs:
    say(f"writing a run of {size.n_points:,} episodes and {size.n_small} of {size.n_each:,}")
    small = [claim(home, written(name=f"compared {k:02}")) for k in range(size.n_small)]
    for run in small:
        write_run(run, size.n_each // _N_METRICS, size.n_each, n_evaluations=_EVALUATIONS)
    large = claim(home, written(name="large", total_timesteps=2 * size.n_points))
    write_run(large, size.n_points // _N_METRICS, size.n_points, n_evaluations=_EVALUATIONS)
    return _Runs(large, small)


def _measure_visits(report: Report, browser: Any, url: str, home: Path, runs: _Runs, size: _Size) -> None:
    def visit(context: Any, address: str) -> float:
        return _visit(context, address, size.waits_for_quiet)

    large, small = runs.large, runs.small
    for name in ("live", "compare"):  # a server's first visit to a page loads what it is made of
        visit(browser.new_context(viewport=VIEWPORT), f"{url}/{name}?run={small[0].run_id}&run={small[1].run_id}")
    cold = [visit(browser.new_context(viewport=VIEWPORT), f"{url}/live?run={large.run_id}") for _ in range(size.n_repeats)]
    known = browser.new_context(viewport=VIEWPORT)
    visit(known, f"{url}/compare?run={small[0].run_id}&run={small[1].run_id}")
    others = "&".join(f"with={run.run_id}" for run in small[1:])
    both = "&".join(f"run={run.run_id}" for run in small)
    sides = {
        f"one run of {size.n_points:,} episodes and as many metrics": f"{url}/live?run={large.run_id}",
        f"{size.n_small} runs of {size.n_each:,} each": f"{url}/live?run={small[0].run_id}&{others}",
        f"Compare with {size.n_small} runs of {size.n_each:,} each": f"{url}/compare?{both}",
    }
    seconds: dict[str, list[float]] = {what: [] for what in sides}
    for n in range(size.n_repeats):
        for run in (*small, large):  # so that no result that the server keeps can serve
            go_on(run, (size.n_points if run is large else size.n_each) + n)
        _await_read(url, home)
        for what, address in sides.items():
            seconds[what].append(visit(known, address))
    for key, what in zip(("live_chart_1m_s", "live_20_s", "compare_20_s"), sides, strict=True):
        report.keys[key] = statistics.median(seconds[what])
        received = _bytes_of(known, sides[what])
        spread = f"{min(seconds[what]):.2f} to {max(seconds[what]):.2f} s"
        report.add(
            f"chart drawn, {what}", f"{report.keys[key]:.2f} s", f"{spread}; {received / 1e6:.2f} MB over the socket for the whole page"
        )
        report.details[what] = {"seconds": seconds[what], "bytes": received}
    report.add("the same on a browser's first visit", f"{statistics.median(cold):.2f} s", "nothing in its cache")
    report.details["first_visit_s"] = cold


def _measure_idling(report: Report, browser: Any, url: str, server: psutil.Process, run: RunDir, size: _Size) -> None:
    """What a live page costs that is only looked at: first without, then with new data."""
    say(f"an idle live page for {size.idle_s:g} s")
    n_refreshes = int(size.idle_s / REFRESH_S)
    with alive(run):
        page = browser.new_page()
        frames = frames_of(page)
        page.goto(f"{url}/live?run={run.run_id}")
        page.wait_for_function(DRAWN, timeout=120_000)
        page.wait_for_timeout(size.settle_s * 1000)
        frames.clear()
        before, started = _cpu(server), time.monotonic()
        page.wait_for_timeout(size.idle_s * 1000)
        share = (_cpu(server) - before) / (time.monotonic() - started)
        quiet = sum(frames) / size.idle_s * REFRESH_S
        frames.clear()
        for n in range(n_refreshes):  # something new at each refresh
            go_on(run, 2 * size.n_points + n)
            page.wait_for_timeout(1000 * REFRESH_S)
        lively = sum(frames) / max(n_refreshes, 1)
    if len(frames) < n_refreshes / 2:
        raise BenchError(f"the live page received {len(frames)} messages in {n_refreshes} refreshes with new data: it is not refreshed")
    report.keys["refresh_kb"] = lively / 1000
    report.add("a refresh with new data", f"{lively / 1000:.0f} kB", f"over the socket; {quiet / 1000:.1f} kB without any")
    report.add("idle live page", f"{share:.0%} of a core", f"of the server; one visitor, {size.n_points:,} episodes, updates every 2 s")
    report.details |= {"idle_cpu": share, "idle_refresh_kb": quiet / 1000}


def _visit(context: Any, url: str, waits_for_quiet: bool, drawn: str = DRAWN) -> float:
    """Seconds to the drawn chart (or what else ``drawn`` waits for) of a visit in a new tab; returns when the page rests."""
    page = context.new_page()
    if waits_for_quiet:
        _await_quiet()
    try:
        say(f"visiting {url.split('&')[0]}")
        started = time.perf_counter()
        page.goto(url)
        page.wait_for_function(drawn, timeout=120_000)
        seconds = time.perf_counter() - started
        page.wait_for_selector(SETTLED, timeout=120_000)
        return seconds
    finally:
        page.close()


def _await_quiet() -> None:
    """Wait until what was before, such as the closing of the last tab, no longer takes the processors."""
    for _ in range(40):
        if psutil.cpu_percent(interval=0.25) < _QUIET_PERCENT:
            return


def _bytes_of(context: Any, url: str) -> int:
    """Bytes received over the socket until the page rests: a visit of its own, since to count them takes time."""
    page = context.new_page()
    received = frames_of(page)
    try:
        page.goto(url)
        page.wait_for_function(DRAWN, timeout=120_000)
        page.wait_for_selector(SETTLED, timeout=120_000)
        return sum(received)
    finally:
        page.close()


def go_on(run: RunDir, step: int) -> None:
    """One more episode, at ``step``."""
    with EventWriter(run.events_file) as events:
        events.write(step, episode(random.Random(step), step))


def _await_read(url: str, home: Path) -> None:
    """Wait until the server has read all that is written."""
    wanted = sum(run.events_file.stat().st_size for run in all_runs(home))
    while True:
        with urllib.request.urlopen(f"{url}/api/health", timeout=30) as answer:  # nosec B310
            if json.load(answer)["read_bytes"] >= wanted:
                return
        time.sleep(0.1)


def _cpu(server: psutil.Process) -> float:
    times = server.cpu_times()
    return float(times.user + times.system)


@contextmanager
def alive(run: RunDir) -> Iterator[None]:
    """Let the run look as if this process trained it."""
    stop, process = threading.Event(), Process.of(os.getpid())

    def beat() -> None:
        while not stop.is_set():
            write_heartbeat(run, Heartbeat(process, time.time(), 1, "training"))
            stop.wait(2)

    thread = threading.Thread(target=beat, daemon=True)
    write_heartbeat(run, Heartbeat(process, time.time(), 1, "training"))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def server_on(home: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A console on ``home`` that has read all logs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", str(PROJECT / "app.py"), "--server.port", str(port), "--server.headless", "true"]
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=PROJECT, env=os.environ | {"TRACEWRIGHT_HOME": str(home)}, stdout=log, stderr=log)
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
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
