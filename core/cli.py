"""The command line: ``python -m core ...``, the headless twin of app.py, above everything else in core.

Every command prints progress and logs on stderr; with ``--json`` its result is one JSON object, the last line on
stdout. Exit code 0: done; 1: failed; 2: bad usage or bad input, with one clear line.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from core.logos.dataset import LogosError, load_logos, write_logos
from core.logos.pictures import FORMATS
from core.runs.config import ConfigError
from core.runs.config_text import load_config
from core.runs.run_dir import RunDir, RunError, all_runs, claim, claim_path, find_run, runs_home
from core.runs.status import check_resumable, run_state

app = typer.Typer(
    name="python -m core",
    help="Train an agent that chooses VTracer's parameters for logos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
runs_app = typer.Typer(help="List, show, stop, resume and delete runs.", no_args_is_help=True)
logos_app = typer.Typer(help="Make the built-in logos as a folder; check a folder of logos.", no_args_is_help=True)
app.add_typer(runs_app, name="runs")
app.add_typer(logos_app, name="logos")

PRESETS = Path(__file__).resolve().parents[1] / "configs"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's id or its directory.")]


def main() -> None:
    """Entry point; no traceback reaches the user for bad input."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    app()


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Bad input: one clear line on stderr, exit code 2. Anything else that fails: its reason, exit code 1."""
    from storage.store import StoreError

    try:
        yield
    except (ConfigError, RunError, LogosError) as error:
        _fail(error, 2)
    except StoreError as error:
        _fail(error, 1)
    except ValueError as error:
        if type(error).__name__ != "CheckpointError":
            raise
        _fail(error, 2)
    except OSError as error:
        _fail(RuntimeError(f"{error.filename or ''}: {error.strerror}".lstrip(": ")), 1)


def _fail(error: Exception, code: int) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    raise typer.Exit(code)


def _result(data: dict[str, Any], as_json: bool, text: Callable[[], None]) -> None:
    if as_json:
        print(json.dumps(data, default=str, allow_nan=False), flush=True)
    else:
        text()


@app.command()
def train(
    config: Annotated[Path | None, typer.Option(help="A YAML config, for example configs/recommended.yaml.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change one setting; repeatable.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Where the run goes; default is a new folder in runs/.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with a run from its last checkpoint.")] = None,
    as_json: Json = False,
) -> None:
    """Train an agent in this process. Ctrl-C stops cleanly; go on later with --resume."""
    with _clear_errors():
        run = _run_to_train(config, settings or [], run_dir, resume)
        from core.learning.trainer import train as train_run
        from core.learning.workers import WorkerError

        print(f"run {run.run_id} in {run.path}", file=sys.stderr)
        try:
            ending = train_run(run, resume is not None)
        except (WorkerError, MemoryError) as error:
            _fail(error, 1)
        data = {"run": run.run_id, "path": str(run.path), "status": ending.status.value, "reason": ending.reason, "gain": ending.gain}
        _result(
            data,
            as_json,
            lambda: print(
                f"{ending.status}: {ending.reason}" + (f"; validation gain {ending.gain:.3f}" if ending.gain is not None else "")
            ),
        )


def _run_to_train(config: Path | None, settings: list[str], run_dir: Path | None, resume: str | None) -> RunDir:
    if resume is not None:
        if config or settings or run_dir:
            raise ConfigError("--resume goes on with a run as it is; it takes no --config, --set or --run-dir")
        run = find_run(resume, runs_home())
        check_resumable(run)
        return run
    if config is None and run_dir is not None and RunDir(run_dir).exists() and not settings:
        run = RunDir(run_dir.resolve())
        if run.events_file.exists():
            raise RunError(f"{run.run_id} was started before; go on with --resume {run_dir}")
        return run
    if config is None:
        presets = ", ".join(f"configs/{path.name}" for path in sorted(PRESETS.glob("*.yaml")))
        raise ConfigError(f"give --config FILE or --resume RUN; presets are {presets}")
    loaded = load_config(config, settings)
    return claim(runs_home(), loaded) if run_dir is None else claim_path(run_dir.resolve(), loaded)


@app.command()
def evaluate(
    model: Annotated[
        str | None, typer.Option(help="A run (its best checkpoint), a checkpoint or model folder, or 'default' for the one that ships.")
    ] = None,
    images: Annotated[str | None, typer.Option(help="A folder of logos, or 'builtin'; default is what the model was trained on.")] = None,
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "validation",
    methods: Annotated[
        str,
        typer.Option(help="Comma-separated: default, poster, photo, method1, method1_raw, single, random, tpe, policy, policy_search."),
    ] = "default,method1,single,policy",
    budgets: Annotated[str, typer.Option(help="Conversions a logo, comma-separated.")] = "1,5,10,20,50,100",
    work_size: Annotated[int | None, typer.Option(help="Longest side in pixels; default is the model's.", min=32, max=1024)] = None,
    seed: Annotated[int, typer.Option(help="Of the searches.", min=0)] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for a CSV with a row a logo, method and budget, and the SVGs.")] = None,
    as_json: Json = False,
) -> None:
    """Compare the agent with baselines and searches, each with the same conversions on the same logos."""
    from core.learning.comparison import Request, compare, write_comparison
    from core.progress import Progress

    with _clear_errors():
        try:
            counts = sorted({int(b) for b in budgets.split(",") if b.strip()})
        except ValueError:
            raise ConfigError(f"--budgets {budgets!r} are not whole numbers with commas between, for example 1,5,20") from None
        names = list(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip()))
        comparison = compare(Request(model, images, split, names, counts, work_size, seed), runs_home(), Progress())
        if out is not None:
            write_comparison(comparison, out)
        _result(comparison.as_dict(), as_json, lambda: print(comparison.as_text()))


@app.command()
def optimize(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, and folders of pictures.")],
    out: Annotated[Path, typer.Option(help="Folder for the SVGs and optimized.csv.")],
    model: Annotated[str, typer.Option(help="A run, a checkpoint or model folder, or 'default' for the one that ships.")] = "default",
    budget: Annotated[int, typer.Option(help="Conversions a picture.", min=1, max=1000)] = 10,
    prefer: Annotated[str, typer.Option(help="smaller or faithful; both count where it is left out.")] = "",
    max_side: Annotated[int, typer.Option(help="Longest side in pixels at which pictures are traced.", min=32, max=4096)] = 1024,
    as_json: Json = False,
) -> None:
    """Make the best SVG of each picture that the agent finds."""
    from core.learning.model import load_model
    from core.learning.optimize import PREFERENCES, find_pictures
    from core.learning.optimize import optimize as optimize_all
    from core.progress import Progress

    with _clear_errors():
        if prefer not in PREFERENCES:
            raise ConfigError(f"--prefer {prefer!r} is none of {', '.join(name for name in PREFERENCES if name)}")
        files, missing = find_pictures(pictures)
        if not files:
            raise LogosError(f"no picture in {', '.join(str(p) for p in pictures[:3])}; taken are {', '.join(sorted(FORMATS))}")
        out.mkdir(parents=True, exist_ok=True)
        done = optimize_all(files, load_model(model, runs_home()), budget, prefer, max_side, out, runs_home(), Progress())
        done.skipped[:0] = missing
        for skipped in done.skipped:
            print(f"skipped {skipped.file}: {skipped.reason}", file=sys.stderr)
        _result(done.as_dict(), as_json, lambda: print(done.as_text()))
        if not done.results:
            raise typer.Exit(1)


@app.command()
def export(
    run: RunName,
    form: Annotated[str, typer.Option("--format", help="csv or json.")] = "csv",
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("."),
    as_json: Json = False,
) -> None:
    """Write a run's metrics, episodes, evaluations and summary."""
    from storage.export import FORMATS, export_run

    with _clear_errors():
        if form not in FORMATS:
            raise ConfigError(f"--format {form!r} is none of {', '.join(FORMATS)}")
        out.mkdir(parents=True, exist_ok=True)
        written = export_run(find_run(run, runs_home()), form, out)
        data = {table: {"file": str(path), "rows": rows} for table, (path, rows) in written.items()}

        def text() -> None:
            for path, rows in written.values():
                print(f"{rows:>8} rows  {path}")

        _result(data, as_json, text)


