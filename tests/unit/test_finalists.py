"""Which SVG is the result: what looks best for its bytes, and worse than VTracer's defaults in nothing."""

from dataclasses import replace

import numpy as np
import pytest

from core.evaluation.finalists import Finalist, choose, remark, visual_gain
from core.tracing.outcome import Outcome
from core.tracing.params import BEST_SINGLE, DEFAULTS
from core.tracing.picture import Picture
from core.tracing.pipeline import Pipeline
from core.tracing.raster import rasterizer
from core.tracing.visual import VisualReference

GRADIENT = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96"><linearGradient id="a"><stop stop-color="#f00"/>'
    '<stop offset="1" stop-color="#00f"/></linearGradient><rect width="96" height="96" fill="#fff"/>'
    '<circle cx="48" cy="48" r="40" fill="url(#a)"/></svg>'
)


@pytest.fixture(scope="module")
def pixels():
    return rasterizer().draw(GRADIENT.encode(), 96, 96)


def measured(pixels, svg: str, n_bytes: int = 0) -> Outcome:
    reference = VisualReference(pixels)
    found = reference.errors(reference.draw(svg.encode()))
    return Outcome(found.ssim, n_bytes or len(svg), 3, 0.01, None, found.colour, found.edge, found.lost)


def finalist(pixels, made_by: str, svg: str, n_bytes: int = 0) -> Finalist:
    return Finalist(made_by, svg, measured(pixels, svg, n_bytes), DEFAULTS)


def plain(pixels) -> Finalist:
    made = Picture(pixels).by_defaults
    return Finalist("defaults", made.trace.svg, made.outcome, DEFAULTS)


