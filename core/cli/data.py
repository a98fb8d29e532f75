"""``export``, ``choices`` and ``rebuild``: what runs and people have to tell."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import Json, RunName, clear_errors, result
from core.errors import ConfigError, RunError
from core.paths import runs_home
from core.runs.run_dir import find_run


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
