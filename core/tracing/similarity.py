"""Structural similarity of two RGB pictures: scikit-image's formula, several times faster.

Equals ``skimage.metrics.structural_similarity(a, b, channel_axis=2, data_range=255)`` (uniform 7 x 7 window, sample
covariance) to 1e-5. Window sums are exact integers; only the final quotient is in float32, so flat bright areas do
not lose the digits that a float variance loses. Source: Wang et al., "Image quality assessment", 2004.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WINDOW = 7
_PAD = WINDOW // 2
_N = WINDOW * WINDOW
# skimage's constants, multiplied by what turns window sums into means and sample covariances
_C1 = np.float32((0.01 * 255) ** 2 * _N * _N)
_C2 = np.float32((0.03 * 255) ** 2 * _N * (_N - 1))


def _box(image: NDArray[np.uint8], depth: int) -> NDArray[np.int32]:
    """Sums over each 7 x 7 window that lies wholly inside, shape (height - 6, width - 6, 3)."""
    sums = cv2.boxFilter(image, depth, (WINDOW, WINDOW), normalize=False, borderType=cv2.BORDER_REPLICATE)
    return sums[_PAD:-_PAD, _PAD:-_PAD]  # type: ignore[return-value]


def _square_sums(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int32]:
    # 255 * 255 fits 16 bits, and 49 times that is exact in float32 (below 2^24)
    product = cv2.multiply(a, b, dtype=cv2.CV_32F)
    sums = cv2.boxFilter(product, -1, (WINDOW, WINDOW), normalize=False, borderType=cv2.BORDER_REPLICATE)
    return sums[_PAD:-_PAD, _PAD:-_PAD].astype(np.int32)


class Reference:
    """One side of many comparisons, prepared once. ``pixels``: uint8, shape (height, width, 3), sides at least 7."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or min(pixels.shape[:2]) < WINDOW:
            raise ValueError(f"a picture of shape {pixels.shape} can't be compared; it needs (height, width, 3), sides >= {WINDOW}")
        self.pixels = np.ascontiguousarray(pixels)
        self._sums = _box(self.pixels, cv2.CV_32S)
        square = self._sums * self._sums
        self._variance = _N * _square_sums(self.pixels, self.pixels) - square
        self._square = square

    def ssim(self, other: NDArray[np.uint8]) -> float:
        """Mean SSIM against a picture of the same shape, in [-1, 1]; 1 means equal."""
        if other.shape != self.pixels.shape:
            raise ValueError(f"shapes differ: {self.pixels.shape} and {other.shape}")
        other = np.ascontiguousarray(other)
        sums = _box(other, cv2.CV_32S)
        cross_sums = _square_sums(self.pixels, other)
        square_sums = _square_sums(other, other)
        cross = self._sums * sums
        cross_sums *= _N
        cross_sums -= cross  # covariance
        np.multiply(sums, sums, out=sums)
        square_sums *= _N
        square_sums -= sums
        square_sums += self._variance  # both variances
        sums += self._square  # both squared means
        top = np.multiply(cross, np.float32(2), dtype=np.float32)
        top += _C1
        second = np.multiply(cross_sums, np.float32(2), dtype=np.float32)
        second += _C2
        top *= second
        bottom = np.add(sums, _C1, dtype=np.float32)
        np.add(square_sums, _C2, out=second, dtype=np.float32)
        bottom *= second
        top /= bottom
        # To multiples of 2^-24: then the float64 sum is exact, and no order of adding (it follows alignment) shows.
        top += np.float32(1)
        top -= np.float32(1)
        return float(top.mean(dtype=np.float64))


def ssim(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """SSIM of two pictures of one shape, (height, width, 3). For many comparisons keep a :class:`Reference`."""
    return Reference(a).ssim(b)
