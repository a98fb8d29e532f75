"""``logos``: make, check, trace and judge."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import Json, clear_errors, result
from core.errors import ConfigError, DamagedFileError, LogosError, ParamError, PictureError, RasterError
from core.files import read_text, write_aside
from core.logos import sets
from core.logos.dataset import load_logos, write_logos
from core.logos.similar import near_duplicates
from core.logos.uploads import Given
from core.paths import runs_home
from core.tracing.pipeline import MODES, Pipeline

app = typer.Typer(
    help="Write the built-in logos to a folder, check a folder of logos, trace a picture, or judge SVGs.", no_args_is_help=True
)


@app.command("make")
def make_logos(
    out: Annotated[Path, typer.Option(help="A new folder.")],
    seed: Annotated[int, typer.Option(min=0)] = 7,
    n_per_category: Annotated[int, typer.Option("--per-category", min=4, max=5000)] = 60,
    size: Annotated[int, typer.Option(help="Longest side in pixels.", min=32, max=2048)] = 512,
    as_json: Json = False,
) -> None:
    """Write the built-in procedural logos: PNG, SVG and manifest.csv."""
    with clear_errors():
        n = write_logos(out, seed, n_per_category, size)
        result({"out": str(out), "logos": n}, as_json, lambda: print(f"{n} logos in {out}"))


@app.command("check")
def check_logos(path: Annotated[str, typer.Argument(help="A folder of logos, or 'builtin'.")], as_json: Json = False) -> None:
    """Show which logos of a folder training would use, and which it would skip and why."""
    with clear_errors():
        found = load_logos(path)
        pairs = near_duplicates(found.logos)
        skipped = [{"source": s.source, "reason": s.reason} for s in found.skipped]

        def text() -> None:
            print(f"{len(found.logos)} logos")
            for category, splits in found.counts().items():
                print(f"  {category:<10} " + ", ".join(f"{n} {split}" for split, n in splits.items() if n))
            for item in skipped:
                print(f"  skipped {item['source']}: {item['reason']}")
            for note in found.notes:
                print(f"  {note}")
            for pair in pairs:
                print(f"  {pair.ssim:.0%} alike: {pair.a.name} ({pair.a.split}) and {pair.b.name} ({pair.b.split})")

        data = {"path": path, "logos": len(found.logos), "counts": found.counts(), "skipped": skipped, "notes": list(found.notes)}
        alike = [{"a": p.a.name, "b": p.b.name, "ssim": p.ssim, "crosses_splits": p.crosses_splits} for p in pairs]
        result(data | {"near_duplicates": alike}, as_json, text)


@app.command("add")
def add_logos(
    name: Annotated[str, typer.Argument(help="Name of the set; created if it does not exist.")],
    files: Annotated[list[Path], typer.Argument(help="Pictures, folders of pictures, or ZIP files.")],
    as_json: Json = False,
) -> None:
    """Add pictures to your own set, each with a category and a split."""

    with clear_errors():
        added = sets.add_pictures(runs_home(), name, _given(files))
        n, intake = len(load_logos(str(added.folder), 64).logos), added.intake
        for item in intake.refused:
            print(f"refused {item.given}: {item.reason}", file=sys.stderr)
        data = {
            "set": str(added.folder),
            "logos": n,
            "taken": [{"file": item.given, "name": item.name, "note": item.note} for item in intake.taken],
            "refused": [{"file": item.given, "reason": item.reason} for item in intake.refused],
        }
        result(data, as_json, lambda: print(f"{n} logos in {added.folder}: {len(intake.taken)} taken, {len(intake.refused)} refused"))


def _given(files: list[Path]) -> Iterator[Given]:
    """The files, and those in the folders, with what they are called."""
    for path in files:
        if not path.is_dir():
            yield str(path), path
            continue
        for file in sorted(path.rglob("*")):
            if not file.is_dir() and not any(part.startswith(".") for part in file.relative_to(path).parts):
                yield str(file), file


@app.command("label")
def label_logo(
    path: Annotated[str, typer.Argument(help="Folder of your own set.")],
    name: Annotated[str, typer.Argument(help="Name of the logo.")],
    category: Annotated[str, typer.Option(help="simple, text, gradient or complex.")] = "",
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "",
    as_json: Json = False,
) -> None:
    """Move a logo to another category or split."""

    with clear_errors():
        sets.relabel(runs_home(), str(Path(path).resolve()), name, category, split)
        result({"set": path, "logo": name, "category": category, "split": split}, as_json, lambda: print(f"{name}: {category} {split}"))


@app.command("delete")
def delete_set(
    path: Annotated[str, typer.Argument(help="Folder of your own set.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Delete a set of your own and its pictures for good."""
    with clear_errors():
        folder = str(Path(path).resolve())
        if not sets.is_own(runs_home(), folder):
            raise LogosError(f"{folder} is not a set of this console, so it can't be deleted")
        if not yes and not typer.confirm(f"Delete {folder} and all its pictures?", err=True):
            raise typer.Exit(1)
        sets.delete(runs_home(), folder)
        result({"deleted": folder}, as_json, lambda: print(f"{folder} is deleted"))


