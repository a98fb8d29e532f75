"""The finished SVG: shapes and their paints as text, in as few bytes as that takes.

Guarantee: an SVG made here holds paths, gradients and nothing else; no comment, no script, no reference beyond itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.tracing.fills import Paint, Shape, Stop

_HEAD = re.compile(r"<svg\b[^>]*>")
_ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def document(shapes: Sequence[Shape], paints: Sequence[Paint], view: tuple[int, int], size: tuple[int, int]) -> str:
    """An SVG of ``size`` (width, height: those of the original picture) that shows a trace of ``view`` pixels.

    Shapes that nothing would be seen of are left out.
    """
    gradients: dict[str, str] = {}  # {definition without its name: name}
    runs: list[tuple[str, list[str]]] = []  # (fill, paths): neighbours that share their fill
    for shape, paint in zip(shapes, paints, strict=True):
        if paint.is_clear:
            continue
        moved = f' transform="translate({shape.dx:g},{shape.dy:g})"' if shape.dx or shape.dy else ""
        fill, path = _fill(paint, gradients), f' d="{shape.d}"{moved}/>'
        if runs and runs[-1][0] == fill:
            runs[-1][1].append(path)
        else:
            runs.append((fill, [path]))
    paths = [_run(fill, found) for fill, found in runs]
    definitions = "".join(text.replace(" ", f' id="{name}" ', 1) for text, name in gradients.items())
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{size[0]}" height="{size[1]}"'
    if view != size:
        head += f' viewBox="0 0 {view[0]} {view[1]}"'
        if abs(view[0] * size[1] / size[0] - view[1]) > 0.01:  # rounded sides: a hair of a letter box otherwise
            head += ' preserveAspectRatio="none"'
    return f"{head}>{f'<defs>{definitions}</defs>' if definitions else ''}{''.join(paths)}</svg>"


def _run(fill: str, paths: list[str]) -> str:
    """Paths of one fill, in a group where that is shorter."""
    alone = "".join(f"<path{fill}{path}" for path in paths)
    grouped = f"<g{fill}>" + "".join(f"<path{path}" for path in paths) + "</g>"
    return grouped if len(grouped) < len(alone) else alone


def _fill(paint: Paint, gradients: dict[str, str]) -> str:
    """The attributes that paint a path; black is what a path has by itself."""
    if paint.is_gradient:
        text = _gradient(paint)
        name = gradients.setdefault(text, _name(len(gradients)))
        return f' fill="url(#{name})"'
    stop = paint.stops[0]
    colour = short(stop.colour)
    opacity = f' fill-opacity="{_number(stop.opacity)}"' if stop.opacity < 1 else ""
    return (f' fill="{colour}"' if colour != "#000" else "") + opacity


def sized(svg: str, width: int, height: int) -> str:
    """The same with another width and height; what it shows is stretched to them."""
    head = _HEAD.search(svg)
    if head is None:
        return svg
    told = dict(_ATTRIBUTE.findall(head.group()))
    if "width" not in told or "height" not in told:
        return svg
    view = "" if "viewBox" in told else f' viewBox="0 0 {told["width"]} {told["height"]}"'
    if "preserveAspectRatio" not in told:
        view += ' preserveAspectRatio="none"'  # a rounded side would leave a hair of a letter box
    new = head.group().replace(f' width="{told["width"]}"', f' width="{width}"', 1)
    new = new.replace(f' height="{told["height"]}"', f' height="{height}"{view}', 1)
    return svg[: head.start()] + new + svg[head.end() :]


def _gradient(paint: Paint) -> str:
    """A definition; its first blank is where its name goes."""
    stops = "".join(_stop(stop) for stop in paint.stops)
    places = [_number(value, 1 if abs(value) < 100 else 0) for value in paint.points]
    if len(places) == 3:
        cx, cy, r = places
        return f'<radialGradient gradientUnits="userSpaceOnUse" cx="{cx}" cy="{cy}" r="{r}">{stops}</radialGradient>'
    x1, y1, x2, y2 = places
    return f'<linearGradient gradientUnits="userSpaceOnUse" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}">{stops}</linearGradient>'


def _stop(stop: Stop) -> str:
    offset = f' offset="{_number(stop.offset, 3)}"' if stop.offset > 0 else ""
    opacity = f' stop-opacity="{_number(stop.opacity)}"' if stop.opacity < 1 else ""
    return f'<stop{offset} stop-color="{short(stop.colour)}"{opacity}/>'


def _name(place: int) -> str:
    """a, b, … z, aa, ab, …"""
    name = ""
    place += 1
    while place:
        place, letter = divmod(place - 1, len(_LETTERS))
        name = _LETTERS[letter] + name
    return name


def short(colour: str) -> str:
    """ "#rgb" for an "#rrggbb" that allows it, in lower case."""
    colour = colour.lower()
    return f"#{colour[1]}{colour[3]}{colour[5]}" if len(colour) == 7 and colour[1::2] == colour[2::2] else colour


def _number(value: float, decimals: int = 2) -> str:
    """As short as it can be: ".5", "-3", "0"."""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    text = "0" if text in ("-0", "") else text
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text
