"""Results held against the vector that a picture came from: what no reward sees, drawn large by another rasterizer (resvg).

FLIP, where ``flip-evaluator`` is installed, is a judge of its own (Andersson et al., "FLIP: A Difference Evaluator for Alternating
Images", 2020). Pure functions of SVGs.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import RasterError
from core.paths import how_to_install
from core.tracing.colours import ColourReference
from core.tracing.edges import EdgeReference
from core.tracing.outcome import visual_error
from core.tracing.raster import rasterizer
from core.tracing.similarity import Reference
from core.tracing.sizes import fit

LONGEST_SIDE = 1024  # pixels at which both are drawn
_ROOT = re.compile(r"<svg\b[^>]*>", re.DOTALL)
_WITH_UNIT = re.compile(r"""\s(?P<name>width|height)\s*=\s*["'](?P<number>[\d.]+)(?P<unit>pt|pc|mm|cm|in|em|ex|%)["']""")


@dataclass(frozen=True)
class VectorErrors:
    """The three errors of the score and the mean of FLIP, in [0, 1]; NaN where that is not installed."""

    structure: float
    colour: float
    edge: float
    flip: float = math.nan

    @property
    def visual(self) -> float:
        """The three as one; the ln of two errors' ratio is a visual gain."""
        return visual_error(self.structure, self.colour, self.edge)


def check_resvg() -> None:
    """Say it once, before the work.

    Raises:
        RasterError: resvg is not installed.
    """
    try:
        import resvg_py  # noqa: F401
    except ImportError as error:
        raise RasterError(f"resvg is not installed: {how_to_install('bench')}") from error


def draw_with_resvg(svg: str, width: int, height: int, background: str = "#ffffff") -> NDArray[np.uint8]:
    """RGB, shape (height, width, 3).

    Raises:
        RasterError: resvg is not installed, or the SVG can't be parsed.
    """
    check_resvg()
    import resvg_py

    try:
        png = bytes(resvg_py.svg_to_bytes(svg_string=_without_units(svg), width=width, height=height, background=background))
        image = Image.open(io.BytesIO(png)).convert("RGB")
    except (ValueError, OSError) as error:
        raise RasterError(f"resvg can't draw this SVG: {error}") from error
    if image.size != (width, height):  # it keeps the ratio of sides, to a pixel
        image = image.resize((width, height), Image.Resampling.BOX)
    return np.asarray(image)


def _without_units(svg: str) -> str:
    """The same without units on its root's width and height, which resvg's binding refuses where it is told a size."""
    root = _ROOT.search(svg)
    if root is None:
        return svg
    return f"{svg[: root.start()]}{_WITH_UNIT.sub(_number_alone, root.group())}{svg[root.end() :]}"


def _number_alone(found: re.Match[str]) -> str:
    return "" if found["unit"] == "%" else f' {found["name"]}="{found["number"]}"'


@dataclass(frozen=True)
class Place:
    """Where a source's own view lies in the picture that was made of it: pixels of the picture. ``difference``: mean, in levels of 256."""

    x: float
    y: float
    width: float
    height: float
    difference: float


_PLACED = re.compile(r"""\s(?:x|y|width|height|preserveAspectRatio)\s*=\s*(?:"[^"]*"|'[^']*')""")
_VIEW = re.compile(r"""\sviewBox\s*=\s*["']([^"']*)["']""")
_STANDS_OUT = 12  # levels from the ground from which on a pixel belongs to the drawing
_SEARCHED = 256  # longest side at which a source's place is looked for
_FINER = 3  # times that size the source is drawn, once, to be moved about
MAX_DIFFERENCE = 8.0  # of a picture that was made of the source


def placed(source: str, place: Place, size: tuple[int, int]) -> str:
    """An SVG of ``size`` (the picture's width and height) that shows the source where the picture has it.

    Raises:
        RasterError: the source has no root.
    """
    root = _ROOT.search(source)
    if root is None:
        raise RasterError("the source has no <svg>")
    tag = _PLACED.sub("", root.group())
    found = _VIEW.search(tag)
    if found is None:
        width, height = rasterizer().size(source.encode())
        view = (0.0, 0.0, width, height)
    else:
        try:
            left, top, width, height = (float(value) for value in re.split(r"[\s,]+", found.group(1).strip()))
        except ValueError as error:
            raise RasterError(f"the source's viewBox {found.group(1)[:40]!r} is not four numbers") from error
        view = (left, top, width, height)
        tag = tag.replace(found.group(), "")
    x_unit, y_unit = view[2] / place.width, view[3] / place.height  # of the source, per pixel
    shown = (view[0] - place.x * x_unit, view[1] - place.y * y_unit, size[0] * x_unit, size[1] * y_unit)
    own = f' width="{size[0]}" height="{size[1]}" viewBox="{" ".join(f"{value:.5f}" for value in shown)}" preserveAspectRatio="none"'
    return f"{source[: root.start()]}{tag.replace('<svg', f'<svg{own}', 1)}{source[root.end() :]}"


def find_place(source: str, pixels: NDArray[np.uint8], background: str = "#ffffff") -> Place:
    """Where the picture has the source: from the bounds of both drawings, then by a search for the smallest difference, in a picture of at most
    ``_SEARCHED`` pixels. The source is drawn three times in all, since one with large blurs takes a second for each.

    Raises:
        RasterError: the source can't be drawn, or the picture was not made of it.
    """
    small = fit(pixels, _SEARCHED)
    found = _find_place(source, small, background)
    x_scale, y_scale = pixels.shape[1] / small.shape[1], pixels.shape[0] / small.shape[0]
    return Place(found.x * x_scale, found.y * y_scale, found.width * x_scale, found.height * y_scale, found.difference)


def _find_place(source: str, pixels: NDArray[np.uint8], background: str) -> Place:
    height, width = pixels.shape[:2]
    ground = np.array([int(background[i : i + 2], 16) for i in (1, 3, 5)])
    own_width, own_height = rasterizer().size(_without_units(source).encode())
    scale = _SEARCHED / max(own_width, own_height)
    size = max(round(own_width * scale), 1), max(round(own_height * scale), 1)
    scales = size[0] / own_width, size[1] / own_height
    left, top, right, bottom = (
        bound / scales[k % 2] for k, bound in enumerate(_bounds(draw_with_resvg(source, *size, background), ground))
    )
    bounds = _bounds(pixels, ground)
    first = max(bounds[2] - bounds[0], 1) / max(right - left, 1e-6), max(bounds[3] - bounds[1], 1) / max(bottom - top, 1e-6)
    start_scale = first[0] if right - left > bottom - top else first[1]
    middle = ((bounds[0] + bounds[2]) / 2, (bounds[1] + bounds[3]) / 2)

    def place(values: NDArray[np.float64]) -> Place:
        by = start_scale * math.exp(values[0])
        x = middle[0] + values[1] - by * (left + right) / 2
        y = middle[1] + values[2] - by * (top + bottom) / 2
        return Place(x, y, by * own_width, by * own_height, 0.0)

    guess = place(np.zeros(3))
    drawn = draw_with_resvg(placed(source, guess, (width, height)), width * _FINER, height * _FINER, background)

    def difference(values: NDArray[np.float64]) -> float:
        return float(np.abs(_moved(drawn, guess, place(values), (width, height), background).astype(np.int16) - pixels).mean())

    from scipy.optimize import minimize

    simplex = np.array([[0, 0, 0], [0.01, 0, 0], [0, 0.7, 0], [0, 0, 0.7]], dtype=np.float64)
    found = minimize(
        difference, np.zeros(3), method="Nelder-Mead", options={"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-3, "maxfev": 120}
    )
    best = place(found.x)
    off = float(np.abs(draw_with_resvg(placed(source, best, (width, height)), width, height, background).astype(np.int16) - pixels).mean())
    if off > MAX_DIFFERENCE:
        raise RasterError(
            f"the picture was not made from this source: they differ by {off:.0f} levels of 256, at most {MAX_DIFFERENCE:.0f} allowed; "
            "give the SVG that the picture was drawn from (one with large blurs may be drawn differently here)"
        )
    return Place(best.x, best.y, best.width, best.height, off)


def _moved(drawn: NDArray[np.uint8], at: Place, to: Place, size: tuple[int, int], background: str) -> NDArray[np.uint8]:
    """A drawing ``_FINER`` times as large as ``size`` with the source ``at`` a place, as it is with the source at another: resampled, then
    brought to ``size`` by means over its pixels."""
    x_scale, y_scale = to.width / at.width, to.height / at.height
    # the middle of pixel k lies at k + 0.5
    matrix = np.array(
        [
            [x_scale, 0, (to.x - at.x * x_scale) * _FINER + 0.5 * x_scale - 0.5],
            [0, y_scale, (to.y - at.y * y_scale) * _FINER + 0.5 * y_scale - 0.5],
        ]
    )
    ground = tuple(int(background[i : i + 2], 16) for i in (1, 3, 5))
    finer = cv2.warpAffine(
        drawn, matrix, (size[0] * _FINER, size[1] * _FINER), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=ground
    )
    return cv2.resize(finer, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _bounds(pixels: NDArray[np.uint8], ground: NDArray[np.int_]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what stands out, in pixels; the whole where nothing does."""
    stands_out = np.abs(pixels.astype(np.int16) - ground).max(axis=2) > _STANDS_OUT
    columns, rows = np.flatnonzero(stands_out.any(axis=0)), np.flatnonzero(stands_out.any(axis=1))
    if not len(columns):
        return 0.0, 0.0, float(pixels.shape[1]), float(pixels.shape[0])
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


class VectorJudge:
    """One source that many results are held against. ``pixels``: a picture that was made of it, opaque, as it is before it is degraded;
    ``grounds``: what it may stand on, "#rrggbb", of which the first that the source is found on is taken."""

    def __init__(self, source: str, pixels: NDArray[np.uint8], grounds: Sequence[str], longest_side: int = LONGEST_SIDE) -> None:
        height, width = pixels.shape[:2]
        scale = longest_side / max(height, width)
        self._size = (max(round(width * scale), 8), max(round(height * scale), 8))
        self.place, self._background = _first_found(source, pixels, grounds)
        self.pixels = draw_with_resvg(placed(source, self.place, (width, height)), *self._size, self._background)
        self._structure, self._colour, self._edge = Reference(self.pixels), ColourReference(self.pixels), EdgeReference(self.pixels)

    def drawn(self, svg: str) -> NDArray[np.uint8]:
        """As it is judged.

        Raises:
            RasterError: it can't be drawn.
        """
        return draw_with_resvg(svg, *self._size, self._background)

    def errors(self, svg: str, with_flip: bool = True) -> VectorErrors:
        """Of a result; raises as :meth:`drawn`."""
        drawn = self.drawn(svg)
        flip = _flip(self.pixels, drawn) if with_flip else math.nan
        return VectorErrors(1 - self._structure.ssim(drawn), self._colour.error(drawn), self._edge.error(drawn), flip)


def _first_found(source: str, pixels: NDArray[np.uint8], grounds: Sequence[str]) -> tuple[Place, str]:
    """The source's place on the first ground that it is found on; raises as :func:`find_place` on the last."""
    for ground in grounds[:-1]:
        try:
            return find_place(source, pixels, ground), ground
        except RasterError:
            continue
    return find_place(source, pixels, grounds[-1]), grounds[-1]


def _flip(reference: NDArray[np.uint8], test: NDArray[np.uint8]) -> float:
    try:
        import flip_evaluator
    except ImportError:
        return math.nan
    scaled = [np.ascontiguousarray(pixels.astype(np.float32) / 255) for pixels in (reference, test)]
    return float(flip_evaluator.evaluate(scaled[0], scaled[1], "LDR", applyMagma=False, computeMeanError=True)[1])
