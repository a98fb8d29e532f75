"""Classifies a logo by its features alone, for folders that don't name a category.

The rules follow what sets the four categories apart: wide lettering, smooth colour gradients, many parts.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from core.tracing.features import Features, all_features
from core.tracing.raster import ground_of, over
from core.tracing.sizes import fit

MIN_SOFT_SHARE = 0.02
WIDE = math.log(2.1)
MANY_REGIONS = math.log2(21)
PHOTOGRAPH = "photograph"
_MANY_COLOURS, _MANY_PATCHES = 7.5, 6.0  # log2 at 5 and 4 bits: photographs have 8.3 and 6.8, the most colourful logos 7.0 and 5.4
_SIDE = 256  # pixels, longest side that the limits hold for


def classify(features: Features) -> str:
    """One of "simple", "text", "gradient", "complex"."""
    if features.soft_share > MIN_SOFT_SHARE:
        return "gradient"
    if features.aspect > WIDE:
        return "text"
    return "complex" if features.log_regions_3 > MANY_REGIONS else "simple"


def kind_of(pixels: NDArray[np.uint8]) -> str:
    """The category of RGB or RGBA pixels of any size, or "photograph"."""
    small = fit(pixels, _SIDE)
    features = all_features(small if small.shape[2] == 3 else over(small, ground_of(small)))
    if features.log_colors_5 > _MANY_COLOURS and features.log_regions_4 > _MANY_PATCHES:
        return PHOTOGRAPH
    return classify(features)
