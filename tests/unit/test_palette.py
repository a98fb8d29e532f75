"""Palettes and backgrounds: which colours an SVG has after them, and what becomes clear."""

from __future__ import annotations

import re

import numpy as np
import pytest

from core.errors import ParamError
from core.tracing.background import without_background
from core.tracing.palette import Palette, colours_of, palette_of, recoloured
from core.tracing.raster import rasterizer

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">'
FLAT = (
    f'{HEAD}<path fill="#fff" d="M0 0h40v20H0z"/><path fill="#e01010" d="M2 2h16v16H2z"/>'
    '<path fill="#df1412" d="M20 2h4v4h-4z"/><path d="M30 2h8v8h-8z"/></svg>'
)
GRADIENT = (
    f'{HEAD}<defs><linearGradient id="a" gradientUnits="userSpaceOnUse" x1="0" y1="0" x2="40" y2="0"><stop stop-color="#f00000"/>'
    '<stop offset="1" stop-color="#ff1010"/></linearGradient></defs><path fill="url(#a)" d="M0 0h40v20H0z"/></svg>'
)


def test_similar_colours_become_that_of_the_larger_area():
    assert colours_of(recoloured(FLAT, palette_of(merge=5), 40, 20)) == ["#ffffff", "#e01010", "#000000"]
    assert len(colours_of(recoloured(FLAT, palette_of(max_colours=2), 40, 20))) == 2


def test_outlines_stay_as_they_are():
    kept = re.findall(r' d="([^"]*)"', FLAT)
    assert re.findall(r' d="([^"]*)"', recoloured(FLAT, palette_of(2, 5, "#00f #fff"), 40, 20)) == kept


def test_brand_colours_are_the_only_ones_also_for_what_is_black_by_default():
    svg = recoloured(FLAT, palette_of(brand="#112244, ffffff; c00"), 40, 20)
    assert set(colours_of(svg)) == {"#112244", "#ffffff", "#cc0000"}
    drawn = rasterizer().draw(svg.encode(), 40, 20)
    assert {tuple(pixel) for pixel in drawn[4:6, 33:36].reshape(-1, 3).tolist()} == {(0x11, 0x22, 0x44)}


def test_a_gradient_between_equal_colours_becomes_flat():
    svg = recoloured(GRADIENT, palette_of(brand="#cc0000,#0000cc"), 40, 20)
    assert "Gradient" not in svg
    assert 'fill="#cc0000"' in svg


def test_nothing_asked_for_changes_nothing():
    assert recoloured(FLAT, Palette(), 40, 20) is FLAT
    assert recoloured("no svg", palette_of(max_colours=1), 40, 20) == "no svg"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"brand": "#0f6e84, teel"}, "'teel' is not a colour"),
        ({"max_colours": 1000}, "1000"),
        ({"merge": float("nan")}, "nan"),
        ({"background": "away"}, "'away' is not one of keep"),
    ],
)
def test_what_can_not_be_is_said_by_its_value(given, told):
    with pytest.raises(ParamError, match=told):
        palette_of(**given)


def ring() -> np.ndarray:
    """A red ring with soft edges on white, RGB."""
    y, x = np.mgrid[:64, :64] - 31.5
    radius = np.hypot(x, y)
    share = np.clip(24.5 - radius, 0, 1) * np.clip(radius - 11.5, 0, 1)
    return np.round(255 + share[..., None] * (np.array([200, 0, 0]) - 255)).astype(np.uint8)


def test_what_surrounds_a_logo_becomes_clear_and_its_hole_only_where_asked():
    around, everywhere = without_background(ring()), without_background(ring(), everywhere=True)
    assert around[0, 0, 3] == everywhere[0, 0, 3] == 0
    assert (around[32, 32, 3], everywhere[32, 32, 3]) == (255, 0)
    assert around[32, 14, 3] == 255


def test_soft_edges_keep_no_fringe_of_the_background():
    found = without_background(ring())
    outer = (found[..., 3] > 40) & (np.hypot(*(np.mgrid[:64, :64] - 31.5)) > 18)
    assert np.abs(found[outer][:, :3].astype(int) - [200, 0, 0]).max() < 40


def test_a_picture_without_a_background_is_left_as_it_is():
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert without_background(noise) is noise
    clear = np.zeros((16, 16, 4), np.uint8)
    assert without_background(clear) is clear
