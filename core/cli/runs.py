"""``runs``: list, show, queue, start, stop, pause, resume, fork, control and delete."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, get_args

import typer

from core.cli.common import Json, RunName, clear_errors, result
from core.cli.labels import labels_of
from core.config.installation import SETTINGS_FILE, SEVERITIES, read_settings
from core.config.text import load_config
from core.errors import ConfigError
from core.files import write_aside
from core.logos.dataset import load_logos
from core.notifications.addresses import masked, send
from core.notifications.notices import KINDS, Notice, notice_of
from core.paths import program, runs_home
from core.runs import baseline_run, trash
from core.runs.events import read_events
from core.runs.records import read_config, write_command
from core.runs.requirements import check_preflight, preflight
from core.runs.run_dir import COMMANDS, RunDir, all_runs, find_run, unlisted
from core.runs.status import check_checkpoint, check_steerable, overview, run_state
from core.scheduling import local, queue

app = typer.Typer(help="List, show, queue, stop, pause, resume, fork, control and delete runs.", no_args_is_help=True)


@app.command("list")
def list_runs(as_json: Json = False) -> None:
    """List all runs, newest first."""
    with clear_errors():
        home = runs_home()
        base = baseline_run.read(home)
        rows, left_out = [overview(run) | labels_of(run) for run in reversed(list(all_runs(home)))], unlisted(home)
        held = next((row["best_gain"] for row in rows if row["run_id"] == base), None)
        for row in rows:
            row["against_baseline"] = None if held is None or row["best_gain"] is None else row["best_gain"] - held

        def text() -> None:
            for row in rows:
                gain = "" if row["best_gain"] is None else f"gain {row['best_gain']:.3f}"
                if row["run_id"] == base:
                    gain += " (baseline)"
                elif row["against_baseline"] is not None:
                    gain += f" ({row['against_baseline']:+.3f})"
                gain += "".join(f" #{tag}" for tag in row["tags"])
                total = "?" if row["planned_steps"] is None else row["planned_steps"]
                print(f"{row['run_id']:<45} {row['status']:<12} {row['step']:>9} / {total:<9} {gain}")
                if row["verdict"].startswith("no better"):
                    print(f"    {row['verdict']}")
                for problem in row["problems"]:
                    print(f"    damaged: {problem}")
            for line in left_out:
                print(line)
            if not rows:
                print(f"no runs yet: {program()} train --config configs/quick.yaml")

        result({"runs": rows, "baseline": base, "unlisted": left_out}, as_json, text)


@app.command("show")
def show_run(run: RunName, as_json: Json = False) -> None:
    """Show the status, figures and settings of a run."""
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


@app.command("queue")
def queue_run(
    config: Annotated[Path | None, typer.Option(help="YAML config of a new run; without it, show the queue.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change one setting; repeatable.")] = None,
    priority: Annotated[int, typer.Option(help="Runs of a higher priority start first.")] = 0,
    as_json: Json = False,
) -> None:
    """Queue a new run, or show queued runs and why they wait. The console or `runs serve` starts them."""
    with clear_errors():
        home = runs_home()
        if config is not None:
            wanted = load_config(config, settings or [])
            load_logos(wanted.logos.path, 32, n_per_category=wanted.logos.n_per_category)  # readable, or said now
            check_preflight(wanted, home)
            for line in preflight(wanted, home):
                print(f"note: {line}", file=sys.stderr)
            run = queue.submit(home, wanted, priority)
            result({"run": run.run_id, "path": str(run.path)}, as_json, lambda: print(f"{run.run_id} is queued: {run_state(run).reason}"))
            return
        if settings or priority:
            raise ConfigError("--set and --priority are of a new run; give --config FILE too")
        rows = [{"run_id": run.run_id, "priority": entry.priority, "reason": run_state(run).reason} for run, entry in queue.waiting(home)]
        result(
            {"queue": rows},
            as_json,
            lambda: print("\n".join(f"{row['run_id']:<45} {row['reason']}" for row in rows) or "the queue is empty"),
        )


@app.command("move")
def move_run(run: RunName, place: Annotated[str, typer.Argument(help="first, last, up or down.")], as_json: Json = False) -> None:
    """Change a run's place in the queue."""
    with clear_errors():
        if place not in get_args(queue.Place):
            raise ConfigError(f"{place!r} is not one of {', '.join(get_args(queue.Place))}")
        found = find_run(run, runs_home())
        queue.move(found, place)  # type: ignore[arg-type]
        order = [other.run_id for other, _ in queue.waiting(runs_home())]
        result({"queue": order}, as_json, lambda: print("\n".join(order)))


@app.command("cancel")
def cancel_run(run: RunName, as_json: Json = False) -> None:
    """Remove a run from the queue; its files stay."""
    with clear_errors():
        found = find_run(run, runs_home())
        queue.cancel(found)
        result({"cancelled": found.run_id}, as_json, lambda: print(f"{found.run_id} was removed from the queue"))


