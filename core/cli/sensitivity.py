"""``runs groups|efficiency|importance|schedules``: statistics over many runs, the headless twin of the Compare page."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.cli.common import Json, clear_errors, result
from core.cli.progress import Progress
from core.config.text import load_config
from core.errors import RunError
from core.files import write_aside
from core.logos.dataset import load_logos
from core.paths import program, runs_home
from core.runs.requirements import check_preflight, preflight
from core.runs.run_dir import RunDir, all_runs, find_run
from core.runs.status import Status, overview, run_state
from core.scheduling.series import LR_SCHEDULES, series_configs, submit_missing

if TYPE_CHECKING:
    import pandas as pd

    from core.runs.seed_groups import SeedGroup
    from storage.store import Store

Runs = Annotated[list[str] | None, typer.Argument(metavar="RUN", help="IDs or directories of runs; default is all.")]
Out = Annotated[Path | None, typer.Option(help="Write the table as CSV.", dir_okay=False)]
_SHOWN = 5  # of what is left out, by name


@contextmanager
def _index(names: Sequence[str] | None) -> Iterator[tuple[Store, list[RunDir]]]:
    """(an index in memory over the runs named, or over all; the runs in it). One whose log can't be read is named on stderr.

    Raises:
        RunError: a run that does not exist, or one that is named twice under the same id in two folders.
    """
    from storage.ingest import read_new
    from storage.store import Store

    home, taken, progress = runs_home(), [], Progress()
    found = list(all_runs(home)) if names is None else [find_run(name, home) for name in names]
    runs = list({run.path: run for run in found}.values())
    if len({run.run_id for run in runs}) < len(runs):
        raise RunError("two of these runs have the same ID; rename the folder of one")
    with Store(None) as store:
        for place, run in enumerate(runs, start=1):
            try:
                read_new(store, run.run_id, run.events_file, {})
                taken.append(run)
            except OSError as error:
                print(f"{run.run_id} is skipped: {run.events_file.name} can't be read: {error.strerror}", file=sys.stderr)
            progress("reading logs", place, len(runs))
        yield store, taken


def _is_missing(value: Any) -> bool:
    import pandas as pd  # with it, every other command would start a fifth of a second later

    return bool(pd.isna(value))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain data; what is not a finite number is null."""
    return [{str(k): None if _is_missing(v) else v for k, v in row.items()} for row in frame.astype(object).to_dict("records")]


def _write(frame: pd.DataFrame, out: Path | None) -> None:
    if out is not None:
        from storage.export import to_csv

        out.parent.mkdir(parents=True, exist_ok=True)
        write_aside(out, to_csv(frame))


def _print_left_out(left_out: dict[str, str]) -> None:
    for run_id, why in list(left_out.items())[:_SHOWN]:
        print(f"excluded: {run_id}: {why}")
    if len(left_out) > _SHOWN:
        print(f"excluded: {len(left_out) - _SHOWN} more")


def _number(value: float, form: str) -> str:
    return "–" if _is_missing(value) else format(value, form)


def _print_groups(figures: pd.DataFrame, pairs: pd.DataFrame) -> None:
    for row in figures.to_dict("records"):
        interval = "" if _is_missing(row["low"]) else f"({row['low']:+.3f} to {row['high']:+.3f})"
        print(
            f"{row['group']:<46} {row['n_seeds']:>3} seeds  {row['iqm']:+.3f} {interval:<20} lowest {row['lowest']:+.3f}, highest {row['highest']:+.3f}"
        )
        if row["warning"]:
            print(f"    {row['warning']}")
    for row in pairs.to_dict("records"):
        interval = "" if _is_missing(row["low"]) else f" ({row['low']:.0%} to {row['high']:.0%})"
        print(f"{row['better']} over {row['worse']}: {row['probability']:.0%}{interval} on {row['n_logos']} logos: {row['verdict']}")


