"""``batches``: what became of the pictures that Optimize was given, which results are accepted, these as a zip, and deleted ones put back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.cli.common import Json, clear_errors, result
from core.errors import RunError
from core.files import write_aside
from core.paths import program, runs_home
from core.scheduling import job, review
from core.scheduling.batch import Batch, all_batches, batches_folder
from core.scheduling.job import JobStatus

app = typer.Typer(
    help="List batches of Optimize, accept their results, write the accepted SVGs as a zip, and cancel, delete or restore batches.",
    no_args_is_help=True,
)
BatchName = Annotated[str, typer.Argument(metavar="BATCH", help="A batch's ID, or 'last'.")]


def _named(name: str) -> Batch:
    known = all_batches(runs_home())
    which = next((batch for batch in known if name in ("last", batch.batch_id)), None)
    if which is None:
        raise RunError(f"there is no batch {name!r}; there are {', '.join(batch.batch_id for batch in known[:8]) or 'none'}")
    return which


def _found(name: str) -> Batch:
    """One that is done."""
    which = _named(name)
    if which.status() is not JobStatus.DONE:
        raise RunError(f"batch {which.batch_id} is {which.status().value.lower()}, not done")
    return which


@app.command("list")
def list_batches(
    deleted: Annotated[bool, typer.Option("--deleted", help="List deleted batches that can be restored.")] = False, as_json: Json = False
) -> None:
    """Show all batches, newest first."""
    with clear_errors():
        rows, folder = [], batches_folder(runs_home())
        gone = (Batch(folder / job.TRASH / name) for name in job.discarded(folder))
        for batch in gone if deleted else all_batches(runs_home()):
            items = review.items(batch)
            n_accepted = sum(bool(item.choice) for item in items)
            rows.append({"batch": batch.batch_id, "status": batch.status().value, "pictures": len(items), "accepted": n_accepted})

        def text() -> None:
            for row in rows:
                print(f"{row['batch']}  {str(row['status']).lower():<10} {row['pictures']:>4} pictures, {row['accepted']} accepted")

        result({"batches": rows}, as_json, text)


@app.command("choose")
def choose(
    batch: BatchName,
    picture: Annotated[
        list[str] | None, typer.Argument(help="Names of SVGs as `batches show` lists them; none means all undecided.")
    ] = None,
    take: Annotated[
        str, typer.Option(help="best (accept the result), defaults, faithful (closer match), smaller, or none (take the choice back).")
    ] = review.BEST,
    as_json: Json = False,
) -> None:
    """Choose what becomes of pictures, as the Optimize page does."""
    with clear_errors():
        which = _found(batch)
        choice = "" if take == "none" else take
        if take != "none" and take not in review.CHOICES:
            raise RunError(f"--take {take!r} is not one of {', '.join(review.CHOICES)}, none")
        items = review.items(which)
        names = picture or [item.name for item in items if not item.choice and (not choice or choice in item.versions)]
        kept = review.choose(which, dict.fromkeys(names, choice))
        data = {"batch": which.batch_id, "changed": len(names), "accepted": len(kept.chosen)}
        result(data, as_json, lambda: print(f"{len(names)} pictures: {take}; {len(kept.chosen)} of {len(items)} accepted"))


@app.command("show")
def show(batch: BatchName, as_json: Json = False) -> None:
    """Show the pictures of a batch, what each could become, and what was chosen."""
    with clear_errors():
        which = _found(batch)
        problem = review.read_choices(which).problem
        rows = [
            {"svg": item.name, "choice": item.choice, "offered": list(item.versions), "bytes": item.figure("bytes"), "visual_gain": item.figure("visual_gain")}
            for item in review.items(which)
        ]  # fmt: skip

        def text() -> None:
            for row in rows:
                print(f"{row['svg']:<40} {row['choice'] or '-':<9} of {', '.join(row['offered'])}")
            if problem:
                print(problem)

        result({"batch": which.batch_id, "pictures": rows, "problem": problem}, as_json, text)


@app.command("zip")
def zip_accepted(
    batch: BatchName,
    out: Annotated[Path, typer.Argument(help="ZIP file to write.", dir_okay=False)],
    everything: Annotated[bool, typer.Option("--all", help="All results instead of the accepted.")] = False,
    as_json: Json = False,
) -> None:
    """Write the accepted SVGs and a CSV of them."""
    with clear_errors():
        which = _found(batch)
        n = sum(bool(item.choice) or everything for item in review.items(which))
        if not n:
            raise RunError(f"nothing of {which.batch_id} is accepted; use: {program()} batches choose {which.batch_id}, or --all")
        write_aside(out, review.archive(which, not everything))
        result({"batch": which.batch_id, "out": str(out), "svgs": n}, as_json, lambda: print(f"{n} SVGs in {out}"))


@app.command("cancel")
def cancel(batch: BatchName, as_json: Json = False) -> None:
    """Stop working on a batch; what is done so far stays in its folder."""
    with clear_errors():
        which = _named(batch)
        if which.status() is not JobStatus.WORKING:
            raise RunError(f"batch {which.batch_id} is {which.status().value.lower()}; only one that is worked on can be cancelled")
        which.cancel()
        result({"batch": which.batch_id}, as_json, lambda: print(f"{which.batch_id} is cancelled"))


@app.command("delete")
def delete(batch: BatchName, as_json: Json = False) -> None:
    """Delete a batch, its pictures and its SVGs; it can be restored within a week."""
    with clear_errors():
        which = _named(batch)
        which.discard()
        told = f"{which.batch_id} is deleted; restore it with: {program()} batches restore {which.batch_id}"
        result({"batch": which.batch_id}, as_json, lambda: print(told))


@app.command("restore")
def restore(batch: Annotated[str, typer.Argument(metavar="BATCH", help="ID of a deleted batch.")], as_json: Json = False) -> None:
    """Restore a batch that was deleted within the last week."""
    with clear_errors():
        job.restore(batches_folder(runs_home()), batch)
        result({"batch": batch}, as_json, lambda: print(f"{batch} is restored"))