@app.command("serve")
def serve_runs(
    until_idle: Annotated[bool, typer.Option("--until-idle", help="Exit when nothing is queued or running.")] = False,
    as_json: Json = False,
) -> None:
    """Start queued runs, restart runs that die and send notifications, without a console. Ctrl-C ends it; runs continue."""
    from core.scheduling.serve import serve

    with clear_errors():
        n_started = serve(runs_home(), until_idle)
        result({"started": n_started}, as_json, lambda: print(f"{n_started} runs were started"))


@app.command("stop")
def stop_run(
    run: RunName,
    force: Annotated[bool, typer.Option(help="Kill it instead of asking it to stop.")] = False,
    as_json: Json = False,
) -> None:
    """Ask a run to stop: every step so far is saved, and it resumes exactly there; asked again after ten seconds, it is killed."""
    with clear_errors():
        found = find_run(run, runs_home())
        local.stop(found, force)
        told = "was killed" if force else f"was asked to stop; nothing is lost, go on with: {program()} runs resume {run}"
        result({"run": found.run_id, "asked": "kill" if force else "stop"}, as_json, lambda: print(f"{found.run_id} {told}"))


@app.command("pause")
def pause_run(run: RunName, as_json: Json = False) -> None:
    """Pause a run after its current step; it keeps its memory."""
    with clear_errors():
        found = find_run(run, runs_home())
        local.pause(found)
        result({"run": found.run_id}, as_json, lambda: print(f"{found.run_id} is pausing; continue with: {program()} runs continue {run}"))


@app.command("continue")
def continue_run(run: RunName, as_json: Json = False) -> None:
    """Continue a paused run."""
    with clear_errors():
        found = find_run(run, runs_home())
        local.proceed(found)
        result({"run": found.run_id}, as_json, lambda: print(f"{found.run_id} continues"))


@app.command("resume")
def resume_run(
    run: RunName,
    checkpoint: Annotated[str, typer.Option(help="Checkpoint to resume from, instead of the last: best or step-<n>.")] = "",
    queued: Annotated[bool, typer.Option("--queue", help="Queue it instead of starting it immediately.")] = False,
    as_json: Json = False,
) -> None:
    """Resume a run in the background."""
    with clear_errors():
        found = find_run(run, runs_home())
        if queued:
            queue.resume(found, checkpoint)
        else:
            local.resume(found, checkpoint)
        where = f"is queued: {run_state(found).reason}" if queued else f"continues; its output is in {found.log_file}"
        result({"run": found.run_id, "log": str(found.log_file)}, as_json, lambda: print(f"{found.run_id} {where}"))


