"""``models``: the registry: list, show, register, note, promote, compare, delete, restore, export."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import Json, clear_errors, result
from core.cli.progress import Progress
from core.models import registry
from core.models.registry import Entry, Interval
from core.paths import program, runs_home

app = typer.Typer(help="List, register, compare, promote and delete models.", no_args_is_help=True)
ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="A model's ID, its name (newest version), 'default', or 'shipped' for the built-in model."),
]


def figure(value: Interval | None) -> str:
    return "–" if value is None else f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f}, {value.n} logos)"


def _line(entry: Entry) -> str:
    mark, record = "*" if entry.is_default else " ", entry.record
    if record is None:
        return f"{mark} {entry.model_id:<28} {entry.problem or 'built-in model'}"
    return f"{mark} {entry.model_id:<28} {figure(record.gain):<40} {_when(record.made)}  {record.source}  {record.note.splitlines()[0] if record.note else ''}".rstrip()


def _when(ts: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(ts))


@app.command("list")
def list_models(
    deleted: Annotated[bool, typer.Option("--deleted", help="List deleted models that can be restored.")] = False, as_json: Json = False
) -> None:
    """List all models, newest first; the default has a star."""
    with clear_errors():
        entries = registry.discarded(runs_home()) if deleted else registry.models(runs_home())
        text = lambda: print("\n".join(_line(entry) for entry in entries) or "no deleted models")
        result({"models": [entry.as_dict() for entry in entries]}, as_json, text)


@app.command("show")
def show_model(model: ModelName, as_json: Json = False) -> None:
    """Show a model's origin, gain by category, data and note."""
    with clear_errors():
        entry = registry.find(model, runs_home())

        def text() -> None:
            print(f"{entry.model_id}{' (default)' if entry.is_default else ''}  {entry.path}")
            record = entry.record
            if record is None:
                print(entry.problem or f"built-in model; measure it with {program()} evaluate --model shipped")
                return
            print(f"from        {record.source}" + (f", checkpoint {record.checkpoint}, step {record.step:,}" if record.checkpoint else ""))
            print(f"registered  {_when(record.made)}")
            print(f"gain        {figure(record.gain)}")
            for name, value in record.by_category.items():
                print(f"  {name:<10}{figure(value)}")
            print(f"over the best single setting {figure(record.over_single)}")
            print(f"data        {record.data or 'not known'}  {record.n_logos} logos  digest {record.data_digest or 'not known'}")
            print(f"note        {record.note or 'none'}")

        result(entry.as_dict(), as_json, text)


@app.command("register")
def register_model(
    source: Annotated[str, typer.Argument(metavar="RUN", help="A run's ID or directory, a checkpoint folder, or a model folder.")],
    name: Annotated[
        str, typer.Option(help="Name of the model; default is the name in its config. It becomes the next version of that name.")
    ] = "",
    note: Annotated[str, typer.Option(help="Note to save with it.")] = "",
    promote: Annotated[bool, typer.Option("--promote", help="Make it the default model.")] = False,
    as_json: Json = False,
) -> None:
    """Register a model with its record; it no longer depends on its run."""
    from core.agents.registration import register

    with clear_errors():
        entry = register(source, runs_home(), name, note, Progress())
        if promote:
            registry.promote(runs_home(), entry)
            entry = registry.find(entry.model_id, runs_home())
        gain = entry.record.gain if entry.record is not None else None
        result(entry.as_dict(), as_json, lambda: print(f"{entry.model_id}{' (default)' if promote else ''}: gain {figure(gain)}"))


@app.command("note")
def note_model(model: ModelName, note: Annotated[str, typer.Argument(help="The new note; '' removes it.")], as_json: Json = False) -> None:
    """Replace a model's note."""
    with clear_errors():
        entry = registry.annotate(registry.find(model, runs_home()), note)
        result(entry.as_dict(), as_json, lambda: print(f"{entry.model_id}: note saved"))


@app.command("promote")
def promote_model(model: ModelName, as_json: Json = False) -> None:
    """Make a model the default; 'shipped' returns to the built-in model."""
    with clear_errors():
        entry = registry.find(model, runs_home())
        registry.promote(runs_home(), entry)
        result({"default": entry.model_id}, as_json, lambda: print(f"{entry.model_id} is now the default"))


@app.command("compare")
def compare_models(
    first: ModelName,
    second: Annotated[str, typer.Argument(metavar="MODEL", help="The model to compare it with.")],
    as_json: Json = False,
) -> None:
    """Compare the second model with the first on the logos that both were evaluated on: difference, wins and losses, differing settings."""
    from core.models.facts import compare

    with clear_errors():
        entries = [registry.find(name, runs_home()) for name in (first, second)]
        found = compare(*entries)

        def text() -> None:
            for entry in entries:
                print(f"{entry.model_id:<28} {figure(entry.record.gain if entry.record else None)}")
            print(found.verdict())
            for name, value in ({"all": found.paired} | found.by_category).items():
                if value is not None:
                    won = f"{value.wins} won, {value.ties} tied, {value.losses} lost"
                    print(f"  {name:<10} {value.difference:+.3f} ({value.low:+.3f} to {value.high:+.3f})  {won}")
            print("the same data" if found.has_same_data else "possibly trained on different data")
            for name, (one, other) in found.settings.items():
                print(f"  {name}: {one} against {other}")

        result(found.as_dict() | {"verdict": found.verdict()}, as_json, text)


@app.command("delete")
def delete_model(model: ModelName, as_json: Json = False) -> None:
    """Delete a model; it can be restored within a week."""
    with clear_errors():
        entry = registry.find(model, runs_home())
        registry.discard(runs_home(), entry)
        text = lambda: print(f"{entry.model_id} is deleted; restore it with: {program()} models restore {entry.model_id}")
        result({"deleted": entry.model_id}, as_json, text)


@app.command("restore")
def restore_model(model: Annotated[str, typer.Argument(metavar="MODEL", help="ID of a deleted model.")], as_json: Json = False) -> None:
    """Restore a deleted model."""
    with clear_errors():
        entry = registry.restore(runs_home(), model)
        result(entry.as_dict(), as_json, lambda: print(f"{entry.model_id} is restored"))


@app.command("export")
def export_model(
    model: ModelName,
    out: Annotated[Path, typer.Option(help="Output folder.")],
    as_json: Json = False,
) -> None:
    """Export a model to a standalone folder: policy.onnx, a model card, and runner.py, which needs only four packages."""
    from core.packaging.folder import export

    with clear_errors():
        entry = registry.find(model, runs_home())
        files = export(entry, out, Progress())
        data: dict[str, Any] = {"model": entry.model_id, "out": str(out), "files": {path.name: path.stat().st_size for path in files}}
        result(data, as_json, lambda: print("\n".join(f"{path.stat().st_size:>8} bytes  {path}" for path in files)))
