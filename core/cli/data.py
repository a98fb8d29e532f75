"""``export``, ``report``, ``rebuild`` and ``bench``: what runs and this machine have to tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import Json, RunName, clear_errors, fail, result
from core.errors import BenchError, ConfigError
from core.files import write_aside
from core.paths import BENCHMARKS, PRESETS, runs_home
from core.runs.run_dir import find_run

ABLATED = PRESETS / "recommended.yaml"
VARIED = "curriculum.enabled=true,false"


def export(
    run: RunName,
    form: Annotated[str, typer.Option("--format", help="csv or json; onnx for its best model.")] = "csv",
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("."),
    as_json: Json = False,
) -> None:
    """Write a run's metrics, episodes, evaluations and summary, or its model as ONNX."""
    from storage.export import FORMATS, export_run

    with clear_errors():
        if form == "onnx":
            _export_model(run, out, as_json)
            return
        if form not in FORMATS:
            raise ConfigError(f"--format {form!r} is none of {', '.join(FORMATS)}, onnx")
        out.mkdir(parents=True, exist_ok=True)
        written = export_run(find_run(run, runs_home()), form, out)
        data = {table: {"file": str(path), "rows": rows} for table, (path, rows) in written.items()}

        def text() -> None:
            for path, rows in written.values():
                print(f"{rows:>8} rows  {path}")

        result(data, as_json, text)


def report(
    run: RunName,
    out: Annotated[Path | None, typer.Option(help="The file; RUN-report.html without it.")] = None,
    as_json: Json = False,
) -> None:
    """Write a run as one HTML page that needs nothing else: figures, curves, stages, findings, logos, settings."""
    from pages.views.report import render
    from storage.export import open_index, run_summary

    with clear_errors():
        found = find_run(run, runs_home())
        path = out or Path(f"{found.run_id}-report.html")
        with open_index(found) as store:
            written = render(store, found)
            summary = run_summary(store, found)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, written)
        data = {"file": str(path), "bytes": len(written), "best_gain": summary["best_gain"], "episodes": summary["episodes"]}
        result(data, as_json, lambda: print(f"{len(written):>8} bytes  {path}"))


def _export_model(run: str, out: Path, as_json: bool) -> None:
    from core.agents.loading import find_checkpoint
    from core.agents.onnx_export import export_model

    files = export_model(find_checkpoint(run, runs_home()), out)
    data = {"out": str(out), "files": {path.name: path.stat().st_size for path in files}}
    result(data, as_json, lambda: print("\n".join(f"{path.stat().st_size:>8} bytes  {path}" for path in files)))


def rebuild(as_json: Json = False) -> None:
    """Make the database again from the event logs (while no console runs)."""
    from storage.ingest import catch_up
    from storage.store import Store, database_file

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
    what: Annotated[str, typer.Argument(help="throughput, telemetry, ingest, ui, heap, optimize, ablation or chaos.")],
    images: Annotated[str, typer.Option(help="Logos to measure on: a folder, or 'builtin'.", envvar="TRACEWRIGHT_LOGOS")] = "builtin",
    repeats: Annotated[int, typer.Option(help="Repeats of each side.", min=1)] = 3,
    model: Annotated[str, typer.Option(help="optimize: the model that chooses.")] = "default",
    config: Annotated[Path, typer.Option(help="ablation: the config that is varied.")] = ABLATED,
    vary: Annotated[str, typer.Option(help="ablation: one setting and its values, for example curriculum.enabled=true,false.")] = VARIED,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="ablation: change a setting of all runs.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="ablation: seeds, comma-separated.")] = "1,2,3",
    minutes: Annotated[float, typer.Option(help="chaos: how long faults go on; heap: how long the page stays open.", min=0.1)] = 8.0,
    short: Annotated[bool, typer.Option("--short", help="A few seconds of each, to see that it runs; nothing is written.")] = False,
    out: Annotated[Path | None, typer.Option(help="The document whose section is written; default docs/benchmarks.md.")] = None,
    as_json: Json = False,
) -> None:
    """Measure this machine: each side against another, as ratios. Let nothing else run meanwhile."""
    from core.bench import ablation, chaos, heap, ingest, optimizing, telemetry, throughput, ui
    from core.bench.report import Report, write_section

    sides: dict[str, Callable[[], Report]] = {
        "throughput": lambda: throughput.measure(images, repeats, 8 if short else 0, 1024 if short else 0),
        "telemetry": lambda: telemetry.measure(images, 8 if short else 40),
        "ingest": lambda: ingest.measure(repeats, 20_000 if short else 1_000_000, 1.0 if short else 15.0),
        "ui": lambda: ui.measure(repeats, 20_000 if short else 1_000_000, 4.0 if short else 30.0),
        "heap": lambda: heap.measure(0.3 if short else minutes),
        "optimize": lambda: optimizing.measure(images, model, 12 if short else 200, 1 if short else repeats),
        "chaos": lambda: chaos.measure(0.5 if short else minutes),
        "ablation": lambda: ablation.measure(config, vary, settings or [], seeds, images),
    }
    with clear_errors():
        if what not in sides:
            raise ConfigError(f"bench {what!r} is none of {', '.join(sides)}")
        try:
            report = sides[what]()
        except BenchError as error:
            fail(error, 1)
        if not short or out is not None:
            write_section(report, out or BENCHMARKS)
        result(report.as_dict(), as_json, lambda: print(report.as_text()))
