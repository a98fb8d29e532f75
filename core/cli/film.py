"""``film``: a run's progress on chosen logos as a video or animated picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import Json, clear_errors, fail, result
from core.cli.progress import Progress
from core.errors import ConfigError, FilmError
from core.film.encoding import FORMATS, Made, write_film
from core.film.reel import Reel
from core.paths import runs_home
from core.runs.run_dir import find_run

SECONDS = (0.2, 10.0)


def film(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="IDs or directories of runs; several are shown side by side, in step.")
    ],
    out: Annotated[Path, typer.Option(help=f"Output file; its extension sets the format: {', '.join(FORMATS)}.", dir_okay=False)],
    logos: Annotated[
        list[str] | None,
        typer.Option(
            help="Logo names, comma-separated or repeated; default is six logos of the first run, from the lowest to the highest final gain."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="Seconds per evaluation, 0.2 to 10.")] = 1.0,
    is_dark: Annotated[bool, typer.Option("--dark", help="Use a dark background.")] = False,
    progress_file: Annotated[Path | None, typer.Option(hidden=True, help="Also write progress to this file, as JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Make a film of a run's evaluations: its SVGs of chosen logos, with gain and parameters, as MP4, WebM, WebP or GIF."""
    from core.film.drawing import Painter
    from core.logos.intake import Decoders
    from storage.films import reel_of

    with clear_errors():
        if out.suffix.lower() not in FORMATS:
            raise ConfigError(f"--out {str(out)!r} does not end in one of {', '.join(FORMATS)}")
        if not SECONDS[0] <= seconds <= SECONDS[1]:
            raise ConfigError(f"--seconds {seconds:g} is not in [{SECONDS[0]:g}, {SECONDS[1]:g}]")
        progress = Progress(progress_file)
        home = runs_home()
        reel = reel_of([find_run(name, home) for name in runs], logos or [], progress)
        with Decoders() as decoders:
            painter = Painter(reel, is_dark, decoders.draw)
            frames: Iterator[Any] = (painter.frame(step) for step in reel.steps)
            try:
                made = write_film(out, frames, len(reel.steps), seconds, progress)
            except FilmError as error:
                fail(error, 1)
        data = _told(out, reel, made, painter.width, painter.height)
        result(data, as_json, lambda: _say(data))


def _told(out: Path, reel: Reel, made: Made, width: int, height: int) -> dict[str, Any]:
    return {
        "file": str(out),
        "bytes": made.n_bytes,
        "seconds": round(made.seconds, 3),
        "frames": made.n_frames,
        "evaluations": len(reel.steps),
        "evaluations_left_out": reel.n_steps - len(reel.steps),
        "width": width,
        "height": height,
        "runs": [line.name for line in reel.lines],
        "logos": list(dict.fromkeys(track.logo for track in reel.tracks)),
        "problems": [{"run": p.run, "logo": p.logo, "step": p.step, "word": p.word} for p in reel.problems],
    }


def _say(data: dict[str, Any]) -> None:
    print(f"{data['bytes']:>10} bytes  {data['file']}")
    print(
        f"{data['seconds']:.1f} s, {data['width']} x {data['height']}, {data['evaluations']} evaluations of {len(data['logos'])} logos: "
        f"{', '.join(data['logos'])}"
    )
    if data["evaluations_left_out"]:
        print(f"{data['evaluations_left_out']} evaluations in between were skipped")
    for problem in data["problems"]:
        print(f"{problem['logo']} of {problem['run']} at step {problem['step']}: {problem['word']}")
