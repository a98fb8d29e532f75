"""``search``: hyperparameter studies: run, continue, list, show and stop them, and use their best trial."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import Json, clear_errors, result
from core.cli.progress import Progress
from core.errors import ConfigError, StudyError
from core.logos.dataset import load_logos
from core.paths import program, runs_home
from core.runs.requirements import check_preflight
from core.runs.status import run_state
from core.studies import analysis
from core.studies.storage import TrialRow, read_trials
from core.studies.study import MOST_HOURS, MOST_TRIALS, StudyConfig, StudyDir, StudyStatus, all_studies, create, find_study, load_study

app = typer.Typer(help="Run hyperparameter studies; each trial is a run in the queue.", invoke_without_command=True)
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="A study's ID, name or directory.")]
Trials = Annotated[int | None, typer.Option(min=1, max=MOST_TRIALS, help="Total trials, overriding the study.")]
Hours = Annotated[float | None, typer.Option(min=0.001, max=MOST_HOURS, help="Time limit in hours, overriding the study.")]
Number = Annotated[int | None, typer.Option("--trial", min=0, help="Number of the trial; default is the best.")]
Changes = Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change one setting of the runs; repeatable.")]


@app.callback()
def search(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="A study's YAML file, for example configs/studies/learning.yaml.")] = None,
    settings: Changes = None,
    trials: Trials = None,
    hours: Hours = None,
    as_json: Json = False,
) -> None:
    """Search hyperparameters. Ctrl-C stops and keeps all checkpoints; continue with `search continue`."""
    if context.invoked_subcommand is not None:
        with clear_errors():
            if as_json or config or settings or trials is not None or hours is not None:
                raise ConfigError(f"options of a command follow it: search {context.invoked_subcommand} --json, for example")
        return
    with clear_errors():
        if config is None:
            raise ConfigError(
                "give --config FILE with the search space, for example configs/studies/learning.yaml, or a command: see --help"
            )
        home = runs_home()
        wanted, base = load_study(config, home, settings)
        wanted = _with_budget(wanted, trials, hours)
        load_logos(base.logos.path, 32, n_per_category=base.logos.n_per_category)  # readable, or said now
        check_preflight(base, home)
        _work(create(home, wanted, base), as_json)


def _with_budget(config: StudyConfig, trials: int | None, hours: float | None) -> StudyConfig:
    changed = config.model_dump() | ({"n_trials": trials} if trials is not None else {}) | ({"hours": hours} if hours is not None else {})
    return StudyConfig.model_validate(changed)


def _work(study: StudyDir, as_json: bool) -> None:
    """Work on a study in this process, with a scheduler that starts its runs where no console does."""
    from core.scheduling.scheduler import Scheduler
    from core.studies.runner import Runner
    from core.studies.samplers import check_cmaes

    if study.config().sampler == "cmaes":
        check_cmaes()
    signals: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, lambda number, _: signals.append(number)) for number in (signal.SIGTERM, signal.SIGINT)}
    print(f"study {study.study_id} in {study.path}", file=sys.stderr)
    try:
        runner = Runner(study, lambda: bool(signals), Progress())
        with Scheduler(study.home):
            status, reason = runner.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if status is StudyStatus.COMPLETED:
        _report_of(study)
    rows, config = read_trials(study), study.config()
    data = _summary(study, config, rows) | {"status": status.value, "reason": reason}
    result(data, as_json, lambda: _print(data))
    if status is StudyStatus.FAILED:
        raise typer.Exit(1)


def _report_of(study: StudyDir) -> None:
    """Its report, as the settings ask for; a study is complete without one too."""
    from core.reports.reporter import make_of_study

    print("writing its report", file=sys.stderr)
    problem = make_of_study(study.study_id, study.home, threading.Event())
    if problem:
        print(f"its report could not be made: {problem}; make it with: {program()} report --study {study.study_id} --keep", file=sys.stderr)


@app.command("continue")
def continue_study(study: StudyName, trials: Trials = None, hours: Hours = None, as_json: Json = False) -> None:
    """Continue a study that was stopped or killed, or extend its budget; finished trials are not repeated."""
    with clear_errors():
        found = find_study(study, runs_home())
        if trials is not None or hours is not None:
            found.write_config(_with_budget(found.config(), trials, hours))
        _work(found, as_json)


@app.command("list")
def list_studies(as_json: Json = False) -> None:
    """List all studies, newest first."""
    with clear_errors():
        rows = [_overview(study) for study in all_studies(runs_home())]

        def text() -> None:
            for row in rows:
                told = "" if row["best"] is None else f"best {row['best']['values'][0]:+.3f} (trial {row['best']['trial']})"
                print(f"{row['study']:<50} {row['status']:<12} {row['n_trials']:>5} trials  {told}")
                if row["problem"]:
                    print(f"    damaged: {row['problem']}")
            if not rows:
                print(f"no studies yet: {program()} search --config configs/studies/learning.yaml")

        result({"studies": rows}, as_json, text)


def _overview(study: StudyDir) -> dict[str, Any]:
    """A line of the list; a study that can't be read is shown as that rather than hiding the rest."""
    status, reason = study.status()
    try:
        rows, config = read_trials(study), study.config()
        return _summary(study, config, rows) | {"status": status.value, "reason": reason, "problem": ""}
    except (ConfigError, StudyError) as error:
        line = str(error).splitlines()[0]
        return {"study": study.study_id, "status": status.value, "reason": reason, "n_trials": 0, "best": None, "problem": line}


