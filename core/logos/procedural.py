"""The built-in logos: made from a seed, in the four categories, each with its source SVG.

Guarantee: the same (seed, category, index) gives the same SVG, whatever else is made beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.logos.drawing import Rng
from core.logos.recipes_flat import (
    blobs,
    boxed_word,
    burst,
    chevrons,
    initial_in_shape,
    interlocking_rings,
    petals,
    plain_word,
    slices,
    symbol_word,
    tagline_word,
    tiles,
)
from core.logos.recipes_rich import (
    app_icon,
    badge,
    circuit,
    folded,
    gradient_blob,
    gradient_petals,
    gradient_word,
    landscape,
    line_art,
    mandala,
    mosaic,
    shield,
    sphere,
    swoosh,
)

CATEGORIES = ("simple", "text", "gradient", "complex")
MIN_PER_CATEGORY, MAX_PER_CATEGORY = 1, 5000


@dataclass(frozen=True)
class MadeLogo:
    """One procedural logo; ``name`` is its category and index."""

    name: str
    category: str
    svg: str


def make_logo(seed: int, category: str, index: int) -> MadeLogo:
    """Make logo ``index`` of a category."""
    rng = np.random.default_rng([seed, CATEGORIES.index(category), index])
    recipes = RECIPES[category]
    svg = recipes[index % len(recipes)](rng)
    return MadeLogo(f"{category}-{index:03d}", category, svg)


def make_logos(seed: int = 7, n_per_category: int = 60) -> list[MadeLogo]:
    """Make ``n_per_category`` logos of each category, in [1, 5000]."""
    if not MIN_PER_CATEGORY <= n_per_category <= MAX_PER_CATEGORY:
        raise ValueError(f"n_per_category = {n_per_category} is not in [{MIN_PER_CATEGORY}, {MAX_PER_CATEGORY}]")
    return [make_logo(seed, category, index) for category in CATEGORIES for index in range(n_per_category)]


# --- simple: a few flat shapes


# --- text: words as outlines, most with a small symbol


# --- gradient: shapes whose paint really varies


# --- complex: emblems of many parts


RECIPES: dict[str, list[Callable[[Rng], str]]] = {
    "simple": [interlocking_rings, initial_in_shape, petals, burst, chevrons, slices, blobs, tiles],
    "text": [plain_word, symbol_word, tagline_word, boxed_word, symbol_word],
    "gradient": [app_icon, sphere, gradient_petals, swoosh, gradient_blob, folded, gradient_word],
    "complex": [badge, mosaic, mandala, landscape, shield, line_art, circuit],
}
