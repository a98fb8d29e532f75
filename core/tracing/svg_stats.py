"""What a traced SVG is made of: its paths and nodes, its colours and gradients and their areas, its size; and pictures of them.

SVGs are read by svgelements, and their gradients as XML. Nothing here raises for an SVG that is odd: what can't be read is left out.
"""

from __future__ import annotations

import gzip
import io
import re
import xml.etree.ElementTree as ElementTree  # nosec B405
from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from svgelements import SVG, Close, Matrix, Path, Shape

from core.errors import RasterError
from core.tracing.raster import rasterizer
from core.tracing.similarity import WINDOW

_REFERENCE = re.compile(r"url\(\s*['\"]?#([^'\")]+)['\"]?\s*\)")
_SVG = "{http://www.w3.org/2000/svg}"
_OUTLINE, _NODE = "#d6006c", "#005fcc"
DIFFERENCES = ("absolute", "structure", "edges")


@dataclass(frozen=True)
class Swatch:
    """A colour ("#rrggbb") or gradient (all of its ``stops``) of an SVG, how many paths have it, and its share of what is drawn, in [0, 1]."""

    colour: str
    n_paths: int
    share: float
    stops: tuple[str, ...] = ()


@dataclass(frozen=True)
class SvgStats:
    """``n_gzipped``: bytes as a web server sends them. ``palette``: largest area first."""

    n_bytes: int
    n_gzipped: int
    n_paths: int
    n_nodes: int
    palette: tuple[Swatch, ...]


@dataclass(frozen=True)
class _Part:
    """A path in the picture's pixels: its data, where its segments end, and what it is filled with: one colour, or a gradient's stops."""

    data: str
    nodes: tuple[tuple[float, float], ...]
    paint: tuple[str, ...]


def _gradients(svg: str) -> dict[str, tuple[str, ...]]:
    """{name: colours of its stops}."""
    found = {}
    for element in ElementTree.fromstring(svg).iter():  # nosec B314
        if str(element.tag).removeprefix(_SVG) in ("linearGradient", "radialGradient"):
            stops = (stop.get("stop-color", "") for stop in element if str(stop.tag).removeprefix(_SVG) == "stop")
            found[element.get("id", "")] = tuple(_long(colour) for colour in stops)
    return found


def _long(colour: str) -> str:
    """ "#rrggbb" of "#rgb"."""
    return (f"#{colour[1] * 2}{colour[2] * 2}{colour[3] * 2}" if len(colour) == 4 else colour).lower()


def _parts(svg: str, width: int, height: int) -> list[_Part]:
    """All filled shapes, in the order they are drawn in, scaled to ``width`` x ``height``; none where the SVG can't be read."""
    try:
        gradients = _gradients(svg)
        document = SVG.parse(io.StringIO(svg), reify=True)
        scale = Matrix.scale(width / float(document.width or width), height / float(document.height or height))
        found = []
        for element in document.elements():
            if not isinstance(element, Shape):
                continue
            path = Path(element) * scale
            path.reify()
            reference = _REFERENCE.search(str(element.values.get("fill", "")))
            paint = gradients.get(reference.group(1), ()) if reference else (element.fill.hex[:7].lower(),) if element.fill.value else ()
            nodes = tuple((s.end.x, s.end.y) for s in path if s.end is not None and not isinstance(s, Close))
            found.append(_Part(path.d(relative=False), nodes, paint))
    except Exception:  # of an SVG that somebody edited, or that is none: svgelements raises what it likes
        return []
    return found


def svg_stats(svg: str, width: int, height: int) -> SvgStats:
    """Of an SVG drawn at ``width`` x ``height`` pixels."""
    parts = _parts(svg, width, height)
    areas = _areas(parts, width, height)
    paints = Counter(part.paint for part in parts if part.paint)
    palette = sorted(
        (Swatch(paint[0], n, areas.get(paint, 0.0), paint if len(paint) > 1 else ()) for paint, n in paints.items()),
        key=lambda swatch: (-swatch.share, swatch.colour),
    )
    data = svg.encode()
    return SvgStats(len(data), len(gzip.compress(data, 6)), len(parts), sum(len(part.nodes) for part in parts), tuple(palette))


def _document(inside: str, width: int, height: int) -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">{inside}</svg>'


def _areas(parts: list[_Part], width: int, height: int) -> dict[tuple[str, ...], float]:
    """Share of the pixels that each paint shows; the soft pixels of outlines are left out.

    Each paint is drawn as a colour that stands for its number, so that gradients are counted as what they fill.
    """
    numbers: dict[tuple[str, ...], int] = {}
    for part in parts:
        numbers.setdefault(part.paint, len(numbers) + 1)
    shapes = "".join(f'<path d="{part.data}" fill="#{numbers[part.paint] * 4099 % 2**24:06x}"/>' for part in parts)
    try:
        drawn = rasterizer().draw(_document(shapes, width, height).encode(), width, height).astype(np.int32)
    except RasterError:
        return {}
    values, counts = np.unique((drawn[..., 0] << 16) | (drawn[..., 1] << 8) | drawn[..., 2], return_counts=True)
    known = dict(zip(values.tolist(), counts.tolist(), strict=True))
    found = {paint: known.get(number * 4099 % 2**24, 0) for paint, number in numbers.items()}
    total = sum(found.values())
    return {paint: n / total for paint, n in found.items()} if total else {}


def outlines(svg: str, width: int, height: int) -> str:
    """An SVG of the outlines of all paths and their nodes, to be overlaid on the picture."""
    parts = _parts(svg, width, height)
    style = 'fill="none" vector-effect="non-scaling-stroke"'
    strokes = "".join(f'<path d="{part.data}" {style} stroke="{_OUTLINE}" stroke-width="1.2"/>' for part in parts)
    dots = "".join(f"M{x:.6g} {y:.6g}h0" for part in parts for x, y in part.nodes)
    nodes = f'<path d="{dots}" {style} stroke="{_NODE}" stroke-width="5" stroke-linecap="round"/>' if dots else ""
    return _document(strokes + nodes, width, height)


def difference(original: NDArray[np.uint8], drawn: NDArray[np.uint8], kind: str) -> NDArray[np.uint8]:
    """Where two pictures of one shape differ: RGBA, uint8, clear where they agree.

    ``kind``: "absolute" (of colours), "structure" (1 - SSIM of the window around each pixel, at most 1), or "edges"
    (red: only in the original; blue: only in the drawing).

    Raises:
        ValueError: an unknown kind, or shapes that differ.
    """
    if kind not in DIFFERENCES:
        raise ValueError(f"{kind!r} is not one of {', '.join(DIFFERENCES)}")
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
