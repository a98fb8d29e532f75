"""A version held against the vector that its picture was made of, where that is known: what no reward sees."""

from __future__ import annotations

import math
from hashlib import sha256

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import RasterError
from core.evaluation.vectors import APART_S, judge_apart
from core.tracing.vector_judge import LONGEST_SIDE, VectorErrors
from pages.views.text import gain_text, plain


@st.cache_data(max_entries=200, max_size="20MB", show_spinner=False)
def _errors(digest: str, _source: str, _pixels: NDArray[np.uint8], svgs: tuple[str, ...]) -> list[VectorErrors | str]:
    """Of the SVGs; ``_pixels``: RGB or RGBA; ``digest`` stands for them and for the source. What failed is not kept, but tried again."""
    return judge_apart(_source, _pixels, svgs)


def against_the_vector(source: str | None, digest: str, pixels: NDArray[np.uint8], svg: str, default_svg: str) -> None:
    """A switch that shows the figures; nothing where the vector is not known. ``pixels``: RGB or RGBA; ``digest`` stands for them."""
    if source is None:
        return
    about = f"The original vector of this picture is known. Both are rendered by an independent rasterizer at {LONGEST_SIDE:,} pixels, which training never uses."
    if not st.toggle("Compare with original vector", key="vector", help=about):
        return
    with st.spinner(f"Rendering at {LONGEST_SIDE:,} pixels; usually a few seconds, at most {APART_S:.0f}", show_time=True):
        try:
            own, base = _errors(f"{digest}/{sha256(source.encode()).hexdigest()}", source, pixels, (svg, default_svg))
        except RasterError as error:
            own = base = str(error)
    if isinstance(own, str) or isinstance(base, str):
        st.caption(plain(f"Nothing to compare: {own if isinstance(own, str) else base}"))
        return
    with st.grid(2, min_column_width=100):
        gained = math.log(base.visual / own.visual) if own.visual > 0 and base.visual > 0 else 0.0
        st.metric(
            "Visual gain", gain_text(gained), help="Relative to VTracer's defaults, measured against the vector; 0.69 is half the error."
        )
        for name, mine, theirs in (
            ("FLIP", own.flip, base.flip),
            ("Structure", own.structure, base.structure),
            ("Colour", own.colour, base.colour),
            ("Edges", own.edge, base.edge),
        ):
            if not math.isnan(mine):
                st.metric(name, f"{mine:.3f}", f"{mine - theirs:+.3f}" if abs(mine - theirs) >= 5e-4 else None, delta_color="inverse")
