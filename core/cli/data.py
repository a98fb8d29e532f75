"""``export``, ``import``, ``choices`` and ``rebuild``: data of runs in and out, and what people preferred."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import Json, clear_errors, result
from core.cli.progress import Progress
from core.cli.trackers import export_to_tracker, import_figures
from core.errors import ConfigError, RunError, StoreError
from core.paths import runs_home
from core.runs.run_dir import RunDir, find_run

RunNames = Annotated[list[str], typer.Argument(metavar="RUN...", help="IDs or directories of runs.")]


def export(
    runs: RunNames,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="csv, json or parquet for tables; archive for complete runs as a ZIP; onnx for the best model; tensorboard, wandb or mlflow for a tracker.",
        ),
    ] = "csv",
    out: Annotated[Path, typer.Option(help="Output folder.")] = Path("."),
    only: Annotated[str, typer.Option("--tables", help="Only these tables, comma-separated.")] = "",
    project: Annotated[str, typer.Option(help="wandb: the project; mlflow: the experiment.")] = "tracewright",
    online: Annotated[bool, typer.Option("--online", help="wandb, mlflow: send to the server instead of writing to the folder.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Trackers: keep exporting until the run ends.")] = False,
    as_json: Json = False,
) -> None:
    """Write the tables of runs with their data dictionary, whole runs as an archive that ``import`` takes in, a run's model as ONNX; or hand a
    run's metrics and evaluations to another tracker."""
    from core.trackers.targets import TRACKERS
    from storage.export import FORMATS, KINDS, export_runs

    with clear_errors():
        names = list(dict.fromkeys(runs))
        if only and form in (*TRACKERS, "onnx", "archive"):
            raise ConfigError(f"--tables is of csv, json and parquet; --format {form} has none")
        if form in TRACKERS:
            export_to_tracker(_only(names, form), form, out, project, online, follow, as_json)
            return
        if form == "onnx":
            _export_model(_only(names, form), out, as_json)
            return
        if form not in (*FORMATS, "archive"):
            raise ConfigError(f"--format {form!r} is not one of {', '.join((*FORMATS, 'archive', 'onnx', *TRACKERS))}")
        kinds = [kind.strip() for kind in only.split(",") if kind.strip()] or list(KINDS)
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise ConfigError(f"--tables {unknown[0]!r} is not one of {', '.join(KINDS)}")
        found = _found(names)
        if form == "archive":
            _export_archive(found, out, as_json)
            return
        exported = export_runs(found, form, out, kinds, Progress())
        data: dict[str, Any] = {table: {"file": str(path), "rows": rows} for table, (path, rows) in exported.files.items()}
        if exported.left_out:
            data["left_out"] = exported.left_out

        def text() -> None:
            for path, rows in exported.files.values():
                print(f"{rows:>8} rows  {path}")

        result(data, as_json, text)
        _tell_left_out([f"{run_id}: {why}" for run_id, why in exported.left_out.items()])


def _only(names: list[str], form: str) -> str:
    """The one run that a format takes; raises :class:`ConfigError` where several are named."""
    if len(names) > 1:
        raise ConfigError(f"--format {form} takes one run, not {len(names)}")
    return names[0]


def _found(names: list[str]) -> list[RunDir]:
    """The runs of some names, each once."""
    found = {run.path: run for run in (find_run(name, runs_home()) for name in names)}
    if len({run.run_id for run in found.values()}) < len(found):
        raise RunError("two of these runs have the same ID; export them separately")
    return list(found.values())


def _tell_left_out(lines: list[str]) -> None:
    """What could not be read, and exit code 1: not all that was asked for is there."""
    for line in lines:
        print(f"skipped: {line}", file=sys.stderr)
    if lines:
        raise typer.Exit(1)


def _export_archive(runs: list[RunDir], out: Path, as_json: bool) -> None:
    from core.runs.archive import pack

    packed = pack(runs, out / f"{runs[0].run_id if len(runs) == 1 else 'runs'}.zip", Progress())
    size = packed.path.stat().st_size
    data = {
        "file": str(packed.path),
        "bytes": size,
        "files": packed.n_files,
        "runs": [run.run_id for run in runs],
        "left_out": packed.left_out,
    }
    result(
        data, as_json, lambda: print(f"{size:>8} bytes  {packed.path}  ({packed.n_files} files of {len(runs)} run{'s'[: len(runs) > 1]})")
    )
    _tell_left_out(packed.left_out)


