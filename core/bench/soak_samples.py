"""What a soak measures while it goes on: memory, files and threads of every process, sizes of folders."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from core.bench.growth import ALL, OWN, RUN, Points
from core.bench.watched_console import Server, trainers
from core.machine import MB, folder_mb

_HOME = {"index": "index.duckdb*", "sets": "logos", "batches": "batches"}  # what of a home is told apart; runs are what is left


class Sampler:
    """Looks at the processes of a soak at intervals, in a thread of its own, while :meth:`into` is entered."""

    def __init__(self, server: Server, home: Path, scratch: Path, every_s: float) -> None:
        self._server, self._home, self._scratch, self._every_s = server, home, scratch, every_s
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._started = time.monotonic()
        self._csv: IO[str] | None = None
        self.series: dict[str, Points] = {}
        self.errors: list[str] = []

    @contextmanager
    def into(self, csv: Path | None) -> Iterator[None]:
        """Sample; each is written to ``csv`` at once, so that a soak that is killed leaves them."""
        with ExitStack() as stack:
            if csv is not None:
                self._csv = stack.enter_context(csv.open("w", encoding="utf-8", buffering=1))
                self._csv.write("minutes,what,figure\n")
            self._started = time.monotonic()
            thread = threading.Thread(target=self._sample, name="sampler", daemon=True)
            thread.start()
            try:
                yield
            finally:
                if not thread.is_alive():
                    self.errors.append("nothing was sampled any more: its thread ended")
                self._stop.set()
                thread.join()
                self._csv = None

    def minutes(self) -> float:
        return (time.monotonic() - self._started) / 60

    def note(self, figures: dict[str, float]) -> None:
        """Keep figures of this moment."""
        now = self.minutes()
        with self._lock:
            for what, figure in figures.items():
                self.series.setdefault(what, []).append((now, figure))
                if self._csv is not None:
                    self._csv.write(f"{now:.3f},{what},{figure:.6g}\n")

    def last(self, what: str) -> float:
        with self._lock:
            points = self.series.get(what)
            return points[-1][1] if points else 0.0

    def names(self, ending: str) -> list[str]:
        with self._lock:
            return sorted(name for name in self.series if name.endswith(ending))

    def _sample(self) -> None:
        while True:
            try:
                self.note(self._figures())
            except (psutil.Error, OSError) as error:
                self.errors.append(f"minute {self.minutes():.1f}: {error}")
            if self._stop.wait(self._every_s):
                return

    def _figures(self) -> dict[str, float]:
        server = psutil.Process(self._server.process.pid)
        runs = {run_id: tree(process) for run_id, process in trainers(self._home).items()}
        of_runs = {process.pid for processes in runs.values() for process in processes}
        helpers = [process for process in tree(server)[1:] if process.pid not in of_runs]
        figures = memory("server", [server]) | memory("helpers", helpers) | memory("chromium", browser_processes())
        figures |= {"helpers_n": len(helpers), "server_files": server.num_fds(), "server_threads": server.num_threads()}
        figures["runs_live"] = len(runs)
        for run_id, processes in runs.items():
            figures |= memory(f"{run_id}{RUN}", processes)
        return figures | self._sizes()

    def _sizes(self) -> dict[str, float]:
        """Of the parts of the home, and of what was left in the folder for temporary files (MB)."""
        parts = {f"home_{what}_mb": sum(map(_mb, self._home.glob(name))) for what, name in _HOME.items()}
        deleted = _mb(self._home / "batches" / ".trash")
        parts["home_batches_mb"] -= deleted
        whole = folder_mb(self._home)
        left = {"home_deleted_mb": deleted, "home_mb": whole, "home_runs_mb": whole - deleted - sum(parts.values())}
        return parts | left | {"temporary_mb": folder_mb(self._scratch), "temporary_n": float(len(os.listdir(self._scratch)))}


def _mb(path: Path) -> float:
    """Of a folder with all below it, or of a file."""
    if path.is_dir():
        return folder_mb(path)
    with suppress(OSError):
        return path.stat().st_blocks * 512 / MB
    return 0.0


def tree(process: psutil.Process) -> list[psutil.Process]:
    """A process and all below it."""
    with suppress(psutil.Error):
        return [process, *process.children(recursive=True)]
    return [process]


def browser_processes() -> list[psutil.Process]:
    """The processes of the browser that this process started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "chrom" in process.name().lower() or "headless" in process.name().lower():
                found.append(process)
    return found


def memory(what: str, processes: Iterable[psutil.Process]) -> dict[str, float]:
    """Of some processes together (MB): all of theirs, what is shared in proportion (PSS) where the system can tell, and what is theirs alone (USS)."""
    total = own = 0.0
    for process in processes:
        with suppress(psutil.Error):
            used = process.memory_full_info()
            total += getattr(used, "pss", used.uss) / MB
            own += used.uss / MB
    return {f"{what}{ALL}": total, f"{what}{OWN}": own}
