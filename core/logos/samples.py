"""Sample logos for people who have none at hand: procedural ones of every category that the built-in model was not trained on, as PNG."""

from __future__ import annotations

from functools import cache

from core.logos.pictures import decode_picture
from core.logos.procedural import CATEGORIES, make_logo
from core.tracing.picture import encode_png

N_SAMPLES, SAMPLE_SEED = 8, 11
_LONGEST_SIDE = 384  # pixels: as logos come from websites


@cache
def sample_logos() -> tuple[tuple[str, bytes], ...]:
    """(file name, PNG) of each sample; the same every time."""
    made = [make_logo(SAMPLE_SEED, category, index) for category in CATEGORIES for index in range(N_SAMPLES // len(CATEGORIES))]
    return tuple((f"{logo.name}.png", encode_png(decode_picture(logo.svg.encode(), None, svg_side=_LONGEST_SIDE))) for logo in made)
