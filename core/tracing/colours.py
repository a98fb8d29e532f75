"""Colour error of two RGB pictures: the mean CIELAB distance per pixel (CIE76), and the share whose colour is another one.

One side is prepared once; the other is worked through in strips of rows that stay in the cache of a core. 2.3 is about
the smallest difference that one sees.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

OTHER = 20.0  # CIELAB distance from which on a colour is another one, not a shade of the same
_PATCH = np.ones((3, 3), np.uint8)
_STRIP = 64  # rows at a time
_ONES = np.ones(3, np.float32)
_COARSE = np.float32(1024)  # added and taken away: distances become multiples of 2^-13, whose float64 sum is exact in any order

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


# sRGB to linear light, then to CIE XYZ over the white of D65 (IEC 61966-2-1), and CIELAB's cube root with its straight beginning
_LEVELS = np.arange(256) / 255
_LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_XYZ = (_XYZ / np.array([[0.95047], [1.0], [1.08883]])).T
_FINE = 65535
_SHARES = np.arange(_FINE + 1) / _FINE
_ROOT = np.where(_SHARES > 0.008856, np.cbrt(_SHARES), 7.787 * _SHARES + 16 / 116).astype(np.float32)
_TO_FINE = (_XYZ * _FINE).astype(np.float32)
_TO_LAB = np.array([[0, 500, 0], [116, -500, 200], [0, 0, -200]], np.float32)
_LESS = np.array([16, 0, 0], np.float32)


def lab(pixels: Bytes) -> Floats:
    """CIELAB of RGB pixels, uint8 (sRGB, D65), shape (height, width, 3); L in [0, 100]. To 0.02: OpenCV's own is off by up to 0.4."""
    share = np.take(_LINEAR, pixels.reshape(-1, 3)) @ _TO_FINE
    share += np.float32(0.5)
    roots = np.take(_ROOT, share.astype(np.int32), mode="clip")
    found: Floats = roots @ _TO_LAB
    found -= _LESS
    return found.reshape(pixels.shape)


class ColourReference:
    """One side of many comparisons. ``pixels``: uint8 RGB, shape (height, width, 3). Holds 12 bytes per pixel."""

    def __init__(self, pixels: Bytes) -> None:
        self._lab = lab(pixels)

    def error(self, other: Bytes) -> float:
        """Mean distance to a picture of the same shape, in [0, about 260]; 0 means equal."""
        return self.errors(other)[0]

    def errors(self, other: Bytes) -> tuple[float, float]:
        """The mean distance, and the share of pixels inside patches of 3 x 3 of which each is further off than :data:`OTHER`."""
        height, width = self._lab.shape[:2]
        if other.shape != self._lab.shape:
            raise ValueError(f"shapes differ: {self._lab.shape} and {other.shape}")
        total = 0.0
        is_other = np.empty((height, width), np.uint8)
        for top in range(0, height, _STRIP):
            rows = slice(top, top + _STRIP)
            total += self._strip(other[rows], self._lab[rows], is_other[rows])
        n_lost = 0
        if is_other.any():
            n_lost = cv2.countNonZero(cv2.dilate(cv2.erode(is_other, _PATCH, borderValue=0), _PATCH))
        return total / (height * width), n_lost / (height * width)

    def _strip(self, other: Bytes, ours: Floats, is_other: Bytes) -> float:
        off = lab(other)
        off -= ours
        off *= off
        distance = off.reshape(-1, 3) @ _ONES
        np.greater(distance, np.float32(OTHER * OTHER), out=is_other.reshape(-1), casting="unsafe")
        np.sqrt(distance, out=distance)
        distance += _COARSE
        distance -= _COARSE
        return float(distance.sum(dtype=np.float64))
