"""Finds near-duplicates: logos of a set that look alike, in the same split or in different ones.

A 64-bit perceptual hash (signs of the low cosine frequencies of a 32 x 32 grey picture) finds candidates; structural
similarity at 64 x 64 pixels decides. The hash is from Zauner, "Implementation and benchmarking of perceptual
image hash functions", 2010.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.logos.dataset import Logo
from core.tracing.similarity import ssim

MAX_BITS = 12  # of 64 that may differ between candidates
MIN_SSIM = 0.8
_SMALL = 64


@dataclass(frozen=True)
class Pair:
    """Two logos and their SSIM; 1 means identical."""

    a: Logo
    b: Logo
    ssim: float

    @property
    def crosses_splits(self) -> bool:
        return self.a.split != self.b.split


def perceptual_hash(pixels: NDArray[np.uint8]) -> int:
    """A 64-bit hash; pictures that look alike differ in few bits. ``pixels``: RGB, shape (height, width, 3)."""
    gray = cv2.resize(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    low = cv2.dct(gray.astype(np.float32))[:8, :8].flatten()
    bits = low > np.median(low[1:])  # without the mean
    return int(np.packbits(bits).view(">u8")[0])


def near_duplicates(logos: Sequence[Logo]) -> list[Pair]:
    """All pairs of logos that look alike, the most similar first."""
    if len(logos) < 2:
        return []
    hashes = np.array([perceptual_hash(logo.flat) for logo in logos], dtype=np.uint64)
    small = [cv2.resize(logo.flat, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA).astype(np.uint8) for logo in logos]
    found = []
    for i in range(len(logos) - 1):
        differ = np.bitwise_count(hashes[i + 1 :] ^ hashes[i])
        for k in np.flatnonzero(differ <= MAX_BITS).tolist():
            j = i + 1 + int(k)
            alike = ssim(small[i], small[j])
            if alike >= MIN_SSIM:
                found.append(Pair(logos[i], logos[j], alike))
    return sorted(found, key=lambda pair: (-pair.ssim, pair.a.name))
