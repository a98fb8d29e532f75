"""Sharpening, fills, the three errors and the written SVG, on pictures drawn here."""

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.color import rgb2lab

from core.config.config import PipelineConfig, RunConfig
from core.environment.spec import pipeline_of
from core.errors import EngineError
from core.tracing.colours import ColourReference
from core.tracing.edges import EdgeReference
from core.tracing.engines import ENGINES, engine
from core.tracing.fills import Paint, Shape, Stop, fitted
from core.tracing.finish import document, short, sized
from core.tracing.minify import minified
from core.tracing.params import BEST_SINGLE, DEFAULTS, Params
from core.tracing.picture import Picture
from core.tracing.pipeline import PLAIN, Canvas, Pipeline, convert, n_nodes, shapes_of
from core.tracing.raster import over, rasterizer
from core.tracing.sharpen import blendable, blended, is_hard_edged, sharpen
from tests.support.requirements import need

SIDE = 96
SETTING = Params(5, 24, 30, 1.0, 7, 26, 0, 0.125, 2.5, 0)


def drawn(body: str, width: int = SIDE, height: int = SIDE, defs: str = "") -> np.ndarray:
    """RGBA of an SVG's body, soft edges and all."""
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"><defs>{defs}</defs>{body}</svg>'
    return rasterizer().draw_rgba(svg.encode(), width, height)


def on_white(body: str, **more) -> np.ndarray:
    return over(drawn(body, **more), 255)


CIRCLE = '<circle cx="47.3" cy="48.6" r="30.4" fill="#c81e28"/>'
images = hnp.arrays(np.uint8, st.tuples(st.integers(8, 40), st.integers(8, 40), st.just(3)))


@settings(max_examples=40, deadline=None)
@given(images, st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 9, 120]))
def test_the_colour_error_is_the_mean_distance_in_cielab(a, seed, noise):
    b = np.clip(a.astype(int) + np.random.default_rng(seed).integers(-noise, noise + 1, a.shape), 0, 255).astype(np.uint8)
    expected = float(np.sqrt(((rgb2lab(a) - rgb2lab(b)) ** 2).sum(axis=2)).mean())
    assert ColourReference(a).error(b) == pytest.approx(expected, abs=0.02, rel=0.001)
    assert ColourReference(a).error(a) == 0


def test_the_edge_error_is_gmsd():
    a, b = on_white(CIRCLE), on_white(CIRCLE.replace("30.4", "28"))

    def magnitude(pixels):
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(float)
        half = cv2.blur(grey, (2, 2))[::2, ::2]
        kernel = np.array([[1, 0, -1]] * 3) / 3
        return np.hypot(cv2.filter2D(half, -1, kernel), cv2.filter2D(half, -1, kernel.T))

    one, other = magnitude(a), magnitude(b)
    expected = ((2 * one * other + 170) / (one**2 + other**2 + 170)).std()
    assert EdgeReference(a).error(b) == pytest.approx(expected, abs=1e-4)
    assert EdgeReference(a).error(a) == 0


