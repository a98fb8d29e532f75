"""From pixels and parameters to an SVG: sharpened and enlarged, traced by VTracer, fills fitted, written out.

Guarantee: no panic of VTracer, blank or huge result reaches the caller as an exception; each becomes a :class:`Trace`
with ``failure`` set. Knows nothing of scores.
"""

from __future__ import annotations

import re
import time
import zlib
from dataclasses import dataclass, replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from core.tracing.engines import engine
from core.tracing.fills import Shape, fitted
from core.tracing.finish import document
from core.tracing.noise import without_noise
from core.tracing.params import Params
from core.tracing.raster import ground_of, over
from core.tracing.sharpen import is_hard_edged, sharpen

Failure = Literal["panic", "blank", "oversized"]
Mode = Literal["spline", "polygon", "none"]
MODES: tuple[Mode, ...] = ("spline", "polygon", "none")
MAX_SVG_BYTES = 4_000_000
MAX_FACTOR = 8  # small pictures are enlarged at most so many times
_CLEAR, _SOLID = 8, 247  # levels of alpha below which nothing is seen, and from which on a pixel is opaque
_SOFT_SHARE = 0.002  # of the picture half transparent: its shapes must not lie over each other
_LENGTHS = (3.5, 10.0)  # what VTracer takes for length_threshold, in its own pixels
_PRIMARIES = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [0, 255, 255], [255, 0, 255]], np.uint8)
_PART = re.compile(
    r'<g fill="(?P<group>#[0-9A-Fa-f]{6})">|(?P<end></g>)|'
    r'<path d="(?P<d>[^"]*)"(?: fill="(?P<fill>#[0-9A-Fa-f]{6})")?(?: transform="translate\((?P<dx>-?[\d.]+),(?P<dy>-?[\d.]+)\)")? ?/>'
)
_COMMANDS = "cCsSlLhHvVqQtTaAmM"


@dataclass(frozen=True)
class Pipeline:
    """What stands around VTracer.

    ``trace_size``: longest side that VTracer sees, in pixels: a picture is enlarged a whole number of times as far as that; a larger one,
    one without soft edges, and with 0 any, is taken as it is. ``finishes``: our own text with fitted fills, else VTracer's as it stands. ``optimize``: VTracer's own
    path optimiser, 0 to 2.
    """

    engine: str = "1.0"
    trace_size: int = 512
    sharpens: bool = True
    finishes: bool = True
    optimize: int = 2

    @property
    def key(self) -> str:
        """What tells conversions of one picture under the same parameters apart."""
        return f"+{self.engine}/{self.trace_size}/{self.sharpens:d}{self.finishes:d}{self.optimize}"


PLAIN = Pipeline(trace_size=0, sharpens=False, finishes=False, optimize=1)  # VTracer as it comes


@dataclass(frozen=True)
class Trace:
    """The result of one conversion. ``svg`` is empty where ``failure`` is "panic" or "oversized". ``cpu_s``: of VTracer and fills."""

    svg: str
    n_bytes: int
    n_paths: int
    n_nodes: int
    cpu_s: float
    failure: Failure | None = None
    reason: str = ""