def groups(
    runs: Runs = None,
    least: Annotated[int, typer.Option("--at-least", help="Minimum number of seeds per group, if no runs are given.", min=1)] = 2,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Group the seeds of each config: interquartile mean of their gains with its interval, and the probability that one group beats another."""
    from storage import sensitivity

    with clear_errors(), _index(runs or None) as (store, taken):
        found, left_out = sensitivity.evaluated_groups(store, taken)
        kept = [group for group in found if runs or len(group.runs) >= least]
        figures, pairs = sensitivity.group_figures(store, kept), sensitivity.improvements(store, kept)
        _write(figures, out)

        def text() -> None:
            _print_groups(figures, pairs)
            if not kept:
                print(f"no config has {least} or more evaluated seeds; train with more seeds: {program()} runs schedules --help")
            if len(found) > len(kept):
                n = len(found) - len(kept)
                print(f"{'one config' if n == 1 else f'{n} configs'} with fewer than {least} seeds {'is' if n == 1 else 'are'} not shown")
            _print_left_out(left_out)

        members = {group.label: list(group.runs) for group in kept}
        result({"groups": _records(figures), "runs": members, "improvements": _records(pairs), "left_out": left_out}, as_json, text)


def efficiency(runs: Runs = None, out: Out = None, as_json: Json = False) -> None:
    """Show what each training cost and reached: conversions per second, gains at equal steps and minutes, and time to 95% of the rise."""
    from storage import sensitivity

    with clear_errors(), _index(runs or None) as (store, taken):
        found = sensitivity.efficiency(store, [run.run_id for run in taken])
        _write(found.table, out)

        def text() -> None:
            print(f"{'':<44}{'conv./s':>8}{'minutes':>9}{'final':>8}{'at equal':>17}{'95% of its rise at':>22}")
            print(f"{'':<44}{'':>25}{f'{found.at_steps:,.0f} steps':>13}{f'{found.at_minutes:.3g} min':>10}{'step':>8}{'min':>8}")
            for row in found.table.to_dict("records"):
                print(
                    f"{row['run_id'][:43]:<44}{_number(row['conversions_per_s'], '.1f'):>8}{_number(row['minutes'], '.3g'):>9}{row['final_gain']:>+8.3f}"
                    f"{_number(row['gain_at_steps'], '+.3f'):>13}{_number(row['gain_at_minutes'], '+.3f'):>10}{_number(row['steps_to_95'], ',.0f'):>8}{_number(row['minutes_to_95'], '.3g'):>8}"
                )

        def nothing() -> None:
            print("no run has been evaluated yet")

        budget = {"at_steps": _plain(found.at_steps), "at_minutes": _plain(found.at_minutes)}
        result({"runs": _records(found.table)} | budget, as_json, nothing if found.table.empty else text)


def _plain(value: float) -> float | None:
    return None if _is_missing(value) else value


def importance(
    runs: Runs = None,
    like: Annotated[str, typer.Option(help="Use the data set and budget of this run; default is the pair with the most runs.")] = "",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Show which settings mattered, over all runs on the same logos with the same number of steps."""
    import pandas as pd

    from storage import sensitivity

    with clear_errors():
        wanted = find_run(like, runs_home()).run_id if like else ""
        with _index(runs or None) as (store, taken):
            found = sensitivity.sensitivity(store, taken, wanted)
        table = pd.DataFrame([row.as_dict() | {"with_it": " + ".join(row.with_it)} for row in found.rows])
        _write(table, out)

        def text() -> None:
            print(f"{len(found.runs)} runs of {found.total_timesteps:,} steps on the same logos")
            for row in found.rows:
                share = "–" if row.explained is None else f"{row.explained:.0%}"
                best = f"best: {row.best} ({row.best_gain:+.3f} over {row.n_best} runs)"
                print(f"{row.name:<44} explains {share:>4} (p = {row.p_value:.3f})  PED-ANOVA {row.ped_anova:.0%}  {best}")
            if found.warning:
                print(found.warning)
            _print_left_out(found.left_out)

        data = {"settings": [row.as_dict() for row in found.rows], "n_runs": len(found.runs), "runs": found.runs}
        more = {"total_timesteps": found.total_timesteps, "warning": found.warning, "left_out": found.left_out}
        result(data | more, as_json, text)


def schedules(
    config: Annotated[Path, typer.Option(help="YAML config shared by all runs.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Change a setting in all runs; repeatable.")
    ] = None,
    vary: Annotated[str, typer.Option(help="The setting to vary, and its values.")] = LR_SCHEDULES,
    seeds: Annotated[str, typer.Option(help="Seeds for each value, comma-separated.")] = "1,2,3",
    priority: Annotated[int, typer.Option(help="Runs of a higher priority start first.")] = 0,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Start them and wait until they end, or only queue them.")] = True,
    as_json: Json = False,
) -> None:
    """Compare learning-rate schedules: queue one config with each schedule and several seeds, then print the table. Existing runs are reused."""
    from core.scheduling.serve import serve

    with clear_errors():
        home, shared = runs_home(), load_config(config, settings or [])
        configs = series_configs(shared, vary, seeds)
        load_logos(shared.logos.path, 32, n_per_category=shared.logos.n_per_category)  # readable, or said now
        check_preflight(configs[0], home)
        for line in preflight(configs[0], home):
            print(f"note: {line}", file=sys.stderr)
        runs = submit_missing(home, configs, priority)
        progress = Progress()
        if wait and any(run_state(run).status.is_moving for run in runs):
            serve(home, is_done=lambda: _is_over(runs, progress))
        states = {run.run_id: run_state(run).status for run in runs}
        with _index([str(run.path) for run in runs if run.events_file.exists()]) as (store, taken):
            data, text = _series_table(store, taken, states)
        result(data, as_json, text)
        if any(status in (Status.FAILED, Status.UNKNOWN) for status in states.values()):
            raise typer.Exit(1)


def _is_over(runs: Sequence[RunDir], progress: Progress) -> bool:
    """Whether none of them moves any more; shows how far they are."""
    rows = [overview(run) for run in runs]
    n_over = sum(not Status(row["status"]).is_moving for row in rows)
    done = sum(row["total_timesteps"] or 0 if not Status(row["status"]).is_moving else row["step"] for row in rows)
    progress(f"training: {n_over} of {len(runs)} runs finished, steps", done, sum(row["total_timesteps"] or 0 for row in rows))
    return n_over == len(runs)


def _series_table(store: Store, runs: list[RunDir], states: dict[str, Status]) -> tuple[dict[str, Any], Any]:
    """The table of a series as plain data, and what prints it."""
    from storage import sensitivity

    found, left_out = sensitivity.evaluated_groups(store, runs)
    figures, pairs = sensitivity.group_figures(store, found), sensitivity.improvements(store, found)
    cost = sensitivity.efficiency(store, [run_id for group in found for run_id in group.runs])
    speed = _speeds(found, cost.table)

    def text() -> None:
        _print_groups(figures, pairs)
        for label, row in speed.items():
            steps, minutes = _number(row["steps_to_95"], ",.0f"), _number(row["minutes_to_95"], ".3g")
            print(f"{label}: 95% of the rise after {steps} steps, {minutes} min (medians)")
        for run_id, status in states.items():
            if status is not Status.COMPLETED:
                print(f"{run_id} is {status.value.lower()}")

    data = {
        "groups": _records(figures), "runs": {group.label: list(group.runs) for group in found}, "improvements": _records(pairs),
        "efficiency": _records(cost.table), "status": {run_id: status.value for run_id, status in states.items()}, "left_out": left_out,
    }  # fmt: skip
    return data, text


def _speeds(groups: Sequence[SeedGroup], table: pd.DataFrame) -> dict[str, dict[str, float]]:
    return {
        group.label: {name: float(table.loc[table["run_id"].isin(group.runs), name].median()) for name in ("steps_to_95", "minutes_to_95")}
        for group in groups
    }


COMMANDS = (groups, efficiency, importance, schedules)
