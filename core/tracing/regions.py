"""What VTracer's colour clustering is likely to make of a picture, estimated without tracing.

VTracer joins pixels whose channels, cut to ``color_precision`` bits, differ by at most one; then every cluster that is
small, thin, or closer in colour to a neighbour than ``layer_difference`` melts into it. Here pixels join where a whole
2 x 2 block agrees, rows are handled as runs, and all clusters of a pass melt at once: on real logos the number of regions
comes near the number of VTracer's paths. What is missing is how outlines are fitted to the regions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.tracing.similarity import Reference

PRECISIONS = (3, 4, 5, 6, 7)  # bits
DIFFERENCES = (12, 32, 64, 100)  # sums over the channels, as layer_difference counts them
_MIN_AREA = 16  # pixels: VTracer's filter_speckle of 4, squared
_THIN = 1.3  # contacts a pixel of area beyond which a region is a rim
_PASSES = 10
_FAR = 766  # more than any colour difference
REGION_NAMES = tuple(
    name
    for bits in PRECISIONS
    for name in (
        f"log_all_{bits}",
        f"log_large_{bits}",
        *(f"{what}_{bits}_{difference}" for difference in DIFFERENCES for what in ("log_error", "log_contact", "log_regions")),
    )
)
N_REGION_FEATURES = len(REGION_NAMES)

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Regions:
    """The regions of a picture at one precision. Melting changes them in place."""

    def __init__(self, pixels: NDArray[np.uint8], precision: int, cumulative: Sequence[Ints]) -> None:
        self._shape = pixels.shape[:2]
        height, width = self._shape
        along, down = _joined(np.right_shift(pixels, 8 - precision, dtype=np.uint8))
        begins = np.ones((height, width), bool)
        begins[:, 1:] = ~along
        start = np.flatnonzero(begins)
        self._run = (np.cumsum(begins.ravel(), dtype=np.int32) - 1).reshape(height, width)
        length = np.diff(start, append=height * width)
        upper, lower = self._run[:-1], self._run[1:]
        changes = np.ones((height - 1, width), bool)  # where the pair of runs above each other changes
        np.logical_or(begins[:-1, 1:], begins[1:, 1:], out=changes[:, 1:])
        fresh = changes.copy()
        fresh[:, 1:] |= ~down[:, :-1]
        fresh &= down
        n_runs = len(start)
        from scipy.sparse import coo_matrix  # half a second, which processes that compute no features are spared
        from scipy.sparse.csgraph import connected_components

        joints = coo_matrix((np.ones(int(fresh.sum()), np.int8), (upper[fresh], lower[fresh])), shape=(n_runs, n_runs))
        self.n, self._label = connected_components(joints, directed=False)
        end = start + length
        self.area: Ints = np.bincount(self._label, length, self.n).astype(np.int64)
        self._sums = [np.bincount(self._label, c[end] - c[start], self.n) for c in cumulative]
        at = np.flatnonzero(changes.ravel())
        n_pairs = np.diff(at, append=changes.size)
        beside = np.flatnonzero(start[1:] % width)
        first = np.concatenate([self._label[upper.ravel()[at]], self._label[beside]])
        second = np.concatenate([self._label[lower.ravel()[at]], self._label[beside + 1]])
        self._set_contacts(first, second, np.concatenate([n_pairs, np.ones(len(beside), np.int64)]))

    def _set_contacts(self, first: NDArray[np.integer], second: NDArray[np.integer], count: Ints) -> None:
        differ = first != second
        low = np.minimum(first, second)[differ].astype(np.int64)
        high = np.maximum(first, second)[differ]
        key = low * self.n + high
        order = np.argsort(key, kind="stable")
        key = key[order]
        begins = np.ones(len(key), bool)
        begins[1:] = key[1:] != key[:-1]
        at = np.flatnonzero(begins)
        self._first, self._second = low[order][at], high[order][at].astype(np.int64)
        self._count = np.add.reduceat(count[differ][order], at) if len(at) else np.zeros(0, np.int64)

    @property
    def contact(self) -> int:
        """Length of all borders between regions, in pixel sides."""
        return int(self._count.sum())

    def neighbours(self) -> tuple[Ints, NDArray[np.float64], Ints]:
        """Of each region: its neighbour closest in colour (-1 without any), their difference, its border's length."""
        means = [total / self.area for total in self._sums]
        difference = sum(np.abs(mean[self._first] - mean[self._second]) for mean in means)
        ones, others = np.concatenate([self._first, self._second]), np.concatenate([self._second, self._first])
        both = np.concatenate([difference, difference]) if len(ones) else np.zeros(0)
        order = np.argsort(-both, kind="stable")  # the last one written stays: the closest
        nearest = np.full(self.n, -1, dtype=np.int64)
        distance = np.full(self.n, float(_FAR))
        nearest[ones[order]] = others[order]
        distance[ones[order]] = both[order]
        border = np.bincount(self._first, self._count, self.n) + np.bincount(self._second, self._count, self.n)
        return nearest, distance, border.astype(np.int64)

    def melt(self, difference: int) -> bool:
        """Let regions that VTracer would not keep melt into their neighbours; returns whether any did."""
        n_before = self.n
        for number in range(_PASSES):
            if self.n == 1:
                break
            nearest, distance, border = self.neighbours()
            small = self.area < _MIN_AREA
            melting = small if number < _PASSES // 2 and small.any() else small | (distance <= difference) | (border > _THIN * self.area)
            melting &= nearest >= 0
            if not melting.any():
                break
            self._join(melting, nearest)
        return self.n < n_before

    def _join(self, melting: Flags, nearest: Ints) -> None:
        own = np.arange(self.n)
        into = np.where(melting, nearest, own)
        mutual = np.flatnonzero((into[into] == own) & (into != own))  # of two that choose each other the larger stays
        partner = into[mutual]
        stays = (self.area[mutual] > self.area[partner]) | ((self.area[mutual] == self.area[partner]) & (mutual < partner))
        into[mutual[stays]] = mutual[stays]
        for _ in range(32):
            further = into[into]
            if (further == into).all():
                break
            into = further
        kept, new = np.unique(into, return_inverse=True)
        self.n = len(kept)
        self.area = np.bincount(new, self.area, self.n).astype(np.int64)
        self._sums = [np.bincount(new, total, self.n) for total in self._sums]
        self._label = new[self._label]
        self._set_contacts(new[self._first], new[self._second], self._count)

    def drawn(self) -> NDArray[np.uint8]:
        """The picture with every region in its mean colour."""
        means = np.stack([np.rint(total / self.area) for total in self._sums], axis=1).astype(np.uint8)
        return np.take(np.take(means, self._label, axis=0), self._run, axis=0)


