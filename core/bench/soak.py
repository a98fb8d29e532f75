"""The console for hours: three trainings, a browser that is left open, uploads every minute. What grows, and is any log incomplete?

A home of its own holds everything. Slopes (core/bench/growth.py) are Theil and Sen's, after a time in which caches fill. On Ctrl-C or SIGTERM it ends in order and reports
what it has.
"""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.bench import growth
from core.bench.logs_compared import index_faults, log_faults
from core.bench.report import Report, say
from core.bench.soak_samples import Sampler, browser_processes, memory
from core.bench.soak_visitor import N_PAGES, Visitor
from core.bench.ui import browser_parts, chromium
from core.bench.watched_console import Server, kill, trainers
from core.config.config import RunConfig
from core.config.installation import QueueSettings, Settings, write_settings
from core.config.text import validate
from core.errors import BenchError, RunError
from core.runs.events import read_backwards
from core.runs.records import drop_queue_entry
from core.runs.run_dir import RunDir, all_runs
from core.runs.status import Status, run_state
from core.scheduling import local, queue
from storage.store import Store, database_file

WARM_MINUTES = 15.0  # imports, pools and caches fill in the first minutes, at least until each page was seen once
LEAST_ROUNDS = 2  # an upload of each kind
START_S, STOP_S, READ_S = 300.0, 180.0, 120.0
TRACE = "Traceback (most recent call last)"
_LONGEST = 2_000_000  # steps, which nobody waits for


@dataclass(frozen=True)
class Pace:
    """How long, how often something happens (seconds), and how many trainings there are at once."""

    minutes: float
    round_s: float = 60.0
    sample_s: float = 20.0
    n_live: int = 3

    @property
    def warm_minutes(self) -> float:
        return min(WARM_MINUTES, self.minutes / 8)


def measure(minutes: float, images: str, keep: Path | None = None, samples: Path | None = None, is_short: bool = False) -> Report:
    """Run it for so long. ``keep``: a new folder for the home, which stays; ``samples``: a CSV of all samples, written as they are taken.

    Raises:
        BenchError: no Chromium or no playwright, or the runs or the console did not start.
    """
    pace = Pace(0.2, round_s=1.0, sample_s=1.0, n_live=1) if is_short else Pace(minutes)
    browser_parts()  # or it is said before anything starts
    with _folders(keep) as (home, scratch), _asked_to_end() as is_over:
        soak = Soak(home, scratch, images, pace, is_over)
        try:
            soak.begin()
            with chromium(handle_sigint=False, handle_sigterm=False) as browser:
                soak.run(Visitor(browser, soak.url, home, is_over, samples.parent if samples else None), samples)
            soak.stop_runs()
            return soak.report()
        finally:
            soak.end()


@contextmanager
def _folders(keep: Path | None) -> Iterator[tuple[Path, Path]]:
    """(the home, a folder for what the console and the trainers write to the system's folder for temporary files)."""
    with tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True) as folder:
        home, scratch = (keep or Path(folder) / "runs").resolve(), Path(folder) / "tmp"
        scratch.mkdir()
        try:
            home.mkdir(parents=True)
        except OSError as error:
            raise BenchError(f"{home} can't be made: {error.strerror or error}; give a folder that is not there yet") from error
        yield home, scratch


@contextmanager
def _asked_to_end() -> Iterator[threading.Event]:
    """Set by Ctrl-C and SIGTERM."""
    asked, before = threading.Event(), {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, lambda *_: asked.set())
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _config(images: str, n: int, is_short: bool) -> RunConfig:
    return validate(
        {
            "name": f"soak {n}",
            "seed": n,
            "total_timesteps": _LONGEST,
            "n_envs": 8 if is_short else 64,
            "n_workers": 1,
            "logos": {"path": images, "work_size": 64, "n_per_category": 4 if is_short else 24},
            "pipeline": {"trace_size": 128},
            "ppo": {"batch_size": 32 if is_short else 256},
            "evaluation": {"every_steps": 64 if is_short else 4096, "max_logos": 8},
            "checkpoint": {"every_steps": 64 if is_short else 8192},
            "outcome": {"members": 0},
        }
    )