def _summary(study: StudyDir, config: StudyConfig, rows: list[TrialRow]) -> dict[str, Any]:
    found = analysis.best(rows, config)
    return {
        "study": study.study_id,
        "name": config.name,
        "path": str(study.path),
        "objectives": list(config.objectives),
        "n_trials": len(rows),
        "states": analysis.counts(rows),
        "hours": round(study.spent_s() / 3600, 4),
        "best": None if found is None else _told(found),
        "front": [trial.number for trial in analysis.front(rows, config)],
    }


def _told(trial: TrialRow) -> dict[str, Any]:
    return {"trial": trial.number, "values": trial.values, "params": trial.params, "run": trial.attrs.get("run")} | {
        name: trial.attrs.get(name) for name in ("gain", "minutes", "bytes", "share_worse")
    }


def _print(data: dict[str, Any]) -> None:
    states = ", ".join(f"{n} {state.lower()}" for state, n in data["states"].items()) or "none"
    print(f"{data['study']}: {data['status']}{': ' + data['reason'] if data['reason'] else ''}")
    print(f"{data['n_trials']} trials ({states}) in {data['hours']:.2f} h")
    best = data["best"]
    if best is None:
        print("no complete trial meets the constraints yet")
        return
    values = ", ".join(f"{name} {value:.4g}" for name, value in zip(data["objectives"], best["values"], strict=True))
    print(f"best is trial {best['trial']}: {values}; run {best['run']}")
    for name, value in best["params"].items():
        print(f"    {name} = {analysis.shown(value)}")
    if len(data["objectives"]) > 1:
        print(f"on the Pareto front: trials {', '.join(map(str, data['front']))}")


@app.command("show")
def show_study(
    study: StudyName,
    evaluator: Annotated[str, typer.Option("--importance", help="ped-anova or fanova.")] = "ped-anova",
    as_json: Json = False,
) -> None:
    """Show a study's trials, the best of them, and which settings matter."""
    with clear_errors():
        if evaluator not in ("ped-anova", "fanova"):
            raise ConfigError(f"--importance {evaluator!r} is not one of ped-anova, fanova")
        found = find_study(study, runs_home())
        rows, config = read_trials(found), found.config()
        status, reason = found.status()
        shares, why = _importance(found, config, evaluator)
        data = _summary(found, config, rows) | {"status": status.value, "reason": reason, "importance": shares, "importance_note": why}
        data["trials"] = analysis.table(rows, config)

        def text() -> None:
            _print(data)
            for name, share in shares.items():
                print(f"{share:>6.0%}  {name}")
            for row in data["trials"]:
                gain = "" if row["gain"] is None else f"gain {row['gain']:+.3f}"
                print(f"{row['trial']:>5} {row['state']:<20} {gain:<13} {row['reason'] or ''}")

        result(data, as_json, text)


def _importance(study: StudyDir, config: StudyConfig, evaluator: str) -> tuple[dict[str, float], str]:
    """Shares by setting, or why there are none."""
    try:
        return analysis.importances(study, config, evaluator), ""  # type: ignore[arg-type]
    except StudyError as error:
        return {}, str(error)


@app.command("best")
def best_trial(study: StudyName, trial: Number = None, as_json: Json = False) -> None:
    """Show the best trial that meets the constraints: its values and settings, also as --set options."""
    from core.studies.winners import chosen

    with clear_errors():
        found = find_study(study, runs_home())
        row, config = chosen(found, trial), found.config()

        def text() -> None:
            for name, value in zip(config.objectives, row.values, strict=False):
                print(f"{name} {value:.4g}")
            print(" ".join(f"--set '{name}={value}'" for name, value in row.params.items()))

        result({"study": found.study_id} | _told(row), as_json, text)


@app.command("stop")
def stop_study(study: StudyName, as_json: Json = False) -> None:
    """Ask the process working on a study to stop; live trials keep their checkpoints and resume when it continues."""
    with clear_errors():
        found = find_study(study, runs_home())
        found.want_stop()
        result({"study": found.study_id}, as_json, lambda: print(f"{found.study_id} was asked to stop"))


@app.command("train")
def train_best(study: StudyName, trial: Number = None, settings: Changes = None, as_json: Json = False) -> None:
    """Queue a run with the best trial's settings and the full budget."""
    from core.studies.winners import chosen, train_in_full

    with clear_errors():
        found = find_study(study, runs_home())
        row = chosen(found, trial)
        run = train_in_full(runs_home(), found, row, settings)
        data = {"study": found.study_id, "trial": row.number, "run": run.run_id, "path": str(run.path)}
        result(data, as_json, lambda: print(f"{run.run_id} is queued: {run_state(run).reason}"))


@app.command("preset")
def make_preset(
    study: StudyName, name: Annotated[str, typer.Argument(help="Name of the preset.")], trial: Number = None, as_json: Json = False
) -> None:
    """Save the best trial's settings as a preset, for New run and for a study's config."""
    from core.studies.winners import chosen, keep_as_preset

    with clear_errors():
        found = find_study(study, runs_home())
        row = chosen(found, trial)
        path = keep_as_preset(runs_home(), found, row, name)
        data = {"study": found.study_id, "trial": row.number, "preset": name, "path": str(path)}
        result(data, as_json, lambda: print(f"trial {row.number} is saved as preset {name} in {path}"))


@app.command("delete")
def delete_study(
    study: StudyName, yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False, as_json: Json = False
) -> None:
    """Delete a study for good; the runs of its trials stay."""
    from core.studies.study import delete

    with clear_errors():
        found = find_study(study, runs_home())
        if not yes and not typer.confirm(f"Delete the study {found.study_id}? The runs of its trials stay.", err=True):
            raise typer.Exit(1)
        delete(found)
        result({"deleted": found.study_id, "ts": time.time()}, as_json, lambda: print(f"{found.study_id} is deleted"))
