"""Variants of logos and estimated regions: what an agent learns from beside the logos, and what it sees of them."""

import numpy as np
import pytest
from PIL import Image

from core.logos.augment import augment, is_variant, variants, without_ground
from core.logos.dataset import load_logos
from core.tracing.params import BEST_SINGLE
from core.tracing.picture import Picture
from core.tracing.raster import over
from core.tracing.regions import DIFFERENCES, N_REGION_FEATURES, PRECISIONS, REGION_NAMES, Regions, region_features
from tests.support.logos import draw_logo
from tests.support.requirements import need


def pixels_of(kind: int, size: int = 96) -> np.ndarray:
    return np.asarray(draw_logo(kind, size).convert("RGB"))


def test_variants_repeat_differ_and_can_be_traced():
    for kind in range(30):
        pixels = pixels_of(kind)
        found = augment(pixels, np.random.default_rng(kind))
        np.testing.assert_array_equal(found, augment(pixels, np.random.default_rng(kind)))
        assert found.dtype == np.uint8
        assert found.shape[2] in (3, 4)
        assert max(found.shape[:2]) <= 96
        assert min(found.shape[:2]) >= 8
        assert len(np.unique(found.reshape(-1, found.shape[2]), axis=0)) > 1, "a variant of one colour has nothing to trace"
        assert Picture(found).measure(BEST_SINGLE).outcome.failure in (None, "blank")


def test_some_variants_are_put_on_nothing_and_some_enlarged():
    kinds = [augment(pixels_of(kind % 12), np.random.default_rng(kind)).shape[2] for kind in range(200)]
    assert 0.05 < np.mean([kind == 4 for kind in kinds]) < 0.25


@pytest.mark.parametrize("kind", range(12))
def test_a_picture_without_its_ground_is_the_same_over_it(kind):
    pixels = pixels_of(kind)
    ground = tuple(int(value) for value in pixels[0, 0])
    found = without_ground(pixels)
    assert found.shape == (*pixels.shape[:2], 4)
    assert found[0, 0, 3] == 0
    assert 0.02 < (found[..., 3] == 255).mean() < 0.98
    again = over(found, ground).astype(int)
    assert np.abs(again - pixels).mean() < 1.0
    assert np.percentile(np.abs(again - pixels).max(axis=2), 99) <= 24
    np.testing.assert_array_equal(without_ground(found), found)


def test_a_picture_whose_border_is_no_ground_of_one_colour_keeps_it():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert without_ground(noise) is noise


def test_variants_of_a_set_are_named_after_their_logos_and_unique(logo_folder):
    logos = load_logos(str(logo_folder), 48).of_split("train")
    made = variants(logos, 3, seed=1)
    assert [v.digest for v in made] == [v.digest for v in variants(logos, 3, seed=1)]
    assert [v.digest for v in made] != [v.digest for v in variants(logos, 3, seed=2)]
    assert len({v.digest for v in [*logos, *made]}) == len(logos) + len(made)
    assert len(made) >= 2.5 * len(logos)
    assert all(is_variant(v) and v.name.startswith(v.name.split(" (variant")[0]) and v.split == "train" for v in made)
    assert not any(is_variant(logo) for logo in logos)
    # those of one logo do not depend on which others are there
    assert [v.digest for v in variants(logos[1:2], 3, seed=1)] == [v.digest for v in made if v.name.startswith(logos[1].name + " (")]


def regions_of(pixels: np.ndarray, precision: int) -> Regions:
    flat = pixels.reshape(-1, 3)
    return Regions(pixels, precision, [np.concatenate([[0], np.cumsum(flat[:, c], dtype=np.int64)]) for c in range(3)])


def test_regions_are_those_of_a_picture_of_flat_areas():
    pixels = np.full((40, 60, 3), 255, np.uint8)
    pixels[10:30, 5:25] = (200, 0, 0)
    pixels[10:30, 35:55] = (0, 0, 200)
    pixels[18:22, 12:18] = 255  # a hole: a region of its own
    regions = regions_of(pixels, 4)
    assert regions.n == 4
    assert sorted(regions.area.tolist()) == [24, 376, 400, 40 * 60 - 800]
    np.testing.assert_array_equal(regions.drawn(), pixels)
    assert regions.contact == 80 + 80 + 20
    assert not regions.melt(32)
    assert regions.melt(600)  # red and white are 55 + 255 + 255 apart
    assert regions.n == 1


def test_small_and_thin_regions_melt_into_the_nearest_colour():
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[8:32, 8:32] = 0
    pixels[7, 7:33] = pixels[32, 7:33] = pixels[7:33, 7] = pixels[7:33, 32] = 100  # a rim, one pixel wide
    pixels[20, 20] = 60
    regions = regions_of(pixels, 6)
    assert regions.n > 3
    regions.melt(16)
    assert regions.n == 2


def test_region_features_repeat_and_are_named():
    assert len(REGION_NAMES) == N_REGION_FEATURES == len(PRECISIONS) * (2 + 3 * len(DIFFERENCES))
    for kind in range(5):
        found = region_features(pixels_of(kind))
        assert found == region_features(pixels_of(kind).copy())
        assert np.isfinite(found).all()
        assert np.abs(found).max() <= 3
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert np.isfinite(region_features(noise)).all()
    assert np.isfinite(region_features(noise[:8, :8])).all()


def test_estimated_regions_are_near_vtracers_on_real_logos():
    import os

    need(os.environ.get("TRACEWRIGHT_LOGOS"), "real logos")
    logos = load_logos(os.environ["TRACEWRIGHT_LOGOS"], 256).of_split("train")[::9]
    estimated, traced = [], []
    for logo in logos:
        regions = regions_of(logo.pixels, BEST_SINGLE.color_precision)
        regions.melt(BEST_SINGLE.layer_difference)
        estimated.append(np.log(regions.n))
        traced.append(np.log(Picture(logo.pixels).measure(BEST_SINGLE).outcome.n_paths))
    assert np.corrcoef(estimated, traced)[0, 1] > 0.9
    assert np.median(np.abs(np.subtract(estimated, traced))) < np.log(1.35)


@pytest.mark.parametrize("size", [8, 9, 13])
def test_tiny_pictures_have_features(size):
    pixels = pixels_of(1, 48)[:size, :size]
    assert len(region_features(np.ascontiguousarray(pixels))) == N_REGION_FEATURES


def test_variants_of_a_clear_logo_stay_clear_where_it_is(tmp_path):
    """Colours bleed nowhere: what is opaque in the middle of a disc has one colour, whatever was done to it."""
    y, x = np.mgrid[:96, :96]
    disc = np.zeros((96, 96, 4), np.uint8)
    inside = np.hypot(x - 47.5, y - 47.5) < 30
    disc[inside] = (30, 120, 220, 255)
    Image.fromarray(disc).save(tmp_path / "disc.png")
    (logo,) = load_logos(str(tmp_path), 96).logos
    assert logo.pixels.shape == (96, 96, 4)
    assert logo.flat[0, 0].tolist() == [255, 255, 255]
    with_alpha = [v for v in variants([logo], 40, seed=5) if v.pixels.shape[2] == 4]
    assert len(with_alpha) > 20
    for variant in with_alpha:
        alpha = variant.pixels[..., 3]
        assert alpha.min() < 40
        opaque = variant.pixels[alpha == 255][:, :3].astype(int)
        assert np.ptp(opaque, axis=0).max() <= 4