def _joined(cut: NDArray[Any]) -> tuple[Flags, Flags]:
    """Which pixels join their right neighbour, (h, w - 1), and the one below, (h - 1, w): those in an equal 2 x 2 block."""
    apart_along = _most(cv2.absdiff(cut[:, 1:], cut[:, :-1])) > 1
    apart_down = _most(cv2.absdiff(cut[1:], cut[:-1])) > 1
    equal = ~(apart_along[:-1] | apart_along[1:] | apart_down[:, :-1] | apart_down[:, 1:])
    along, down = np.zeros_like(apart_along), np.zeros_like(apart_down)
    along[:-1] |= equal
    along[1:] |= equal
    down[:, :-1] |= equal
    down[:, 1:] |= equal
    return along, down


def _most(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The largest of the three channels."""
    first, second, third = cv2.split(values)
    return np.asarray(cv2.max(cv2.max(first, second), third), dtype=np.uint8)


def region_features(pixels: NDArray[np.uint8]) -> tuple[float, ...]:
    """Shape (N_REGION_FEATURES,), all about [-1, 2]. For each of :data:`PRECISIONS`: log2 of the regions and of those
    of at least 16 pixels; then, melted at each of :data:`DIFFERENCES`: ln of the SSIM error of the regions drawn flat,
    ln of the borders' length over the picture's side, log2 of the regions."""
    reference = Reference(pixels)
    flat = pixels.reshape(-1, 3)
    cumulative = [np.concatenate([[0], np.cumsum(flat[:, c], dtype=np.int64)]) for c in range(3)]
    side = math.sqrt(len(flat))
    found: list[float] = []
    for precision in PRECISIONS:
        regions = Regions(pixels, precision, cumulative)
        found += [math.log2(regions.n) / 8, math.log2(max(int((regions.area >= _MIN_AREA).sum()), 1)) / 8]
        error = None
        for difference in DIFFERENCES:
            if regions.melt(difference) or error is None:
                error = math.log(1 - reference.ssim(regions.drawn()) + 0.001) / 4 + 1
            found += [error, math.log1p(regions.contact / side) / 4, math.log2(regions.n) / 8]
    return tuple(round(value, 6) for value in found)
