"""Pictures at another size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MIN_SIDE = 8


def fit(pixels: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """Shrink so that the longest side is ``longest_side`` pixels; smaller pictures stay, short sides reach 8."""
    height, width = pixels.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    new_w, new_h = max(round(width * scale), 1), max(round(height * scale), 1)
    if (new_w, new_h) != (width, height):
        pixels = np.asarray(Image.fromarray(pixels).resize((new_w, new_h), Image.Resampling.LANCZOS))
    pad_w, pad_h = max(MIN_SIDE - new_w, 0), max(MIN_SIDE - new_h, 0)
    if pad_w or pad_h:  # the SSIM window needs 7 pixels each way
        pixels = np.pad(pixels, ((0, pad_h), (0, pad_w), (0, 0)), mode="edge")
    return np.ascontiguousarray(pixels)
