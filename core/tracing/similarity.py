"""Structural similarity of two RGB pictures: scikit-image's formula, many times faster.

Equals ``skimage.metrics.structural_similarity(a, b, channel_axis=2, data_range=255)`` (uniform 7 x 7 window, sample
covariance) to 1e-5. Window sums are exact integers; only the final quotient is in float32, so flat bright areas do
not lose the digits that a float variance loses. Every array is written in place, a strip of rows at a time, into
memory that stays in the cache of a core. Source: Wang et al., "Image quality assessment", 2004.
"""

from __future__ import annotations

import threading
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WINDOW = 7
_PAD = WINDOW // 2
_N = WINDOW * WINDOW
_STRIP = 128  # rows at a time
# Half of skimage's constants, multiplied by what turns window sums into means and sample covariances; halves, because
# the factors 2 of the formula's upper half are left out and made good at the end.
_HALF_C1 = np.float32((0.01 * 255) ** 2 * _N * _N / 2)
_HALF_C2 = np.float32((0.03 * 255) ** 2 * _N * (_N - 1) / 2)
_C1, _C2 = 2 * _HALF_C1, 2 * _HALF_C2
_QUARTER = np.float32(0.25)


def _box(image: NDArray[Any], out: NDArray[np.int32] | None = None) -> NDArray[np.int32]:
    """Sums over the 7 x 7 window around each pixel, same shape; the outer three rows and columns mean nothing."""
    return cv2.boxFilter(image, cv2.CV_32S, (WINDOW, WINDOW), dst=out, normalize=False, borderType=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


class _Scratch(threading.local):
    """A thread's arrays, grown to the widest strip so far."""

    size = 0

    def strip(self, n_rows: int, width: int) -> tuple[NDArray[np.uint16], list[NDArray[np.int32]], list[NDArray[np.float32]]]:
        """One, five and three arrays of shape (n_rows, width, 3); what they hold is left over."""
        size = n_rows * width * 3
        if self.size < size:
            self.size = size
            self._product = np.empty(size, np.uint16)
            self._whole = [np.empty(size, np.int32) for _ in range(5)]
            self._quotient = [np.empty(size, np.float32) for _ in range(3)]
        shape = (n_rows, width, 3)
        whole = [array[:size].reshape(shape) for array in self._whole]
        return self._product[:size].reshape(shape), whole, [array[:size].reshape(shape) for array in self._quotient]


_scratch = _Scratch()


class Reference:
    """One side of many comparisons, prepared once. ``pixels``: uint8, shape (height, width, 3), sides at least 7.

    Holds 6 bytes per pixel and channel beside the pixels.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or min(pixels.shape[:2]) < WINDOW:
            raise ValueError(f"a picture of shape {pixels.shape} can't be compared; it needs (height, width, 3), sides >= {WINDOW}")
        self.pixels = np.ascontiguousarray(pixels)
        sums = _box(self.pixels)
        self._variance = _box(np.multiply(self.pixels, self.pixels, dtype=np.uint16))
        self._variance *= _N
        self._variance -= sums * sums
        self._sums = sums.astype(np.uint16)  # at most 49 x 255

    def ssim(self, other: NDArray[np.uint8]) -> float:
        """Mean SSIM against a picture of the same shape, in [-1, 1]; 1 means equal."""
        if other.shape != self.pixels.shape:
            raise ValueError(f"shapes differ: {self.pixels.shape} and {other.shape}")
        other = np.ascontiguousarray(other)
        height, width = other.shape[:2]
        total = 0.0
        for top in range(0, height - WINDOW + 1, _STRIP):
            total += self._strip(other, slice(top, min(top + _STRIP + WINDOW - 1, height)))
        return 4 * total / ((height - WINDOW + 1) * (width - WINDOW + 1) * 3)

    def _strip(self, other: NDArray[np.uint8], rows: slice) -> float:
        """A quarter of the sum of SSIM over the windows that lie inside ``rows``."""
        a, b, a_sums = self.pixels[rows], other[rows], self._sums[rows]
        product, (sums, variance, covariance, cross, means), (top, factor, bottom) = _scratch.strip(*b.shape[:2])
        _box(b, sums)
        _box(np.multiply(b, b, out=product, dtype=np.uint16), variance)
        _box(np.multiply(a, b, out=product, dtype=np.uint16), covariance)
        np.multiply(a_sums, sums, out=cross)
        covariance *= _N
        covariance -= cross
        np.multiply(sums, sums, out=means)
        variance *= _N
        variance -= means
        variance += self._variance[rows]  # of both
        means += np.multiply(a_sums, a_sums, out=sums, dtype=np.int32)  # both squared
        np.add(cross, _HALF_C1, out=top, dtype=np.float32)
        top *= np.add(covariance, _HALF_C2, out=factor, dtype=np.float32)
        np.add(means, _C1, out=bottom, dtype=np.float32)
        bottom *= np.add(variance, _C2, out=factor, dtype=np.float32)
        top /= bottom
        # To multiples of 2^-26: then the float64 sum is exact, and no order of adding (it follows alignment) shows.
        top += _QUARTER
        top -= _QUARTER
        return float(sum(cv2.sumElems(top[_PAD:-_PAD, _PAD:-_PAD])))


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """SSIM of two pictures of one shape, (height, width, 3). For many comparisons keep a :class:`Reference`."""
    return Reference(a).ssim(b)
