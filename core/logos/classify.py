"""The category of a logo, from its features alone, for folders that name none.

The rules follow how the four categories differ: wide and few-coloured words, smooth slopes of colour, many parts.
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