class Soak:
    """The console, its runs, and who watches them."""

    def __init__(self, home: Path, scratch: Path, images: str, pace: Pace, is_over: threading.Event) -> None:
        self._home, self._scratch, self._images, self._pace, self._is_over = home, scratch, images, pace, is_over
        self._submitted: list[RunDir] = []
        self._log = home / "server.log"
        write_settings(home, Settings(queue=QueueSettings(cores=pace.n_live)))
        self._server = Server(home, self._log, {"TMPDIR": str(scratch)}, START_S)
        self._sampler = Sampler(self._server, home, scratch, pace.sample_s)
        self.url = f"http://127.0.0.1:{self._server.port}"
        self.visitor: Visitor | None = None
        self._problems: list[str] = []
        self._warm_minutes = pace.warm_minutes
        self.minutes = 0.0

    def begin(self) -> None:
        """Start the runs."""
        self._top_up()
        if not _await(
            lambda: (
                self._is_over.is_set()
                or (len(trainers(self._home)) >= self._pace.n_live and all(r.events_file.exists() for r in self._submitted))
            ),
            START_S,
        ):
            raise BenchError(f"{len(trainers(self._home))} of the {self._pace.n_live} runs started; see train.log in their folders")
        if self._is_over.is_set():
            raise BenchError("it was ended before all runs had started; there is nothing to report")

    def _top_up(self) -> None:
        """Keep so many runs live or waiting."""
        n_open = sum(not run_state(run).status.is_finished for run in self._submitted)
        for _ in range(self._pace.n_live - n_open):
            n = len(self._submitted) + 1
            self._submitted.append(queue.submit(self._home, _config(self._images, n, self._pace.n_live == 1)))

    def run(self, visitor: Visitor, csv: Path | None) -> None:
        """Use the console for as long as that is wanted."""
        self.visitor = visitor
        visitor.open_live(self._submitted[0].run_id)
        n, began = 0, time.monotonic()
        with self._sampler.into(csv):
            self._look(visitor)
            while not self._is_over.is_set() and (n < LEAST_ROUNDS or time.monotonic() < began + self._pace.minutes * 60):
                visitor.take_round(n)
                self._look(visitor)
                self._top_up()
                n += 1
                if n == N_PAGES:  # each page fills caches of its own when it is first seen
                    self._warm_minutes = max(self._warm_minutes, self._sampler.minutes())
                say(self._progress((time.monotonic() - began) / 60))
                until = min(began + n * self._pace.round_s, began + self._pace.minutes * 60)
                while time.monotonic() < until and not self._is_over.is_set():
                    visitor.wait(min(until - time.monotonic(), 1.0))
            self.minutes = (time.monotonic() - began) / 60

    def _look(self, visitor: Visitor) -> None:
        """What the browser has left after a full collection: the garbage that it has yet to collect comes and goes by hundreds of MB."""
        self._sampler.note(visitor.tab_figures() | memory(f"chromium{growth.KEPT}", browser_processes()))

    def _progress(self, minute: float) -> str:
        s = self._sampler
        runs = " ".join(f"{s.last(name):.0f}" for name in s.names(growth.RUN + growth.OWN))
        v = self.visitor
        assert v is not None
        return (
            f"{minute:6.1f} min  MB: server {s.last('server' + growth.OWN):.0f}, runs {runs}, Chromium {s.last('chromium' + growth.OWN):.0f}, "
            f"tab's heap {s.last('heap_mb'):.0f}, home {s.last('home_mb'):.0f}; {s.last('server_files'):.0f} files, "
            f"{s.last('server_threads'):.0f} threads, {s.last('helpers_n'):.0f} helpers; {v.n_uploads} uploads, "
            f"{len(v.failures)} failures, {len(v.errors)} errors" + (f"; last failure: {v.failures[-1]}" if v.failures else "")
        )

    def stop_runs(self) -> None:
        """Stop them as a person would: they save a checkpoint and end."""
        for run in self._submitted:
            drop_queue_entry(run)
            with suppress(RunError):  # it ended
                local.stop(run)
        if not _await(lambda: not trainers(self._home), STOP_S):
            self._problems.append(f"{len(trainers(self._home))} runs did not end within {STOP_S:g} s of being stopped")

    def end(self) -> None:
        """Stop whatever is left."""
        for run in self._submitted:
            drop_queue_entry(run)
        self._server.kill(signal.SIGTERM)
        for process in trainers(self._home).values():
            kill(process)

    def report(self) -> Report:
        """End the server, hold the logs against the index, and tell it all."""
        n_bytes = sum(run.events_file.stat().st_size for run in all_runs(self._home) if run.events_file.exists())
        _await(lambda: (answer := self._server.ask("health")) is not None and answer["read_bytes"] >= n_bytes, READ_S)
        if not self._server.kill(signal.SIGTERM):
            self._problems.append("the console did not end within a minute of being asked to")
        report = Report("soak", "The console for hours")
        report.keys["soak_minutes"] = self.minutes
        report.is_whole = not self._is_over.is_set()
        growth.tell(report, self._sampler.series, self._warm_minutes)
        report.details["warm_minutes"] = self._warm_minutes
        self._tell_use(report)
        self._tell_logs(report)
        left = self._left_behind()
        report.keys["soak_left_behind"] = float(len(left))
        report.details["left_behind"] = left[:20]
        return report

    def _tell_use(self, report: Report) -> None:
        v = self.visitor
        assert v is not None
        traces = {
            path.parent.name: text.count(TRACE)
            for path in (self._log, *(run.log_file for run in self._submitted))
            if path.exists() and TRACE in (text := path.read_text(errors="replace"))
        }
        report.keys["soak_uploads_per_minute"] = v.n_uploads / max(self.minutes, 1e-9)
        states = [(run.run_id, run_state(run).status) for run in self._submitted]
        n_restarts = self._n_attempts() - len(self._submitted)
        failures = v.failures + self._problems + [f"what was measured, {error}" for error in self._sampler.errors]
        failures += [f"{run_id} is {status.value}" for run_id, status in states if status not in (Status.STOPPED, Status.COMPLETED)]
        failures += [f"runs were restarted {n_restarts} times"] if n_restarts > 0 else []
        report.keys["soak_failures"] = float(len(failures))
        report.keys["soak_page_errors"] = float(len(v.errors))
        report.keys["soak_tracebacks"] = float(sum(traces.values()))
        report.add(
            "uploads",
            f"{v.n_uploads}",
            f"{v.n_files} files, {v.n_refused} of them refused as they should be; {v.n_deleted} sets and batches deleted",
        )
        report.add("visits to other pages", f"{v.n_visits}")
        statuses = Counter(status.value for _, status in states)
        told = ", ".join(f"{n} {status}" for status, n in sorted(statuses.items()))
        report.add("runs", f"{len(self._submitted)}", f"in the end {told}; {self._n_attempts()} attempts")
        report.details |= {"failures": failures[:50], "page_errors": v.errors[:50], "tracebacks": traces}

    def _n_attempts(self) -> int:
        return sum(last.attempt for run in self._submitted if (last := next(read_backwards(run.events_file), None)) is not None)

    def _tell_logs(self, report: Report) -> None:
        gaps, different, n_events = [], [], 0
        with Store(database_file(self._home)) as store:
            for run in all_runs(self._home):
                data = run.events_file.read_bytes() if run.events_file.exists() else b""
                logged, faults = log_faults(data.removesuffix(b"\n").split(b"\n"))
                missing, doubled = index_faults(store, run, logged)
                n_events += len(logged)
                gaps += [f"{run.run_id}: {fault}" for fault in faults]
                different += missing + doubled * [f"{run.run_id}: an event is in DuckDB twice"]
        report.keys["soak_log_faults"] = float(len(gaps))
        report.keys["soak_index_faults"] = float(len(different))
        report.add("events in the logs", f"{n_events:,}", f"{len(self._submitted)} runs")
        report.details |= {"log_faults": gaps[:20], "index_faults": different[:20]}

    def _left_behind(self) -> list[str]:
        """Temporary files, folders in which something was made ready, and processes, after all has ended."""
        found = [str(path) for path in self._scratch.iterdir()]
        found += [str(path) for path in self._home.rglob(".taking-*")]
        for process in psutil.process_iter(["pid"]):
            with suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("TMPDIR") == str(self._scratch):
                    found.append(" ".join(process.cmdline())[:200])
        return found


def _await(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait until it is so; whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