@app.command("fork")
def fork_run(
    run: RunName,
    checkpoint: Annotated[str, typer.Option(help="last, best or step-<n>.")] = "last",
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change one setting; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Queue a new run that continues from another run's checkpoint with changed settings."""
    with clear_errors():
        home = runs_home()
        parent = find_run(run, home)
        check_checkpoint(parent, checkpoint)
        forked = queue.fork(home, parent, checkpoint, queue.fork_config(parent, checkpoint, settings))
        data = {"run": forked.run_id, "parent": parent.run_id, "checkpoint": checkpoint}
        result(data, as_json, lambda: print(f"{forked.run_id} is queued: {run_state(forked).reason}"))


@app.command("health")
def health_of_run(run: RunName, as_json: Json = False) -> None:
    """Show the doctor's findings for a run's log, by the current rules."""
    from core.health.doctor import Doctor

    with clear_errors():
        found = find_run(run, runs_home())
        doctor = Doctor(read_config(found))
        for event in read_events(found.events_file):
            doctor.observe(event.step, event.data)
        findings = [finding.as_dict() for finding in doctor.take()]

        def text() -> None:
            for f in findings:
                print(f"step {f['step']:>9}  {f['severity']:<8} {f['title']}: {f['evidence']}\n{'':>16} {f['cause']} {f['remedy']}")
            if not findings:
                print(f"{found.run_id}: no findings")

        result({"run": found.run_id, "findings": findings}, as_json, text)


def _notices(run: RunDir) -> list[Notice]:
    """The notices of a run; one whose log can't be read is named on stderr, and does not hold the others."""
    try:
        return [notice for event in read_events(run.events_file, KINDS) if (notice := notice_of(run.run_id, event))]
    except OSError as error:
        print(f"{run.run_id} is skipped: {run.events_file.name} can't be read: {error.strerror}", file=sys.stderr)
        return []


@app.command("alerts")
def list_alerts(
    at_least: Annotated[str, typer.Option(help="info, warning or severe.")] = "warning",
    limit: Annotated[int, typer.Option(min=1)] = 50,
    as_json: Json = False,
) -> None:
    """List findings and milestones of all runs, newest first, like the console's bell."""
    with clear_errors():
        if at_least not in SEVERITIES:
            raise ConfigError(f"--at-least {at_least!r} is not one of {', '.join(SEVERITIES)}")
        found = [notice for run in all_runs(runs_home()) for notice in _notices(run)]
        found = [notice for notice in found if SEVERITIES.index(notice.severity) >= SEVERITIES.index(at_least)]
        found = sorted(found, key=lambda notice: -notice.ts)[:limit]

        def text() -> None:
            for n in found:
                print(f"{time.strftime('%m-%d %H:%M', time.localtime(n.ts))}  {n.severity:<8} {n.run_id:<40} {n.title}: {n.text}")
            if not found:
                print("no alerts")

        result({"alerts": [asdict(notice) for notice in found]}, as_json, text)


@app.command("notify")
def notify(
    message: Annotated[str, typer.Argument(help="Text to send.")] = "Test message from Tracewright: notifications work.",
    as_json: Json = False,
) -> None:
    """Send a test message to every address in the settings."""
    with clear_errors():
        settings = read_settings(runs_home())
        if not settings.notify.urls:
            raise ConfigError(f"no address is set: add notify.urls to {runs_home() / SETTINGS_FILE}, or in the console's settings")
        failed = {masked(url): why for url in settings.notify.urls if (why := send(url, "Tracewright", message))}
        result({"sent": len(settings.notify.urls) - len(failed), "failed": failed}, as_json, lambda: print(failed or "sent"))
        if failed:
            raise typer.Exit(1)


@app.command("compare")
def compare_runs(
    first: RunName,
    second: Annotated[str, typer.Argument(help="The run to compare it with.")],
    out: Annotated[Path | None, typer.Option(help="Write a CSV with one row per logo.", dir_okay=False)] = None,
    as_json: Json = False,
) -> None:
    """Compare two runs on the logos that both evaluated: mean difference, wins, ties, losses and a paired test."""
    from storage import export, run_comparison
    from storage.ingest import read_new
    from storage.store import Store

    with clear_errors():
        runs = [find_run(name, runs_home()) for name in (first, second)]
        with Store(None) as store:
            for run in runs:
                read_new(store, run.run_id, run.events_file, {})
            both = run_comparison.by_logo(store, runs[0].run_id, runs[1].run_id)
            found = run_comparison.compare_pair(both)
        if found is None:
            raise ConfigError(f"{runs[0].run_id} and {runs[1].run_id} have no evaluated logo in common")
        if out is not None:
            write_aside(out, export.to_csv(both.drop(columns=["svg_a", "svg_b"])))

        def text() -> None:
            print(
                f"{runs[1].run_id} against {runs[0].run_id} on {found.n_logos} logos: {found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
            )
            print(f"{found.wins} wins, {found.ties} ties, {found.losses} losses; p = {found.p_value}")
            print(f"{found.verdict(runs[1].run_id)}.")

        result(
            {"first": runs[0].run_id, "second": runs[1].run_id, "verdict": found.verdict(runs[1].run_id)} | found.as_dict(), as_json, text
        )


@app.command("stage")
def steer_run(
    run: RunName,
    command: Annotated[str, typer.Argument(help="advance, hold, release or back.")],
    as_json: Json = False,
) -> None:
    """Advance a running curriculum, hold it in its stage, release it, or send it back a stage."""
    with clear_errors():
        if command not in COMMANDS:
            raise ConfigError(f"{command!r} is not one of {', '.join(COMMANDS)}")
        found = find_run(run, runs_home())
        check_steerable(found)
        write_command(found, command)
        result({"run": found.run_id, "command": command}, as_json, lambda: print(f"{found.run_id} will {command} at its next update"))


@app.command("delete")
def delete_run(
    run: RunName,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a run and all its files for good."""
    with clear_errors():
        found = find_run(run, runs_home())
        if not yes and not typer.confirm(f"Delete {found.run_id} and all its files in {found.path}?", err=True):
            raise typer.Exit(1)
        local.delete(found)
        result({"deleted": found.run_id}, as_json, lambda: print(f"{found.run_id} is deleted"))


@app.command("archive")
def archive_run(
    run: RunName,
    undo: Annotated[bool, typer.Option("--undo", help="Unarchive it.")] = False,
    as_json: Json = False,
) -> None:
    """Hide a run from the console's list; its files stay."""
    with clear_errors():
        found = find_run(run, runs_home())
        trash.archive(found, not undo)
        done = "unarchived" if undo else "archived"
        result({"run": found.run_id, "archived": not undo}, as_json, lambda: print(f"{found.run_id} is {done}"))


@app.command("restore")
def restore_run(run: Annotated[str, typer.Argument(help="ID of a deleted run.")], as_json: Json = False) -> None:
    """Restore a run that was deleted in the console within the last week."""
    with clear_errors():
        found = trash.restore(runs_home(), run)
        result({"restored": found.run_id}, as_json, lambda: print(f"{found.run_id} is restored"))
