"""``runs baseline|rename|note|tags``: what people say of runs, and the run that the others are held against."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from core.cli.common import Json, RunName, clear_errors, result
from core.errors import ConfigError
from core.paths import runs_home
from core.runs import baseline_run, shelf
from core.runs.records import MAX_NAME, read_label, read_tags, write_label
from core.runs.run_dir import RunDir, find_run


def labels_of(run: RunDir) -> dict[str, Any]:
    """What a run is called and what was said of it; ``group``: the same for runs that differ in nothing but name, note and seed."""
    facts = shelf.facts_of(run)
    return {
        "name": facts.name,
        "note": facts.note,
        "tags": list(facts.tags),
        "seed": facts.seed,
        "group": facts.group or None,
        "parent": facts.parent.run_id if facts.parent else None,
        "archived": facts.is_archived,
    }


def baseline(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="ID of the run; without it, the baseline run is shown.")] = None,
    none: Annotated[bool, typer.Option("--none", help="Have no baseline run any more.")] = False,
    as_json: Json = False,
) -> None:
    """Set or show the baseline run, which `runs list`, the console's lists and Compare hold all other runs against."""
    with clear_errors():
        home = runs_home()
        if run is not None and none:
            raise ConfigError("give a RUN or --none, not both")
        if run is not None:
            found = find_run(run, home)
            if found.path.parent != home.resolve():
                raise ConfigError(f"{found.path} is not in {home}; only one of its runs can be the baseline run")
            baseline_run.choose(home, found.run_id)
        elif none:
            baseline_run.choose(home, None)
        now = baseline_run.read(home)
        result({"baseline": now}, as_json, lambda: print(f"the baseline run is {now}" if now else "there is no baseline run"))


def rename(
    run: RunName,
    name: Annotated[str, typer.Argument(help=f"The new name, at most {MAX_NAME} characters; '' for the one that it began with.")],
    as_json: Json = False,
) -> None:
    """Give a run another name; its ID and its directory stay."""
    with clear_errors():
        found = find_run(run, runs_home())
        if len(name.strip()) > MAX_NAME:
            raise ConfigError(f"the name has {len(name.strip())} characters; at most {MAX_NAME} are allowed")
        write_label(found, name.strip(), read_label(found).get("note", ""))
        now = shelf.facts_of(found).name
        result({"run": found.run_id, "name": now}, as_json, lambda: print(f"{found.run_id} is called {now}"))


def note(
    run: RunName,
    text: Annotated[
        str | None, typer.Argument(help="The new note, '' for none, '-' to read it from stdin; without it, the note is shown.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Set or show the note of a run."""
    with clear_errors():
        found = find_run(run, runs_home())
        if text is not None:
            baseline_run.write_note(found, _given() if text == "-" else text)
        now = read_label(found).get("note", "")
        result({"run": found.run_id, "note": now}, as_json, lambda: print(now or f"{found.run_id} has no note"))


def _given() -> str:
    """What comes on stdin.

    Raises:
        ConfigError: it is not UTF-8 text.
    """
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"the note is not UTF-8 text (byte {error.start})") from error


def tags(
    run: RunName,
    add: Annotated[list[str] | None, typer.Option("--add", metavar="TAG", help="Add a tag; repeatable.")] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", metavar="TAG", help="Remove a tag; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Add and remove tags of a run, or show them."""
    with clear_errors():
        found = find_run(run, runs_home())
        now = list(baseline_run.change_tags(found, add or [], remove or []) if add or remove else read_tags(found))
        result({"run": found.run_id, "tags": now}, as_json, lambda: print(", ".join(now) or f"{found.run_id} has no tags"))


COMMANDS = (baseline, rename, note, tags)
