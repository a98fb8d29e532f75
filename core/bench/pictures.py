"""``bench pictures``: what each pipeline makes of logos whose vectors are known, on clean and on degraded pictures.

Every result is drawn large by another rasterizer and compared with the vector itself. Needs the logos' source SVGs, in
``svg/<category>/<name>.svg`` beside their pictures. Writes docs/pictures.md with a sheet of before and after.
"""

from __future__ import annotations

import contextlib
import io
import math
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.bench.report import Report, say, write_section
from core.errors import BenchError, RasterError
from core.files import write_aside
from core.logos.dataset import Logo, load_logos
from core.logos.pictures import decode_picture
from core.logos.procedural import CATEGORIES, make_logos
from core.logos.vectors import grounds_of, vector_of
from core.machine import available_cores
from core.tracing.params import BEST_SINGLE, DEFAULTS, LARGE_SINGLE, Params
from core.tracing.picture import fit
from core.tracing.pipeline import PLAIN, Canvas, Pipeline, Trace, convert
from core.tracing.svg_stats import svg_stats
from core.tracing.vector_judge import LONGEST_SIDE, VectorErrors, VectorJudge, check_resvg, draw_with_resvg

Pixels = NDArray[np.uint8]
_SHEET_SEED = 2026
PLAIN_NAME = "VTracer's defaults"
OURS = "one setting for large ones, traced at 6x"  # whose figures are this benchmark's keys
FINE = BEST_SINGLE.with_values(color_precision=5, layer_difference=16, path_precision=1, simplify=0.0)


@dataclass(frozen=True)
class Method:
    """A way from a picture to an SVG; ``None`` where it can't."""

    name: str
    convert: Callable[[Pixels], Trace | None]


def _ours(name: str, params: Params, pipeline: Pipeline) -> Method:
    return Method(name, lambda pixels: convert(Canvas.of(pixels, pipeline), pixels, params, pipeline))


PROGRAMS = {  # each turns in.ppm or in.png of its folder into out.svg or in.svg
    "potrace (black and white)": ["potrace", "-s", "-o", "out.svg", "in.ppm"],
    "autotrace": ["autotrace", "-output-format", "svg", "-output-file", "out.svg", "in.ppm"],
    "swag-converter": ["swag", "in.png", "--background", "keep", "--no-measure", "--quiet"],
}
_PROGRAM_S = 300  # seconds in which a program has to be done with a picture
_PROGRAM_LOGOS = 12  # logos, spread evenly, that programs are given, since one of them takes a minute for each


def _program(name: str, command: Sequence[str]) -> Method:
    def run(pixels: Pixels) -> Trace | None:
        with tempfile.TemporaryDirectory() as folder:
            for picture in ("in.ppm", "in.png"):
                Image.fromarray(pixels[..., :3]).save(Path(folder) / picture)
            started = time.perf_counter()
            with contextlib.suppress(subprocess.TimeoutExpired, OSError):
                subprocess.run(command, cwd=folder, capture_output=True, timeout=_PROGRAM_S, check=False)
            out = next((path for path in map(Path(folder).joinpath, ("out.svg", "in.svg")) if path.is_file()), None)
            if out is None:
                return None
            svg = out.read_text(encoding="utf-8", errors="replace")
            stats = svg_stats(svg, pixels.shape[1], pixels.shape[0])
            return Trace(svg, stats.n_bytes, stats.n_paths, stats.n_nodes, time.perf_counter() - started)

    return Method(name, run)


@cache
def methods() -> list[Method]:
    """VTracer's defaults first; programs where they are installed."""
    found = [
        Method(PLAIN_NAME, lambda pixels: convert(Canvas.of(pixels, PLAIN), pixels, DEFAULTS, PLAIN)),
        _ours("fills alone", DEFAULTS, Pipeline(trace_size=0, sharpens=False)),
        *(_ours(f"one setting, traced at {factor}x", BEST_SINGLE, Pipeline(trace_size=factor * 256)) for factor in (2, 4, 6)),
        _ours(OURS, LARGE_SINGLE, Pipeline(trace_size=6 * 256)),
        _ours("a finer one, traced at 6x", FINE, Pipeline(trace_size=6 * 256)),
    ]
    return found + [_program(name, command) for name, command in PROGRAMS.items() if shutil.which(command[0])]


def jpeg(pixels: Pixels, quality: int = 70) -> Pixels:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)  # type: ignore[arg-type, return-value]


