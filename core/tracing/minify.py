"""Lossless minifying of the SVGs that people take away: svgo-py's default plugins, checked by drawing again.

Figures of bytes are taken before it, of VTracer's defaults and of everything else alike.
"""

from __future__ import annotations

import numpy as np

from core.tracing.allowed import checked
from core.tracing.raster import rasterizer

MAX_BYTES = 150_000  # larger ones take seconds
_TIMES = 2  # drawn so many times larger for the check


def minified(svg: str, width: int, height: int) -> str:
    """The same drawing in fewer bytes; the SVG itself where it is large, gets no smaller, or where any pixel would differ.

    ``width``, ``height``: of the picture in pixels.
    """
    if not svg or len(svg) > MAX_BYTES:
        return svg
    import svgo  # a fifth of a second, which only deliveries pay

    try:
        small = svgo.optimize(svg)
        text = str(small["data"] if isinstance(small, dict) else getattr(small, "data", small))
        if len(text) >= len(svg):
            return svg
        size = (_TIMES * width, _TIMES * height)
        checked(text)
        before, after = (rasterizer().draw_rgba(each.encode(), *size) for each in (svg, text))
    except Exception:  # a parser of its own, with errors of its own; the SVG as it is is always right
        return svg
    return text if np.array_equal(before, after) else svg
