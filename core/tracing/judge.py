"""Two measures of likeness that no reward uses, so that an agent which only learnt to please SSIM shows.

Edge F1: do edges lie where edges were, one pixel off forgiven. PSNR: how far colours are off. Pure functions of RGB
pictures, uint8, shape (height, width, 3). Source of the edges: Canny, "A computational approach to edge detection", 1986.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import RasterError
from core.tracing.raster import rasterizer

MAX_PSNR = 60.0  # dB: what equal pictures count
_NEAR = np.ones((3, 3), np.uint8)


@dataclass(frozen=True)
class Fidelity:
    """``edge_f1`` in [0, 1], ``psnr`` in dB, in [0, 60]."""

    edge_f1: float
    psnr: float


def edge_f1(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Harmonic mean of the shares of either picture's edge pixels that lie beside one of the other's; 1 without edges."""
    ours, theirs = (cv2.Canny(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), 50, 150) for p in (a, b))
    n_ours, n_theirs = cv2.countNonZero(ours), cv2.countNonZero(theirs)
    if not n_ours or not n_theirs:
        return float(n_ours == n_theirs)
    precision = cv2.countNonZero(cv2.bitwise_and(theirs, cv2.dilate(ours, _NEAR))) / n_theirs
    recall = cv2.countNonZero(cv2.bitwise_and(ours, cv2.dilate(theirs, _NEAR))) / n_ours
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio over all channels, in dB, at most :data:`MAX_PSNR`."""
    squared = int((cv2.absdiff(a, b).astype(np.int64) ** 2).sum()) / a.size
    return MAX_PSNR if squared == 0 else min(10 * math.log10(255**2 / squared), MAX_PSNR)


def fidelity(pixels: NDArray[np.uint8], svg: str, ground: int = 255) -> Fidelity:
    """Of an SVG, drawn over a grey ``ground``, to the picture that it was traced from; zeros where it can't be drawn."""
    height, width = pixels.shape[:2]
    try:
        drawn = rasterizer().draw(svg.encode(), width, height, ground)
    except RasterError:
        return Fidelity(0.0, 0.0)
    return Fidelity(edge_f1(pixels, drawn), psnr(pixels, drawn))
