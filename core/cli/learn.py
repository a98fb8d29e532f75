"""``train``, ``evaluate`` and ``optimize``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import Cluster, Json, clear_errors, fail, result
from core.cli.progress import Progress
from core.config.text import load_config
from core.curriculum import library
from core.errors import ConfigError, LogosError, ParamError, RunError, WorkerError
from core.logos.pictures import FORMATS
from core.paths import PRESETS, runs_home
from core.runs.events import read_backwards
from core.runs.records import claim, claim_path
from core.runs.run_dir import RunDir, find_run
from core.runs.status import check_resumable
from core.search.baselines import BASELINES
from core.search.searchers import SEARCHES


def train(
    config: Annotated[Path | None, typer.Option(help="A YAML config, or a preset by its name, for example quick.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change one setting; repeatable.")] = None,
    curriculum: Annotated[Path | None, typer.Option(help="Train with this curriculum: a YAML file or the name of a saved one.")] = None,
    run_dir: Annotated[Path | None, typer.Option(help="Folder of the run; default is a new folder in runs/.")] = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Resume a run from its last checkpoint.")] = None,
    checkpoint: Annotated[str, typer.Option(help="With --resume: the checkpoint to resume from, for example best.")] = "",
    cause: Annotated[str, typer.Option(hidden=True, help="Reason for the start, for the log.")] = "",
    after_attempt: Annotated[int | None, typer.Option(hidden=True, help="Refuse if the log has later attempts.")] = None,
    as_json: Json = False,
) -> None:
    """Train an agent in this process. Ctrl-C stops cleanly; continue later with --resume."""
    with clear_errors():
        if checkpoint and resume is None:
            raise ConfigError("--checkpoint only works with --resume; give --resume RUN too")
        run = _run_to_train(config, settings or [], run_dir, resume, curriculum)
        from core.training.trainer import train as train_run

        print(f"run {run.run_id} in {run.path}", file=sys.stderr)
        try:
            ending = train_run(run, resume is not None, checkpoint, cause, after_attempt)
        except (WorkerError, MemoryError) as error:
            fail(error, 1)
        data = {"run": run.run_id, "path": str(run.path), "status": ending.status.value, "reason": ending.reason, "gain": ending.gain}
        result(
            data,
            as_json,
            lambda: print(
                f"{ending.status}: {ending.reason}"
                + (f"; validation gain {ending.gain:.3f}" if ending.gain is not None else "")
                + (f"; at its best {ending.verdict}" if ending.verdict else "")
            ),
        )


def _run_to_train(config: Path | None, settings: list[str], run_dir: Path | None, resume: str | None, curriculum: Path | None) -> RunDir:
    if resume is not None:
        if config or settings or run_dir or curriculum:
            raise ConfigError(
                "--resume continues a run with its own settings; it can't be combined with --config, --set, --curriculum or --run-dir"
            )
        run = find_run(resume, runs_home())
        check_resumable(run)
        return run
    if config is None and run_dir is not None and RunDir(run_dir).exists() and not settings and curriculum is None:
        run = RunDir(run_dir.resolve())
        if next(read_backwards(run.events_file), None) is not None:
            raise RunError(f"{run.run_id} has already been started; continue it with --resume {run_dir}")
        return run
    if config is None:
        presets = ", ".join(f"configs/{path.name}" for path in sorted(PRESETS.glob("*.yaml")))
        raise ConfigError(f"give --config FILE or --resume RUN; presets are {presets}")
    loaded = load_config(config, settings)
    if curriculum is not None:
        is_file = curriculum.is_file()
        loaded.curriculum = library.read_file(curriculum) if is_file else library.read(runs_home(), str(curriculum))
        loaded.curriculum.enabled = True
    return claim(runs_home(), loaded) if run_dir is None else claim_path(run_dir.resolve(), loaded)


def evaluate(
    model: Annotated[str | None, typer.Option(help="A run, a registered model, a checkpoint or model folder, or 'default'.")] = None,
    images: Annotated[
        str | None, typer.Option(help="A folder of logos, or 'builtin'; default is the data that the model was trained on.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "validation",
    methods: Annotated[
        str,
        typer.Option(help=f"Comma-separated: {', '.join((*BASELINES, *SEARCHES))}, policy, policy_search."),
    ] = "default,method1,single,policy",
    budgets: Annotated[str, typer.Option(help="Conversions per logo, comma-separated.")] = "1,5,10,20,50,100",
    work_size: Annotated[
        int | None,
        typer.Option(
            help="Longest side in pixels, enlarged for tracing as many times as in the training; default is the model's.", min=32, max=1024
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the searches.", min=0)] = 0,
    vectors: Annotated[
        bool, typer.Option(help="Also compare results with the original vectors of the pictures: errors and FLIP at 1,024 pixels.")
    ] = False,
    delivered: Annotated[
        bool,
        typer.Option(help="Process each best conversion as Optimize does; with --vectors, compare that with the original."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for a CSV with one row per logo, method and budget, and the SVGs.")] = None,
    ray: Cluster = "",
    as_json: Json = False,
) -> None:
    """Compare the agent with baselines and searches on the same logos, with the same number of conversions."""
    from core.evaluation.comparison import Request, compare
    from core.evaluation.tables import as_text, write_comparison

    with clear_errors():
        try:
            counts = sorted({int(b) for b in budgets.split(",") if b.strip()})
        except ValueError:
            raise ConfigError(f"--budgets {budgets!r} are not comma-separated whole numbers, for example 1,5,20") from None
        names = list(dict.fromkeys(name.strip() for name in methods.split(",") if name.strip()))
        comparison = compare(
            Request(model, images, split, names, counts, work_size, seed, cluster=ray, vectors=vectors, delivered=delivered),
            runs_home(),
            Progress(),
        )
        if out is not None:
            write_comparison(comparison, out)
        result(comparison.as_dict(), as_json, lambda: print(as_text(comparison)))


def optimize(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures, folders of pictures, or ZIP files.")],
    out: Annotated[Path, typer.Option(help="Folder for the SVGs, optimized.csv and optimized.parquet.")] = Path("svgs"),
    model: Annotated[str, typer.Option(help="A run, a registered model, a checkpoint or model folder, or 'default'.")] = "default",
    budget: Annotated[int, typer.Option(help="Attempts per image.", min=1, max=1000)] = 10,
    prefer: Annotated[str, typer.Option(help="Prioritise: smaller (smaller file) or faithful (closer match); default is balanced.")] = "",
    max_side: Annotated[int, typer.Option(help="Longest side of the pictures, in pixels.", min=32, max=4096)] = 1024,
    max_colours: Annotated[int, typer.Option(help="Colours per SVG at most; 0 means any number.", min=0, max=256)] = 0,
    merge: Annotated[float, typer.Option(help="Merge colours closer than this CIELAB distance.", min=0, max=100)] = 0.0,
    brand: Annotated[
        str, typer.Option(help="The only colours there may be, comma-separated: #0f6e84,#ffffff; each takes the nearest.")
    ] = "",
    background: Annotated[
        str, typer.Option(help="keep, remove (transparent around the logo), or everywhere (that colour in holes of the logo too).")
    ] = "keep",
    alternatives: Annotated[
        Path | None, typer.Option(help="Folder for the other SVGs of each picture: VTracer's defaults, smaller, closer match.")
    ] = None,
    ray: Cluster = "",
    progress_file: Annotated[Path | None, typer.Option(hidden=True, help="Write progress to this file, as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Convert each picture to the best SVG that the agent finds. Killed, it continues when called again with the same arguments."""
    from core.agents.loading import load_model
    from core.evaluation.files import given_pictures
    from core.evaluation.finalists import PREFERENCES
    from core.evaluation.optimize import Extras
    from core.evaluation.optimize import optimize as optimize_all
    from core.tracing.palette import palette_of

    with clear_errors():
        if prefer not in PREFERENCES:
            raise ConfigError(f"--prefer {prefer!r} is not one of {', '.join(name for name in PREFERENCES if name)}")
        try:
            extras = Extras(palette_of(max_colours, merge, brand, background), alternatives, ray)
        except ParamError as error:
            raise ConfigError(str(error)) from error
        with given_pictures(pictures, out, runs_home()) as (files, missing):
            if not files:
                why = "".join(f"; {item.source}: {item.reason}" for item in missing[:3])
                raise LogosError(
                    f"no picture in {', '.join(str(p) for p in pictures[:3])}; supported formats: {', '.join(sorted(FORMATS))}{why}"
                )
            out.mkdir(parents=True, exist_ok=True)
            progress = Progress(progress_file)
            progress("loading the model", 0, len(files))
            loaded = load_model(model, runs_home())
            done = optimize_all(files, loaded, budget, prefer, max_side, out, runs_home(), progress, extras=extras)
        done.skipped[:0] = missing
        for skipped in done.skipped:
            print(f"skipped {skipped.source}: {skipped.reason}", file=sys.stderr)
        result(done.as_dict(), as_json, lambda: print(done.as_text()))
        if not done.results:
            raise typer.Exit(1)