@app.command("trace")
def trace_logo(
    picture: Annotated[Path, typer.Argument(help="A picture.")],
    params: Annotated[
        str, typer.Option(help="The ten parameters, comma-separated; only the first seven, or 'default', means plain VTracer.")
    ] = "default",
    work_size: Annotated[int, typer.Option(help="Longest side in pixels.", min=32, max=1024)] = 256,
    out: Annotated[Path | None, typer.Option(help="SVG file to write.", dir_okay=False)] = None,
    trace_size: Annotated[
        int, typer.Option(help="Longest side that VTracer works at, in pixels; 0 means plain VTracer.", min=0, max=4096)
    ] = 512,
    filter_speckle: Annotated[
        float | None, typer.Option(help="Drop areas below the square of this, in pixels; overrides --params.", min=0, max=128)
    ] = None,
    mode: Annotated[str, typer.Option(help="spline, polygon or none.")] = "spline",
    as_json: Json = False,
) -> None:
    """Trace one picture with given parameters, as the Workbench does; also reproduces a case from a log."""
    from core.logos.intake import read_picture
    from core.tracing.allowed import checked
    from core.tracing.outcome import gain
    from core.tracing.params import N_OLD_PARAMS, NAMES, Params
    from core.tracing.picture import Picture, fit
    from core.tracing.svg_stats import svg_stats

    with clear_errors():
        try:
            values = [float(value) for value in params.split(",")] if params != "default" else []
            if values and len(values) not in (N_OLD_PARAMS, len(NAMES)):
                raise ConfigError(f"--params holds {len(values)} numbers, not {len(NAMES)} or {N_OLD_PARAMS}: {', '.join(NAMES)}")
            is_plain = trace_size == 0 or len(values) != len(NAMES)
            chosen = Params.from_mapping(dict(zip(NAMES, values, strict=False))).with_values(is_plain=is_plain)
            if filter_speckle is not None:
                chosen = chosen.with_values(filter_speckle=filter_speckle)
        except ParamError as error:
            raise ConfigError(f"--params: {error}") from error
        except ValueError as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"--params {params!r} is not {len(NAMES)} numbers: {', '.join(NAMES)}") from error
        try:
            found = Picture(fit(read_picture(picture, None, svg_side=2 * work_size), work_size), Pipeline(trace_size=trace_size or 512))
        except PictureError as error:
            raise LogosError(f"{picture}: {error}") from error
        if mode not in MODES:
            raise ConfigError(f"--mode {mode!r} is not one of {', '.join(MODES)}")
        measured = found.measure(chosen, mode=mode)
        if out is not None and measured.trace.svg:
            write_aside(out, checked(measured.trace.svg))
        outcome = measured.outcome
        made = svg_stats(measured.trace.svg, found.pixels.shape[1], found.pixels.shape[0])
        data = {"picture": str(picture), "params": chosen.as_dict(), "gain": gain(outcome, found.defaults).total} | outcome.as_dict()
        data |= {"n_gzipped": made.n_gzipped, "n_nodes": made.n_nodes, "palette": [asdict(swatch) for swatch in made.palette]}
        result(
            data,
            as_json,
            lambda: print(
                f"gain {data['gain']:.3f}, SSIM {outcome.ssim:.4f}, colour {outcome.colour:.2f}, edges {outcome.edge:.3f}, {outcome.n_bytes} bytes, failure {outcome.failure}"
            ),
        )


@app.command("judge")
def judge_svgs(
    source: Annotated[Path, typer.Argument(help="The original SVG of the picture.")],
    picture: Annotated[Path, typer.Argument(help="The picture that was traced.")],
    svgs: Annotated[list[Path], typer.Argument(help="SVGs made from the picture.")],
    as_json: Json = False,
) -> None:
    """Compare SVGs of a picture with its original vector, rendered at 1,024 pixels by an independent rasterizer."""
    from core.evaluation.vectors import judge
    from core.logos.intake import read_picture
    from core.logos.pictures import MAX_FILE_BYTES
    from core.logos.vectors import own_vector
    from core.tracing.vector_judge import VectorErrors

    with clear_errors():
        vector = own_vector(source)
        if vector is None:
            raise LogosError(f"{source} is not a readable SVG; give the original vector of the picture")
        try:
            texts = [read_text(file, MAX_FILE_BYTES) for file in svgs]
            missing = [str(file) for file, text in zip(svgs, texts, strict=True) if text is None]
            if missing:
                raise LogosError(f"there is no {', '.join(missing)}")
            found = judge(vector, read_picture(picture, None), [text or "" for text in texts])
        except (DamagedFileError, PictureError, RasterError) as error:
            raise LogosError(str(error)) from error

        def row(file: Path, errors: VectorErrors | str) -> dict[str, Any]:
            if isinstance(errors, str):
                return {"svg": str(file), "problem": errors}
            flip = None if math.isnan(errors.flip) else errors.flip
            return {"svg": str(file), "problem": "", "visual": errors.visual} | asdict(errors) | {"flip": flip}

        rows = [row(file, errors) for file, errors in zip(svgs, found, strict=True)]

        def text() -> None:
            for each in rows:
                figures = ", ".join(
                    f"{name} {each[name]:.4f}" for name in ("visual", "structure", "colour", "edge", "flip") if each.get(name) is not None
                )
                print(f"{each['svg']}: {each['problem'] or figures}")

        result({"source": str(source), "picture": str(picture), "svgs": rows}, as_json, text)
