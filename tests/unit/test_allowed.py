"""An SVG is handed out if it holds what VTracer and the fills draw, and nothing else."""

import time

import numpy as np
import pytest

from core.errors import SvgError
from core.tracing.allowed import checked
from core.tracing.finish import sized
from core.tracing.minify import minified
from core.tracing.params import BEST_SINGLE, DEFAULTS, LARGE_SINGLE
from core.tracing.picture import Picture
from core.tracing.pipeline import MODES
from tests.support.logos import draw_logo

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{}<path d="M0 0h9v9z" fill="#06c"/></svg>'
MORE = {
    "<script>1</script>": "<script>",
    "<image href='a'/>": "<image>",
    "<foreignObject/>": "<foreignObject>",
    "<use href='#a'/>": "<use>",
    "<a href='//evil.example'/>": "<a>",
    "<style>@import 'a'</style>": "<style>",
    "<animate/>": "<animate>",
    "<text>a</text>": "<text>",
    "hello": "the text 'hello'",
    "<!-- a -->": "a comment",
    "<?a b?>": "a processing instruction",
    "<g onload='1'/>": "onload",
    "<path d='M0 0' style='fill:red'/>": "style",
    "<path d='M0 0' fill='url(//evil.example)'/>": "fill",
    "<path d='M0 0' fill='url(#a) url(//b)'/>": "fill",
    r"<path d='M0 0' fill='\75rl(//b)'/>": "fill",
    "<path d='url(//a)'/>": "d=",
    "<path d='M0 0' transform='translate(javascript:1)'/>": "transform",
    "<path d='M0 0' class='a'/>": "class",
    "<path xmlns:x='y' d='M0 0' x:href='#a'/>": "xmlns:x",
    "<linearGradient id='a' href='other.svg#b'/>": "href",
    "<svg:script xmlns:svg='http://www.w3.org/2000/svg'/>": "<svg:script>",
    "<path>": "not well-formed",
}


@pytest.mark.parametrize("body", MORE)
def test_what_no_tracer_draws_is_not_handed_out(body):
    with pytest.raises(SvgError) as caught:
        checked(SVG.format(body))
    assert MORE[body] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_entities_and_other_roots_are_not_handed_out():
    for data in (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG.format("").encode(), b"<html/>", b"", b"\xff\xfe"):
        with pytest.raises(SvgError):
            checked(data)


@pytest.mark.parametrize("mode", MODES)
def test_all_that_is_made_is_handed_out(mode):
    pixels = np.dstack([np.asarray(draw_logo(3, 64)), np.full((64, 64), 255, np.uint8)])
    pixels[:9, :, 3] = 0
    pixels[20:50, 10:60, 0] = np.linspace(0, 255, 50).astype(np.uint8)  # something for a gradient
    picture = Picture(pixels)
    for params in (DEFAULTS, BEST_SINGLE, LARGE_SINGLE):
        svg = picture.measure(params, mode=mode).trace.svg
        for each in (svg, minified(svg, 64, 64), sized(minified(svg, 64, 64), 300, 200)):
            assert checked(each) == each.encode()


def test_a_large_svg_is_looked_at_in_no_time():
    large = SVG.format('<path d="M10.5 20.25C1-2 3.5-4 5.5 6z" fill="#abcdef"/>' * 40_000)
    began = time.thread_time()
    checked(large)
    assert time.thread_time() - began < 2
