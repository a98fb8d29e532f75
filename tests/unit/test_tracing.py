"""Tracer, raster, similarity, features and outcome on small real pictures."""

import io
import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from skimage.metrics import structural_similarity

from core.errors import PictureError, RasterError
from core.search.baselines import BASELINES, method1, method1_raw
from core.tracing.features import N_FEATURES, all_features, feature_vector, picture_features
from core.tracing.outcome import ERROR_FLOORS, FAILED_GAIN, HEADLINE, Outcome, Weights, gain
from core.tracing.params import BEST_SINGLE, DEFAULTS, HIGH, LOW, SPECS, Params
from core.tracing.picture import Picture, decode_png, encode_png, fit
from core.tracing.pipeline import PLAIN, Canvas, convert
from core.tracing.raster import rasterizer, without_references
from core.tracing.similarity import Reference, ssim
from tests.support.logos import draw_logo


def pixels(kind: int = 1, size: int = 64) -> np.ndarray:
    return np.asarray(draw_logo(kind, size))


def expected_ssim(a: np.ndarray, b: np.ndarray) -> float:
    return float(structural_similarity(a, b, channel_axis=2, data_range=255))


images = hnp.arrays(np.uint8, st.tuples(st.integers(7, 40), st.integers(7, 40), st.just(3)))


@settings(max_examples=80, deadline=None)
@given(images, st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 3, 60, 255]))
def test_ssim_equals_scikit_image(a, seed, noise):
    b = np.clip(a.astype(int) + np.random.default_rng(seed).integers(-noise, noise + 1, a.shape), 0, 255).astype(np.uint8)
    assert ssim(a, b) == pytest.approx(expected_ssim(a, b), abs=1e-5)


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_ssim_keeps_its_digits_on_flat_pictures(level):
    a = np.full((40, 40, 3), level, np.uint8)
    b = a.copy()
    b[10:14, 10:14] ^= 1
    assert ssim(a, b) == pytest.approx(expected_ssim(a, b), abs=1e-6)


def test_ssim_takes_views_and_refuses_other_shapes():
    a = pixels()
    reference = Reference(a)
    wide = np.dstack([a, np.zeros(a.shape[:2], np.uint8)])
    assert reference.ssim(wide[:, :, :3]) == 1.0
    with pytest.raises(ValueError, match="shapes differ"):
        reference.ssim(a[:-1])
    with pytest.raises(ValueError, match="sides >= 7"):
        Reference(a[:6])


@pytest.mark.parametrize("params", [Params(color_precision=0), Params(color_precision=-1), Params(max_iterations=0)])
def test_a_panic_of_vtracer_becomes_an_outcome(params):
    picture = Picture(pixels())
    measured = picture.measure(params)
    assert measured.trace.failure == measured.outcome.failure == "panic"
    assert gain(measured.outcome, picture.defaults).total == FAILED_GAIN


def test_a_precision_that_wraps_round_is_seen_as_blank():
    assert Picture(pixels()).measure(Params(color_precision=9, is_plain=True)).outcome.failure == "blank"


def test_an_oversized_svg_is_an_outcome(monkeypatch):
    monkeypatch.setattr("core.tracing.pipeline.MAX_SVG_BYTES", 100)
    traced = convert(Canvas.of(pixels(), PLAIN), pixels(), DEFAULTS, PLAIN)
    assert traced.failure == "oversized"
    assert not traced.svg
    assert traced.n_bytes > 100


def test_measuring_twice_gives_the_same_to_the_bit():
    outcomes = []
    for _ in range(2):
        outcome = Picture(pixels(3)).measure(BEST_SINGLE)
        outcomes.append((outcome.trace.svg, outcome.outcome.ssim, outcome.outcome.n_bytes))
    assert outcomes[0] == outcomes[1]


def test_thin_and_tiny_pictures_are_traced():
    for shape in [(8, 300), (300, 8), (8, 8)]:
        noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        assert -1 <= Picture(noise).defaults.ssim <= 1


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.float64, len(SPECS), elements=st.floats(0, 1)), st.integers(0, 20))
def test_every_setting_in_range_gives_an_outcome(shares, kind):
    params = Params.from_values(LOW + shares * (HIGH - LOW))
    outcome = Picture(pixels(kind, 32)).measure(params).outcome
    assert outcome.failure is None or outcome.failure == "blank"
    assert outcome.n_bytes > 0


