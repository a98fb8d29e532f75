"""``runs``: list, show, stop, resume, steer and delete."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from core.commands.common import Json, RunName, clear_errors, result
from core.runs.config import ConfigError
from core.runs.run_dir import COMMANDS, RunDir, all_runs, find_run, runs_home
from core.runs.status import check_steerable, run_state

app = typer.Typer(help="List, show, stop, resume, steer and delete runs.", no_args_is_help=True)


@app.command("list")
def list_runs(as_json: Json = False) -> None:
    """All runs, newest first."""
    with clear_errors():
        rows = [_run_row(run) for run in reversed(list(all_runs(runs_home())))]

        def text() -> None:
            for row in rows:
                gain = "" if row["best_gain"] is None else f"gain {row['best_gain']:.3f}"
                print(f"{row['run_id']:<45} {row['status']:<12} {row['step']:>9} / {row['total_timesteps']:<9} {gain}")
            if not rows:
                print("no runs yet: python -m core train --config configs/quick.yaml")

        result({"runs": rows}, as_json, text)


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


@app.command("show")
def show_run(run: RunName, as_json: Json = False) -> None:
    """Status, figures and settings of a run."""
    from storage.export import open_index, run_summary

    with clear_errors():
        found = find_run(run, runs_home())
        with open_index(found) as store:
            data = run_summary(store, found)

        def text() -> None:
            for key, value in data.items():
                if key != "config":
                    print(f"{key:>16}  {value}")

        result(data, as_json, text)


@app.command("stop")
def stop_run(
    run: RunName,
    force: Annotated[bool, typer.Option(help="Kill it instead of asking.")] = False,
    as_json: Json = False,
) -> None:
    """Ask a run to write a checkpoint and end."""
    from core.runs.launchers import local

    with clear_errors():
        found = find_run(run, runs_home())
        local.stop(found, force)
        result({"run": found.run_id, "asked": "kill" if force else "stop"}, as_json, lambda: print(f"{found.run_id} was asked to stop"))


@app.command("resume")
def resume_run(run: RunName, as_json: Json = False) -> None:
    """Go on with a run in the background."""
    from core.runs.launchers import local

    with clear_errors():
        found = find_run(run, runs_home())
        local.resume(found)
        result(
            {"run": found.run_id, "log": str(found.log_file)},
            as_json,
            lambda: print(f"{found.run_id} goes on; its output is in {found.log_file}"),
        )


@app.command("stage")
def steer_run(
    run: RunName,
    command: Annotated[str, typer.Argument(help="advance, hold, release or back.")],
    as_json: Json = False,
) -> None:
    """Move a running curriculum on by hand, hold it in its stage, release it, or send it back."""
    with clear_errors():
        if command not in COMMANDS:
            raise ConfigError(f"{command!r} is none of {', '.join(COMMANDS)}")
        found = find_run(run, runs_home())
        check_steerable(found)
        found.write_command(command)
        result({"run": found.run_id, "command": command}, as_json, lambda: print(f"{found.run_id} will {command} at its next update"))


@app.command("delete")
def delete_run(
    run: RunName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a run and all its files."""
    from core.runs.launchers import local

    with clear_errors():
        found = find_run(run, runs_home())
        if not yes and not typer.confirm(f"Delete {found.run_id} and all its files in {found.path}?"):
            raise typer.Exit(1)
        local.delete(found)
        result({"deleted": found.run_id}, as_json, lambda: print(f"{found.run_id} is deleted"))
