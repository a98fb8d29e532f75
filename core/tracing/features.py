"""Picture features: what the policy sees of a logo, and what Method 1's formulas need.

Pure functions of the pixels, computed once per picture: about 8 ms at 256 px, and 40 ms more for the regions of
core/tracing/regions.py, which only the policy needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.tracing.regions import N_REGION_FEATURES, REGION_NAMES, region_features


@dataclass(frozen=True)
class Features:
    """Shares and densities are in [0, 1] unless a range is given.

    ``log_colors_N`` = log2 of the number of colours that cover at least 0.05 % of the picture when each channel
    keeps N bits; ``log_regions_N`` = log2 of the connected areas of at least 16 pixels in that picture; ``error_N``
    = mean absolute error of keeping N bits, in grey levels / 32.
    """

    edge_density: float
    unique_colors: float  # count of distinct colours, at least 1
    entropy: float
    corner_density: float
    gradient_strength: float
    complexity: float
    aspect: float  # ln(width / height)
    background_share: float
    soft_share: float  # pixels inside smooth slopes, neither flat nor edge
    saturation: float
    contrast: float
    thickness: float  # mean distance of drawn pixels to the background, / 32 pixels
    log_colors_2: float
    log_colors_3: float
    log_colors_4: float
    log_colors_5: float
    log_regions_2: float
    log_regions_3: float
    log_regions_4: float
    log_regions_5: float
    error_2: float
    error_3: float
    error_4: float
    log_pixels: float  # log2 of the number of pixels
    regions: tuple[float, ...] = ()  # of :func:`core.tracing.regions.region_features`; empty where nobody needs them

    def as_values(self) -> tuple[float, ...]:
        """All as N_FEATURES numbers; the regions must be there."""
        return (*astuple(self)[:N_SIMPLE_FEATURES], *self.regions)

    @classmethod
    def from_values(cls, values: Sequence[float]) -> Features:
        """The inverse of :meth:`as_values`."""
        return cls(*values[:N_SIMPLE_FEATURES], tuple(values[N_SIMPLE_FEATURES:]))  # type: ignore[arg-type, call-arg]


MIN_REGION = 16  # pixels: VTracer's own filter_speckle of 4, squared
MAX_REGION_COLOURS = 8
_NAMES = tuple(Features.__dataclass_fields__)[:-1]
N_SIMPLE_FEATURES = len(_NAMES)
N_FEATURES = N_SIMPLE_FEATURES + N_REGION_FEATURES
FEATURE_NAMES = (*_NAMES, *REGION_NAMES)
_SCALE = {
    "unique_colors": lambda v: np.log2(v) / 16,
    "aspect": lambda v: v / 2,
    "edge_density": lambda v: v * 4,
    "corner_density": lambda v: v * 50,
    "gradient_strength": lambda v: v * 4,
}


def feature_vector(features: Features) -> NDArray[np.float32]:
    """The features scaled to about [-1, 1], shape (N_FEATURES,); the regions must be there."""
    out = np.array(features.as_values(), dtype=np.float64)
    for i, name in enumerate(_NAMES):
        if name in _SCALE:
            out[i] = _SCALE[name](out[i])
        elif name == "log_pixels":
            out[i] = out[i] / 4 - 3.5
        elif name.startswith("log_"):
            out[i] /= 8
    # Rounded, because the last bits of a float sum depend on where its array lies in memory
    return np.clip(np.round(out, 6), -2, 2).astype(np.float32)


def all_features(pixels: NDArray[np.uint8]) -> Features:
    """Features of an RGB picture, uint8, shape (height, width, 3), with its regions."""
    return replace(picture_features(pixels), regions=region_features(pixels))


def picture_features(pixels: NDArray[np.uint8]) -> Features:
    """The same without its regions: all that Method 1 and the categories need."""
    height, width = pixels.shape[:2]
    n = height * width
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    edges = float(np.count_nonzero(cv2.Canny(gray, 50, 150))) / n
    histogram = np.bincount(gray.ravel(), minlength=256) / n
    nonzero = histogram[histogram > 0]
    entropy = float(-(nonzero * np.log2(nonzero)).sum()) / 8
    corners = cv2.goodFeaturesToTrack(gray, 1000, 0.05, 3)
    corner_density = (0 if corners is None else len(corners)) / n
    packed = _pack(pixels)
    colours, counts = np.unique(packed, return_counts=True)
    background = colours[counts.argmax()]
    drawn = (packed != background).astype(np.uint8)
    distance = cv2.distanceTransform(drawn, cv2.DIST_L2, 3)
    r, g, b = cv2.split(pixels)
    saturation = np.maximum(np.maximum(r, g), b) - np.minimum(np.minimum(r, g), b)
    shades = np.bincount(pixels.ravel(), minlength=256)
    planes = tuple(plane.astype(np.int32) for plane in (r, g, b))
    levels = [_posterised(planes, shades, bits) for bits in (2, 3, 4, 5)]
    return Features(
        edge_density=edges,
        unique_colors=float(len(colours)),
        entropy=entropy,
        corner_density=corner_density,
        gradient_strength=_gradient_strength(gray),
        complexity=float(np.clip(0.4 * edges * 5 + 0.3 * entropy + 0.3 * corner_density * 100, 0, 1)),
        aspect=float(np.log(width / height)),
        background_share=float(counts.max()) / n,
        soft_share=_soft_share(pixels),
        saturation=float(saturation.mean()) / 255,
        contrast=float(gray.std()) / 128,
        thickness=float(distance.sum(dtype=np.float64) / max(int(drawn.sum()), 1)) / 32,
        log_colors_2=levels[0][0],
        log_colors_3=levels[1][0],
        log_colors_4=levels[2][0],
        log_colors_5=levels[3][0],
        log_regions_2=levels[0][1],
        log_regions_3=levels[1][1],
        log_regions_4=levels[2][1],
        log_regions_5=levels[3][1],
        error_2=levels[0][2],
        error_3=levels[1][2],
        error_4=levels[2][2],
        log_pixels=float(np.log2(n)),
    )


def _gradient_strength(gray: NDArray[Any]) -> float:
    """Mean length of the Sobel gradient, in [0, 1]; summed in whole numbers, so that no order of adding shows."""
    dx = cv2.Sobel(gray, cv2.CV_16S, 1, 0).astype(np.int32)
    dy = cv2.Sobel(gray, cv2.CV_16S, 0, 1).astype(np.int32)
    length = np.sqrt((dx * dx + dy * dy).astype(np.float64))
    return int(np.rint(length * 64).astype(np.int64).sum()) / (64 * 4 * 255 * gray.size)


def _soft_share(pixels: NDArray[np.uint8]) -> float:
    """Share of pixels whose whole 5 x 5 neighbourhood slopes gently: real gradients, not the rims of edges."""
    r, g, b = (plane.astype(np.float32) for plane in cv2.split(pixels))
    smooth = cv2.GaussianBlur((r + g + b) / np.float32(3), (5, 5), 1.2)
    slope = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
    gentle = ((slope > 0.15) & (slope < 5)).astype(np.uint8)
    return float(cv2.erode(gentle, np.ones((5, 5), np.uint8)).mean())


def _pack(pixels: NDArray[np.uint8]) -> NDArray[np.int32]:
    p = pixels.astype(np.int32)
    packed: NDArray[np.int32] = (p[:, :, 0] << 16) | (p[:, :, 1] << 8) | p[:, :, 2]
    return packed


def _most_common(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The labels that are counted most often, of those that are counted often enough.

    To sort all of up to 32,768 takes longer than everything else here, so that is left to where equal counts leave a choice.
    """
    common = np.flatnonzero(counts >= MIN_REGION)
    if len(common) > MAX_REGION_COLOURS:
        least = np.partition(counts[common], -MAX_REGION_COLOURS)[-MAX_REGION_COLOURS]
        common = common[counts[common] >= least]
    return common if len(common) <= MAX_REGION_COLOURS else np.argsort(counts)[::-1][:MAX_REGION_COLOURS]


def _posterised(planes: Sequence[NDArray[np.int32]], shades: NDArray[np.int64], bits: int) -> tuple[float, float, float]:
    """log2 colours, log2 regions and scaled error when each channel keeps ``bits`` bits.

    ``planes``: red, green and blue; ``shades``: how often each of the 256 values occurs in all three.
    """
    shift = 8 - bits
    value = np.arange(256)
    error = int((np.abs(value - ((value >> shift << shift) + (1 << shift >> 1))) * shades).sum()) / int(shades.sum()) / 32
    r, g, b = (plane >> shift for plane in planes)
    labels = (r << 2 * bits) | (g << bits) | b
    counts = np.bincount(labels.ravel())
    colours = int((counts >= max(0.0005 * labels.size, 2)).sum())
    n_regions = 0
    every_other = np.ascontiguousarray(labels[::2, ::2])  # a quarter of the pixels counts regions as well, four times faster
    for value in _most_common(counts):
        mask = (every_other == value).view(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4, ltype=cv2.CV_16U)
        n_regions += int((stats[1:, cv2.CC_STAT_AREA] >= MIN_REGION // 4).sum())
    return float(np.log2(max(colours, 1))), float(np.log2(max(n_regions, 1))), error