def halved(pixels: Pixels) -> Pixels:
    """Half the size and enlarged again."""
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (max(width // 2, 8), max(height // 2, 8)), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]


DEGRADED: dict[str, Callable[[Pixels], Pixels]] = {
    "JPEG, quality 70": jpeg,
    "blur of 1 px": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 1.0),  # type: ignore[dict-item, return-value]
    "half size, enlarged": halved,
    "64 px": lambda pixels: fit(pixels, 64),
}


@dataclass(frozen=True)
class Judged:
    """One method's result on one logo. ``cpu_s``: of a program, its seconds by the clock."""

    method: str
    logo: str
    category: str
    errors: VectorErrors | None
    n_bytes: int
    n_nodes: int
    cpu_s: float


def sources(images: str, work_size: int, split: str) -> list[tuple[Logo, str]]:
    """Logos whose vectors are known, each with its SVG: of a folder with ``svg/<category>/<name>.svg``, or built-in ones."""
    with_vectors = ((logo, vector_of(logo, images)) for logo in load_logos(images, work_size).of_split(split))
    return [(logo, vector) for logo, vector in with_vectors if vector is not None]


def _judge(job: tuple[Logo, str, int, bool]) -> dict[str, list[Judged]]:
    """Every method on one logo, clean and degraded, in a process of its own; nothing where the picture is not one of its source. The last of
    ``job``: whether programs are run too."""
    logo, source, drawn_side, with_programs = job
    cv2.setNumThreads(1)
    try:
        judge = VectorJudge(source, logo.flat, grounds_of(logo.pixels), drawn_side)
    except RasterError:
        return {}
    found = {
        "": [
            _judged(method, logo.pixels, logo, judge, with_flip=True)
            if with_programs or method.name not in PROGRAMS
            else Judged(method.name, logo.name, logo.category, None, 0, 0, 0.0)
            for method in methods()
        ]
    }
    for degrading, degrade in DEGRADED.items():
        pixels = degrade(logo.pixels)
        chosen = [method for method in methods() if method.name in (PLAIN_NAME, OURS)]
        found[degrading] = [_judged(method, pixels, logo, judge, with_flip=False) for method in chosen]
    return found


def _judged(method: Method, pixels: Pixels, logo: Logo, judge: VectorJudge, with_flip: bool) -> Judged:
    trace = method.convert(pixels)
    errors = None
    if trace is not None and trace.failure is None:
        with contextlib.suppress(RasterError):
            errors = judge.errors(trace.svg, with_flip)
    n_bytes, n_nodes, cpu_s = (trace.n_bytes, trace.n_nodes, trace.cpu_s) if trace else (0, 0, 0.0)
    return Judged(method.name, logo.name, logo.category, errors, n_bytes, n_nodes, cpu_s)


def measure(images: str, split: str = "validation", work_size: int = 256, is_short: bool = False) -> Report:
    """Run the benchmark.

    Raises:
        BenchError: no logos with their vectors.
        RasterError: resvg is not installed.
    """
    check_resvg()
    logos = sources(images, work_size, split)
    logos = logos[:: max(len(logos) // 2, 1)][:2] if is_short else logos
    drawn_side = work_size if is_short else LONGEST_SIDE
    if not logos:
        raise BenchError(f"{images} holds no logos of {split} with their vectors in svg/<category>/<name>.svg")
    report = Report("pictures", "Pictures")
    judged: list[dict[str, list[Judged]]] = []
    every = max(len(logos) // _PROGRAM_LOGOS, 1)
    jobs = [(logo, source, drawn_side, k % every == 0) for k, (logo, source) in enumerate(logos)]
    with ProcessPoolExecutor(available_cores(), mp_context=get_context("spawn")) as pool:
        for n, found in enumerate(pool.map(_judge, jobs), start=1):
            judged += [found] if found else []
            say(f"{n} of {len(logos)} logos")
    if not judged:
        raise BenchError(f"none of the logos of {images} is a picture of its source")
    report.add("logos", f"{len(judged)}", f"of {split}, at {work_size} px, drawn at {drawn_side} px")
    for degrading in ("", *DEGRADED):
        _tell(report, [found[degrading] for found in judged], degrading)
    return report


def _tell(report: Report, judged: list[list[Judged]], degrading: str) -> None:
    plain = [row[0] for row in judged]
    for place, name in enumerate(found.method for found in judged[0]):
        pairs = [(row[place], base) for row, base in zip(judged, plain, strict=True) if row[place].errors and base.errors]
        if not pairs:
            report.add(f"{name}{f', {degrading}' if degrading else ''}", "nothing", "no result")
            continue
        gains = [math.log(base.errors.visual / own.errors.visual) for own, base in pairs if own.errors and base.errors]
        by_bytes = sum(own.n_bytes for own, _ in pairs) / sum(base.n_bytes for _, base in pairs)
        nodes = sum(own.n_nodes for own, _ in pairs) / max(sum(base.n_nodes for _, base in pairs), 1)
        categories = sorted({own.category for own, _ in pairs})
        by_category = {
            c: float(np.mean([gain for gain, (own, _) in zip(gains, pairs, strict=True) if own.category == c])) for c in categories
        }
        remark = f"{by_bytes:.2f} of the bytes, {nodes:.2f} of the nodes; " + ", ".join(f"{c} {g:+.2f}" for c, g in by_category.items())
        flips = [(own.errors.flip, base.errors.flip) for own, base in pairs if own.errors and base.errors]
        worse_logos: list[str] = []
        if not degrading and not math.isnan(flips[0][0]):
            worse_logos = [own.logo for (own, _), (mine, other) in zip(pairs, flips, strict=True) if mine > 1.1 * other]
            worse = len(worse_logos) / len(flips)
            if name == OURS:
                report.keys["flip_worse_share"] = worse
            remark += f"; FLIP {np.mean([math.log(base / own) for own, base in flips]):+.2f}, worse by over 10 % on {worse:.0%}"
        if name not in PROGRAMS and len(pairs) < len(judged):
            remark += f"; {len(judged) - len(pairs)} logos that it made nothing of are left out"
        if name in PROGRAMS:
            remark += f"; {_beside(judged, place)}"
        key = f"{name}{f', {degrading}' if degrading else ''}"
        report.add(f"visual gain, {key}", f"{np.mean(gains):+.3f}", remark)
        if name == OURS:
            told = report.keys
            if degrading:
                told["visual_gain_degraded"] = min(told.get("visual_gain_degraded", math.inf), float(np.mean(gains)))
            else:
                told |= {"visual_gain": float(np.mean(gains)), "bytes_share": by_bytes, "nodes_share": nodes}
                told["visual_gain_worst_category"] = min(by_category.values())
        report.details[key] = {
            "gain": float(np.mean(gains)),
            "bytes": by_bytes,
            "nodes": nodes,
            "by_category": by_category,
            "flip_worse": worse_logos,
            "n": len(pairs),
        }


def _beside(judged: list[list[Judged]], place: int) -> str:
    """What ours is on the logos that a program made something of, and its seconds."""
    ours = next(k for k, own in enumerate(judged[0]) if own.method == OURS)
    rows = [(row[ours], row[0], row[place]) for row in judged if row[place].errors and row[ours].errors and row[0].errors]
    if not rows:
        return "ours made nothing of the same logos"
    gains = [math.log(base.errors.visual / own.errors.visual) for own, base, _ in rows if own.errors and base.errors]
    by_bytes = sum(own.n_bytes for own, _, _ in rows) / sum(base.n_bytes for _, base, _ in rows)
    seconds = float(np.median([other.cpu_s for _, _, other in rows]))
    return f"on {len(rows)} logos, {seconds:.2g} s each, where ours is {np.mean(gains):+.3f} at {by_bytes:.2f} of the bytes"


_HEAD = """# Pictures

What each pipeline makes of logos at 256 px that it was not tuned on, drawn at 1,024 px by resvg and compared with the vectors that they come
from (`python -m core bench pictures --images FOLDER`). The visual gain is ln of the error of VTracer's defaults over that of the result: 0.69
is half the error. Bytes and nodes are shares of the defaults'. The setting for large ones was chosen among a dozen on these very logos; the
other single one was not.

![Built-in logos at four times their size: the vector, VTracer's defaults, one setting with clean edges and fitted fills](pictures/before_after.png)
"""
_ZOOM, _CUT, _EDGE = 4, 80, 6  # enlargement; side of what is shown, in pixels of the picture; between two of them


def write_document(report: Report, path: Path, sheet: Path) -> None:
    """The report as a document of its own, and its sheet, of built-in logos."""
    if not path.exists():
        write_aside(path, _HEAD.encode())
    write_section(report, path)
    data = io.BytesIO()
    before_and_after().save(data, "PNG", optimize=True)
    write_aside(sheet, data.getvalue())


def before_and_after(n_per_category: int = 2) -> Image.Image:
    """The middle of built-in logos at four times their size, a row per logo: the vector, VTracer's defaults, ours."""
    rows = []
    pipeline = Pipeline(trace_size=6 * 256)
    for category in CATEGORIES:
        for made in [made for made in make_logos(_SHEET_SEED, n_per_category) if made.category == category]:
            pixels = fit(decode_picture(made.svg.encode(), svg_side=512), 256)
            plain = convert(Canvas.of(pixels, PLAIN), pixels, DEFAULTS, PLAIN)
            ours = convert(Canvas.of(pixels, pipeline), pixels, LARGE_SINGLE, pipeline)
            rows.append([_middle(svg, pixels.shape[:2]) for svg in (made.svg, plain.svg, ours.svg)])
    side = _CUT * _ZOOM
    sheet = Image.new("RGB", (3 * side + 2 * _EDGE, len(rows) * (side // 2 + _EDGE) - _EDGE), "white")
    for k, row in enumerate(rows):
        for n, picture in enumerate(row):
            sheet.paste(picture, (n * (side + _EDGE), k * (side // 2 + _EDGE)))
    return sheet


def _middle(svg: str, shape: tuple[int, int]) -> Image.Image:
    height, width = shape
    drawn = Image.fromarray(draw_with_resvg(svg, width * _ZOOM, height * _ZOOM))
    wide, high = _CUT * _ZOOM, _CUT * _ZOOM // 2
    left, top = (drawn.width - wide) // 2, int((drawn.height - high) * 0.4)
    return drawn.crop((left, top, left + wide, top + high))
