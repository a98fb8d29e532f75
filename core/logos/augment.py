"""Data augmentation: variants of a logo that are rotated, cropped, recoloured, blurred, JPEG-compressed, scaled down, enlarged
or put on nothing.

A variant is a picture in its own right: it is traced, measured and compared with VTracer's defaults like any other. Pure
functions of pixels and a random generator: the same generator state gives the same variant, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.logos.dataset import Logo, digest_of
from core.tracing.raster import ground_of, over

MIN_SIDE = 48  # pixels; the shorter side of a logo that has as many is not cropped or scaled below this


_MARK = " (variant "
_GROUND = 3  # levels of 256 by which a ground of one colour may scatter
_GROUND_SHARE = 0.7  # of the picture's border that has to be ground for it to be cleared


def is_variant(logo: Logo) -> bool:
    return _MARK in logo.name


def variants(logos: Sequence[Logo], n: int, seed: int) -> list[Logo]:
    """``n`` variants of each logo, named after it; duplicate pictures are left out."""

    def of(place: int) -> list[Logo]:
        logo = logos[place]
        found = []
        for k in range(n):
            pixels = augment(logo.pixels, np.random.default_rng([seed, k, int(logo.digest, 16)]))
            found.append(replace(logo, name=f"{logo.name}{_MARK}{k + 1})", pixels=pixels, digest=digest_of(pixels)))
        return found

    with ThreadPoolExecutor() as pool:
        made = [logo for several in pool.map(of, range(len(logos))) for logo in several]
    first = {logo.digest: logo for logo in reversed([*logos, *made])}
    return [logo for logo in made if first[logo.digest] is logo]


def augment(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random variant of RGB or RGBA pixels, uint8, shape (height, width, 3 or 4); no side exceeds the longer side of the original."""
    pixels = _turn(pixels, rng)
    if rng.random() < 0.3:
        pixels = _crop(pixels, rng)
    if rng.random() < 0.75:
        pixels = _recolour(pixels, rng)
    if rng.random() < 0.4:
        pixels = _shrink(pixels, rng)
    if rng.random() < 0.12:
        sigma = float(rng.uniform(0.4, 1.2))
        pixels = _weighted(pixels, lambda p: cv2.GaussianBlur(p, (0, 0), sigma))
    if rng.random() < 0.1:
        pixels = _as_jpeg(pixels, int(rng.integers(35, 96)))
    if rng.random() < 0.08:
        pixels = _enlarge(pixels)
    elif rng.random() < 0.15:
        pixels = without_ground(pixels)
    return np.ascontiguousarray(pixels)


def _weighted(pixels: NDArray[np.uint8], change: Callable[[NDArray[Any]], Any]) -> NDArray[np.uint8]:
    """A change that mixes neighbours; colours count as much as they are opaque."""
    if pixels.shape[2] == 3:
        return np.asarray(change(pixels), dtype=np.uint8)
    weighted = pixels.astype(np.float32)
    weighted[..., :3] *= weighted[..., 3:] / 255
    mixed = np.asarray(change(weighted), dtype=np.float32)
    mixed[..., :3] *= 255 / np.maximum(mixed[..., 3:], 1)
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)


