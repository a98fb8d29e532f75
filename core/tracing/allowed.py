"""What an SVG of ours may hold, looked at before it is written or handed out: paths, groups, gradients, and values that only draw.

VTracer, the fills and the minifier make nothing else; so whatever is found beside these is a fault, or was put into a folder by somebody.
"""

from __future__ import annotations

import re
from typing import NoReturn
from xml.parsers import expat

from core.errors import SvgError

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBERS = r"[\d\s.,eE+-]*"
_COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}|[a-zA-Z]{1,30}|url\(#[A-Za-z][\w-]{0,60}\)")
_LENGTH = re.compile(rf"{_NUMBER}(?:px|%)?")
_NAME = re.compile(r"[A-Za-z][\w-]{0,60}")
_MOVED = re.compile(rf"(?:(?:translate|scale|rotate|matrix)\({_NUMBERS}\)\s*)*")
_UNITS = re.compile("userSpaceOnUse|objectBoundingBox")
_PAINT = {
    "fill": _COLOUR, "fill-opacity": _LENGTH, "opacity": _LENGTH, "fill-rule": re.compile("evenodd|nonzero"), "transform": _MOVED, "id": _NAME,
}  # fmt: skip
_GRADIENT = {"id": _NAME, "gradientUnits": _UNITS, "gradientTransform": _MOVED}
_ALLOWED: dict[str, dict[str, re.Pattern[str]]] = {
    "svg": {
        "xmlns": re.compile(re.escape("http://www.w3.org/2000/svg")),
        "version": re.compile(r"1\.[01]"),
        "width": _LENGTH,
        "height": _LENGTH,
        "viewBox": re.compile(_NUMBERS),
        "preserveAspectRatio": re.compile("none|x(?:Min|Mid|Max)Y(?:Min|Mid|Max)(?: meet| slice)?"),
    },
    "defs": {},
    "g": _PAINT,
    "path": _PAINT | {"d": re.compile(r"[MmLlHhVvCcSsQqTtAaZz\d\s.,eE+-]*")},
    "linearGradient": _GRADIENT | dict.fromkeys(("x1", "y1", "x2", "y2"), _LENGTH),
    "radialGradient": _GRADIENT | dict.fromkeys(("cx", "cy", "r", "fx", "fy"), _LENGTH),
    "stop": {"offset": _LENGTH, "stop-color": _COLOUR, "stop-opacity": _LENGTH},
}
_GENERATOR = re.compile(r" Generator: visioncortex VTracer [\w.-]{0,30} ")


def checked(svg: str | bytes) -> bytes:
    """The SVG as bytes, if it holds what VTracer and the fills draw, and nothing else.

    Raises:
        SvgError: it holds anything else, or is not well-formed.
    """
    parser = expat.ParserCreate()
    parser.StartElementHandler = _check_element
    parser.CharacterDataHandler = _check_text
    parser.CommentHandler = _check_comment
    parser.StartDoctypeDeclHandler = lambda *_: _refuse("a document type")
    parser.ProcessingInstructionHandler = lambda *_: _refuse("a processing instruction")
    data = svg.encode(errors="replace") if isinstance(svg, str) else svg
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise SvgError(f"this SVG is not well-formed ({error}), so it can't be used") from error
    return data


def _check_element(name: str, attributes: dict[str, str]) -> None:
    allowed = _ALLOWED.get(name)
    if allowed is None:
        _refuse(f"<{name[:40]}>")
    for attribute, value in attributes.items():
        pattern = allowed.get(attribute)
        if pattern is None or not pattern.fullmatch(value):
            _refuse(f'{attribute[:40]}="{value[:40]}" in <{name}>')


def _check_text(found: str) -> None:
    if found.strip():
        _refuse(f"the text {found.strip()[:40]!r}")


def _check_comment(found: str) -> None:
    if not _GENERATOR.fullmatch(found):
        _refuse("a comment")


def _refuse(what: str) -> NoReturn:
    raise SvgError(f"this SVG holds {what}, which no tracer of ours draws, so it can't be used")
