"""Three live runs under a console while trainers, workers, the server and the disk fail at random moments: what is lost?

A home of its own holds everything, on a small file system of its own where that may be mounted (else the full disk is
left out, and the report says so). A witness keeps every whole line that was ever seen in a log; in the end all of them,
but those that a fault cut off on purpose, must be in the log and in DuckDB, once. Another compares every half second
what the console says of each run with the trainers that really live.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from core.bench.logs_compared import index_faults
from core.bench.report import Report, say
from core.bench.watched_console import UP_S, Server, Watcher, kill, trainers
from core.config.config import RunConfig
from core.config.installation import QueueSettings, Settings, write_settings
from core.config.text import validate
from core.errors import BenchError
from core.logos.dataset import write_logos
from core.paths import HOME_VARIABLE
from core.runs.events import parse
from core.runs.records import drop_queue_entry
from core.runs.run_dir import RunDir, all_runs
from core.runs.status import Status, run_state
from core.scheduling import queue
from storage.store import Store, database_file

N_LIVE = 3
DISK_MB = 900
PAUSE_S = 6.0  # between two faults, on average
FINISH_S = 300.0


def measure(minutes: float, seed: int = 0) -> Report:
    """Run it for so long; then let the runs that are left finish."""
    with _home() as (home, has_own_disk):
        chaos = Chaos(home, has_own_disk, random.Random(seed))
        try:
            chaos.run(minutes * 60)
            return chaos.report(minutes)
        finally:
            chaos.end()


@contextmanager
def _home() -> Iterator[tuple[Path, bool]]:
    """A folder for the runs, and whether it has a file system of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        disk = Path(scratch) / "disk"
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)]
        try:
            is_mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            is_mounted = False
        try:
            yield disk / "runs", is_mounted
        finally:
            if is_mounted:
                subprocess.run(["umount", "--lazy", str(disk)], check=False)


def _config(logos: Path) -> RunConfig:
    return validate(
        {
            "name": "chaos",
            "total_timesteps": 4096,
            "n_envs": 8,
            "n_workers": 1,
            "logos": {"path": str(logos), "work_size": 64},
            "pipeline": {"trace_size": 128},
            "ppo": {"n_steps": 8, "batch_size": 64, "n_epochs": 4},
            "evaluation": {"every_steps": 512, "max_logos": 8},
            "checkpoint": {"every_steps": 512},
            "outcome": {"members": 0},
            "recovery": {"max_restarts": 1000, "backoff_s": 0.2, "stalled_s": 15},
        }
    )