def test_errors_are_the_same_wherever_the_picture_lies_in_memory():
    a, b = on_white(CIRCLE), on_white(CIRCLE.replace("#c81e28", "#2840c8"))
    room = np.zeros(b.size + 64, np.uint8)
    for shift in (0, 1, 3, 16, 33):
        moved = room[shift : shift + b.size].reshape(b.shape)
        moved[:] = b
        assert ColourReference(a).error(moved) == ColourReference(a).error(b)
        assert EdgeReference(a).error(moved) == EdgeReference(a).error(b)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_edges_come_out_clean_and_where_they_were(factor):
    soft = on_white(CIRCLE)
    clean = sharpen(soft, factor)
    assert clean.shape == (SIDE * factor, SIDE * factor, 3)
    distance = np.minimum(*(np.abs(clean.astype(int) - colour).max(axis=2) for colour in ((255, 255, 255), (0xC8, 0x1E, 0x28))))
    assert distance.max() <= 8
    assert len(np.unique(soft.reshape(-1, 3), axis=0)) > 20
    back = cv2.resize(clean, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    limit = {1: 36, 2: 16, 4: 8}[factor]  # the finer, the better it can follow the edge
    assert np.abs(back.astype(int) - soft)[blended(blendable(soft))].mean() < limit


def test_what_has_no_blended_edge_passes_through():
    slope = np.repeat(np.linspace(0, 255, SIDE).astype(np.uint8)[None, :, None], SIDE, axis=0).repeat(3, axis=2)
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    assert np.array_equal(sharpen(slope), slope)
    assert (sharpen(noise) != noise).any(axis=2).mean() < 0.5


@pytest.mark.parametrize("at", [20.0, 20.5])
def test_a_line_of_one_pixel_keeps_its_colour(at):
    lines = on_white(f'<rect x="10" y="{at}" width="76" height="1" fill="#000"/>')
    clean = sharpen(lines, 4)
    assert clean[72:96, 160].min() == lines[18:24, 40].min()


def test_alpha_is_sharpened_as_colours_are():
    clean = sharpen(drawn(CIRCLE), 2)
    assert np.minimum(clean[..., 3], 255 - clean[..., 3]).max() <= 8
    assert (clean[clean[..., 3] == 255][:, :3] == (0xC8, 0x1E, 0x28)).all()


def convertible(pixels: np.ndarray, params: Params = SETTING, **more):
    pipeline = Pipeline(trace_size=SIDE * 4, **more)
    return convert(Canvas.of(pixels, pipeline), pixels, params, pipeline)


LINEAR = '<linearGradient id="a"><stop stop-color="#ff0000"/><stop offset="1" stop-color="#0000ff"/></linearGradient>'
RADIAL = '<radialGradient id="a"><stop stop-color="#ffff00"/><stop offset="1" stop-color="#a00060"/></radialGradient>'
GLOW = '<radialGradient id="a"><stop stop-color="#ff8000"/><stop offset="1" stop-color="#ff8000" stop-opacity="0"/></radialGradient>'


@pytest.mark.parametrize(("defs", "kind"), [(LINEAR, "linear"), (RADIAL, "radial")])
def test_a_gradient_comes_out_as_one(defs, kind):
    pixels = on_white('<circle cx="48" cy="48" r="40" fill="url(#a)"/>', defs=defs)
    made = convertible(pixels, Params(5, 128, 30, 1.0, 7, 26, 0, 0.125, 2.5, 0))
    assert f"<{kind}Gradient" in made.svg
    shown = rasterizer().draw(made.svg.encode(), SIDE, SIDE)
    plain = convert(Canvas.of(pixels, PLAIN), pixels, DEFAULTS, PLAIN)
    assert ColourReference(pixels).error(shown) < 0.5 * ColourReference(pixels).error(rasterizer().draw(plain.svg.encode(), SIDE, SIDE))
    assert made.n_bytes < 2 * plain.n_bytes


def test_a_glow_to_transparent_keeps_its_alpha():
    pixels = drawn('<circle cx="48" cy="48" r="44" fill="url(#a)"/>', defs=GLOW)
    made = convertible(pixels, Params(5, 128, 30, 1.0, 7, 26, 0, 0.125, 2.5, 0))
    assert "stop-opacity" in made.svg or "fill-opacity" in made.svg
    shown = rasterizer().draw_rgba(made.svg.encode(), SIDE, SIDE)
    assert np.abs(shown[..., 3].astype(int) - pixels[..., 3]).mean() / 255 < 0.03


@pytest.mark.parametrize("hierarchical", [0, 1])
def test_what_is_clear_stays_clear(hierarchical):
    ring = '<path fill="#1e78dc" fill-rule="evenodd" d="M48 8a40 40 0 1 0 .1 0zM48 28a20 20 0 1 0 .1 0z"/>'
    pixels = drawn(ring)
    made = convertible(pixels, Params(5, 24, 30, 1.0, 7, 26, 0, 0.125, 2.5, hierarchical))
    shown = rasterizer().draw_rgba(made.svg.encode(), SIDE, SIDE)
    assert np.abs(shown[..., 3].astype(int) - pixels[..., 3]).mean() / 255 < 0.01
    assert shown[48, 48, 3] == shown[2, 2, 3] == 0
    assert made.n_paths == 1
    assert "#1e78dc" in made.svg


def test_white_on_nothing_is_traced():
    made = convertible(drawn(CIRCLE.replace("#c81e28", "#fff")))
    assert made.failure is None
    assert made.n_paths == 1
    assert 'fill="#fff"' in made.svg


def test_six_primaries_leave_a_colour_to_mark_what_is_clear():
    """Or VTracer takes one at random."""
    colours = ("#f00", "#0f0", "#00f", "#ff0", "#0ff", "#f0f")
    pixels = drawn("".join(f'<rect x="{8 + 12 * i}" y="20" width="12" height="50" fill="{c}"/>' for i, c in enumerate(colours)))
    made = {convertible(pixels).svg for _ in range(4)}
    assert len(made) == 1
    shown = rasterizer().draw_rgba(made.pop().encode(), SIDE, SIDE)
    assert shown[5, 5, 3] == 0


def test_the_same_setting_serves_every_trace_size():
    pixels = on_white(CIRCLE)
    nodes = []
    for factor in (2, 4, 6):
        pipeline = Pipeline(trace_size=SIDE * factor)
        made = convert(Canvas.of(pixels, pipeline), pixels, SETTING, pipeline, (SIDE, SIDE))
        assert f'width="{SIDE}" height="{SIDE}" viewBox="0 0 {SIDE * factor} {SIDE * factor}"' in made.svg
        nodes.append(made.n_nodes)
    assert max(nodes) <= 2 * min(nodes)


def test_fills_are_the_medians_of_what_is_shown():
    pixels = np.full((40, 40, 3), 250, np.uint8)
    pixels[10:30, 10:30] = (10, 20, 30)
    pixels[12, 12] = (255, 0, 0)
    paints = fitted([Shape("M0,0H40V40H0Z", "#ffffff"), Shape("M10,10H30V30H10Z", "#888888")], pixels, (40, 40))
    assert [p.stops[0].colour for p in paints] == ["#fafafa", "#0a141e"]


def test_a_shape_that_shows_nothing_keeps_vtracers_colour():
    paints = fitted([Shape("M0,0H40V40H0Z", "#112233"), Shape("M0,0H40V40H0Z", "#ffffff")], np.full((40, 40, 3), 9, np.uint8), (40, 40))
    assert paints[0].stops[0].colour == "#112233"
    assert paints[1].stops[0].colour == "#090909"


def test_a_document_is_as_short_as_it_can_be():
    shape = Shape("M0,0H9V9H0Z", "#000000")
    assert document([shape], [Paint((Stop(0, "#000000"),))], (9, 9), (9, 9)).endswith('height="9"><path d="M0,0H9V9H0Z"/></svg>')
    two = Paint((Stop(0, "#ffffff"), Stop(1, "#aabbcc", 0.5)), (0.04, 1.26, 200.4, 3))
    text = document([shape] * 3, [two, Paint((Stop(0, "#ff0000"),)), two], (9, 9), (3, 3))
    assert text.count("<linearGradient") == 1
    assert text.count("url(#a)") == 2
    assert 'x1="0" y1="1.3" x2="200" y2="3"' in text
    assert '<stop stop-color="#fff"/><stop offset="1" stop-color="#abc" stop-opacity=".5"/>' in text
    assert 'width="3" height="3" viewBox="0 0 9 9"' in text
    assert "--" not in text
    assert short("#AABBCC") == "#abc"
    assert short("#aabbcd") == "#aabbcd"
    assert document([shape], [Paint((Stop(0, "#000000", 0.0),))], (9, 9), (9, 9)).endswith('height="9"></svg>')


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("hierarchical", ["stacked", "cutout"])
def test_every_engine_says_what_the_pipeline_reads(name, hierarchical):
    """The contract: each path is found, no attribute is one that is not known, clear stays clear, numbers of nodes agree."""
    try:
        found = engine(name)
    except EngineError as error:
        need(None, str(error))
    pixels = np.zeros((65, 64, 4), np.uint8)
    pixels[:64] = 255
    pixels[10:40, 10:50, :3] = (200, 30, 40)
    pixels[20:30, 20:30] = 0
    pixels[45:60, 30:60, :3] = (0, 90, 200)
    svg = found.trace(pixels, {"hierarchical": hierarchical, "path_precision": 1, "filter_speckle": 2, "mode": "spline"})
    shapes = shapes_of(svg)
    assert len(shapes) == svg.count("<path ") == 3
    assert {shape.fill for shape in shapes} == {"#ffffff", "#c81e28", "#005ac8"}
    assert set(re.findall(r"[a-zA-Z]", "".join(s.d for s in shapes))) <= set("MmCcLlHhVvSsQqTtZz")
    numbers = sum(len(re.findall(r"-?(?:\d+\.?\d*|\.\d+)", s.d)) for s in shapes)
    if set(re.findall(r"[a-zA-Z]", "".join(s.d for s in shapes))) <= set("MmCcZz"):
        moves = sum(s.d.count("M") + s.d.count("m") for s in shapes)
        assert numbers == 2 * moves + 6 * (n_nodes(shapes) - moves)
    shown = rasterizer().draw_rgba(document(shapes, [Paint((Stop(0, s.fill),)) for s in shapes], (64, 64), (64, 64)).encode(), 64, 64)
    assert shown[25, 25, 3] == 0
    assert (shown[15, 15] == (200, 30, 40, 255)).all()
    with pytest.raises(BaseException, match=r"\w"):
        found.trace(pixels, {"max_iterations": 0})


def test_an_unknown_engine_is_one_clear_line():
    with pytest.raises(EngineError, match=r"not one of 1\.0, 0\.6"):
        engine("2.0")


def test_neighbours_of_one_colour_share_a_group_where_that_is_shorter():
    shape, red = Shape("M0,0H9V9H0Z", "#cc1e28"), Paint((Stop(0, "#cc1e28"),))
    text = document([shape] * 3, [red] * 3, (9, 9), (9, 9))
    assert text.count("<g ") == text.count("#cc1e28") == 1
    assert "<g" not in document([shape], [red], (9, 9), (9, 9))
    svg = '<svg><path d="M0" fill="#112233"/><g fill="#AABBCC">\n<path d="M1"/>\n<path d="M2"/>\n</g>\n<path d="M3" fill="#445566"/></svg>'
    assert [s.fill for s in shapes_of(svg)] == ["#112233", "#aabbcc", "#aabbcc", "#445566"]


def test_hard_edges_are_no_stairs_when_enlarged():
    """An edge without any soft pixel, and one with a hair between: both are lines, not steps as wide as a pixel."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    hard = np.where((columns > rows)[..., None], (30, 160, 170), (10, 230, 140)).astype(np.uint8)
    hair = hard.copy()
    hair[rows == columns] = (120, 200, 190)
    for pixels in (hard, hair):
        clean = sharpen(pixels, 4)
        border = (clean == clean[2, -3]).all(axis=2).argmax(axis=1)  # the first pixel of the colour on the right, per row
        steps = np.diff(border[40:-40])
        assert steps.max() <= 2


def test_a_picture_without_soft_edges_comes_out_round_and_not_in_stairs():
    """Enlarged, its stairs would be traced; taken as it is, VTracer knows them for what they are. Thin lines need to be larger to be seen."""
    soft = on_white('<circle cx="48" cy="48" r="38" fill="#0f5a46"/><circle cx="48" cy="48" r="16" fill="#fff"/>')
    hard = np.where((soft > 128).all(axis=2, keepdims=True), 255, (15, 90, 70)).astype(np.uint8)
    assert (is_hard_edged(hard), is_hard_edged(soft)) == (True, False)
    made = convert(Canvas.of(hard, Pipeline()), hard, SETTING, Pipeline(), (SIDE, SIDE))
    assert made.n_nodes < 40
    large = replace(Canvas.of(soft, Pipeline()), pixels=np.dstack([sharpen(hard, 5), np.full((5 * SIDE, 5 * SIDE), 255, np.uint8)]))
    assert convert(large, hard, SETTING, Pipeline(), (SIDE, SIDE)).n_nodes > 2 * made.n_nodes
    lines = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for k in range(9):
        cv2.line(lines, (8, 8 + 9 * k), (88, 12 + 9 * k), (10, 10, 10), 1)
    assert not is_hard_edged(lines)
    assert Canvas.of(lines, Pipeline()).view == (5 * SIDE, 5 * SIDE)


def test_minifying_moves_no_pixel_and_keeps_what_it_can_not_shrink():
    defs = '<linearGradient id="g"><stop stop-color="#f00"/><stop offset="1" stop-color="#00f" stop-opacity="0.2"/></linearGradient>'
    source = drawn(CIRCLE.replace("#c81e28", "url(#g)") + '<rect x="70" y="70" width="20" height="20" fill="#1b4"/>', defs=defs)
    svg = Picture(source, Pipeline(trace_size=512)).measure(BEST_SINGLE).trace.svg
    assert "Gradient" in svg
    small = minified(svg, SIDE, SIDE)
    assert len(small) < len(svg)
    for size in (96, 400):
        np.testing.assert_array_equal(*(rasterizer().draw_rgba(each.encode(), size, size) for each in (svg, small)))
    assert minified(small, 96, 96) == small or len(minified(small, 96, 96)) < len(small)
    for odd in ("", "<svg", "<svg/>", "no svg", '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L'):
        assert minified(odd, 96, 96) == odd or len(minified(odd, 96, 96)) < len(odd)


def test_an_svg_takes_another_size_and_keeps_what_it_shows():
    source = on_white(CIRCLE)
    for params in (DEFAULTS, BEST_SINGLE):  # VTracer's own text has no viewBox
        svg = Picture(source, Pipeline(trace_size=512)).measure(params).trace.svg
        large = sized(svg, 300, 300)
        assert rasterizer().size(large.encode()) == (300, 300)
        same, drawn_large = (rasterizer().draw(each.encode(), SIDE, SIDE).astype(int) for each in (svg, large))
        assert np.abs(same - drawn_large).max() <= 8  # another scale, rounded elsewhere
        assert sized(large, 300, 300) == large
    assert sized("no svg", 3, 4) == "no svg"


@pytest.mark.parametrize(("work_size", "trace_size"), [(0, 512), (128, 512), (256, 512), (512, 1024), (1024, 2048)])
def test_larger_pictures_are_enlarged_as_many_times_as_those_of_the_training(work_size, trace_size):
    config = RunConfig(pipeline=PipelineConfig(trace_size=512))
    assert config.logos.work_size == 256
    assert pipeline_of(config, work_size) == replace(pipeline_of(config), trace_size=trace_size)