def test_gain_by_hand():
    defaults = Outcome(0.9, 1000, 10, 0.02, colour=4.0, edge=0.2)
    better = Outcome(0.95, 500, 5, 0.01, colour=1.0, edge=0.1)
    terms = gain(better, defaults, Weights(1.0, 0.3, 0.5))
    ratios = [(a + floor) / (b + floor) for a, b, floor in zip((0.1, 4.0, 0.2), (0.05, 1.0, 0.1), ERROR_FLOORS, strict=True)]
    assert terms.quality == pytest.approx(math.log(math.prod(ratios)) / 3)
    assert terms.size == pytest.approx(0.3 * math.log(2))
    assert terms.speed == pytest.approx(0.5 * math.log(2))
    assert gain(defaults, defaults, HEADLINE).total == 0


def test_no_gain_is_worse_than_a_failure():
    assert gain(Outcome(-1.0, 10**9, 1, 1.0, colour=90, edge=0.4), Outcome(1.0, 10, 1, 0.001)).total == pytest.approx(FAILED_GAIN)


def test_raster_refuses_what_is_no_svg_and_draws_on_the_background():
    with pytest.raises(RasterError):
        rasterizer().draw(b"<html>", 10, 10)
    with pytest.raises(RasterError, match="sides are 1 to"):
        rasterizer().draw(b"<svg/>", 0, 10)
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"><rect width="5" height="10" fill="#ff0000"/></svg>'
    drawn = rasterizer().draw(svg, 20, 20, background=7)
    assert tuple(drawn[10, 4]) == (255, 0, 0)
    assert tuple(drawn[10, 16]) == (7, 7, 7)


def test_drawing_from_several_threads_gives_the_same_pictures():
    svgs = [Picture(pixels(k)).measure(DEFAULTS).trace.svg.encode() for k in range(4)]
    alone = [rasterizer().draw(svg, 64, 64).copy() for svg in svgs]
    wrong: list[int] = []

    def draw(k: int) -> None:
        for _ in range(30):
            wrong.extend([k] * (not np.array_equal(rasterizer().draw(svgs[k], 64, 64), alone[k])))

    threads = [threading.Thread(target=draw, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_references_to_the_outside_are_cut_from_an_svg():
    svg = b'<svg><image href="file:///etc/passwd"/><use xlink:href="#a"/><image href="data:x"/><image href=\'http://x/y\'/></svg>'
    cleaned = without_references(svg)
    assert b"passwd" not in cleaned
    assert b"http" not in cleaned
    assert b"#a" in cleaned
    assert b"data:x" in cleaned


def test_features_are_finite_and_bounded_for_any_picture():
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for p in (pixels(), noise, np.full((16, 16, 3), 255, np.uint8)):
        vector = feature_vector(all_features(p))
        assert vector.shape == (N_FEATURES,)
        assert np.isfinite(vector).all()
        assert np.abs(vector).max() <= 2


def test_method_1_is_clamped_and_as_written():
    features = picture_features(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert method1_raw(features).color_precision == 10  # as written it leaves the range
    method1(features).check()
    for name, baseline in BASELINES.items():
        if name != "method1_raw":
            baseline.choose(features).check()


def test_fit_and_png_keep_the_pixels():
    p = pixels(2, 50)
    assert fit(p, 64) is not None
    assert fit(p, 64).shape == p.shape
    assert max(fit(pixels(2, 100), 64).shape) == 64
    np.testing.assert_array_equal(decode_png(encode_png(p)), p)


@pytest.mark.parametrize("damage", ["chunk", "end", "content", "nothing", "words"])
def test_a_damaged_png_is_a_picture_error(damage):
    png = encode_png(np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8))
    at = png.index(b"IDAT")
    damaged = {
        "chunk": png[: at + 4 + 8192] + b"\xff" * 40 + png[at + 8236 :], "end": png[: len(png) // 2], "content": png[:at] + b"IDAT" + bytes(2000),
        "nothing": b"", "words": b"no picture",
    }[damage]  # fmt: skip
    with pytest.raises(PictureError, match=r"it is damaged \(\w+\)"):
        decode_png(damaged)


def test_a_png_that_is_too_large_is_refused_before_it_is_decoded():
    buffer = io.BytesIO()
    Image.new("1", (9000, 9000)).save(buffer, "PNG")
    with pytest.raises(PictureError, match="9000 x 9000 pixels; the limit is 40,000,000 pixels"):
        decode_png(buffer.getvalue())


def test_the_specs_describe_the_fields_in_order():
    assert [s.name for s in SPECS] == list(DEFAULTS.as_dict())
    assert [s.default for s in SPECS] == list(DEFAULTS.values())
