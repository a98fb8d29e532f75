"""``logos``: make, check and trace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core.commands.common import Json, clear_errors, result
from core.logos.dataset import LogosError, load_logos, write_logos
from core.runs.config import ConfigError

app = typer.Typer(help="Make the built-in logos as a folder; check a folder of logos; trace one.", no_args_is_help=True)


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
    """Say what training would use of a folder, and what it would leave out and why."""
    with clear_errors():
        found = load_logos(path)
        skipped = [{"source": s.source, "reason": s.reason} for s in found.skipped]

        def text() -> None:
            print(f"{len(found.logos)} logos")
            for category, splits in found.counts().items():
                print(f"  {category:<10} " + ", ".join(f"{n} {split}" for split, n in splits.items() if n))
            for item in skipped:
                print(f"  left out {item['source']}: {item['reason']}")

        result({"path": path, "logos": len(found.logos), "counts": found.counts(), "skipped": skipped}, as_json, text)


@app.command("trace")
def trace_logo(
    picture: Annotated[Path, typer.Argument(help="A picture.")],
    params: Annotated[str, typer.Option(help="The seven parameters, comma-separated, or 'default'.")] = "default",
    work_size: Annotated[int, typer.Option(help="Longest side in pixels.", min=32, max=1024)] = 256,
    out: Annotated[Path | None, typer.Option(help="Where to write the SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Trace one picture under given parameters, in this process: what repeats a case from a run's log."""
    from core.logos.pictures import PictureError, read_picture
    from core.runs.files import write_aside
    from core.tracing.outcome import gain
    from core.tracing.params import NAMES, ParamError, Params
    from core.tracing.picture import Picture, fit

    with clear_errors():
        try:
            values = [float(value) for value in params.split(",")] if params != "default" else []
            if values and len(values) != len(NAMES):
                raise ConfigError(f"--params holds {len(values)} numbers, not seven: {', '.join(NAMES)}")
            chosen = Params.from_mapping(dict(zip(NAMES, values, strict=False)))
        except ParamError as error:
            raise ConfigError(f"--params: {error}") from error
        except ValueError as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"--params {params!r} is not seven numbers: {', '.join(NAMES)}") from error
        try:
            found = Picture(fit(read_picture(picture, svg_side=2 * work_size), work_size))
        except PictureError as error:
            raise LogosError(f"{picture}: {error}") from error
        measured = found.measure(chosen)
        if out is not None and measured.trace.svg:
            write_aside(out, measured.trace.svg.encode())
        outcome = measured.outcome
        data = {"picture": str(picture), "params": chosen.as_dict(), "gain": gain(outcome, found.defaults).total} | outcome.as_dict()
        result(
            data,
            as_json,
            lambda: print(f"gain {data['gain']:.3f}, SSIM {outcome.ssim:.4f}, {outcome.n_bytes} bytes, failure {outcome.failure}"),
        )