def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SOURCE...", help="Archives made by export, or files or folders from TensorBoard or neptune-exporter."),
    ],
    form: Annotated[str, typer.Option("--format", help="archive, tensorboard or neptune; detected if omitted.")] = "",
    name: Annotated[str, typer.Option("--as", "--name", metavar="NAME", help="Name for the imported run; default is its own name.")] = "",
    gain: Annotated[str, typer.Option(metavar="SERIES", help="The tracker's series to use as the validation gain.")] = "",
    as_json: Json = False,
) -> None:
    """Take in whole runs that another installation exported, or what another tracker recorded as runs to compare with. Checked first: what is
    damaged or hostile leaves nothing behind."""
    from core.trackers.imported import FORMATS

    with clear_errors():
        if form and form not in ("archive", *FORMATS):
            raise ConfigError(f"--format {form!r} is not one of archive, {', '.join(FORMATS)}")
        if name and len(sources) > 1:
            raise ConfigError(f"--as names a single run, but there are {len(sources)} sources")
        told: list[str] = []
        notes: list[str] = []
        data: list[dict[str, Any]] = []
        progress = Progress()
        for source in sources:
            if form == "archive" or (not form and source.suffix.lower() == ".zip"):
                _import_archive(source, name, progress, data, told)
            else:
                import_figures(source, form, name, gain, progress, data, told, notes)

        def text() -> None:
            print("\n".join(told))
            for note in notes:
                print(note, file=sys.stderr)

        result({"runs": data}, as_json, text)


def _import_archive(source: Path, name: str, progress: Progress, data: list[dict[str, Any]], told: list[str]) -> None:
    from core.runs.unpack import import_archive

    for found in import_archive(source, runs_home(), name, progress):
        data.append({"run_id": found.run.run_id, "path": str(found.run.path), "is_new": found.is_new})
        told.append(found.told)


def _export_model(run: str, out: Path, as_json: bool) -> None:
    from core.agents.loading import find_checkpoint
    from core.agents.onnx_export import export_model

    files = export_model(find_checkpoint(run, runs_home()), out)
    data = {"out": str(out), "files": {path.name: path.stat().st_size for path in files}}
    result(data, as_json, lambda: print("\n".join(f"{path.stat().st_size:>8} bytes  {path}" for path in files)))


def choices(
    source: Annotated[str, typer.Option(help="Only answers about this source: run/RUN or batch/BATCH.")] = "",
    as_json: Json = False,
) -> None:
    """Show what people preferred on the Choose page: for each pair of methods, the share of the first with its 95% interval, by category."""
    from core.evaluation import choices as kept

    with clear_errors():
        found = kept.read(runs_home())
        if found.problem:
            raise RunError(found.problem)
        pairs = sorted({(min(row.a, row.b), max(row.a, row.b)) for row in found.rows if source in ("", row.source)})
        told = [(a, b, kept.tallies(kept.between(found.rows, a, b, source))) for a, b in pairs]

        def text() -> None:
            for a, b, tallies in told:
                print(f"{a} against {b}")
                for tally in tallies:
                    share = f"{tally.share:.0%} ({tally.low:.0%} to {tally.high:.0%})" if tally.share is not None else "undecided"
                    print(f"  {tally.name:<12} {share:<22} {tally.n_a} to {tally.n_b}, {tally.n_equal} equal")
            if not told:
                print("no answers yet; use the Choose page to compare pairs of SVGs")
            if found.n_bad:
                print(f"{found.n_bad} rows of {runs_home() / kept.FILE} can't be read and are ignored")

        plain = [{"a": a, "b": b, "tallies": [tally.as_dict() for tally in tallies]} for a, b, tallies in told]
        result({"pairs": plain, "n_bad": found.n_bad}, as_json, text)


def rebuild(as_json: Json = False) -> None:
    """Rebuild the database from the event logs (only while no console is running)."""
    import duckdb

    from storage.ingest import catch_up
    from storage.store import Store, database_file, open_store

    with clear_errors():
        home, started = runs_home(), time.monotonic()
        path = database_file(home)
        if path.exists():
            with suppress(duckdb.Error):  # damaged: that is what this is for
                Store(path).close()  # refuses while a console has it
            path.unlink()
            path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        try:
            with open_store(home) as store:
                n_events = catch_up(store, home, {})
        except duckdb.Error as error:
            raise StoreError(f"{path} can't be written: {str(error).splitlines()[0]}") from error
        data = {"database": str(path), "events": n_events, "seconds": round(time.monotonic() - started, 2)}
        result(data, as_json, lambda: print(f"{n_events} events read into {path}"))
