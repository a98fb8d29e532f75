"""``export --format tensorboard|wandb|mlflow`` and ``import``: figures to other trackers, and theirs as runs to compare with."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.cli.common import result
from core.cli.progress import Progress
from core.paths import runs_home
from core.runs.run_dir import find_run
from core.trackers.imported import import_runs
from core.trackers.targets import Target, send


def export_to_tracker(run: str, form: str, out: Path, project: str, is_online: bool, is_followed: bool, as_json: bool) -> None:
    """The part of ``export`` that hands a run to another tracker; raises what :func:`core.trackers.targets.send` does."""
    found, progress = find_run(run, runs_home()), Progress()
    sent = send(
        found,
        form,
        Target(out, project, is_online),
        lambda done, size: progress(f"{found.run_id} to {form}", done, size),
        _until_asked() if is_followed else None,
    )
    result(
        {"run": found.run_id, "format": form} | asdict(sent),
        as_json,
        lambda: print(f"{sent.n_new:>8} new of {sent.n_readings} readings  {sent.where}"),
    )


class _until_asked:
    """Waits, in short naps, for the seconds that are given or for a signal that asks to end; returns whether one came."""

    def __init__(self) -> None:
        self._signals: list[int] = []
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, lambda number, _: self._signals.append(number))

    def __call__(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while not self._signals and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
        return bool(self._signals)


def import_figures(
    source: Path, form: str, name: str, gain: str, progress: Progress, data: list[dict[str, Any]], told: list[str], notes: list[str]
) -> None:
    """The part of ``import`` that takes what another tracker recorded; adds its runs to ``data`` and what is to be said to ``told`` and
    ``notes``. Raises what :func:`core.trackers.imported.import_runs` does."""
    for made in import_runs(source, runs_home(), form, name, gain, progress):
        data.append(asdict(made))
        told.append(f"{made.outcome:<9} {made.run_id}  {made.n_series} series, {made.n_points} values")
        if made.note:
            notes.append(f"{made.run_id}: {made.note}")