@dataclass(frozen=True)
class Canvas:
    """What VTracer is given of a picture, prepared once: RGBA, uint8, shape (view height, + 1 where clear, view width, 4).

    ``scale``: its pixels per pixel of the picture. ``is_soft``: half transparent areas, which must not overlap.
    """

    pixels: NDArray[np.uint8]
    view: tuple[int, int]
    scale: float
    is_soft: bool = False

    @classmethod
    def of(cls, source: NDArray[np.uint8], pipeline: Pipeline, longest_side: int | None = None) -> Canvas:
        """``source``: RGB or RGBA as large as there is; ``longest_side``: of the picture at work size, of ``source`` unless given."""
        own = longest_side or max(source.shape[:2])
        if pipeline.sharpens:
            source = without_noise(source)
        factor = 1
        if pipeline.trace_size:
            factor = min(max(pipeline.trace_size // max(source.shape[:2]), 1), MAX_FACTOR)
        if pipeline.sharpens and factor > 1 and is_hard_edged(source):
            factor = 1
        if pipeline.sharpens:
            large = sharpen(source, factor)
        elif factor > 1:
            large = np.asarray(cv2.resize(source, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
        else:
            large = source
        height, width = large.shape[:2]
        pixels, is_soft = _for_vtracer(np.ascontiguousarray(large, dtype=np.uint8))
        return cls(pixels, (width, height), max(width, height) / own, is_soft)


@dataclass(frozen=True)
class PackedCanvas:
    """A canvas in about a thirtieth of its memory; unpacked in a millisecond or two."""

    packed: bytes
    shape: tuple[int, ...]
    view: tuple[int, int]
    scale: float
    is_soft: bool

    @classmethod
    def of(cls, canvas: Canvas) -> PackedCanvas:
        return cls(zlib.compress(canvas.pixels.data, 1), canvas.pixels.shape, canvas.view, canvas.scale, canvas.is_soft)

    def unpacked(self) -> Canvas:
        pixels = np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.shape)
        return Canvas(pixels, self.view, self.scale, self.is_soft)


def _for_vtracer(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], bool]:
    """RGBA that VTracer reads as it is meant.

    It knows clear and opaque only, and takes alpha for meant where a fifth of five rows, the last among them, is clear: so a clear row is
    added at the bottom. Areas that are half clear are laid over the ground, white or black, that they stand out from more; the half clear
    pixels of edges are either.
    """
    if pixels.shape[2] == 3 or bool((pixels[..., 3] >= _SOLID).all()):
        return np.dstack([pixels[..., :3], np.full(pixels.shape[:2], 255, np.uint8)]), False
    alpha = pixels[..., 3]
    half = ((alpha >= _CLEAR) & (alpha < _SOLID)).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    soft = (np.asarray(cv2.dilate(cv2.erode(half, kernel), kernel)) > 0) & (half > 0)
    shown = np.where(soft, alpha >= _CLEAR, alpha >= 128)
    out = pixels.copy()
    if soft.any():
        out[soft, :3] = over(pixels, ground_of(pixels))[soft]
    if all((out[..., :3] == colour).all(axis=2).any() for colour in _PRIMARIES):  # one must be free for VTracer to mark what is clear
        out[(out[..., :3] == _PRIMARIES[-1]).all(axis=2), 0] = 254
    out[..., 3] = np.where(shown, 255, 0)
    out[out[..., 3] == 0] = 0
    return np.concatenate([out, np.zeros((1, out.shape[1], 4), np.uint8)]), bool(soft.mean() > _SOFT_SHARE)


def settings(params: Params, scale: float, mode: Mode = "spline", optimize: int = 1, is_soft: bool = False) -> dict[str, Any]:
    """What VTracer 1.0 is told, in pixels of its own picture; ``params`` are in pixels of ours."""
    is_cutout = is_soft or params.hierarchical >= 0.5
    simplify = params.simplify * scale
    return {
        "hierarchical": "cutout" if is_cutout else "stacked",
        "mode": "pixel" if mode == "none" else mode,
        "filter_speckle": max(round(params.filter_speckle * scale), 0),
        "color_precision": int(params.color_precision),
        "layer_difference": int(params.layer_difference),
        "corner_threshold": int(params.corner_threshold),
        "length_threshold": float(np.clip(params.length_threshold * scale, *_LENGTHS)),
        "max_iterations": int(params.max_iterations),
        "splice_threshold": int(params.splice_threshold),
        "path_precision": int(params.path_precision),
        "simplify": simplify if simplify > 0 else None,
        "optimize": optimize,
    }


def shapes_of(svg: str) -> list[Shape]:
    """The shapes of VTracer's own SVG, of either version; neighbours of one colour may stand in a group that has it."""
    shapes, group = [], ""
    for found in _PART.finditer(svg):
        if found["group"] or found["end"]:
            group = found["group"] or ""
        else:
            fill = (found["fill"] or group or "#000000").lower()
            shapes.append(Shape(found["d"], fill, float(found["dx"] or 0), float(found["dy"] or 0)))
    return shapes


def n_nodes(shapes: list[Shape]) -> int:
    """Points that segments begin or end at."""
    return sum(sum(map(shape.d.count, _COMMANDS)) for shape in shapes)


def convert(
    canvas: Canvas,
    picture: NDArray[np.uint8],
    params: Params,
    pipeline: Pipeline = Pipeline(),
    size: tuple[int, int] | None = None,
    mode: Mode = "spline",
) -> Trace:
    """Convert. ``picture``: RGB or RGBA at work size, which fills are fitted to; ``size``: width and height that the SVG states.

    ``cpu_s`` is this thread's CPU time, so that waiting for a core does not count.
    """
    started = time.thread_time()
    told = settings(params, canvas.scale, mode, pipeline.optimize, canvas.is_soft)
    try:
        traced = engine(pipeline.engine).trace(canvas.pixels, told)
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:  # pyo3's PanicException derives from BaseException
        reason = str(error).splitlines()[0][:200] if str(error) else ""
        return Trace("", 0, 0, 0, time.thread_time() - started, "panic", reason)
    shapes = shapes_of(traced)
    if not shapes:
        return Trace(traced, len(traced), 0, 0, time.thread_time() - started, "blank", "no path in the SVG")
    svg = traced
    if canvas.pixels.shape[0] > canvas.view[1]:  # without the row that was added at the bottom
        svg = traced.replace(f'height="{canvas.pixels.shape[0]}"', f'height="{canvas.view[1]}"', 1)
    if pipeline.finishes and len(traced) <= MAX_SVG_BYTES:
        svg = document(shapes, fitted(shapes, picture, canvas.view), canvas.view, size or canvas.view)
    n_bytes, n_paths, nodes = len(svg), svg.count("<path"), n_nodes(shapes)
    found = Trace(svg, n_bytes, n_paths, nodes, time.thread_time() - started)
    if n_bytes > MAX_SVG_BYTES:
        return replace(found, svg="", failure="oversized", reason=f"{n_bytes} bytes, limit {MAX_SVG_BYTES}")
    return found
