"""``export``, ``import``, ``report``, ``choices`` and ``rebuild``: what runs and people have to tell."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import Json, RunName, clear_errors, result
from core.cli.progress import Progress
from core.errors import ConfigError, RunError
from core.files import write_aside
from core.paths import runs_home
from core.runs.run_dir import RunDir, find_run

RunNames = Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids of runs, or their directories.")]


def export(
    runs: RunNames,
    form: Annotated[
        str, typer.Option("--format", help="csv, json or parquet; archive for whole runs as a zip; onnx for its best model.")
    ] = "csv",
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("."),
    only: Annotated[str, typer.Option("--tables", help="Only these tables, separated by commas.")] = "",
    as_json: Json = False,
) -> None:
    """Write the tables of runs with their data dictionary, whole runs as an archive that ``import`` takes in, or a run's model as ONNX."""
    from storage.export import FORMATS, KINDS, export_runs

    with clear_errors():
        names = list(dict.fromkeys(runs))
        if form == "onnx":
            if len(names) > 1:
                raise ConfigError(f"--format onnx takes one run, not {len(names)}")
            _export_model(names[0], out, as_json)
            return
        if form not in (*FORMATS, "archive"):
            raise ConfigError(f"--format {form!r} is none of {', '.join(FORMATS)}, archive, onnx")
        kinds = [kind.strip() for kind in only.split(",") if kind.strip()] or list(KINDS)
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise ConfigError(f"--tables {unknown[0]!r} is none of {', '.join(KINDS)}")
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


def _found(names: list[str]) -> list[RunDir]:
    """The runs of some names, each once."""
    found = {run.path: run for run in (find_run(name, runs_home()) for name in names)}
    if len({run.run_id for run in found.values()}) < len(found):
        raise RunError("two of these runs have the same id; export them one by one")
    return list(found.values())


def _tell_left_out(lines: list[str]) -> None:
    """What could not be read, and exit code 1: not all that was asked for is there."""
    for line in lines:
        print(f"left out: {line}", file=sys.stderr)
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
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Archives that export --format archive made.")],
    name: Annotated[str, typer.Option("--as", metavar="NAME", help="What the run is to be called here; for an archive of one run.")] = "",
    as_json: Json = False,
) -> None:
    """Take in whole runs that another installation exported. Checked first: a damaged or hostile archive leaves nothing behind."""
    from core.runs.unpack import import_archive

    with clear_errors():
        if name and len(files) > 1:
            raise ConfigError(f"--as names one run, and there are {len(files)} archives")
        imported = [found for file in files for found in import_archive(file, runs_home(), name, Progress())]
        data = {"runs": [{"run_id": found.run.run_id, "path": str(found.run.path), "is_new": found.is_new} for found in imported]}
        result(data, as_json, lambda: print("\n".join(found.told for found in imported)))


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


def choices(
    source: Annotated[str, typer.Option(help="Only what was shown of this one: run/RUN or batch/BATCH.")] = "",
    as_json: Json = False,
) -> None:
    """What people preferred on the page Choose: for each two methods the share of the first, with its 95 % interval, by category."""
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
                print("nothing was chosen yet; the page Choose shows two SVGs of a picture without their names")
            if found.n_bad:
                print(f"{found.n_bad} rows of {runs_home() / kept.FILE} can't be read and do not count")

        plain = [{"a": a, "b": b, "tallies": [tally.as_dict() for tally in tallies]} for a, b, tallies in told]
        result({"pairs": plain, "n_bad": found.n_bad}, as_json, text)


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