def _turn(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Rotate by a random multiple of 90 degrees, then flip or not."""
    pixels = np.rot90(pixels, int(rng.integers(4)))
    return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def _crop(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A window of 55 to 95% of each side if it has more than one colour; else the whole picture."""
    height, width = pixels.shape[:2]
    new_h, new_w = (max(round(n * rng.uniform(0.55, 0.95)), min(n, MIN_SIDE)) for n in (height, width))
    top, left = int(rng.integers(height - new_h + 1)), int(rng.integers(width - new_w + 1))
    window = pixels[top : top + new_h, left : left + new_w]
    return window if (np.abs(window.astype(np.int16) - window[0, 0]).max(axis=2) > 32).mean() > 0.02 else pixels


def _recolour(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """An affine map of colours, so that anti-aliased edges remain blends of both sides."""
    matrix = np.eye(3)[rng.permutation(3)]
    if rng.random() < 0.5:
        matrix = matrix * rng.choice([-1.0, 1.0], 3)[:, None]
    matrix = matrix * rng.uniform(0.6, 1.0, 3)[:, None] + rng.normal(0, 0.12, (3, 3))
    colours = pixels[..., :3].reshape(-1, 3) @ matrix.T
    low, high = colours.min(axis=0), colours.max(axis=0)
    span = np.minimum(high - low, 255)
    offset = rng.uniform(0, 1, 3) * (255 - span)
    if rng.random() < 0.5:  # as if on a white or black background
        offset = np.where(rng.random() < 0.7, 255 - span, 0)
    scaled = (colours - low) * np.divide(span, high - low, out=np.ones(3), where=high > low) + offset
    changed = np.clip(np.rint(scaled), 0, 255).astype(np.uint8).reshape(*pixels.shape[:2], 3)
    return np.concatenate([changed, pixels[..., 3:]], axis=2)


def _shrink(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    least = min(1.0, MIN_SIDE / min(height, width))
    scale = max(float(np.exp(rng.uniform(np.log(0.35), 0))), least)
    size = (max(round(width * scale), 8), max(round(height * scale), 8))
    return _weighted(pixels, lambda p: cv2.resize(p, size, interpolation=cv2.INTER_AREA))


def _enlarge(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As a picture of half the size looks when it is enlarged to this one."""
    height, width = pixels.shape[:2]
    if min(height, width) < 2 * MIN_SIDE:
        return pixels
    half = (width // 2, height // 2)
    small = _weighted(pixels, lambda p: cv2.resize(p, half, interpolation=cv2.INTER_AREA))
    return _weighted(small, lambda p: cv2.resize(p, (width, height), interpolation=cv2.INTER_CUBIC))


def without_ground(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGBA with what lies around the drawing clear and its soft edges half so; as it is where it has alpha, or no ground of one colour."""
    if pixels.shape[2] == 4 or min(pixels.shape[:2]) < 8:
        return pixels
    height, width = pixels.shape[:2]
    ground = pixels[0, 0].astype(np.float32)
    off = np.abs(pixels - ground).max(axis=2)
    edge = np.concatenate([off[0], off[-1], off[:, 0], off[:, -1]])
    if (edge <= _GROUND).mean() < _GROUND_SHARE:
        return pixels
    _, labels = cv2.connectedComponents((off <= _GROUND).astype(np.uint8), connectivity=4)
    outside = np.unique(np.concatenate([side[side > 0] for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1])]))
    clear = np.isin(labels, outside)
    reach = 2
    # What a soft pixel is a blend of: the ground, and of what is around it that which is furthest from the ground
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), mode="edge").astype(np.float32)
    beyond, furthest = np.zeros((height, width), np.float32), pixels.astype(np.float32)
    for dy in range(2 * reach + 1):
        for dx in range(2 * reach + 1):
            there = padded[dy : dy + height, dx : dx + width]
            distance = ((there - ground) ** 2).sum(axis=2)
            is_further = distance > beyond
            beyond, furthest = np.where(is_further, distance, beyond), np.where(is_further[..., None], there, furthest)
    rim = cv2.dilate(clear.astype(np.uint8), np.ones((2 * reach - 1, 2 * reach - 1), np.uint8)).astype(bool) & ~clear
    share = ((pixels - ground) * (furthest - ground)).sum(axis=2) / np.maximum(beyond, 1)
    alpha = np.where(clear, 0.0, np.where(rim, np.clip(share, 0, 1), 1.0))
    colours = np.where((rim & (alpha < 1))[..., None], furthest, pixels)
    return np.dstack([np.rint(colours), np.rint(alpha * 255)]).astype(np.uint8)


def _as_jpeg(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    if pixels.shape[2] == 4:  # a JPEG has no alpha
        pixels = over(pixels, ground_of(pixels))
    ok, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"a picture of shape {pixels.shape} can't be encoded as JPEG")
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, dtype=np.uint8)
