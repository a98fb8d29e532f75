"""A version held against the vector that its picture was made of, where that is known: what no reward sees."""

from __future__ import annotations

import math

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import RasterError
from core.logos.vectors import ground_colour
from core.tracing.raster import ground_of, over
from core.tracing.vector_judge import LONGEST_SIDE, VectorErrors, VectorJudge
from pages.views.text import gain_text, plain


@st.cache_data(max_entries=200, show_spinner=False)
def _errors(digest: str, source: str, _pixels: NDArray[np.uint8], svg: str) -> VectorErrors | str:
    """Of an SVG, or why it can't be compared. ``_pixels``: opaque; ``digest`` stands for them."""
    try:
        return VectorJudge(source, _pixels, ground_colour(_pixels)).errors(svg)
    except RasterError as error:
        return str(error)


def against_the_vector(source: str | None, digest: str, pixels: NDArray[np.uint8], svg: str, default_svg: str) -> None:
    """A switch that shows the figures; nothing where the vector is not known. ``pixels``: RGB or RGBA; ``digest`` stands for them."""
    if source is None:
        return
    about = f"The vector that this picture was made of is known. Both are drawn by another rasterizer at {LONGEST_SIDE:,} pixels; no reward sees that."
    if not st.toggle("Against its vector", key="vector", help=about):
        return
    with st.spinner(f"Drawing at {LONGEST_SIDE:,} pixels …"):
        flat = pixels if pixels.shape[2] == 3 else over(pixels, ground_of(pixels))
        own, base = (_errors(digest, source, flat, made) for made in (svg, default_svg))
    if isinstance(own, str) or isinstance(base, str):
        st.caption(plain(f"Nothing to compare: {own if isinstance(own, str) else base}"))
        return
    with st.grid(2, min_column_width=100):
        gained = math.log(base.visual / own.visual) if own.visual > 0 and base.visual > 0 else 0.0
        st.metric("Visual gain", gain_text(gained), help="Over VTracer's defaults, against the vector; 0.69 is half the error.")
        for name, mine, theirs in (
            ("FLIP", own.flip, base.flip),
            ("Structure", own.structure, base.structure),
            ("Colour", own.colour, base.colour),
            ("Edges", own.edge, base.edge),
        ):
            if not math.isnan(mine):
                st.metric(name, f"{mine:.3f}", f"{mine - theirs:+.3f}" if abs(mine - theirs) >= 5e-4 else None, delta_color="inverse")
