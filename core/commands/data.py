"""``export``, ``rebuild`` and ``bench``: what runs and this machine have to tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from core.commands.common import Json, RunName, clear_errors, fail, result
from core.runs.config import ConfigError
from core.runs.run_dir import find_run, runs_home


def export(
    run: RunName,
    form: Annotated[str, typer.Option("--format", help="csv or json.")] = "csv",
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("."),
    as_json: Json = False,
) -> None:
    """Write a run's metrics, episodes, evaluations and summary."""
    from storage.export import FORMATS, export_run

    with clear_errors():
        if form not in FORMATS:
            raise ConfigError(f"--format {form!r} is none of {', '.join(FORMATS)}")
        out.mkdir(parents=True, exist_ok=True)
        written = export_run(find_run(run, runs_home()), form, out)
        data = {table: {"file": str(path), "rows": rows} for table, (path, rows) in written.items()}

        def text() -> None:
            for path, rows in written.values():
                print(f"{rows:>8} rows  {path}")

        result(data, as_json, text)


def rebuild(as_json: Json = False) -> None:
    """Make the database again from the event logs (while no console runs)."""
    from storage.ingest import catch_up
    from storage.service import database_file
    from storage.store import Store

    with clear_errors():
        home, started = runs_home(), time.monotonic()
        path = database_file(home)
        if path.exists():
            Store(path).close()  # refuses while a console has it
            path.unlink()
        with Store(path) as store:
            n_events = catch_up(store, home, {})
        data = {"database": str(path), "events": n_events, "seconds": round(time.monotonic() - started, 2)}
        result(data, as_json, lambda: print(f"{n_events} events read into {path}"))


def bench(
    what: Annotated[str, typer.Argument(help="throughput, telemetry, ingest or ui.")],
    images: Annotated[str, typer.Option(help="Logos to measure on: a folder, or 'builtin'.", envvar="TRACEWRIGHT_LOGOS")] = "builtin",
    repeats: Annotated[int, typer.Option(help="Repeats of each side.", min=1)] = 3,
    short: Annotated[bool, typer.Option("--short", help="A few seconds of each, to see that it runs; nothing is written.")] = False,
    out: Annotated[Path | None, typer.Option(help="The document whose section is written; default docs/benchmarks.md.")] = None,
    as_json: Json = False,
) -> None:
    """Measure this machine: each side against another, as ratios. Let nothing else run meanwhile."""
    from core.bench import ingest, telemetry, throughput, ui
    from core.bench.report import DOCUMENT, BenchError, Report, write_section

    sides: dict[str, Callable[[], Report]] = {
        "throughput": lambda: throughput.measure(images, repeats, 8 if short else 0, 1024 if short else 0),
        "telemetry": lambda: telemetry.measure(images, 8 if short else 40),
        "ingest": lambda: ingest.measure(repeats, 20_000 if short else 1_000_000, 1.0 if short else 15.0),
        "ui": lambda: ui.measure(repeats, 20_000 if short else 1_000_000, 4.0 if short else 30.0),
    }
    with clear_errors():
        if what not in sides:
            raise ConfigError(f"bench {what!r} is none of {', '.join(sides)}")
        try:
            report = sides[what]()
        except BenchError as error:
            fail(error, 1)
        if not short or out is not None:
            write_section(report, out or DOCUMENT)
        result(report.as_dict(), as_json, lambda: print(report.as_text()))