@app.command()
def rebuild(as_json: Json = False) -> None:
    """Make the database again from the event logs (while no console runs)."""
    from storage.ingest import catch_up
    from storage.service import database_file
    from storage.store import Store

    with _clear_errors():
        home, started = runs_home(), time.monotonic()
        path = database_file(home)
        if path.exists():
            Store(path).close()  # refuses while a console has it
            path.unlink()
        with Store(path) as store:
            n_events = catch_up(store, home, {})
        data = {"database": str(path), "events": n_events, "seconds": round(time.monotonic() - started, 2)}
        _result(data, as_json, lambda: print(f"{n_events} events read into {path}"))


@app.command()
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
    with _clear_errors():
        if what not in sides:
            raise ConfigError(f"bench {what!r} is none of {', '.join(sides)}")
        try:
            report = sides[what]()
        except BenchError as error:
            _fail(error, 1)
        if not short or out is not None:
            write_section(report, out or DOCUMENT)
        _result(report.as_dict(), as_json, lambda: print(report.as_text()))


@runs_app.command("list")
def list_runs(as_json: Json = False) -> None:
    """All runs, newest first."""
    with _clear_errors():
        rows = [_run_row(run) for run in reversed(list(all_runs(runs_home())))]

        def text() -> None:
            for row in rows:
                gain = "" if row["best_gain"] is None else f"gain {row['best_gain']:.3f}"
                print(f"{row['run_id']:<45} {row['status']:<12} {row['step']:>9} / {row['total_timesteps']:<9} {gain}")
            if not rows:
                print("no runs yet: python -m core train --config configs/quick.yaml")

        _result({"runs": rows}, as_json, text)


