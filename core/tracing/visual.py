"""What one sees of a conversion: its errors against a picture that is prepared once.

Drawn over white, and where the picture is clear somewhere or shapes are cut out of each other, over black too; errors are the means of both, so
that lost alpha, and seams between shapes, count. The gain is made of them (core/tracing/outcome.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.tracing.colours import ColourReference
from core.tracing.edges import EdgeReference
from core.tracing.raster import over, rasterizer
from core.tracing.similarity import Reference

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Errors:
    """``ssim`` in [-1, 1], ``colour``, ``edge`` and ``lost`` as in :class:`core.tracing.outcome.Outcome`."""

    ssim: float
    colour: float
    edge: float
    lost: float


class _Ground:
    """A picture over one ground."""

    def __init__(self, flat: Bytes) -> None:
        self._structure, self._colour, self._edge = Reference(flat), ColourReference(flat), EdgeReference(flat)

    def errors(self, drawn: Bytes) -> tuple[float, float, float, float]:
        colour, lost = self._colour.errors(drawn)
        return self._structure.ssim(drawn), colour, self._edge.error(drawn), lost


class VisualReference:
    """``pixels``: RGB or RGBA, uint8, shape (height, width, 3 or 4). Holds about 26 bytes per pixel, of RGBA twice as many."""

    def __init__(self, pixels: Bytes) -> None:
        self._size = (pixels.shape[1], pixels.shape[0])
        self.is_clear = pixels.shape[2] == 4
        self._grounds = [_Ground(over(pixels, 255)), _Ground(over(pixels, 0))] if self.is_clear else [_Ground(pixels)]

    def draw(self, svg: bytes, is_cutout: bool = False) -> tuple[Bytes, ...]:
        """The SVG as it is compared: over white, and over black where that may differ.

        Raises:
            RasterError: it can't be drawn.
        """
        if self.is_clear or is_cutout:
            return rasterizer().draw_over(svg, *self._size)
        return (rasterizer().draw(svg, *self._size),)

    def errors(self, drawn: tuple[Bytes, ...]) -> Errors:
        """Of what :meth:`draw` gave."""
        grounds = self._grounds if len(self._grounds) == len(drawn) else self._grounds * len(drawn)
        each = [ground.errors(flat) for ground, flat in zip(grounds, drawn, strict=True)]
        return Errors(*(sum(values) / len(each) for values in zip(*each, strict=True)))
