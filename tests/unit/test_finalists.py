"""Which SVG is the result: what looks best for its bytes, and worse than VTracer's defaults in nothing."""

import numpy as np
import pytest

from core.evaluation.finalists import Finalist, choose, looks
from core.tracing.outcome import Outcome
from core.tracing.params import DEFAULTS, REFINED
from core.tracing.picture import Picture
from core.tracing.raster import rasterizer

GRADIENT = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96"><linearGradient id="a"><stop stop-color="#f00"/>'
    '<stop offset="1" stop-color="#00f"/></linearGradient><rect width="96" height="96" fill="#fff"/>'
    '<circle cx="48" cy="48" r="40" fill="url(#a)"/></svg>'
)


@pytest.fixture(scope="module")
def pixels():
    return rasterizer().draw(GRADIENT.encode(), 96, 96)


def finalist(made_by: str, svg: str, n_bytes: int = 0, failure: str | None = None) -> Finalist:
    return Finalist(made_by, svg, Outcome(0.9, n_bytes or len(svg), 3, 0.01, failure), DEFAULTS)


def plain(pixels) -> Finalist:
    return finalist("defaults", Picture(pixels).by_defaults.trace.svg)


def circle(fill: str, radius: float = 40) -> str:
    """Of one colour: colour is worse than under the defaults, edges are not."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96"><rect width="96" height="96" fill="#fff"/>'
        f'<circle cx="48" cy="48" r="{radius}" fill="{fill}"/></svg>'
    )


def test_the_vector_itself_has_no_error_and_nothing_beats_it(pixels):
    (found,) = looks(pixels, [GRADIENT])
    assert found is not None
    assert (found.structure, found.colour, found.edge) == (pytest.approx(0, abs=1e-6), 0, 0)
    chosen, gain = choose(pixels, [plain(pixels), finalist("agent", circle("#800080")), finalist("refined", GRADIENT)])
    assert chosen.made_by == "refined"
    assert gain > 1


def test_the_defaults_stay_where_nothing_looks_better(pixels):
    chosen, gain = choose(pixels, [finalist("defaults", GRADIENT), finalist("agent", circle("#800080"))])
    assert (chosen.made_by, gain) == ("defaults", 0.0)


def test_a_small_file_that_lost_its_colour_is_no_result_unless_small_files_are_preferred(pixels):
    """Flat colour in place of a gradient once was "the agent's best", since SSIM hardly fell."""
    base = plain(pixels)
    grey = finalist("agent", circle("#808080"), n_bytes=1)
    for prefer in ("", "faithful"):
        assert choose(pixels, [base, grey], prefer)[0].made_by == "defaults"
    tiny = finalist("agent", circle("#7f007f"), n_bytes=1)
    assert choose(pixels, [base, tiny], "smaller")[0].made_by == "agent"


def test_a_closer_match_is_never_further_off_in_structure_or_colour(pixels):
    base, taken = plain(pixels), []
    for radius in (40, 40.2, 40.5, 41, 44):
        other = finalist("refined", GRADIENT.replace('r="40"', f'r="{radius}"'))
        own, theirs = looks(pixels, [base.svg, other.svg])
        assert own is not None
        assert theirs is not None
        chosen, _ = choose(pixels, [base, other], "faithful")
        taken.append(chosen.made_by == "refined")
        assert not taken[-1] or (theirs.structure <= own.structure and theirs.colour <= own.colour)
    assert taken[0]
    assert not taken[-1]


@pytest.mark.parametrize("broken", ["", "no svg", "<svg"])
def test_what_can_not_be_drawn_is_never_taken(pixels, broken):
    chosen, _ = choose(pixels, [plain(pixels), finalist("agent", broken), finalist("refined", broken)])
    assert chosen.made_by == "defaults"


def test_where_the_defaults_failed_whatever_is_there_is_better(pixels):
    base = finalist("defaults", "", failure="blank")
    assert choose(pixels, [base, finalist("refined", GRADIENT)])[0].made_by == "refined"


def test_real_conversions_of_a_gradient_look_better_refined(pixels):
    picture = Picture(pixels)
    refined = picture.refined()
    assert refined.outcome.failure is None
    candidates = [plain(pixels), Finalist("refined", refined.trace.svg, refined.outcome, REFINED)]
    chosen, gain = choose(pixels, candidates)
    assert chosen.made_by == "refined"
    assert gain > 0.4
    assert "Gradient" in chosen.svg


def test_large_pictures_are_compared_at_a_size_that_is_quick():
    large = np.repeat(np.repeat(rasterizer().draw(GRADIENT.encode(), 96, 96), 8, axis=0), 8, axis=1)
    (found,) = looks(large, [GRADIENT])
    assert found is not None
    assert found.structure < 0.05


def clear_ring(colour: str) -> np.ndarray:
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96">'
        f'<path fill="{colour}" fill-rule="evenodd" d="M48 8a40 40 0 1 0 .1 0zM48 28a20 20 0 1 0 .1 0z"/></svg>'
    )
    return rasterizer().draw_rgba(svg.encode(), 96, 96)


@pytest.mark.parametrize("colour", ["#1e78dc", "#ffffff", "#000000"])
def test_marks_on_nothing_come_out_without_a_ground(colour):
    ring = clear_ring(colour)
    picture = Picture(ring)
    assert picture.ground == (0 if colour == "#ffffff" else 255)
    for made in (picture.by_defaults, picture.refined()):  # VTracer alone cuts soft edges off
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
    with_box, without = looks(ring, [boxed, clear])
    assert with_box is not None
    assert without is not None
    assert without.visual < 0.2 * with_box.visual
    assert choose(ring, [finalist("defaults", boxed), finalist("refined", clear)])[0].made_by == "refined"
