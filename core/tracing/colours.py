"""Colour error of two RGB pictures: the mean CIELAB distance per pixel (CIE76).

One side is prepared once; every array is written in place, a strip of rows at a time. 2.3 is about the smallest
difference that one sees.
"""

from __future__ import annotations

import threading

import cv2
import numpy as np
from numpy.typing import NDArray

_STRIP = 128  # rows at a time
_COARSE = np.float32(1024)  # added and taken away: distances become multiples of 2^-13, whose float64 sum is exact in any order

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def lab(pixels: Bytes) -> Floats:
    """CIELAB of RGB pixels, uint8 (sRGB, D65), shape (height, width, 3); L in [0, 100]."""
    return cv2.cvtColor(pixels.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2Lab)  # type: ignore[return-value]


class _Scratch(threading.local):
    """A thread's arrays, of the strip before."""

    shape = (0, 0, 0)

    def strip(self, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
        if self.shape != shape:
            self.shape = shape  # type: ignore[assignment]
            self._arrays = (np.empty(shape, np.float32), np.empty(shape, np.float32))
        return self._arrays


_scratch = _Scratch()


class ColourReference:
    """One side of many comparisons. ``pixels``: uint8 RGB, shape (height, width, 3). Holds 12 bytes per pixel."""

    def __init__(self, pixels: Bytes) -> None:
        self._lab = lab(pixels)

    def error(self, other: Bytes) -> float:
        """Mean distance to a picture of the same shape, in [0, about 260]; 0 means equal."""
        height, width = self._lab.shape[:2]
        if other.shape != self._lab.shape:
            raise ValueError(f"shapes differ: {self._lab.shape} and {other.shape}")
        total = 0.0
        for top in range(0, height, _STRIP):
            total += self._strip(other[top : top + _STRIP], self._lab[top : top + _STRIP])
        return total / (height * width)

    def _strip(self, other: Bytes, ours: Floats) -> float:
        scaled, theirs = _scratch.strip(other.shape)
        np.multiply(other, np.float32(1 / 255), out=scaled, dtype=np.float32)
        cv2.cvtColor(scaled, cv2.COLOR_RGB2Lab, dst=theirs)
        theirs -= ours
        theirs *= theirs
        distance = theirs.reshape(-1, 3) @ np.ones(3, np.float32)
        np.sqrt(distance, out=distance)
        distance += _COARSE
        distance -= _COARSE
        return float(distance.sum(dtype=np.float64))
