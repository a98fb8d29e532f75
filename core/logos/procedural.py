"""The built-in logos: made from a seed, in the four categories, each with its source SVG.

Guarantee: the same (seed, category, index) gives the same SVG, whatever else is made beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.logos import drawing as d
from core.logos.drawing import Rng

CATEGORIES = ("simple", "text", "gradient", "complex")
SIZE = 512.0
MID = SIZE / 2
MIN_PER_CATEGORY, MAX_PER_CATEGORY = 1, 5000


@dataclass(frozen=True)
class MadeLogo:
    """One procedural logo; ``name`` is its category and index."""

    name: str
    category: str
    svg: str


def make_logo(seed: int, category: str, index: int) -> MadeLogo:
    """Make logo ``index`` of a category."""
    rng = np.random.default_rng([seed, CATEGORIES.index(category), index])
    recipes = RECIPES[category]
    svg = recipes[index % len(recipes)](rng)
    return MadeLogo(f"{category}-{index:03d}", category, svg)


def make_logos(seed: int = 7, n_per_category: int = 60) -> list[MadeLogo]:
    """Make ``n_per_category`` logos of each category, in [1, 5000]."""
    if not MIN_PER_CATEGORY <= n_per_category <= MAX_PER_CATEGORY:
        raise ValueError(f"n_per_category = {n_per_category} is not in [{MIN_PER_CATEGORY}, {MAX_PER_CATEGORY}]")
    return [make_logo(seed, category, index) for category in CATEGORIES for index in range(n_per_category)]


def _background(rng: Rng) -> str:
    chance = rng.random()
    if chance < 0.8:
        return "#ffffff"
    return d.hsl(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.06, 0.14) if chance < 0.9 else rng.uniform(0.9, 0.97))


# --- simple: a few flat shapes


def _interlocking_rings(rng: Rng) -> str:
    n, colours = int(rng.integers(2, 5)), d.palette(rng, 4)
    r, width = 200 / n + 25, rng.uniform(14, 40)
    body = "".join(
        d.ring(MID + (k - (n - 1) / 2) * r * 1.25, MID + (k % 2) * rng.uniform(0, 60), r - width / 2, width, colours[k % 4])
        for k in range(n)
    )
    return d.document(SIZE, SIZE, body, background=_background(rng))


def _initial_in_shape(rng: Rng) -> str:
    colours, kind = d.palette(rng, 2), int(rng.integers(4))
    if kind == 0:
        body = d.circle(MID, MID, 215, colours[0])
    elif kind == 1:
        body = d.rect(50, 50, 412, 412, colours[0], rng.uniform(0, 120))
    else:
        points = d.polygon_points(MID, MID, 225, int(rng.integers(5, 9)), rng.random())
        body = d.path(d.line_path(points) if kind == 2 else d.smooth_path(points), colours[0])
    typeface = d.pick(rng, sorted(d.typefaces()))
    letter = chr(65 + int(rng.integers(26)))
    size = rng.uniform(230, 330)
    x = MID - d.text_width(letter, typeface, size) / 2
    fill = "#ffffff" if rng.random() < 0.7 else d.hsl(rng.random(), 0.8, 0.85)
    return d.document(SIZE, SIZE, body + d.text_outlines(letter, typeface, size, x, MID + size * 0.35, [fill]))


def _petals(rng: Rng) -> str:
    n, colours = int(rng.integers(3, 7)), d.palette(rng, 3)
    w, h = rng.uniform(30, 75), rng.uniform(80, 105)
    petal = f'<ellipse cx="256" cy="{d.number(256 - h)}" rx="{d.number(w)}" ry="{d.number(h)}" fill="{{}}"/>'
    turn = rng.uniform(0, 90)
    body = "".join(d.rotated(petal.format(colours[k % 3]), turn + 360 * k / n, MID, MID) for k in range(n))
    if rng.random() < 0.5:
        body += d.circle(MID, MID, rng.uniform(20, 60), d.pick(rng, ["#ffffff", colours[0]]))
    return d.document(SIZE, SIZE, body, background=_background(rng))


def _burst(rng: Rng) -> str:
    colours, n = d.palette(rng, 2), int(rng.integers(4, 14))
    inner = rng.uniform(0.3, 0.75) * 220
    points = d.star_points(MID, MID, 220, inner, n, rng.random())
    body = d.path(d.smooth_path(points) if rng.random() < 0.3 else d.line_path(points), colours[0])
    if rng.random() < 0.6:
        body += d.circle(MID, MID, inner * rng.uniform(0.4, 0.8), d.pick(rng, ["#ffffff", colours[1]]))
    return d.document(SIZE, SIZE, body, background=_background(rng))


def _chevrons(rng: Rng) -> str:
    colours, n = d.palette(rng, 4), int(rng.integers(2, 5))
    thick, slope = rng.uniform(35, 320 / n), rng.uniform(40, 150)
    body = ""
    for k in range(n):
        y = 120 + k * 300 / n
        points = [(70, y + slope), (MID, y), (442, y + slope), (442, y + slope + thick), (MID, y + thick), (70, y + slope + thick)]
        body += d.path(d.line_path(points), colours[k % 4])
    return d.document(SIZE, SIZE, d.rotated(body, d.pick(rng, [0, 90, 180, 270, 45]), MID, MID), background=_background(rng))


def _slices(rng: Rng) -> str:
    colours, n, r = d.palette(rng, 4), int(rng.integers(3, 6)), 215.0
    cuts = np.sort(rng.random(n)) + rng.random()
    body, hole = "", rng.uniform(0, 120)
    for k in range(n):
        a, b = cuts[k], cuts[(k + 1) % n] + (1 if k == n - 1 else 0)
        (x1, y1), (x2, y2) = d.polygon_points(MID, MID, r, 1, a)[0], d.polygon_points(MID, MID, r, 1, b)[0]
        arc = f"M256 256L{d.number(x1)} {d.number(y1)}A{r} {r} 0 {int(b - a > 0.5)} 1 {d.number(x2)} {d.number(y2)}Z"
        body += d.path(arc, colours[k % 4])
    if hole > 40:
        body += d.circle(MID, MID, hole, "#ffffff")
    return d.document(SIZE, SIZE, body)


def _blobs(rng: Rng) -> str:
    colours = d.palette(rng, 3)
    body = d.path(d.blob(rng, MID, MID, 200, int(rng.integers(4, 10)), rng.uniform(0.05, 0.25)), colours[0])
    for k in range(int(rng.integers(0, 3))):
        centre = rng.uniform(190, 320, 2)
        fill = "#ffffff" if k == 0 else colours[k]
        body += d.path(d.blob(rng, centre[0], centre[1], rng.uniform(40, 90), 5, 0.15), fill)
    return d.document(SIZE, SIZE, body, background=_background(rng))


def _tiles(rng: Rng) -> str:
    colours, n = d.palette(rng, 4), 2
    gap, radius = rng.uniform(8, 40), rng.choice([0.0, 20.0, 60.0])
    side = (400 - gap) / n
    body = ""
    for k in range(n * n):
        x, y = 56 + (k % n) * (side + gap), 56 + (k // n) * (side + gap)
        shape = int(rng.integers(3))
        if shape == 0:
            body += d.circle(x + side / 2, y + side / 2, side / 2, colours[k])
        elif shape == 1:
            body += d.path(d.line_path([(x, y + side), (x + side, y + side), (x + side, y)]), colours[k])
        else:
            body += d.rect(x, y, side, side, colours[k], radius)
    turn = float(rng.choice([0, 0, 45]))
    inner = f'<g transform="translate(256 256) scale(0.75) translate(-256 -256)">{body}</g>' if turn else body
    return d.document(SIZE, SIZE, d.rotated(inner, turn, MID, MID), background=_background(rng))


# --- text: words as outlines, most with a small symbol


def _symbol(rng: Rng, cx: float, cy: float, r: float, colours: list[str]) -> str:
    kind = int(rng.integers(6))
    if kind == 0:
        return d.circle(cx, cy, r, colours[0]) + d.circle(cx, cy, r * rng.uniform(0.3, 0.6), "#ffffff")
    if kind == 1:
        return d.path(d.line_path(d.star_points(cx, cy, r, r * 0.45, int(rng.integers(4, 8)))), colours[0])
    if kind == 2:
        return d.rect(cx - r, cy - r, 2 * r, 2 * r, colours[0], r * 0.4) + d.circle(cx, cy, r * 0.5, colours[-1])
    if kind == 3:
        return d.path(d.line_path(d.polygon_points(cx, cy, r, int(rng.integers(3, 7)))), colours[0])
    if kind == 4:
        halves = d.rect(cx - r, cy - r, r * 0.9, 2 * r, colours[0]) + d.rect(cx + r * 0.1, cy - r, r * 0.9, 2 * r, colours[-1])
        return d.rotated(halves, float(rng.choice([0, 45])), cx, cy)
    return d.path(d.blob(rng, cx, cy, r, 6, 0.2), colours[0])


def _wordmark(rng: Rng, with_symbol: bool, with_tagline: bool) -> str:
    typeface, colours = d.pick(rng, sorted(d.typefaces())), d.palette(rng, 3)
    text = d.word(rng, int(rng.integers(2, 5)))
    text = text.upper() if typeface == "capitals" or rng.random() < 0.3 else text.capitalize() if rng.random() < 0.6 else text
    spacing = float(rng.choice([0.0, 0.0, 3.0, 8.0]))
    size = 100.0
    width = d.text_width(text, typeface, size, spacing)
    symbol_width = 110.0 if with_symbol else 0.0
    scale = 464.0 / (width + symbol_width)
    height = max((170.0 if with_tagline else 125.0) * scale + 20, 64.0)
    base = (height + 66 * scale) / 2 - (26 * scale if with_tagline else 0)
    fills = colours[:1] if rng.random() < 0.6 else colours[:2]
    body, x = "", 24.0
    if with_symbol:
        body += _symbol(rng, x + 42 * scale, base - 33 * scale, 42 * scale, colours[1:])
        x += symbol_width * scale
    body += d.text_outlines(text, typeface, size * scale, x, base, fills, spacing * scale)
    if with_tagline:
        small = d.word(rng, 3) + d.word(rng, 2)
        tag_size = min(34 * scale, 0.9 * (488 - x) / max(d.text_width(small, "humanist", 1.0), 1e-6))
        body += d.text_outlines(small, "humanist", tag_size, x, base + 42 * scale, [colours[2]])
    elif rng.random() < 0.2:
        body += d.rect(x, base + 14 * scale, 488 - x, 7 * scale, colours[1])
    return d.document(SIZE, height, body, background=_background(rng))


def _plain_word(rng: Rng) -> str:
    return _wordmark(rng, with_symbol=False, with_tagline=False)


def _symbol_word(rng: Rng) -> str:
    return _wordmark(rng, with_symbol=True, with_tagline=False)


def _tagline_word(rng: Rng) -> str:
    return _wordmark(rng, with_symbol=bool(rng.random() < 0.6), with_tagline=True)


def _boxed_word(rng: Rng) -> str:
    typeface, colours = d.pick(rng, sorted(d.typefaces())), d.palette(rng, 2)
    text = d.word(rng, int(rng.integers(2, 4))).upper()
    size = 400 / max(d.text_width(text, typeface, 1.0), 1e-6)
    height = size * 0.72 + 110
    body = d.rect(16, 16, 480, height - 32, colours[0], float(rng.choice([0, 18, 60])))
    fill = d.pick(rng, ["#ffffff", "#ffffff", d.hsl(rng.random(), 0.9, 0.8)])
    return d.document(SIZE, height, body + d.text_outlines(text, typeface, size, 56, height / 2 + size * 0.35, [fill]))


# --- gradient: shapes whose paint really varies


def _stops(rng: Rng) -> list[str]:
    hue = rng.random()
    return [
        d.hsl(hue + rng.uniform(-0.18, 0.18) * k, rng.uniform(0.6, 1), lightness)
        for k, lightness in enumerate(rng.permutation(np.linspace(0.3, 0.72, int(rng.integers(2, 4)))))
    ]


def _app_icon(rng: Rng) -> str:
    defs = d.gradient(rng, "a", _stops(rng), bool(rng.random() < 0.3))
    body = d.rect(40, 40, 432, 432, "url(#a)", rng.uniform(40, 130))
    light = d.pick(rng, ["#ffffff", "#ffffff", d.hsl(rng.random(), 0.8, 0.9)])
    if rng.random() < 0.5:
        letter, typeface = chr(65 + int(rng.integers(26))), d.pick(rng, sorted(d.typefaces()))
        body += d.text_outlines(letter, typeface, 300, MID - d.text_width(letter, typeface, 300) / 2, MID + 105, [light])
    else:
        points = d.star_points(MID, MID, 140, rng.uniform(50, 120), int(rng.integers(3, 9)), rng.random())
        body += d.path(d.smooth_path(points) if rng.random() < 0.5 else d.line_path(points), light)
    return d.document(SIZE, SIZE, body, defs)


def _sphere(rng: Rng) -> str:
    defs = d.gradient(rng, "a", _stops(rng), True) + d.gradient(rng, "b", ["#ffffff", "#ffffff"], False, 0.0)
    body = d.circle(MID, MID, 210, "url(#a)")
    body += f'<ellipse cx="{d.number(MID - 30)}" cy="150" rx="120" ry="{d.number(rng.uniform(50, 90))}" fill="url(#b)" opacity="0.6"/>'
    return d.document(SIZE, SIZE, body, defs, _background(rng))


def _gradient_petals(rng: Rng) -> str:
    n = int(rng.integers(3, 9))
    defs = "".join(d.gradient(rng, f"g{k}", _stops(rng), bool(rng.random() < 0.3)) for k in range(3))
    w, h = rng.uniform(45, 85), rng.uniform(90, 110)
    body = "".join(
        d.rotated(
            f'<ellipse cx="256" cy="{d.number(256 - h)}" rx="{d.number(w)}" ry="{d.number(h)}" fill="url(#g{k % 3})" opacity="0.85"/>',
            360 * k / n,
            MID,
            MID,
        )
        for k in range(n)
    )
    return d.document(SIZE, SIZE, body, defs)


def _swoosh(rng: Rng) -> str:
    n = int(rng.integers(2, 5))
    defs = "".join(d.gradient(rng, f"g{k}", _stops(rng), False) for k in range(n))
    body = ""
    for k in range(n):
        y, bend, thick = 130 + 250 * k / n, rng.uniform(-160, 160), rng.uniform(40, 120)
        curve = f"M40 {d.number(y)}C180 {d.number(y - bend)} 330 {d.number(y + bend)} 472 {d.number(y)}"
        back = f"L472 {d.number(y + thick)}C330 {d.number(y + bend + thick)} 180 {d.number(y - bend + thick)} 40 {d.number(y + thick)}Z"
        body += d.path(curve + back, f"url(#g{k})")
    return d.document(SIZE, SIZE, d.rotated(body, rng.uniform(-40, 40), MID, MID), defs, _background(rng))


def _gradient_blob(rng: Rng) -> str:
    defs = d.gradient(rng, "a", _stops(rng), False) + d.gradient(rng, "b", _stops(rng), True)
    body = d.path(d.blob(rng, MID, MID, 205, int(rng.integers(5, 10)), 0.16), "url(#a)")
    body += d.path(d.blob(rng, MID + rng.uniform(-40, 40), MID, 110, 6, 0.2), "url(#b)")
    return d.document(SIZE, SIZE, body, defs)


def _folded(rng: Rng) -> str:
    """Facets of a folded ribbon, each with a gradient of its own."""
    n = int(rng.integers(4, 9))
    defs = "".join(d.gradient(rng, f"g{k}", _stops(rng), False) for k in range(n))
    outer, inner = d.polygon_points(MID, MID, 225, n), d.polygon_points(MID, MID, rng.uniform(60, 140), n, rng.uniform(0, 0.2))
    body = "".join(d.path(d.line_path([outer[k], outer[(k + 1) % n], inner[(k + 1) % n], inner[k]]), f"url(#g{k})") for k in range(n))
    return d.document(SIZE, SIZE, body, defs)


def _gradient_word(rng: Rng) -> str:
    typeface = d.pick(rng, ["grotesque-black", "rounded", "geometric", "script", "slab"])
    text = d.word(rng, 1)[:2].capitalize()
    defs = d.gradient(rng, "a", _stops(rng), False) + d.gradient(rng, "b", _stops(rng), False)
    size = 400 / max(d.text_width(text, typeface, 1.0), 1e-6)
    body = d.circle(MID, MID, 225, "url(#b)") if rng.random() < 0.4 else ""
    return d.document(SIZE, SIZE, body + d.text_outlines(text, typeface, size, 56, MID + size * 0.3, ["url(#a)"]), defs)


# --- complex: emblems of many parts


def _badge(rng: Rng) -> str:
    colours, typeface = d.palette(rng, 5), d.pick(rng, ["grotesque-black", "slab", "capitals", "humanist", "typewriter"])
    body = d.path(d.line_path(d.star_points(MID, MID, 240, 225, int(rng.integers(24, 48)))), colours[0])
    body += d.circle(MID, MID, 208, "#ffffff") + d.ring(MID, MID, 196, 5, colours[1])
    body += d.text_on_circle(d.word(rng, 4).upper(), typeface, 44, MID, MID, 150, 0, colours[0])
    n_stars = int(rng.integers(5, 10))
    for k in range(n_stars):
        x, y = d.polygon_points(MID, MID, 165, 1, 0.3 + 0.4 * k / (n_stars - 1))[0]
        body += d.path(d.line_path(d.star_points(x, y, 16, 7, 5)), colours[2])
    body += d.circle(MID, MID, 118, colours[3]) + _crest(rng, colours)
    return d.document(SIZE, SIZE, body)


def _crest(rng: Rng, colours: list[str]) -> str:
    n = int(rng.integers(6, 14))
    body = "".join(
        d.rotated(f'<ellipse cx="256" cy="195" rx="13" ry="38" fill="{colours[k % 3]}"/>', 360 * k / n, MID, MID) for k in range(n)
    )
    return body + d.path(d.line_path(d.star_points(MID, MID, 52, 24, int(rng.integers(5, 9)))), "#ffffff")


def _mosaic(rng: Rng) -> str:
    colours, n = d.palette(rng, 9), int(rng.integers(4, 8))
    side = 420 / n
    body = ""
    for row in range(n):
        for column in range(n):
            if (row - n / 2 + 0.5) ** 2 + (column - n / 2 + 0.5) ** 2 > (n / 2) ** 2 * 1.1:
                continue
            x, y = 46 + column * side, 46 + row * side
            corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
            shift = int(rng.integers(4))
            ordered = corners[shift:] + corners[:shift]
            body += d.path(d.line_path(ordered[:3]), d.pick(rng, colours)) + d.path(
                d.line_path([ordered[0], ordered[2], ordered[3]]), d.pick(rng, colours)
            )
    return d.document(SIZE, SIZE, body, background=_background(rng))


def _mandala(rng: Rng) -> str:
    colours, body = d.palette(rng, 7), ""
    for layer in range(int(rng.integers(3, 6))):
        n, radius = int(rng.integers(8, 22)), 215 - layer * 42
        kind, colour = int(rng.integers(3)), colours[layer % 7]
        for k in range(n):
            x, y = d.polygon_points(MID, MID, radius, n)[k]
            if kind == 0:
                body += d.circle(x, y, rng.uniform(10, 13), colour)
            elif kind == 1:
                piece = f'<ellipse cx="{d.number(x)}" cy="{d.number(y)}" rx="10" ry="24" fill="{colour}"/>'
                body += d.rotated(piece, 360 * k / n, x, y)
            else:
                body += d.path(d.line_path(d.polygon_points(x, y, 19, 4, k / n)), colour)
        body += d.ring(MID, MID, radius - 26, 3, colours[(layer + 2) % 7])
    return d.document(SIZE, SIZE, body, background=_background(rng))


def _landscape(rng: Rng) -> str:
    colours = [d.hsl(rng.uniform(0.5, 0.7), 0.5, x) for x in (0.85, 0.7, 0.5, 0.35, 0.2)]
    body = d.circle(MID, MID, 226, colours[0]) + d.circle(rng.uniform(180, 330), 170, rng.uniform(35, 60), d.hsl(0.12, 0.9, 0.6))
    for layer in range(1, 5):
        y = 210.0 + layer * 40
        xs = np.linspace(60, 452, int(rng.integers(5, 11)))
        points = [(60.0, 420.0), *((float(x), y + rng.uniform(-55, 45)) for x in xs), (452.0, 420.0)]
        body += d.path(d.line_path(points), colours[layer])
    for _ in range(int(rng.integers(8, 20))):
        x, y, h = rng.uniform(110, 400), rng.uniform(330, 400), rng.uniform(25, 60)
        body += d.path(d.line_path([(x - h / 3, y), (x, y - h), (x + h / 3, y)]), d.hsl(0.36, 0.6, rng.uniform(0.2, 0.4)))
    frame = d.ring(MID, MID, 226, 14, colours[4])
    clip = '<clipPath id="c"><circle cx="256" cy="256" r="226"/></clipPath>'
    return d.document(SIZE, SIZE, f'<g clip-path="url(#c)">{body}</g>{frame}', clip)


def _shield(rng: Rng) -> str:
    colours = d.palette(rng, 6)
    outline = "M256 36L450 96V250C450 370 360 440 256 480C152 440 62 370 62 250V96Z"
    stripes = "".join(d.rect(62 + k * 48.5, 30, 24, 460, colours[1 + k % 3]) for k in range(8))
    body = (
        d.path(outline, colours[0]) + f'<g clip-path="url(#c)" transform="translate(256 256) scale(0.9) translate(-256 -256)">{stripes}</g>'
    )
    body += d.circle(MID, 250, 110, "#ffffff") + d.ring(MID, 250, 104, 6, colours[4])
    letter, typeface = d.word(rng, 1)[:2].upper(), d.pick(rng, ["didone", "slab", "script", "capitals"])
    size = 120.0
    body += d.text_outlines(letter, typeface, size, MID - d.text_width(letter, typeface, size) / 2, 292, [colours[5]])
    for k in range(int(rng.integers(3, 7))):
        body += d.path(d.line_path(d.star_points(130 + k * 44, 120, 15, 6, 5)), "#ffffff")
    clip = f'<clipPath id="c"><path d="{outline}"/></clipPath>'
    return d.document(SIZE, SIZE, body, clip)


def _line_art(rng: Rng) -> str:
    colours, body = d.palette(rng, 5), ""
    for _ in range(int(rng.integers(10, 24))):
        x, y, r = rng.uniform(90, 420), rng.uniform(90, 420), rng.uniform(18, 70)
        colour, width = d.pick(rng, colours), rng.uniform(3, 9)
        stroke = f'stroke="{colour}" stroke-width="{d.number(width)}" stroke-linejoin="round"'
        if rng.random() < 0.5:
            body += d.path(d.blob(rng, x, y, r, 6, 0.25), "none", stroke)
        else:
            body += d.path(d.line_path(d.polygon_points(x, y, r, int(rng.integers(3, 8)), rng.random())), "none", stroke)
    return d.document(SIZE, SIZE, body, background=_background(rng))


def _circuit(rng: Rng) -> str:
    colours, body = d.palette(rng, 4), ""
    for k in range(int(rng.integers(12, 22))):
        angle = 2 * math.pi * k / 18
        near, far = 70.0, rng.uniform(130, 215)
        x1, y1 = MID + near * math.cos(angle), MID + near * math.sin(angle)
        x2, y2 = MID + far * math.cos(angle), MID + far * math.sin(angle)
        ends = f"M{d.number(x1)} {d.number(y1)}L{d.number(x2)} {d.number(y2)}"
        body += d.path(ends, "none", f'stroke="{colours[k % 3]}" stroke-width="8"') + d.circle(x2, y2, rng.uniform(9, 18), colours[k % 3])
    body += d.rect(MID - 66, MID - 66, 132, 132, colours[3], 18) + d.rect(MID - 40, MID - 40, 80, 80, "#ffffff", 8)
    return d.document(SIZE, SIZE, body)


RECIPES: dict[str, list[Callable[[Rng], str]]] = {
    "simple": [_interlocking_rings, _initial_in_shape, _petals, _burst, _chevrons, _slices, _blobs, _tiles],
    "text": [_plain_word, _symbol_word, _tagline_word, _boxed_word, _symbol_word],
    "gradient": [_app_icon, _sphere, _gradient_petals, _swoosh, _gradient_blob, _folded, _gradient_word],
    "complex": [_badge, _mosaic, _mandala, _landscape, _shield, _line_art, _circuit],
}