def _run_row(run: RunDir) -> dict[str, Any]:
    """A line of the list; a run whose config is broken is shown as that rather than hiding the rest."""
    from core.runs.events import read_backwards

    state, step, best = run_state(run), 0, None
    for event in read_backwards(run.events_file):
        step = max(step, event.step)
        if event.kind == "ended":
            best = event.data.get("best_gain")
        if event.kind in ("ended", "evaluation", "attempt_started"):
            best = event.data.get("gain") if best is None else best
            break
    try:
        total: int | None = run.read_config().total_timesteps
    except ConfigError:
        total = None
    return {
        "run_id": run.run_id,
        "status": state.status.value,
        "reason": state.reason,
        "step": step,
        "total_timesteps": total,
        "best_gain": best,
    }


@runs_app.command("show")
def show_run(run: RunName, as_json: Json = False) -> None:
    """Status, figures and settings of a run."""
    from storage.export import open_index, run_summary

    with _clear_errors():
        found = find_run(run, runs_home())
        with open_index(found) as store:
            data = run_summary(store, found)

        def text() -> None:
            for key, value in data.items():
                if key != "config":
                    print(f"{key:>16}  {value}")

        _result(data, as_json, text)


@runs_app.command("stop")
def stop_run(
    run: RunName,
    force: Annotated[bool, typer.Option(help="Kill it instead of asking.")] = False,
    as_json: Json = False,
) -> None:
    """Ask a run to write a checkpoint and end."""
    from core.runs.launchers import local

    with _clear_errors():
        found = find_run(run, runs_home())
        local.stop(found, force)
        _result({"run": found.run_id, "asked": "kill" if force else "stop"}, as_json, lambda: print(f"{found.run_id} was asked to stop"))


@runs_app.command("resume")
def resume_run(run: RunName, as_json: Json = False) -> None:
    """Go on with a run in the background."""
    from core.runs.launchers import local

    with _clear_errors():
        found = find_run(run, runs_home())
        local.resume(found)
        _result(
            {"run": found.run_id, "log": str(found.log_file)},
            as_json,
            lambda: print(f"{found.run_id} goes on; its output is in {found.log_file}"),
        )


