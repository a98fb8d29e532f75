"""Strangers' SVGs written again: what draws stays and draws the same, all else is gone, and a note says what."""

import base64
import re
from xml.parsers import expat

import numpy as np
import pytest

from core.errors import PictureError
from core.logos import svg_source
from core.logos.procedural import make_logos
from core.logos.svg_source import cleaned_svg
from core.tracing.raster import rasterizer
from tests.support.logos import png

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="40" height="20">'
BOX = '<rect width="20" height="20" fill="#06c"/>'
PICTURE = "data:image/png;base64," + base64.b64encode(png(1)).decode()
LEFT_OUT = {
    "<script>fetch('//evil.example')</script>": "a script",
    '<script href="//evil.example/a.js"/>': "a script",
    "<handler>1</handler>": "a script",
    '<g onload="alert(1)"/>': "an event handler",
    '<rect ONCLICK="alert(1)" width="1" height="1"/>': "an event handler",
    "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml'><script>1</script></body></foreignObject>": "HTML (foreignObject)",
    "<foreignObject><p/></foreignObject>": "HTML (foreignObject)",
    '<image href="http://evil.example/a.png" width="9" height="9"/>': "a reference to another file",
    '<image xlink:href="file:///etc/passwd" width="9" height="9"/>': "a reference to another file",
    '<image href="//evil.example/a.png"/>': "a reference to another file",
    '<image href="other.png"/>': "a reference to another file",
    '<image href="data:image/svg+xml;base64,PHN2Zy8+"/>': "a reference to another file",
    '<image href="data:text/html,&lt;script&gt;1&lt;/script&gt;"/>': "a reference to another file",
    '<use href="http://evil.example/a.svg#b"/>': "a reference to another file",
    '<use xlink:href="  javascript:alert(1)"/>': "a reference to another file",
    '<linearGradient id="g" href="other.svg#g"/>': "a reference to another file",
    '<rect fill="url(http://evil.example/a.svg#b)" width="1" height="1"/>': "a reference to another file",
    '<rect fill="URL( //evil.example )" width="1" height="1"/>': "a reference to another file",
    r'<rect fill="\75rl(//evil.example)" width="1" height="1"/>': "a reference to another file",
    '<rect style="fill:url(//evil.example/a)" width="1" height="1"/>': "a reference to another file",
    '<rect style="background-image: image-set(\'//evil.example/a\' 1x)" width="1" height="1"/>': "a reference to another file",
    '<rect style="fill:red/**/;mask:u/**/rl(//evil.example/a)" width="1" height="1"/>': "a reference to another file",
    '<style>@import url("//evil.example/a.css");</style>': "a style that loads or does more than draw",
    "<style>@import '//evil.example/a.css'</style>": "a style that loads or does more than draw",
    "<style>@font-face{font-family:a;src:url(//evil.example/a)}</style>": "a style that loads or does more than draw",
    "<style>@media all{@import '//a';rect{fill:url(//evil.example/a)}}</style>": "a style that loads or does more than draw",
    r"<style>rect{fill:\75 rl(//evil.example/a)}</style>": "a style that loads or does more than draw",
    "<style><![CDATA[rect{fill:#06c}</style><script>1</script>]]></style>": "a style that loads or does more than draw",
    '<animate attributeName="href" to="javascript:alert(1)"/>': "an animation",
    '<set attributeName="onload" to="alert(1)"/>': "an animation",
    '<?xml-stylesheet href="//evil.example/a.css"?>': "a processing instruction",
    "<iframe src='//evil.example'/>": "<iframe>",
    "<video src='//evil.example'/>": "<video>",
}
LIVE = re.compile(r"script|evil|onload|onclick|javascript|foreignobject|import|passwd|font-face|iframe|video|\\", re.IGNORECASE)


def svg(body: str) -> bytes:
    return f"{HEAD}{BOX}{body}</svg>".encode()


def drawn(data: bytes) -> np.ndarray:
    return rasterizer().draw_rgba(data, 80, 40)


