"""Classifies a logo by its features alone, for folders that don't name a category.

The rules follow what sets the four categories apart: wide lettering, smooth colour gradients, many parts.
"""

from __future__ import annotations

import math

from core.tracing.features import Features

MIN_SOFT_SHARE = 0.02
WIDE = math.log(2.1)
MANY_REGIONS = math.log2(21)


def classify(features: Features) -> str:
    """One of "simple", "text", "gradient", "complex"."""
    if features.soft_share > MIN_SOFT_SHARE:
        return "gradient"
    if features.aspect > WIDE:
        return "text"
    return "complex" if features.log_regions_3 > MANY_REGIONS else "simple"
