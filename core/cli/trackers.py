"""``export --format tensorboard|wandb|mlflow`` and ``import``: figures to other trackers, and theirs as runs to compare with."""

from __future__ import annotations

import signal
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import Json, clear_errors, result
from core.cli.progress import Progress
from core.errors import SourceError
from core.paths import runs_home
from core.runs.run_dir import find_run
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
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Files or folders of TensorBoard or of neptune-exporter.")],
    form: Annotated[str, typer.Option("--format", help="tensorboard or neptune; by what is there without it.")] = "",
    name: Annotated[str, typer.Option(help="What the run is called here; theirs without it.")] = "",
    gain: Annotated[str, typer.Option(metavar="SERIES", help="The series of theirs that is to be compared as the validation gain.")] = "",
    as_json: Json = False,
) -> None:
    """Take what another tracker recorded as runs to compare with: TensorBoard event files, or neptune-exporter's Parquet. They can't be trained on."""
    from core.trackers.imported import FORMATS, import_runs

    with clear_errors():
        if form and form not in FORMATS:
            raise SourceError(f"--format {form!r} is none of {', '.join(FORMATS)}")
        progress = Progress()
        done = [made for source in sources for made in import_runs(source, runs_home(), form, name, gain, progress)]
        data = {"runs": [asdict(made) for made in done]}

        def text() -> None:
            for made in done:
                print(f"{made.outcome:<9} {made.run_id}  {made.n_series} series, {made.n_points} values")
                if made.note:
                    print(f"          {made.note}", file=sys.stderr)

        result(data, as_json, text)
