"""Edge error of two RGB pictures: gradient magnitude similarity deviation (GMSD).

Source: Xue, Zhang, Mou, Bovik, "Gradient Magnitude Similarity Deviation", IEEE Transactions on Image Processing, 2014: grey values
are averaged over 2 x 2 pixels and halved, gradients are Prewitt's, c = 170; the deviation is the standard deviation of
the similarity over all pixels.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

_PREWITT = np.array([[1, 0, -1]] * 3, np.float32) / 3
_C = np.float32(170)
_COARSE = np.float32(2**11)  # added and taken away: similarities become multiples of 2^-12, whose squares add up exactly


def _squared_gradient(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    half = cv2.blur(grey, (2, 2))[::2, ::2]
    across, down = cv2.filter2D(half, -1, _PREWITT), cv2.filter2D(half, -1, _PREWITT.T)
    return np.asarray(across * across + down * down, dtype=np.float32)


class EdgeReference:
    """One side of many comparisons. ``pixels``: uint8 RGB, shape (height, width, 3). Holds 2 bytes per pixel."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._shape = pixels.shape
        self._squared = _squared_gradient(pixels)
        self._magnitude = np.sqrt(self._squared)

    def error(self, other: NDArray[np.uint8]) -> float:
        """Deviation against a picture of the same shape, in [0, about 0.5]; 0 means equal."""
        if other.shape != self._shape:
            raise ValueError(f"shapes differ: {self._shape} and {other.shape}")
        squared = _squared_gradient(other)
        both = np.sqrt(squared)
        both *= self._magnitude
        both *= 2
        both += _C
        squared += self._squared
        squared += _C
        both /= squared
        both += _COARSE
        both -= _COARSE
        exact = both.astype(np.float64)
        mean = float(exact.mean())
        return math.sqrt(max(float((exact * exact).mean()) - mean * mean, 0.0))