@pytest.mark.parametrize("body", LEFT_OUT)
def test_what_is_more_than_a_drawing_is_left_out_and_told(body):
    found = cleaned_svg(svg(body))
    assert LEFT_OUT[body] in found.notes[0]
    assert not LIVE.search(found.svg.decode())
    expat.ParserCreate().Parse(found.svg, True)
    assert (drawn(found.svg)[20, 10] == (0, 0x66, 0xCC, 255)).all()


DRAWING = (
    "<defs><linearGradient id='g'><stop stop-color='red'/><stop offset='1' stop-color='blue'/></linearGradient><path id='p' d='M0 0h9v9z'/>"
    "<clipPath id='c'><circle cx='30' cy='10' r='8'/></clipPath></defs><style>.a{fill:url(#g);stroke:#111}</style>"
    "<g clip-path='url(#c)'><rect class='a' x='20' width='20' height='20'/></g><use xlink:href='#p'/><use href='#p' x='9'/>"
    f"<a href='//evil.example'><path d='M1 1\n\tL9 9H3z' style='fill: rgb(1,2,3); fill-opacity:.5'/></a><image href='{PICTURE}' width='9' height='9'/>"
)


def test_what_draws_stays_and_draws_the_same():
    found = cleaned_svg(svg(DRAWING))
    assert found.notes == ()
    assert b"evil" not in found.svg
    np.testing.assert_array_equal(drawn(found.svg), drawn(svg(DRAWING)))
    assert cleaned_svg(found.svg).svg == found.svg


def test_logos_of_every_recipe_draw_the_same():
    for logo in make_logos(7, 8):
        found = cleaned_svg(logo.svg.encode())
        assert not found.notes
        np.testing.assert_array_equal(drawn(found.svg), drawn(logo.svg.encode()))


def test_an_editor_s_own_marks_go_without_a_word():
    body = '<metadata><rdf:RDF xmlns:rdf="r"><a rdf:about=""/></rdf:RDF></metadata><title>T</title><i:view xmlns:i="http://www.inkscape.org/" i:zoom="2"/>'
    found = cleaned_svg(b'<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">' + svg(body))
    assert b"view" not in found.svg
    assert found.notes == ()


def repeated(levels: int, each: int = 10) -> str:
    groups = "".join(f"<g id='g{i + 1}'>" + f"<use href='#g{i}'/>" * each + "</g>" for i in range(levels))
    return f"<defs><path id='g0' d='M0 0h1v1z'/>{groups}</defs><use href='#g{levels}'/>"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (repeated(9), "with what it repeats"),
        ("<g id='a'><use href='#b'/></g><g id='b'><use href='#a'/></g>", "within itself"),
        ("<g id='a'><use href='#a'/></g>", "within itself"),
        ("<g>" * 300 + "</g>" * 300, "nested more than 200 deep"),
        ("<path/>" * (svg_source.MAX_ELEMENTS + 1), "more than 100,000 elements"),
        ("<rect>", "well-formed"),
        ("&nope;", "well-formed"),
        ("<text>Logo</text>", "live text"),
    ],
    ids=["repeats", "a circle of two", "a circle of one", "depth", "elements", "cut", "unknown entity", "text"],
)
def test_what_takes_for_ever_is_refused(body, told):
    with pytest.raises(PictureError, match=told):
        cleaned_svg(svg(body))


def test_a_few_repeats_are_fine():
    assert b"use" in cleaned_svg(svg(repeated(3))).svg


@pytest.mark.parametrize(
    "subset",
    [
        '<!ENTITY a "b">',
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a SYSTEM "http://evil.example/a.dtd"> %a;',
    ],
)
def test_entities_are_refused(subset):
    with pytest.raises(PictureError, match="declares entities"):
        cleaned_svg(f"<!DOCTYPE svg [{subset}]>".encode() + svg(""))


def test_pictures_inside_an_svg_have_a_limit_of_pixels(monkeypatch):
    monkeypatch.setattr(svg_source, "MAX_EMBEDDED_PIXELS", 48 * 48)
    once = f"<image href='{PICTURE}' width='9' height='9'/>"
    assert b"image" in cleaned_svg(svg(once)).svg
    with pytest.raises(PictureError, match="pictures inside it have more than 2,304 pixels"):
        cleaned_svg(svg(once * 2))
