"""Palettes of finished SVGs: fewer colours, similar ones merged, or only those of a list, without tracing again.

Outlines stay as they are; only what they are filled with changes, so that edges keep their curves. A gradient takes the nearest colours for its
stops, and becomes flat where these are equal. Knows nothing of scores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from core.errors import ParamError, RasterError
from core.tracing.colours import lab
from core.tracing.raster import rasterizer

Background = Literal["keep", "remove", "everywhere"]
BACKGROUNDS: tuple[Background, ...] = get_args(Background)
MOST_COLOURS, MOST_MERGED = 256, 100.0
_DRAWN_SIDE = 192  # pixels, longest side at which areas are counted
_FILL = re.compile(r'(?P<name>fill|stop-color)="(?P<colour>#[0-9A-Fa-f]{3,8}|[a-zA-Z]+)"')
_PAINTED = re.compile(r"<path\b(?![^>]*\bfill=)")  # black, unless its group is painted
_PAINTED_ROOT = re.compile(r"<svg\b[^>]*\bfill=")
_GRADIENT = re.compile(r'<(?P<kind>linearGradient|radialGradient)\b[^>]*\bid="(?P<id>[^"]+)"[^>]*>(?P<stops>.*?)</(?P=kind)>', re.DOTALL)
_STOP_COLOUR = re.compile(r'stop-color="([^"]+)"')
_ROOT = re.compile(r"<svg\b")
_BLACK = "#000000"


@dataclass(frozen=True)
class Palette:
    """What is done to the colours of a result.

    ``max_colours``: as many at most, 0 means any number; ``merge``: colours closer than this CIELAB distance become one; ``brand``: the only
    colours there may be, "#rrggbb"; ``background``: "remove" makes the colour around the logo transparent, "everywhere" that colour in it too.
    """

    max_colours: int = 0
    merge: float = 0.0
    brand: tuple[str, ...] = ()
    background: Background = "keep"

    @property
    def changes_colours(self) -> bool:
        return bool(self.max_colours or self.merge or self.brand)

    @property
    def is_plain(self) -> bool:
        return not self.changes_colours and self.background == "keep"


def palette_of(max_colours: int = 0, merge: float = 0.0, brand: str = "", background: str = "keep") -> Palette:
    """From what a person gave; ``brand``: colours separated by commas or blanks.

    Raises:
        ParamError: a colour or a number is not one that is allowed.
    """
    if not 0 <= max_colours <= MOST_COLOURS:
        raise ParamError(f"the number of colours is {max_colours}, not 0 (any number) to {MOST_COLOURS}")
    if not 0 <= merge <= MOST_MERGED:  # NaN too
        raise ParamError(f"the distance of merged colours is {merge:g}, not 0 to {MOST_MERGED:g}")
    known = next((each for each in BACKGROUNDS if each == background), None)
    if known is None:
        raise ParamError(f"background {background!r} is not one of {', '.join(BACKGROUNDS)}")
    colours = [_long(text) for text in re.split(r"[\s,;]+", brand.strip()) if text]
    if len(colours) > MOST_COLOURS:
        raise ParamError(f"{len(colours)} brand colours are more than {MOST_COLOURS}")
    return Palette(max_colours, float(merge), tuple(dict.fromkeys(colours)), known)


def colours_of(svg: str) -> list[str]:
    """The colours that an SVG of ours names, "#rrggbb", each once."""
    found = [_long(match["colour"]) for match in _FILL.finditer(svg) if match["colour"] not in ("none", "transparent")]
    if _PAINTED.search(svg) and not _PAINTED_ROOT.search(svg):
        found.append(_BLACK)
    return list(dict.fromkeys(found))


def recoloured(svg: str, palette: Palette, width: int, height: int) -> str:
    """The same outlines in the palette's colours; the SVG itself where there is nothing to do or it can't be read. Sides in pixels."""
    if not palette.changes_colours or not svg:
        return svg
    try:
        names = colours_of(svg)
        new = dict(zip(names, _chosen(names, palette, _weights(svg, names, width, height)), strict=True)) if names else {}
    except (ParamError, RasterError):
        return svg
    if all(old == to for old, to in new.items()):
        return svg
    changed = _FILL.sub(lambda found: _replaced(found, new), svg)
    if new.get(_BLACK, _BLACK) != _BLACK:  # what has no fill of its own takes that of the document
        changed = _ROOT.sub(f'<svg fill="{new[_BLACK]}"', changed, count=1)
    return _flattened(changed)


def _replaced(found: re.Match[str], new: dict[str, str]) -> str:
    if found["colour"] in ("none", "transparent"):
        return found.group()
    return f'{found["name"]}="{new[_long(found["colour"])]}"'


def _flattened(svg: str) -> str:
    """Gradients whose stops are all of one colour and opaque become that colour."""
    flat: dict[str, str] = {}
    for found in _GRADIENT.finditer(svg):
        colours = set(_STOP_COLOUR.findall(found["stops"]))
        if len(colours) == 1 and "stop-opacity" not in found["stops"]:
            flat[found["id"]] = colours.pop()
            svg = svg.replace(found.group(), "")
    for name, colour in flat.items():
        svg = svg.replace(f'"url(#{name})"', f'"{colour}"')
    return svg.replace("<defs></defs>", "")


def _chosen(names: Sequence[str], palette: Palette, weights: NDArray[np.float64]) -> list[str]:
    """What each colour becomes."""
    if palette.brand:
        places, goal = _places(names), _places(palette.brand)
        nearest = ((places[:, None] - goal[None]) ** 2).sum(axis=2).argmin(axis=1)
        names = [palette.brand[int(i)] for i in nearest]
    kept = list(dict.fromkeys(names))
    areas = np.array([sum(w for w, n in zip(weights, names, strict=True) if n == name) for name in kept])
    merged = _merged(kept, areas, palette.max_colours, palette.merge)
    return [merged[name] for name in names]


def _merged(names: list[str], weights: NDArray[np.float64], most: int, distance: float) -> dict[str, str]:
    """{colour: what it becomes}; each group takes the colour of its largest area."""
    places = _places(names)
    groups = {i: [i] for i in range(len(names))}
    masses = weights.astype(float) + 1e-6
    while len(groups) > 1:
        ids = np.array(list(groups))
        off = np.sqrt(((places[ids][:, None] - places[ids][None]) ** 2).sum(axis=2))
        np.fill_diagonal(off, np.inf)
        if off.min() <= distance:
            i, j = np.unravel_index(int(off.argmin()), off.shape)
        elif most and len(groups) > most:  # least error first: small areas go to what is near them
            mass = masses[ids]
            cost = off**2 * mass[:, None] * mass[None] / (mass[:, None] + mass[None])
            i, j = np.unravel_index(int(cost.argmin()), cost.shape)
        else:
            break
        a, b = sorted((int(ids[i]), int(ids[j])), key=lambda k: -masses[k])
        groups[a] += groups.pop(b)
        masses[a] += masses[b]
    return {names[member]: names[head] for head, members in groups.items() for member in members}


def _weights(svg: str, names: Sequence[str], width: int, height: int) -> NDArray[np.float64]:
    """The share of what is drawn that is nearest to each colour."""
    times = min(_DRAWN_SIDE / max(width, height, 1), 1.0)
    drawn = rasterizer().draw_rgba(svg.encode(), max(round(width * times), 1), max(round(height * times), 1))
    pixels = drawn[drawn[..., 3] >= 128][:, :3]
    if not len(pixels):
        return np.ones(len(names))
    found, counts = np.unique(pixels, axis=0, return_counts=True)
    places, goal = lab(found[None])[0], _places(names)
    nearest = np.concatenate([((part[:, None] - goal[None]) ** 2).sum(axis=2).argmin(axis=1) for part in np.array_split(places, 64)])
    return np.bincount(nearest, counts, minlength=len(names)) / counts.sum()


def _places(colours: Sequence[str]) -> NDArray[np.float32]:
    """CIELAB, shape (number of colours, 3)."""
    rgb = np.array([[ImageColor.getrgb(colour)[:3] for colour in colours]], np.uint8)
    return lab(rgb)[0]


def _long(colour: str) -> str:
    """ "#rrggbb" of a colour as SVG or a person writes it."""
    text = colour if colour.startswith("#") or not re.fullmatch(r"[0-9A-Fa-f]{6}|[0-9A-Fa-f]{3}", colour) else f"#{colour}"
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise ParamError(f"{colour!r} is not a colour; write it as #0f6e84") from error
    return f"#{red:02x}{green:02x}{blue:02x}"
