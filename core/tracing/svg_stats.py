"""What a traced SVG is made of: its paths and nodes, its colours and their areas, its size; and pictures of them.

Reads VTracer's own form (absolute M, L, C and Z with a translation). Anything else is counted where it can be and
left out of the pictures; nothing here raises for an SVG that is odd.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import RasterError
from core.tracing.raster import rasterizer
from core.tracing.similarity import WINDOW

_PATH = re.compile(r"<path\b([^>]*)>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_STEP = re.compile(r"([MLCZ])([^MLCZ]*)")
_SHIFT = re.compile(r"translate\(\s*(-?[\d.]+)[ ,]+(-?[\d.]+)\s*\)")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_OUTLINE, _NODE = "#d6006c", "#005fcc"
DIFFERENCES = ("absolute", "structure", "edges")


@dataclass(frozen=True)
class Swatch:
    """A colour of an SVG: "#rrggbb", how many paths have it, and its share of the picture's area in [0, 1]."""

    colour: str
    n_paths: int
    share: float


@dataclass(frozen=True)
class SvgStats:
    """``n_gzipped``: bytes as a web server sends them. ``palette``: largest area first."""

    n_bytes: int
    n_gzipped: int
    n_paths: int
    n_nodes: int
    palette: tuple[Swatch, ...]


def _paths(svg: str) -> list[dict[str, str]]:
    return [dict(_ATTRIBUTE.findall(found)) for found in _PATH.findall(svg)]


def _nodes(path: dict[str, str]) -> list[tuple[float, float]]:
    """Where each segment of a path ends, in the picture's pixels."""
    moved = _SHIFT.search(path.get("transform", ""))
    dx, dy = (float(moved.group(1)), float(moved.group(2))) if moved else (0.0, 0.0)
    found = []
    for command, text in _STEP.findall(path.get("d", "")):
        if command == "Z":
            continue
        try:
            numbers = [float(number) for number in text.replace(",", " ").split()]
        except ValueError:
            continue
        every = 6 if command == "C" else 2
        found += [(numbers[i + every - 2] + dx, numbers[i + every - 1] + dy) for i in range(0, len(numbers) - every + 1, every)]
    return found


def svg_stats(svg: str, width: int, height: int) -> SvgStats:
    """Of an SVG drawn at ``width`` x ``height`` pixels."""
    paths = _paths(svg)
    fills = Counter(found.group().lower() for path in paths if (found := _COLOUR.search(path.get("fill", ""))))
    areas = _areas(svg, width, height, list(fills))
    palette = sorted((Swatch(colour, n, areas.get(colour, 0.0)) for colour, n in fills.items()), key=lambda s: (-s.share, s.colour))
    data = svg.encode()
    return SvgStats(len(data), len(gzip.compress(data, 6)), len(paths), sum(len(_nodes(path)) for path in paths), tuple(palette))


def _areas(svg: str, width: int, height: int, colours: list[str]) -> dict[str, float]:
    """Share of pixels that are exactly of a colour; the soft pixels of outlines are left out."""
    try:
        drawn = rasterizer().draw(svg.encode(), width, height).astype(np.int32)
    except RasterError:
        return {}
    values, counts = np.unique((drawn[..., 0] << 16) | (drawn[..., 1] << 8) | drawn[..., 2], return_counts=True)
    known = dict(zip(values.tolist(), counts.tolist(), strict=True))
    found = {colour: known.get(int(colour[1:], 16), 0) for colour in colours}
    total = sum(found.values())
    return {colour: n / total for colour, n in found.items()} if total else {}


def outlines(svg: str, width: int, height: int) -> str:
    """An SVG of the outlines of all paths and their nodes, to be laid over the picture."""
    lines, dots = [], []
    for path in _paths(svg):
        data, moved = path.get("d", ""), path.get("transform", "")
        if not _STEP.match(data) or (moved and not _SHIFT.fullmatch(moved)):
            continue
        lines.append(f'<path d="{data}" transform="{moved}"/>' if moved else f'<path d="{data}"/>')
        dots += [f"M{x:g} {y:g}h0" for x, y in _nodes(path)]
    style = 'fill="none" vector-effect="non-scaling-stroke"'
    strokes = "".join(line.replace("/>", f' {style} stroke="{_OUTLINE}" stroke-width="1.2"/>') for line in lines)
    nodes = f'<path d="{"".join(dots)}" {style} stroke="{_NODE}" stroke-width="5" stroke-linecap="round"/>' if dots else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
    return f"{head}{strokes}{nodes}</svg>"


def difference(original: NDArray[np.uint8], drawn: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """Where two pictures of one shape differ: RGBA, uint8, clear where they agree.

    ``kind``: "absolute" (of colours), "structure" (1 - SSIM of the window around each pixel, at most 1), or "edges"
    (red: only in the original; blue: only in the drawing).

    Raises:
        ValueError: an unknown kind, or shapes that differ.
    """
    if kind not in DIFFERENCES:
        raise ValueError(f"{kind!r} is none of {', '.join(DIFFERENCES)}")
    if original.shape != drawn.shape:
        raise ValueError(f"shapes differ: {original.shape} and {drawn.shape}")
    out = np.zeros((*original.shape[:2], 4), np.uint8)
    if kind == "edges":
        ours, theirs = (cv2.Canny(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), 50, 150) > 0 for p in (original, drawn))
        near = np.ones((3, 3), np.uint8)
        lost = ours & ~(cv2.dilate(theirs.astype(np.uint8), near) > 0)
        added = theirs & ~(cv2.dilate(ours.astype(np.uint8), near) > 0)
        out[lost], out[added] = (213, 40, 0, 255), (0, 95, 204, 255)
        return out
    if kind == "absolute":
        amount = cv2.absdiff(original, drawn).max(axis=2).astype(np.float64) / 255
    else:
        from skimage.metrics import structural_similarity  # a second to import

        full = structural_similarity(original, drawn, channel_axis=2, data_range=255, win_size=WINDOW, full=True)[1]  # type: ignore[no-untyped-call]
        amount = np.clip(1 - full.mean(axis=2), 0, 1)
    out[..., 0], out[..., 1], out[..., 2] = 213, 40, 90
    out[..., 3] = np.rint(255 * np.sqrt(amount)).astype(np.uint8)
    return out