@runs_app.command("delete")
def delete_run(
    run: RunName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a run and all its files."""
    from core.runs.launchers import local

    with _clear_errors():
        found = find_run(run, runs_home())
        if not yes and not typer.confirm(f"Delete {found.run_id} and all its files in {found.path}?"):
            raise typer.Exit(1)
        local.delete(found)
        _result({"deleted": found.run_id}, as_json, lambda: print(f"{found.run_id} is deleted"))


@logos_app.command("make")
def make_logos(
    out: Annotated[Path, typer.Option(help="A new folder.")],
    seed: Annotated[int, typer.Option(min=0)] = 7,
    n_per_category: Annotated[int, typer.Option("--per-category", min=4, max=5000)] = 60,
    size: Annotated[int, typer.Option(help="Longest side in pixels.", min=32, max=2048)] = 512,
    as_json: Json = False,
) -> None:
    """Write the built-in procedural logos: PNG, SVG and manifest.csv."""
    with _clear_errors():
        n = write_logos(out, seed, n_per_category, size)
        _result({"out": str(out), "logos": n}, as_json, lambda: print(f"{n} logos in {out}"))


@logos_app.command("check")
def check_logos(path: Annotated[str, typer.Argument(help="A folder of logos, or 'builtin'.")], as_json: Json = False) -> None:
    """Say what training would use of a folder, and what it would leave out and why."""
    with _clear_errors():
        found = load_logos(path)
        skipped = [{"source": s.source, "reason": s.reason} for s in found.skipped]

        def text() -> None:
            print(f"{len(found.logos)} logos")
            for category, splits in found.counts().items():
                print(f"  {category:<10} " + ", ".join(f"{n} {split}" for split, n in splits.items() if n))
            for item in skipped:
                print(f"  left out {item['source']}: {item['reason']}")

        _result({"path": path, "logos": len(found.logos), "counts": found.counts(), "skipped": skipped}, as_json, text)


@logos_app.command("trace")
def trace_logo(
    picture: Annotated[Path, typer.Argument(help="A picture.")],
    params: Annotated[str, typer.Option(help="The seven parameters, comma-separated, or 'default'.")] = "default",
    work_size: Annotated[int, typer.Option(help="Longest side in pixels.", min=32, max=1024)] = 256,
    out: Annotated[Path | None, typer.Option(help="Where to write the SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Trace one picture under given parameters, in this process: what repeats a case from a run's log."""
    from core.logos.pictures import PictureError, read_picture
    from core.runs.run_dir import write_aside
    from core.tracing.outcome import gain
    from core.tracing.params import NAMES, ParamError, Params
    from core.tracing.picture import Picture, fit

    with _clear_errors():
        try:
            values = [float(value) for value in params.split(",")] if params != "default" else []
            if values and len(values) != len(NAMES):
                raise ConfigError(f"--params holds {len(values)} numbers, not seven: {', '.join(NAMES)}")
            chosen = Params.from_mapping(dict(zip(NAMES, values, strict=False)))
        except ParamError as error:
            raise ConfigError(f"--params: {error}") from error
        except ValueError as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"--params {params!r} is not seven numbers: {', '.join(NAMES)}") from error
        try:
            found = Picture(fit(read_picture(picture, svg_side=2 * work_size), work_size))
        except PictureError as error:
            raise LogosError(f"{picture}: {error}") from error
        measured = found.measure(chosen)
        if out is not None and measured.trace.svg:
            write_aside(out, measured.trace.svg.encode())
        outcome = measured.outcome
        data = {"picture": str(picture), "params": chosen.as_dict(), "gain": gain(outcome, found.defaults).total} | outcome.as_dict()
        _result(
            data,
            as_json,
            lambda: print(f"gain {data['gain']:.3f}, SSIM {outcome.ssim:.4f}, {outcome.n_bytes} bytes, failure {outcome.failure}"),
        )
