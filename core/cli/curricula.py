"""``curricula``: list and show saved curricula, and replay one on the episodes of a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import Json, RunName, clear_errors, result
from core.config.config import CurriculumConfig
from core.curriculum import library
from core.curriculum.replay import replay
from core.paths import runs_home
from core.runs.records import read_config
from core.runs.run_dir import find_run

app = typer.Typer(help="List saved curricula and replay one on a run.", no_args_is_help=True)


@app.command("list")
def list_curricula(as_json: Json = False) -> None:
    """List saved curricula."""
    with clear_errors():
        found = library.names(runs_home())
        result({"curricula": found}, as_json, lambda: print("\n".join(found) or "no curricula saved yet"))


@app.command("show")
def show_curriculum(name: Annotated[str, typer.Argument(help="Name of the curriculum.")], as_json: Json = False) -> None:
    """Show the stages of a curriculum."""
    with clear_errors():
        found = library.read(runs_home(), name)

        def text() -> None:
            for stage in found.stages:
                print(f"{stage.name:<22} {stage.success_threshold:.0%} of SSIM >= {stage.target_ssim:g}, gain >= {stage.gain_needed():g}")

        result({"name": name} | found.model_dump(mode="json"), as_json, text)


@app.command("whatif")
def what_if(
    run: RunName,
    curriculum: Annotated[str, typer.Option(help="A file or the name of a saved curriculum; default is the run's own rules.")] = "",
    as_json: Json = False,
) -> None:
    """Show when these rules would have ended stages on the episodes of a recorded run."""
    from storage import export, queries

    with clear_errors():
        found = find_run(run, runs_home())
        rules: CurriculumConfig = read_config(found).curriculum
        if curriculum:
            is_file = Path(curriculum).is_file()
            rules = library.read_file(Path(curriculum)) if is_file else library.read(runs_home(), curriculum)
        with export.open_index(found) as store:
            episodes = queries.episode_outcomes(store, found.run_id)
        turns = replay(rules, zip(episodes["ssim"], episodes["gain"], strict=True))

        def text() -> None:
            for turn in turns:
                print(f"episode {turn.episode:>7} {turn.stage:<22} {turn.kind}: {turn.why}")
            if not turns:
                print(f"no decision in {len(episodes)} episodes")

        result({"run": found.run_id, "episodes": len(episodes), "decisions": [asdict(turn) for turn in turns]}, as_json, text)
