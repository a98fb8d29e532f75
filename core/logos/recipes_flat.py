"""Recipes of procedural logos in flat colours: simple marks and text."""

from __future__ import annotations

import numpy as np

from core.logos import drawing as d
from core.logos.drawing import MID, SIZE, Rng, background


def interlocking_rings(rng: Rng) -> str:
    n, colours = int(rng.integers(2, 5)), d.palette(rng, 4)
    r, width = 200 / n + 25, rng.uniform(14, 40)
    body = "".join(
        d.ring(MID + (k - (n - 1) / 2) * r * 1.25, MID + (k % 2) * rng.uniform(0, 60), r - width / 2, width, colours[k % 4])
        for k in range(n)
    )
    return d.document(SIZE, SIZE, body, background=background(rng))


def initial_in_shape(rng: Rng) -> str:
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


def petals(rng: Rng) -> str:
    n, colours = int(rng.integers(3, 7)), d.palette(rng, 3)
    w, h = rng.uniform(30, 75), rng.uniform(80, 105)
    petal = f'<ellipse cx="256" cy="{d.number(256 - h)}" rx="{d.number(w)}" ry="{d.number(h)}" fill="{{}}"/>'
    turn = rng.uniform(0, 90)
    body = "".join(d.rotated(petal.format(colours[k % 3]), turn + 360 * k / n, MID, MID) for k in range(n))
    if rng.random() < 0.5:
        body += d.circle(MID, MID, rng.uniform(20, 60), d.pick(rng, ["#ffffff", colours[0]]))
    return d.document(SIZE, SIZE, body, background=background(rng))


def burst(rng: Rng) -> str:
    colours, n = d.palette(rng, 2), int(rng.integers(4, 14))
    inner = rng.uniform(0.3, 0.75) * 220
    points = d.star_points(MID, MID, 220, inner, n, rng.random())
    body = d.path(d.smooth_path(points) if rng.random() < 0.3 else d.line_path(points), colours[0])
    if rng.random() < 0.6:
        body += d.circle(MID, MID, inner * rng.uniform(0.4, 0.8), d.pick(rng, ["#ffffff", colours[1]]))
    return d.document(SIZE, SIZE, body, background=background(rng))


def chevrons(rng: Rng) -> str:
    colours, n = d.palette(rng, 4), int(rng.integers(2, 5))
    thick, slope = rng.uniform(35, 320 / n), rng.uniform(40, 150)
    body = ""
    for k in range(n):
        y = 120 + k * 300 / n
        points = [(70, y + slope), (MID, y), (442, y + slope), (442, y + slope + thick), (MID, y + thick), (70, y + slope + thick)]
        body += d.path(d.line_path(points), colours[k % 4])
    return d.document(SIZE, SIZE, d.rotated(body, d.pick(rng, [0, 90, 180, 270, 45]), MID, MID), background=background(rng))


def slices(rng: Rng) -> str:
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


def blobs(rng: Rng) -> str:
    colours = d.palette(rng, 3)
    body = d.path(d.blob(rng, MID, MID, 200, int(rng.integers(4, 10)), rng.uniform(0.05, 0.25)), colours[0])
    for k in range(int(rng.integers(0, 3))):
        centre = rng.uniform(190, 320, 2)
        fill = "#ffffff" if k == 0 else colours[k]
        body += d.path(d.blob(rng, centre[0], centre[1], rng.uniform(40, 90), 5, 0.15), fill)
    return d.document(SIZE, SIZE, body, background=background(rng))


def tiles(rng: Rng) -> str:
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
    return d.document(SIZE, SIZE, d.rotated(inner, turn, MID, MID), background=background(rng))


def symbol(rng: Rng, cx: float, cy: float, r: float, colours: list[str]) -> str:
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


def wordmark(rng: Rng, with_symbol: bool, with_tagline: bool) -> str:
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
        body += symbol(rng, x + 42 * scale, base - 33 * scale, 42 * scale, colours[1:])
        x += symbol_width * scale
    body += d.text_outlines(text, typeface, size * scale, x, base, fills, spacing * scale)
    if with_tagline:
        small = d.word(rng, 3) + d.word(rng, 2)
        tag_size = min(34 * scale, 0.9 * (488 - x) / max(d.text_width(small, "humanist", 1.0), 1e-6))
        body += d.text_outlines(small, "humanist", tag_size, x, base + 42 * scale, [colours[2]])
    elif rng.random() < 0.2:
        body += d.rect(x, base + 14 * scale, 488 - x, 7 * scale, colours[1])
    return d.document(SIZE, height, body, background=background(rng))


def plain_word(rng: Rng) -> str:
    return wordmark(rng, with_symbol=False, with_tagline=False)


def symbol_word(rng: Rng) -> str:
    return wordmark(rng, with_symbol=True, with_tagline=False)


def tagline_word(rng: Rng) -> str:
    return wordmark(rng, with_symbol=bool(rng.random() < 0.6), with_tagline=True)


def boxed_word(rng: Rng) -> str:
    typeface, colours = d.pick(rng, sorted(d.typefaces())), d.palette(rng, 2)
    text = d.word(rng, int(rng.integers(2, 4))).upper()
    size = 400 / max(d.text_width(text, typeface, 1.0), 1e-6)
    height = size * 0.72 + 110
    body = d.rect(16, 16, 480, height - 32, colours[0], float(rng.choice([0, 18, 60])))
    fill = d.pick(rng, ["#ffffff", "#ffffff", d.hsl(rng.random(), 0.9, 0.8)])
    return d.document(SIZE, height, body + d.text_outlines(text, typeface, size, 56, height / 2 + size * 0.35, [fill]))
