"""Results compared with the vectors that the pictures were made from: what no reward sees, on all cores.

Of each SVG the three errors and FLIP, drawn at 1,024 px by another rasterizer (core/tracing/vector_judge.py); of a method the visual gain over
VTracer's defaults, and on how many logos FLIP is worse than theirs by over a tenth. One logo can also be judged in a process of its own
with a time limit: drawing holds Python's lock, and an unknown SVG may take any length of time.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import RasterError
from core.logos.dataset import Logo
from core.logos.vectors import grounds_of
from core.machine import available_cores
from core.paths import PROJECT
from core.tracing.raster import ground_of, over
from core.tracing.vector_judge import LONGEST_SIDE, VectorErrors, VectorJudge

WORSE = 1.1  # times the defaults' FLIP
APART_S = 60.0  # that a process of its own may take


@dataclass(frozen=True)
class _Job:
    logo: Logo
    source: str
    svgs: tuple[str, ...]
    drawn_side: int


def judge_all(
    logos: Sequence[tuple[Logo, str | None]],
    svgs: Sequence[Sequence[str]],
    on_progress: Callable[[int], None] = lambda n: None,
    drawn_side: int = LONGEST_SIDE,
) -> list[list[VectorErrors | None]]:
    """Of each logo, with its vector where it is known, the errors of its ``svgs``; None where there is nothing to compare."""
    jobs = {k: _Job(logo, source, tuple(svgs[k]), drawn_side) for k, (logo, source) in enumerate(logos) if source is not None}
    found: list[list[VectorErrors | None]] = [[None] * len(of_logo) for of_logo in svgs]
    with ProcessPoolExecutor(available_cores(), mp_context=get_context("spawn")) as pool:
        for n, (k, errors) in enumerate(zip(jobs, pool.map(_judge, jobs.values()), strict=True), start=1):
            found[k] = errors
            on_progress(n)
    return found


def _judge(job: _Job) -> list[VectorErrors | None]:
    import cv2

    cv2.setNumThreads(1)
    try:
        judge = VectorJudge(job.source, job.logo.flat, grounds_of(job.logo.pixels), job.drawn_side)
    except RasterError:  # the picture is not one of this vector
        return [None] * len(job.svgs)
    known: dict[str, VectorErrors | None] = {}
    for svg in job.svgs:
        if svg not in known:
            try:
                known[svg] = judge.errors(svg) if svg else None
            except RasterError:
                known[svg] = None
    return [known[svg] for svg in job.svgs]


def judge(source: str, pixels: NDArray[np.uint8], svgs: Sequence[str]) -> list[VectorErrors | str]:
    """Of each SVG the errors, or why it can't be drawn. ``pixels``: the picture, RGB or RGBA, shape (height, width, 3 or 4).

    Raises:
        RasterError: the source can't be drawn, or the picture was not made from it.
    """
    flat = pixels if pixels.shape[2] == 3 else over(pixels, ground_of(pixels))
    of_source = VectorJudge(source, flat, grounds_of(pixels))
    found: list[VectorErrors | str] = []
    for svg in svgs:
        try:
            found.append(of_source.errors(svg))
        except RasterError as error:
            found.append(str(error))
    return found


def judge_apart(source: str, pixels: NDArray[np.uint8], svgs: Sequence[str], limit_s: float = APART_S) -> list[VectorErrors | str]:
    """As :func:`judge`, in a process of its own (``python -m core logos judge``), which is killed after ``limit_s`` seconds.

    Raises:
        RasterError: as there, it took longer, or there is no disk space for its files.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="tracewright-") as name:
            folder = Path(name)
            files = [folder / "source.svg", folder / "picture.png", *(folder / f"{k}.svg" for k in range(len(svgs)))]
            for file, svg in zip((files[0], *files[2:]), (source, *svgs), strict=True):
                file.write_text(svg, encoding="utf-8")
            Image.fromarray(pixels).save(files[1])
            command = [sys.executable, "-m", "core", "logos", "judge", *map(str, files), "--json"]
            done = subprocess.run(
                command, cwd=PROJECT, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=limit_s, check=False
            )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise RasterError(f"rendering this vector takes over {limit_s:.0f} seconds, which is the limit") from error
    except OSError as error:
        raise RasterError(f"what is to be compared can't be written: {error.strerror}; free some disk space") from error
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise RasterError(reason.removeprefix("error: ").replace(f"{folder}/", ""))
    return [
        row["problem"] or VectorErrors(row["structure"], row["colour"], row["edge"], math.nan if row["flip"] is None else row["flip"])
        for row in json.loads(done.stdout.splitlines()[-1])["svgs"]
    ]


def figures(
    own: Sequence[VectorErrors | None], defaults: Sequence[VectorErrors | None], categories: Sequence[str]
) -> dict[str, Any] | None:
    """Means over the logos that both are known of: visual gain, by category too, and of FLIP; None where there are none."""
    pairs = [(a, b, category) for a, b, category in zip(own, defaults, categories, strict=True) if a is not None and b is not None]
    if not pairs:
        return None
    gains = np.array([math.log(b.visual / a.visual) for a, b, _ in pairs])
    with_flip = [(a.flip, b.flip) for a, b, _ in pairs if math.isfinite(a.flip) and math.isfinite(b.flip)]
    return {
        "n_logos": len(pairs),
        "visual_gain": float(gains.mean()),
        "visual_gain_by_category": {
            name: float(np.mean([gain for gain, (_, _, category) in zip(gains, pairs, strict=True) if category == name]))
            for name in sorted(set(categories))
            if any(category == name for _, _, category in pairs)
        },
        "structure": float(np.mean([a.structure for a, _, _ in pairs])),
        "colour": float(np.mean([a.colour for a, _, _ in pairs])),
        "edge": float(np.mean([a.edge for a, _, _ in pairs])),
        "flip": float(np.mean([a for a, _ in with_flip])) if with_flip else None,
        "flip_default": float(np.mean([b for _, b in with_flip])) if with_flip else None,
        "share_flip_worse": float(np.mean([a > WORSE * b for a, b in with_flip])) if with_flip else None,
    }
