"""What a lossy file leaves around edges is found and taken out; everything else passes to the bit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from core.logos.dataset import load_logos
from core.tracing.noise import FLAT_SHARE, NOISY_SHARE, noise, without_noise
from core.tracing.params import BEST_SINGLE
from core.tracing.picture import Picture
from core.tracing.pipeline import Pipeline

Bytes = NDArray[np.uint8]
LOGOS = list(load_logos("builtin", 192, n_per_category=4).logos)


def saved(pixels: Bytes, quality: int) -> Bytes:
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)


def halved(pixels: Bytes) -> Bytes:
    small = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, pixels.shape[1::-1], interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


CLEAN = {
    "as it is": lambda pixels: pixels,
    "blurred": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 1.2),
    "enlarged": halved,
}


@pytest.mark.parametrize("change", CLEAN.values(), ids=CLEAN)
def test_drawings_pass_to_the_bit_soft_or_not(change):
    for logo in LOGOS:
        pixels = change(logo.flat)
        assert without_noise(pixels) is pixels, logo.name


@pytest.mark.parametrize("quality", [40, 70, 85])
def test_a_jpegs_noise_is_found(quality):
    found = [noise(saved(logo.flat, quality)) for logo in LOGOS]
    assert np.mean([rough > NOISY_SHARE and flat >= FLAT_SHARE for rough, flat in found]) > 0.8


@pytest.mark.parametrize("quality", [40, 70])
def test_what_is_left_is_nearer_to_the_drawing(quality):
    """Beside edges, where the noise is; an edge itself may become a little softer or harder."""
    ratios = []
    for logo in LOGOS:
        noisy = saved(logo.flat, quality)
        calm = cv2.dilate(logo.flat, np.ones((3, 3), np.uint8)) == cv2.erode(logo.flat, np.ones((3, 3), np.uint8))
        before, after = (np.abs(p.astype(float) - logo.flat)[calm].mean() for p in (noisy, without_noise(noisy)))
        ratios.append(after / before)
    assert np.mean(ratios) < 0.85
    assert max(ratios) < 1.25


def test_it_is_not_drawn():
    nodes = {}
    for cleans in (True, False):
        pictures = [Picture(saved(logo.flat, 50), Pipeline(trace_size=384, sharpens=cleans)) for logo in LOGOS if logo.category == "text"]
        nodes[cleans] = sum(picture.measure(BEST_SINGLE).outcome.n_nodes for picture in pictures)
    assert nodes[True] < 0.7 * nodes[False]


def test_grain_is_a_pictures_own():
    """A photograph has no flat parts."""
    grain = np.random.default_rng(1).normal(128, 8, (96, 96, 3)).clip(0, 255).astype(np.uint8)
    rough, flat = noise(grain)
    assert rough > NOISY_SHARE
    assert flat < FLAT_SHARE
    assert without_noise(grain) is grain


def test_alpha_stays_and_what_is_clear_anywhere_is_left_alone():
    noisy = saved(next(logo.flat for logo in LOGOS if logo.category == "text"), 40)
    opaque = np.dstack([noisy, np.full(noisy.shape[:2], 255, np.uint8)])
    cleaned = without_noise(opaque)
    assert np.array_equal(cleaned[..., :3], without_noise(noisy))
    assert (cleaned[..., :3] != noisy).any()
    assert (cleaned[..., 3] == 255).all()
    clear = opaque.copy()
    clear[0, 0, 3] = 0
    assert without_noise(clear) is clear


@pytest.mark.parametrize("shape", [(8, 8, 3), (8, 300, 3), (3, 3, 3)])
def test_flat_and_tiny_pictures_have_none(shape):
    assert noise(np.full(shape, 200, np.uint8)) == (0.0, 1.0)
