"""What is delivered of a search: no finer than the picture is, and of results that look alike the smaller."""

from dataclasses import replace

import pytest

from core.config.config import PipelineConfig
from core.evaluation.delivery import Delivery, candidates, carried, delivered_size
from core.evaluation.finalists import Finalist, choose
from core.logos.dataset import Logo
from core.tracing.outcome import Outcome
from core.tracing.params import BEST_SINGLE, DEFAULTS, LARGE_SINGLE, Params
from core.tracing.picture import Picture
from core.tracing.pipeline import Pipeline
from core.tracing.raster import rasterizer

# What an agent found on small traces: every stair kept, every speckle, decimals.
FINE = Params(6, 8, 5, 2.0, 5, 10, 2, simplify=0.01, filter_speckle=0.5)
SLANTED = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="256" height="256"><rect width="256" height="256" fill="#fff"/>'
    '<path d="M30 20L90 12 226 200 170 240z" fill="#e30"/><circle cx="190" cy="70" r="43.3" fill="#05a"/></svg>'
)


def logo(side: int) -> Logo:
    pixels = rasterizer().draw(SLANTED.encode(), side, side)
    return Logo("slanted", "simple", "train", "slanted", "", pixels)


def test_what_is_finer_than_the_picture_is_left_out_and_all_else_is_kept():
    found = carried(FINE, 6)
    assert (found.simplify, found.filter_speckle, found.path_precision) == (0.15, LARGE_SINGLE.filter_speckle, 0)
    assert found.with_values(simplify=FINE.simplify, filter_speckle=FINE.filter_speckle, path_precision=FINE.path_precision) == FINE
    coarse = BEST_SINGLE.with_values(simplify=1.0, filter_speckle=9.0)
    assert carried(coarse, 6) == coarse


def test_decimals_are_kept_where_the_trace_is_hardly_larger_than_the_picture():
    assert carried(FINE, 2).path_precision == 2


@pytest.mark.parametrize("prefer", ["", "smaller", "faithful"])
def test_the_agents_colours_are_tried_with_the_outlines_of_the_single_setting(prefer):
    found = candidates(FINE, 6, prefer)
    assert [maker for maker, _ in found].count("single") == 1
    assert (FINE in [params for _, params in found]) == (prefer == "faithful")
    assert any(
        params.with_values(color_precision=5, layer_difference=32, hierarchical=0, simplify=LARGE_SINGLE.simplify) == LARGE_SINGLE
        and params.color_precision == 6
        for _, params in found
    )


def test_of_the_plain_defaults_nothing_is_made():
    assert candidates(DEFAULTS, 6) == []


@pytest.mark.parametrize(("side", "size"), [(64, 1536), (256, 1536), (450, 1800), (1024, 2048)])
def test_a_delivery_is_traced_at_four_times_the_picture_within_limits(side, size):
    assert delivered_size(logo(side), PipelineConfig()) == size
    assert {job.trace_size for job in Delivery.of(3, logo(side), FINE, PipelineConfig(), minify=True).jobs} == {size}


def test_a_pipeline_that_enlarges_nothing_delivers_what_the_store_has():
    assert delivered_size(logo(64), PipelineConfig(trace_size=0)) == 0


def test_a_slanted_edge_is_delivered_without_stairs_at_half_the_nodes():
    picture = Picture(logo(256).pixels, Pipeline(trace_size=1536))
    as_found, delivered = (picture.measure(params).outcome for params in (FINE, carried(FINE, 6)))
    assert delivered.n_nodes < 0.5 * as_found.n_nodes
    assert not delivered.is_visibly_worse(as_found)


def test_of_two_that_look_nearly_alike_the_smaller_is_the_result():
    base = Outcome(0.9, 10_000, 10, 0.01, colour=2.0, edge=0.1)
    large = Outcome(0.98, 10_000, 10, 0.01, colour=0.5, edge=0.03)
    small = replace(large, ssim=0.979, colour=0.52, n_bytes=5_000)
    far = replace(large, ssim=0.95, colour=1.2, n_bytes=5_000)
    defaults, first = Finalist("defaults", "<svg/>", base, DEFAULTS), Finalist("agent", "<svg/>", large, FINE)
    for other, is_taken in ((small, True), (far, False)):
        second = Finalist("agent", "<svg/>", other, LARGE_SINGLE)
        assert (choose([defaults, first, second]) is second) == is_taken
        assert choose([defaults, first, second], "faithful") is first
