"""SVGs held against the vector that their picture was made of: where the source lies in it, a process of its own, its limit of time."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from core.errors import RasterError
from core.evaluation.vectors import judge_apart
from core.tracing.raster import rasterizer
from core.tracing.vector_judge import draw_with_resvg, find_place, placed
from tests.support.command_line import core

SOURCE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 80">
<path d="M10 10h60l40 60h-70z" fill="#1e78dc"/><circle cx="85" cy="25" r="14" fill="#dc3c1e"/></svg>"""
OTHER = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 80"><rect width="120" height="80" fill="#104010"/></svg>'
BLURS = "".join(f'<g filter="url(#f)"><circle cx="{k}" cy="{k}" r="40" fill="#1e78dc"/></g>' for k in range(0, 500, 2))
SLOW = f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 500 500">
<filter id="f" x="-2" y="-2" width="5" height="5"><feGaussianBlur stdDeviation="90"/></filter>{BLURS}</svg>"""


def pictured(source: str, x: float, y: float, width: float, size: tuple[int, int]):
    """A picture of ``size`` with the source at a place in it, on white, and that place."""
    place = find_place(source, draw_with_resvg(source, 120, 80))
    there = type(place)(x, y, width, width * 80 / 120, 0.0)
    return draw_with_resvg(placed(source, there, size), *size), there


@pytest.mark.parametrize(
    ("x", "y", "width", "size"), [(0, 0, 240, (240, 160)), (13.4, 40.7, 200.0, (256, 256)), (-6.5, 3.3, 500, (520, 400))]
)
def test_the_place_of_a_source_in_its_picture_is_found(x, y, width, size):
    picture, there = pictured(SOURCE, x, y, width, size)
    found = find_place(SOURCE, picture)
    assert found.x == pytest.approx(there.x, abs=0.002 * max(size))
    assert found.y == pytest.approx(there.y, abs=0.002 * max(size))
    assert found.width == pytest.approx(there.width, rel=0.004)
    assert found.difference < 1


@pytest.mark.parametrize("unit", ["", "px", "pt", "pc", "mm", "cm", "in", "em", "ex", "%"])
def test_a_size_in_any_unit_is_drawn(unit):
    """As potrace and drawing programs write it."""
    sized = SOURCE.replace("<svg ", f"<svg width=\"30.0{unit}\" height = '20{unit}' ")
    expected = draw_with_resvg(SOURCE, 120, 80).astype(int)
    assert np.abs(draw_with_resvg(sized, 120, 80) - expected).mean() < 1
    picture, there = pictured(SOURCE, 8, 12, 220, (256, 180))
    assert find_place(sized, picture).x == pytest.approx(there.x, abs=0.6)


def test_the_page_s_judge_and_the_command_line_s_say_the_same(tmp_path, home):
    picture, _ = pictured(SOURCE, 8, 12, 220, (256, 180))
    itself = placed(SOURCE, find_place(SOURCE, picture), (256, 180))
    apart = judge_apart(SOURCE, picture, [itself, OTHER, "no svg"])
    assert not isinstance(apart[0], str)
    assert not isinstance(apart[1], str)
    assert isinstance(apart[2], str)
    assert apart[0].visual < 0.02 < 0.3 < apart[1].visual
    files = {"source.svg": SOURCE, "a.svg": itself, "b.svg": OTHER}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    Image.fromarray(picture).save(tmp_path / "p.png")
    done = core("logos", "judge", *(str(tmp_path / name) for name in ("source.svg", "p.png", "a.svg", "b.svg")), "--json", home=home)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])["svgs"]
    assert [row["structure"] for row in rows] == [each.structure for each in apart[:2]]


@pytest.mark.parametrize("is_clear", [False, True])
def test_a_drawing_that_reaches_into_the_corner_is_found(is_clear):
    """An opaque picture's corner is its ground as a rule; a clear picture's ground is known."""
    to_the_edge = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 80">
<path d="M0 0h50l30 80h-50z" fill="#dc3c1e"/><path d="M70 0h50l-40 60z" fill="#1e78dc"/></svg>"""
    opaque = draw_with_resvg(to_the_edge, 240, 160)
    picture = rasterizer().draw_rgba(to_the_edge.encode(), 240, 160) if is_clear else opaque
    assert picture.shape[2] == (4 if is_clear else 3)
    (found,) = judge_apart(to_the_edge, picture, [placed(to_the_edge, find_place(to_the_edge, opaque), (240, 160))])
    assert not isinstance(found, str), found
    assert found.visual < 0.02


def test_a_picture_of_something_else_is_said_in_one_line(tmp_path, home):
    black = np.zeros((80, 120, 3), np.uint8)
    black[:, :5] = 255
    with pytest.raises(RasterError, match="was not made from this source"):
        judge_apart(SOURCE, black, [OTHER])
    Image.fromarray(black).save(tmp_path / "p.png")
    (tmp_path / "s.svg").write_text(SOURCE)
    for source, told in (
        (tmp_path / "s.svg", "was not made from this source"),
        (tmp_path / "p.png", "is not a readable SVG"),
        (tmp_path / "none.svg", "is not a readable SVG"),
    ):
        done = core("logos", "judge", str(source), str(tmp_path / "p.png"), str(tmp_path / "s.svg"), home=home)
        assert done.returncode == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr


def test_a_vector_that_takes_too_long_to_draw_is_given_up():
    """Any other limit would hold the page, and Python's lock with it: the drawing itself can't be interrupted."""
    with pytest.raises(RasterError, match="takes over 2 seconds, which is the limit"):
        judge_apart(SLOW, pictured(SOURCE, 0, 0, 240, (240, 160))[0], [OTHER], limit_s=2)