class Chaos:
    """The runs, the faults, and the witness."""

    def __init__(self, home: Path, has_own_disk: bool, rng: random.Random) -> None:
        self.home, self.rng = home, rng
        self.faults: Counter[str] = Counter()
        self._seen: dict[str, set[bytes]] = {}  # whole lines of each run's log
        self._submitted: list[RunDir] = []
        os.environ[HOME_VARIABLE] = str(home)
        home.mkdir(parents=True)
        self._logos = home.parent / "logos"
        write_logos(self._logos, 7, 4, 64)
        write_settings(home, Settings(queue=QueueSettings(cores=N_LIVE)))
        self.server = Server(home, home.parent / "server.log")
        self._kinds: dict[str, Callable[[], bool]] = {
            "trainer killed": self._kill_trainer,
            "worker killed": self._kill_worker,
            "server killed": self._kill_server,
            "all killed": self._kill_all,
            "torn last line": self._tear,
            "log cut": self._cut,
            "database removed": self._remove_database,
        } | ({"disk full": self._fill_disk} if has_own_disk else {})
        self._weights = [4, 4, 2, 2, 2, 2, 1, *([1] if has_own_disk else [])]

    def run(self, seconds: float) -> None:
        self._top_up()
        with Watcher(self.server, self.home) as self.watcher:
            self._await_live()
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(self.rng.uniform(0.3, 1.7) * PAUSE_S)
                (kind,) = self.rng.choices(list(self._kinds), self._weights)
                self._witness()
                if self._kinds[kind]():
                    self.faults[kind] += 1
                    say(f"{sum(self.faults.values()):>4}  {kind}")
                self._top_up()
            self._finish()

    def _top_up(self) -> None:
        """Keep three runs live or waiting."""
        n_open = sum(run_state(run).status not in (Status.COMPLETED,) for run in self._submitted)
        for _ in range(N_LIVE - n_open):
            self._submitted.append(queue.submit(self.home, _config(self._logos)))

    def _await_live(self) -> None:
        deadline = time.monotonic() + UP_S
        while len(trainers(self.home)) < N_LIVE:
            if time.monotonic() > deadline:
                raise BenchError("the three runs did not start; see the logs of the runs")
            time.sleep(0.2)

    def _finish(self) -> None:
        """Let all runs end by themselves."""
        deadline = time.monotonic() + FINISH_S
        while any(run_state(run).status is not Status.COMPLETED for run in self._submitted) and time.monotonic() < deadline:
            time.sleep(0.5)
        self._witness()

    def _witness(self) -> None:
        for run in all_runs(self.home):
            with suppress(OSError):
                data = run.events_file.read_bytes()
                whole = data[: data.rfind(b"\n") + 1]
                self._seen.setdefault(run.run_id, set()).update(whole.splitlines())

    def _pick(self) -> tuple[RunDir, psutil.Process] | None:
        alive = trainers(self.home)
        if not alive:
            return None
        name = self.rng.choice(sorted(alive))
        return RunDir(self.home / name), alive[name]

    def _kill_trainer(self) -> bool:
        picked = self._pick()
        if picked is None:
            return False
        kill(picked[1])
        return True

    def _kill_worker(self) -> bool:
        picked = self._pick()
        with suppress(psutil.Error):
            workers = [p for p in picked[1].children() if "spawn_main" in " ".join(p.cmdline())] if picked else []
            if workers:
                kill(self.rng.choice(workers))
                return True
        return False

    def _kill_server(self) -> bool:
        self.server.kill()
        time.sleep(self.rng.uniform(0, 3))
        self.server.start()
        return True

    def _kill_all(self) -> bool:
        for process in trainers(self.home).values():
            kill(process)
        return self._kill_server()

    def _tear(self) -> bool:
        """As when the machine died within a write."""
        picked = self._pick()
        if picked is None or not picked[0].events_file.exists():
            return False
        kill(picked[1])
        with picked[0].events_file.open("ab") as file:
            file.write(b'{"v":1,"seq":99999999,"attempt":1,"ts":1.0,"kind":"epis')
        return True

    def _cut(self) -> bool:
        """As when the machine died and its file system lost the log's end."""
        picked = self._pick()
        if picked is None or not picked[0].events_file.exists():
            return False
        run, process = picked
        kill(process)
        data = run.events_file.read_bytes()
        kept = max(len(data) - self.rng.randint(1, 6000), 0)
        os.truncate(run.events_file, kept)
        whole = data[: data.rfind(b"\n", 0, kept) + 1]
        self._seen[run.run_id] = set(whole.splitlines())
        return True

    def _remove_database(self) -> bool:
        self.server.kill()
        for path in self.home.glob("index.duckdb*"):
            path.unlink()
        self.server.start()
        return True

    def _fill_disk(self) -> bool:
        filler = self.home.parent / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                until = time.monotonic() + self.rng.uniform(2, 5)
                while time.monotonic() < until:
                    try:
                        file.write(bytes(65536))
                    except OSError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                        time.sleep(0.05)
        finally:
            filler.unlink(missing_ok=True)
        return True

    def end(self) -> None:
        """Stop what is left."""
        for run in all_runs(self.home):
            drop_queue_entry(run)
        self.server.kill(signal.SIGTERM)
        for process in trainers(self.home).values():
            kill(process)

    def report(self, minutes: float) -> Report:
        statuses = Counter(run_state(run).status for run in self._submitted)
        n_logged = sum(_n_lines(run) for run in all_runs(self.home))
        deadline = time.monotonic() + 60
        while (answer := self.server.ask("health")) is None or answer["read_bytes"] < _n_bytes(self.home):
            if time.monotonic() > deadline:
                break
            time.sleep(0.2)
        if not self.server.kill(signal.SIGTERM):
            self.watcher.wrong.append("the console did not end within a minute of being asked to")
        lost, doubled = self._compare()
        orphans = self._orphans()
        stuck = [
            run.run_id
            for run in self._submitted
            if (status := run_state(run).status) is not Status.COMPLETED and not status.can_resume and status is not Status.QUEUED
        ]
        report = Report("chaos", "Faults while three runs are live")
        report.keys = {
            "faults": float(sum(self.faults.values())),
            "events_lost": float(len(lost)),
            "events_doubled": float(doubled),
            "wrong_states": float(len(self.watcher.wrong)),
            "orphans": float(len(orphans)),
            "runs_completed": float(statuses[Status.COMPLETED]),
            "runs_unfinished": float(len(self._submitted) - statuses[Status.COMPLETED]),
            "runs_unresumable": float(len(stuck)),
        }
        for kind in self._kinds:
            report.add(kind, str(self.faults[kind]))
        if "disk full" not in self._kinds:
            report.add("disk full", "left out", "a file system may not be mounted here")
        report.add("events in the logs", f"{n_logged:,}", f"{len(self._submitted)} runs, {minutes:g} minutes")
        report.add("longest time that a wrong state was shown", f"{self.watcher.longest_s:.1f} s", f"{self.watcher.n_looks:,} checks")
        report.details = {
            "statuses": {s.value: n for s, n in statuses.items()},
            "wrong": self.watcher.wrong,
            "lost": lost[:20],
            "orphans": orphans,
        }
        return report

    def _compare(self) -> tuple[list[str], int]:
        """(events that are not where they should be, how many are there more than once)."""
        lost, doubled = [], 0
        with Store(database_file(self.home)) as store:
            for run in all_runs(self.home):
                data = run.events_file.read_bytes() if run.events_file.exists() else b""
                lines = data.splitlines()
                logged = {seq: line for line in lines if (event := parse(line)) is not None and (seq := event.seq)}
                doubled += len(lines) - len(set(lines))
                lost += [f"{run.run_id}: {line[:120]!r} is no longer in the log" for line in self._seen.get(run.run_id, set()) - set(lines)]
                different, n_double = index_faults(store, run, logged)
                lost += different
                doubled += n_double
        return lost, doubled

    def _orphans(self) -> list[str]:
        """Processes of this home that outlived the server and, where their run has ended, its trainer."""
        deadline = time.monotonic() + 10
        while True:
            alive = set(trainers(self.home))
            found = []
            for process in psutil.process_iter(["pid", "cmdline"]):
                with suppress(psutil.Error):
                    if process.pid == os.getpid() or process.environ().get(HOME_VARIABLE) != str(self.home):
                        continue
                    parents = {parent.pid for parent in process.parents()}
                    is_of_a_run = process.pid in {p.pid for p in trainers(self.home).values()} or any(
                        p.pid in parents for p in trainers(self.home).values()
                    )
                    if not is_of_a_run and process.status() != psutil.STATUS_ZOMBIE and os.getpid() not in parents:
                        found.append(" ".join(process.info["cmdline"] or [])[:200])
            ended = [name for name in alive if run_state(RunDir(self.home / name)).status.is_finished]
            if (not found and not ended) or time.monotonic() > deadline:
                return found + ended
            time.sleep(0.5)


def _n_lines(run: RunDir) -> int:
    return run.events_file.read_bytes().count(b"\n") if run.events_file.exists() else 0


def _n_bytes(home: Path) -> int:
    return sum(run.events_file.stat().st_size for run in all_runs(home) if run.events_file.exists())
