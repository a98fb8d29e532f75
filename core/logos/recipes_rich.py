"""Recipes of procedural logos with gradients and many parts: gradient and complex."""

from __future__ import annotations

import math

import numpy as np

from core.logos import drawing as d
from core.logos.drawing import MID, SIZE, Rng, background


def stops(rng: Rng) -> list[str]:
    hue = rng.random()
    return [
        d.hsl(hue + rng.uniform(-0.18, 0.18) * k, rng.uniform(0.6, 1), lightness)
        for k, lightness in enumerate(rng.permutation(np.linspace(0.3, 0.72, int(rng.integers(2, 4)))))
    ]


def app_icon(rng: Rng) -> str:
    defs = d.gradient(rng, "a", stops(rng), bool(rng.random() < 0.3))
    body = d.rect(40, 40, 432, 432, "url(#a)", rng.uniform(40, 130))
    light = d.pick(rng, ["#ffffff", "#ffffff", d.hsl(rng.random(), 0.8, 0.9)])
    if rng.random() < 0.5:
        letter, typeface = chr(65 + int(rng.integers(26))), d.pick(rng, sorted(d.typefaces()))
        body += d.text_outlines(letter, typeface, 300, MID - d.text_width(letter, typeface, 300) / 2, MID + 105, [light])
    else:
        points = d.star_points(MID, MID, 140, rng.uniform(50, 120), int(rng.integers(3, 9)), rng.random())
        body += d.path(d.smooth_path(points) if rng.random() < 0.5 else d.line_path(points), light)
    return d.document(SIZE, SIZE, body, defs)


def sphere(rng: Rng) -> str:
    defs = d.gradient(rng, "a", stops(rng), True) + d.gradient(rng, "b", ["#ffffff", "#ffffff"], False, 0.0)
    body = d.circle(MID, MID, 210, "url(#a)")
    body += f'<ellipse cx="{d.number(MID - 30)}" cy="150" rx="120" ry="{d.number(rng.uniform(50, 90))}" fill="url(#b)" opacity="0.6"/>'
    return d.document(SIZE, SIZE, body, defs, background(rng))


def gradient_petals(rng: Rng) -> str:
    n = int(rng.integers(3, 9))
    defs = "".join(d.gradient(rng, f"g{k}", stops(rng), bool(rng.random() < 0.3)) for k in range(3))
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


def swoosh(rng: Rng) -> str:
    n = int(rng.integers(2, 5))
    defs = "".join(d.gradient(rng, f"g{k}", stops(rng), False) for k in range(n))
    body = ""
    for k in range(n):
        y, bend, thick = 130 + 250 * k / n, rng.uniform(-160, 160), rng.uniform(40, 120)
        curve = f"M40 {d.number(y)}C180 {d.number(y - bend)} 330 {d.number(y + bend)} 472 {d.number(y)}"
        back = f"L472 {d.number(y + thick)}C330 {d.number(y + bend + thick)} 180 {d.number(y - bend + thick)} 40 {d.number(y + thick)}Z"
        body += d.path(curve + back, f"url(#g{k})")
    return d.document(SIZE, SIZE, d.rotated(body, rng.uniform(-40, 40), MID, MID), defs, background(rng))


def gradient_blob(rng: Rng) -> str:
    defs = d.gradient(rng, "a", stops(rng), False) + d.gradient(rng, "b", stops(rng), True)
    body = d.path(d.blob(rng, MID, MID, 205, int(rng.integers(5, 10)), 0.16), "url(#a)")
    body += d.path(d.blob(rng, MID + rng.uniform(-40, 40), MID, 110, 6, 0.2), "url(#b)")
    return d.document(SIZE, SIZE, body, defs)


def folded(rng: Rng) -> str:
    """Facets of a folded ribbon, each with a gradient of its own."""
    n = int(rng.integers(4, 9))
    defs = "".join(d.gradient(rng, f"g{k}", stops(rng), False) for k in range(n))
    outer, inner = d.polygon_points(MID, MID, 225, n), d.polygon_points(MID, MID, rng.uniform(60, 140), n, rng.uniform(0, 0.2))
    body = "".join(d.path(d.line_path([outer[k], outer[(k + 1) % n], inner[(k + 1) % n], inner[k]]), f"url(#g{k})") for k in range(n))
    return d.document(SIZE, SIZE, body, defs)


def gradient_word(rng: Rng) -> str:
    typeface = d.pick(rng, ["grotesque-black", "rounded", "geometric", "script", "slab"])
    text = d.word(rng, 1)[:2].capitalize()
    defs = d.gradient(rng, "a", stops(rng), False) + d.gradient(rng, "b", stops(rng), False)
    size = 400 / max(d.text_width(text, typeface, 1.0), 1e-6)
    body = d.circle(MID, MID, 225, "url(#b)") if rng.random() < 0.4 else ""
    return d.document(SIZE, SIZE, body + d.text_outlines(text, typeface, size, 56, MID + size * 0.3, ["url(#a)"]), defs)


def badge(rng: Rng) -> str:
    colours, typeface = d.palette(rng, 5), d.pick(rng, ["grotesque-black", "slab", "capitals", "humanist", "typewriter"])
    body = d.path(d.line_path(d.star_points(MID, MID, 240, 225, int(rng.integers(24, 48)))), colours[0])
    body += d.circle(MID, MID, 208, "#ffffff") + d.ring(MID, MID, 196, 5, colours[1])
    body += d.text_on_circle(d.word(rng, 4).upper(), typeface, 44, MID, MID, 150, 0, colours[0])
    n_stars = int(rng.integers(5, 10))
    for k in range(n_stars):
        x, y = d.polygon_points(MID, MID, 165, 1, 0.3 + 0.4 * k / (n_stars - 1))[0]
        body += d.path(d.line_path(d.star_points(x, y, 16, 7, 5)), colours[2])
    body += d.circle(MID, MID, 118, colours[3]) + crest(rng, colours)
    return d.document(SIZE, SIZE, body)


def crest(rng: Rng, colours: list[str]) -> str:
    n = int(rng.integers(6, 14))
    body = "".join(
        d.rotated(f'<ellipse cx="256" cy="195" rx="13" ry="38" fill="{colours[k % 3]}"/>', 360 * k / n, MID, MID) for k in range(n)
    )
    return body + d.path(d.line_path(d.star_points(MID, MID, 52, 24, int(rng.integers(5, 9)))), "#ffffff")


def mosaic(rng: Rng) -> str:
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
    return d.document(SIZE, SIZE, body, background=background(rng))


def mandala(rng: Rng) -> str:
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
    return d.document(SIZE, SIZE, body, background=background(rng))


def landscape(rng: Rng) -> str:
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


def shield(rng: Rng) -> str:
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


def line_art(rng: Rng) -> str:
    colours, body = d.palette(rng, 5), ""
    for _ in range(int(rng.integers(10, 24))):
        x, y, r = rng.uniform(90, 420), rng.uniform(90, 420), rng.uniform(18, 70)
        colour, width = d.pick(rng, colours), rng.uniform(3, 9)
        stroke = f'stroke="{colour}" stroke-width="{d.number(width)}" stroke-linejoin="round"'
        if rng.random() < 0.5:
            body += d.path(d.blob(rng, x, y, r, 6, 0.25), "none", stroke)
        else:
            body += d.path(d.line_path(d.polygon_points(x, y, r, int(rng.integers(3, 8)), rng.random())), "none", stroke)
    return d.document(SIZE, SIZE, body, background=background(rng))


def circuit(rng: Rng) -> str:
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