def circle(fill: str, radius: float = 40) -> str:
    """Of one colour: colour is worse than under the defaults, edges are not."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96"><rect width="96" height="96" fill="#fff"/>'
        f'<circle cx="48" cy="48" r="{radius}" fill="{fill}"/></svg>'
    )


def test_the_vector_itself_has_no_error_and_nothing_beats_it(pixels):
    found = measured(pixels, GRADIENT)
    assert (found.structure, found.colour, found.edge, found.lost) == (pytest.approx(0, abs=1e-6), 0, 0, 0)
    base, best = plain(pixels), finalist(pixels, "single", GRADIENT)
    assert choose([base, finalist(pixels, "agent", circle("#800080")), best]) is best
    assert visual_gain(best.outcome, base.outcome) > 1


def test_the_defaults_stay_where_nothing_looks_better(pixels):
    chosen = choose([finalist(pixels, "defaults", GRADIENT), finalist(pixels, "agent", circle("#800080"))])
    assert chosen.made_by == "defaults"
    assert visual_gain(chosen.outcome, chosen.outcome) == 0.0


def test_a_small_file_that_lost_its_colour_is_no_result_unless_small_files_are_preferred(pixels):
    """Flat colour in place of a gradient once was "the agent's best", since SSIM hardly fell."""
    base = plain(pixels)
    grey = finalist(pixels, "agent", circle("#808080"), n_bytes=1)
    for prefer in ("", "faithful"):
        assert choose([base, grey], prefer).made_by == "defaults"
    tiny = finalist(pixels, "agent", circle("#7f007f"), n_bytes=1)
    assert choose([base, tiny], "smaller").made_by == "agent"


def test_a_mark_that_is_gone_is_seen_however_small_the_errors_are(pixels):
    """A small dot of another colour is a hundredth of the picture: the means hardly move, and a person sees nothing but that."""
    dotted = GRADIENT.replace("</svg>", '<circle cx="8" cy="8" r="5" fill="#fc0"/></svg>')
    with_dot = rasterizer().draw(dotted.encode(), 96, 96)
    base, without = finalist(with_dot, "defaults", dotted), finalist(with_dot, "agent", GRADIENT, n_bytes=1)
    assert without.outcome.lost == pytest.approx(np.pi * 25 / 96**2, rel=0.4)
    assert without.outcome.colour < 1
    far = replace(base.outcome, ssim=0.5, colour=9.0, edge=0.3)  # means that are worse than those of the one without the dot
    assert without.outcome.is_visibly_worse(far)
    assert not replace(without.outcome, lost=0.0).is_visibly_worse(far)


def test_a_closer_match_is_never_further_off_in_structure_or_colour(pixels):
    base, taken = plain(pixels), []
    for radius in (40, 40.2, 40.5, 41, 44):
        other = finalist(pixels, "single", GRADIENT.replace('r="40"', f'r="{radius}"'))
        taken.append(choose([base, other], "faithful") is other)
        own, theirs = base.outcome, other.outcome
        assert not taken[-1] or (theirs.structure <= own.structure and theirs.colour <= own.colour)
    assert taken[0]
    assert not taken[-1]


def test_what_failed_or_is_empty_is_never_taken(pixels):
    base = plain(pixels)
    failed = Finalist("agent", "", replace(measured(pixels, GRADIENT), failure="panic"), DEFAULTS)
    empty = Finalist("single", "", measured(pixels, GRADIENT), DEFAULTS)
    assert choose([base, failed, empty]) is base


def test_where_the_defaults_failed_whatever_is_there_is_better(pixels):
    base = Finalist("defaults", "", replace(measured(pixels, circle("#fff")), failure="blank"), DEFAULTS)
    chosen = choose([base, finalist(pixels, "single", GRADIENT)])
    assert chosen.made_by == "single"
    assert remark(chosen.outcome, base.outcome) == "VTracer's defaults gave a single colour"
    assert "all attempts failed" in remark(base.outcome, base.outcome)


def test_a_result_that_is_far_off_says_so(pixels):
    assert remark(measured(pixels, GRADIENT), plain(pixels).outcome) == ""
    assert "needs a look" in remark(measured(pixels, circle("#0f0")), plain(pixels).outcome)


def test_real_conversions_of_a_gradient_look_better_by_the_pipeline(pixels):
    made = Picture(pixels, Pipeline(trace_size=1024)).measure(BEST_SINGLE)
    assert made.outcome.failure is None
    chosen = choose([plain(pixels), Finalist("single", made.trace.svg, made.outcome, BEST_SINGLE)])
    assert chosen.made_by == "single"
    assert visual_gain(chosen.outcome, plain(pixels).outcome) > 0.4
    assert "Gradient" in chosen.svg


def clear_ring(colour: str) -> np.ndarray:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96">'
        f'<path fill="{colour}" fill-rule="evenodd" d="M48 8a40 40 0 1 0 .1 0zM48 28a20 20 0 1 0 .1 0z"/></svg>'
    )
    return rasterizer().draw_rgba(svg.encode(), 96, 96)


@pytest.mark.parametrize("colour", ["#1e78dc", "#ffffff", "#000000"])
def test_marks_on_nothing_come_out_without_a_ground(colour):
    ring = clear_ring(colour)
    picture = Picture(ring, Pipeline(trace_size=1024))
    assert picture.ground == (0 if colour == "#ffffff" else 255)
    for made in (picture.by_defaults, picture.measure(BEST_SINGLE)):  # VTracer alone cuts soft edges off
        assert made.outcome.failure is None
        assert made.outcome.ssim > (0.9 if made is not picture.by_defaults else 0.7)
        drawn = rasterizer().draw_rgba(made.trace.svg.encode(), 96, 96)
        assert drawn[2, 2, 3] == drawn[48, 48, 3] == 0
        assert np.abs(drawn[..., 3].astype(int) - ring[..., 3]).mean() / 255 < 0.02


def test_a_white_box_that_is_not_in_the_picture_counts(pixels):
    ring = clear_ring("#1e78dc")
    boxed = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96"><rect width="96" height="96" fill="#fff"/>'
        '<path fill="#1e78dc" fill-rule="evenodd" d="M48 8a40 40 0 1 0 .1 0zM48 28a20 20 0 1 0 .1 0z"/></svg>'
    )
    clear = boxed.replace('<rect width="96" height="96" fill="#fff"/>', "")
    with_box, without = finalist(ring, "defaults", boxed), finalist(ring, "single", clear)
    assert without.outcome.visual < 0.2 * with_box.outcome.visual
    assert choose([with_box, without]) is without
