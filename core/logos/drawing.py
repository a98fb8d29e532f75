"""SVG building blocks of the procedural logos: colours, shapes, gradients and lettering as outlines.

Pure functions that build strings from a NumPy generator; the same generator state gives the same text.
"""

from __future__ import annotations

import colorsys
import functools
import json
import math
from importlib import resources
from typing import Any

import numpy as np

Rng = np.random.Generator
CONSONANTS, VOWELS = "bcdfghklmnprstvz", "aeiou"
SIZE = 512.0
MID = SIZE / 2


@functools.cache
def typefaces() -> dict[str, dict[str, tuple[int, str]]]:
    """{typeface: {character: (advance, path)}}, 1000 units per em."""
    text = resources.files("core.logos").joinpath("glyphs.json").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, tuple[int, str]]] = json.loads(text)["typefaces"]
    return loaded


def pick(rng: Rng, options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def hsl(hue: float, saturation: float, lightness: float) -> str:
    """A colour; hue in turns, the others in [0, 1]."""
    r, g, b = colorsys.hls_to_rgb(hue % 1, min(max(lightness, 0), 1), min(max(saturation, 0), 1))
    return f"#{round(r * 255):02x}{round(g * 255):02x}{round(b * 255):02x}"


def palette(rng: Rng, n: int) -> list[str]:
    """``n`` harmonious colours: analogous, complementary, triadic, or one hue at several lightnesses."""
    hue, scheme = rng.random(), int(rng.integers(5))
    colours = []
    for i in range(n):
        if scheme == 0:
            h = hue + 0.07 * i
        elif scheme == 1:
            h = hue + 0.5 * (i % 2) + 0.03 * i
        elif scheme == 2:
            h = hue + i / 3
        else:
            h = hue
        saturation = 0.0 if scheme == 4 else rng.uniform(0.55, 0.95)
        lightness = rng.uniform(0.15, 0.6) if scheme < 3 else 0.15 + 0.55 * i / max(n - 1, 1)
        colours.append(hsl(h, saturation, lightness))
    rng.shuffle(colours)
    return colours


def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def polygon_points(cx: float, cy: float, radius: float, n: int, turn: float = 0.0) -> list[tuple[float, float]]:
    return [(cx + radius * math.sin(2 * math.pi * (k / n + turn)), cy - radius * math.cos(2 * math.pi * (k / n + turn))) for k in range(n)]


def star_points(cx: float, cy: float, outer: float, inner: float, n: int, turn: float = 0.0) -> list[tuple[float, float]]:
    out, inn = polygon_points(cx, cy, outer, n, turn), polygon_points(cx, cy, inner, n, turn + 0.5 / n)
    return [point for pair in zip(out, inn, strict=True) for point in pair]


def line_path(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) + "Z"


def smooth_path(points: list[tuple[float, float]]) -> str:
    """A closed Catmull-Rom spline through the points, as cubics."""
    n = len(points)
    text = f"M{number(points[0][0])} {number(points[0][1])}"
    for i in range(n):
        p0, p1, p2, p3 = points[i - 1], points[i], points[(i + 1) % n], points[(i + 2) % n]
        c1 = (p1[0] + (p2[0] - p0[0]) / 6, p1[1] + (p2[1] - p0[1]) / 6)
        c2 = (p2[0] - (p3[0] - p1[0]) / 6, p2[1] - (p3[1] - p1[1]) / 6)
        text += "C" + " ".join(f"{number(x)} {number(y)}" for x, y in (c1, c2, p2))
    return text + "Z"


def blob(rng: Rng, cx: float, cy: float, radius: float, n: int, roughness: float) -> str:
    points = []
    for x, y in polygon_points(cx, cy, 1.0, n, rng.random()):
        r = radius * (1 + roughness * rng.uniform(-1, 1))
        points.append((cx + (x - cx) * r, cy + (y - cy) * r))
    return smooth_path(points)


def path(d: str, fill: str, extra: str = "") -> str:
    return f'<path d="{d}" fill="{fill}"{" " + extra if extra else ""}/>'


def circle(cx: float, cy: float, r: float, fill: str, extra: str = "") -> str:
    return f'<circle cx="{number(cx)}" cy="{number(cy)}" r="{number(r)}" fill="{fill}"{" " + extra if extra else ""}/>'


def ring(cx: float, cy: float, r: float, width: float, colour: str, extra: str = "") -> str:
    return circle(cx, cy, r, "none", f'stroke="{colour}" stroke-width="{number(width)}" {extra}'.strip())


def rect(x: float, y: float, w: float, h: float, fill: str, radius: float = 0.0, extra: str = "") -> str:
    rounded = f' rx="{number(radius)}"' if radius else ""
    size = f'width="{number(w)}" height="{number(h)}"'
    return f'<rect x="{number(x)}" y="{number(y)}" {size}{rounded} fill="{fill}"{" " + extra if extra else ""}/>'


def rotated(piece: str, degrees: float, cx: float, cy: float) -> str:
    return f'<g transform="rotate({number(degrees)} {number(cx)} {number(cy)})">{piece}</g>'


def gradient(rng: Rng, name: str, stops: list[str], radial: bool, opacity_end: float = 1.0) -> str:
    """The definition of a gradient to be used as ``url(#name)``."""
    marks = "".join(
        f'<stop offset="{number(i / max(len(stops) - 1, 1))}" stop-color="{colour}"'
        + (f' stop-opacity="{number(opacity_end)}"' if i == len(stops) - 1 and opacity_end < 1 else "")
        + "/>"
        for i, colour in enumerate(stops)
    )
    if radial:
        cx, cy = number(rng.uniform(0.25, 0.6)), number(rng.uniform(0.2, 0.6))
        return f'<radialGradient id="{name}" cx="{cx}" cy="{cy}" r="{number(rng.uniform(0.55, 0.9))}">{marks}</radialGradient>'
    angle = rng.uniform(0, 2 * math.pi)
    x, y = math.cos(angle) / 2, math.sin(angle) / 2
    ends = f'x1="{number(0.5 - x)}" y1="{number(0.5 - y)}" x2="{number(0.5 + x)}" y2="{number(0.5 + y)}"'
    return f'<linearGradient id="{name}" {ends}>{marks}</linearGradient>'


def word(rng: Rng, n_syllables: int) -> str:
    """A pronounceable invented name in lower case."""
    text = "".join(pick(rng, CONSONANTS) + pick(rng, VOWELS) for _ in range(n_syllables))
    return text + (pick(rng, CONSONANTS) if rng.random() < 0.5 else "")


def text_width(text: str, typeface: str, size: float, spacing: float = 0.0) -> float:
    glyphs = typefaces()[typeface]
    return sum(glyphs[c][0] * size / 1000 + spacing for c in text) - spacing


def text_outlines(text: str, typeface: str, size: float, x: float, y: float, fills: list[str], spacing: float = 0.0) -> str:
    """A word as paths with its baseline at ``y``; the fills are spread over the letters from left to right."""
    glyphs, pieces = typefaces()[typeface], []
    for i, c in enumerate(text):
        advance, d = glyphs[c]
        if d:
            fill = fills[i * len(fills) // len(text)]
            pieces.append(path(d, fill, f'transform="translate({number(x)} {number(y)}) scale({size / 1000:.4f})"'))
        x += advance * size / 1000 + spacing
    return "".join(pieces)


def text_on_circle(text: str, typeface: str, size: float, cx: float, cy: float, radius: float, middle: float, fill: str) -> str:
    """A word along a circle, centred at ``middle`` degrees clockwise from the top."""
    glyphs, pieces = typefaces()[typeface], []
    total = text_width(text, typeface, size, size * 0.06)
    at = -total / 2
    for c in text:
        advance, d = glyphs[c]
        width = advance * size / 1000
        angle = middle + math.degrees((at + width / 2) / radius)
        place = f"rotate({number(angle)} {number(cx)} {number(cy)}) translate({number(cx - width / 2)} {number(cy - radius)})"
        if d:
            pieces.append(path(d, fill, f'transform="{place} scale({size / 1000:.4f})"'))
        at += width + size * 0.06
    return "".join(pieces)


def document(width: float, height: float, body: str, defs: str = "", background: str = "#ffffff") -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{number(width)}" height="{number(height)}"'
    head += f' viewBox="0 0 {number(width)} {number(height)}">'
    return head + (f"<defs>{defs}</defs>" if defs else "") + rect(0, 0, width, height, background) + body + "</svg>\n"


def background(rng: Rng) -> str:
    chance = rng.random()
    if chance < 0.8:
        return "#ffffff"
    return hsl(rng.random(), rng.uniform(0, 0.5), rng.uniform(0.06, 0.14) if chance < 0.9 else rng.uniform(0.9, 0.97))
