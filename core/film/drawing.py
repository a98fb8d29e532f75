"""The key frames of a film: a card per logo with its picture, gain and parameters, under the runs' mean gains.

Drawn with OpenCV, whose own fonts know most scripts; nothing of the machine's is used. Guarantee: a picture that is missing or damaged
costs its card the picture and nothing else: a word stands there instead, and it is told once in ``reel.problems``.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import DamagedFileError, PictureError, RasterError, SvgError
from core.files import read_small
from core.film.reel import DAMAGED, ELSEWHERE, EMPTY, LOWEST_GAIN, MISSING, NOT_YET, Problem, Reel, Take, Track
from core.tracing.params import SPECS
from core.tracing.picture import decode_png, encode_png
from core.tracing.raster import draw_ours

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]
Draw = Callable[[bytes, int], Pixels]
Box = tuple[float, float, float, float]  # left, top, width, height
MAX_SVG_BYTES = 20_000_000
_CARD_WIDTH, _CARD_HEIGHT, _GAP, _HEADER = 416, 270, 12, 96  # pixels at scale 1
_PICTURE, _THUMB, _SIDE = 200, 46, 222  # sides of the pictures; where what stands beside them begins
_KEPT_PICTURES = 64  # drawn ones, of runs that stand still while others go on
_CONTRAST = 56  # of 255: what is nearer to its ground in every channel is hard to see
_WEIGHT, _BOLD = 400, 600


@dataclass(frozen=True)
class Ground:
    """The colours of a frame."""

    page: Colour
    card: Colour
    border: Colour
    text: Colour
    dim: Colour
    better: Colour
    worse: Colour
    lines: tuple[Colour, ...]  # of runs


def _ground(plain: str, lines: str) -> Ground:
    """Of colours as in CSS, in the order of :class:`Ground`'s fields."""
    page, card, border, text, dim, better, worse = map(_rgb, plain.split())
    return Ground(page, card, border, text, dim, better, worse, tuple(map(_rgb, lines.split())))


def _rgb(code: str) -> Colour:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


LIGHT = _ground("#f3f6f8 #ffffff #d9e0e6 #050e17 #5d6872 #0072b2 #c24f00", "#0072b2 #d55e00 #009e73 #cc79a7")
DARK = _ground("#11171d #1a222b #2d3945 #e4ebf1 #9aa7b3 #4aa8e0 #f0803c", "#4aa8e0 #f0803c #2fc79b #e39ac4")


class Painter:
    """Draws the key frames of a reel; ``width`` and ``height``, both even, are the same for all.

    ``draw``: makes RGBA of an SVG and the length of its longer side, or raises a typed error; a film of a stranger's run hands in what does it
    within limits of time and memory.
    """

    def __init__(self, reel: Reel, is_dark: bool = False, draw: Draw = draw_ours) -> None:
        self.reel, self.ground, self._draw = reel, DARK if is_dark else LIGHT, draw
        wide = reel.n_columns * (_CARD_WIDTH + _GAP) + _GAP
        high = _HEADER + reel.n_rows * (_CARD_HEIGHT + _GAP)
        self._scale = max(1.0, min(2.0, 1280 / wide, 720 / high))
        self.width, self.height = (round(side * self._scale / 2) * 2 for side in (wide, high))
        self._font = cv2.FontFace("sans")
        self._drawn: OrderedDict[Path, Pixels | str] = OrderedDict()
        self._originals: dict[int, Pixels | None] = {}
        self._beneath: dict[int, Colour] = {}
        self._told: set[Path] = set()

    def frame(self, step: int) -> Pixels:
        """The key frame of a step: RGB, shape (height, width, 3)."""
        self._page = np.full((self.height, self.width, 3), self.ground.page, np.uint8)
        self._header(step)
        for place, track in enumerate(self.reel.tracks):
            row, column = divmod(place, self.reel.n_columns)
            self._card(track, place, step, _GAP + column * (_CARD_WIDTH + _GAP), _HEADER + row * (_CARD_HEIGHT + _GAP))
        return self._page

    # What follows takes places in pixels at scale 1

    def _header(self, step: int) -> None:
        lines, wide = self.reel.lines, self.width / self._scale
        middle = min(wide * 0.5, 520.0)
        for place, line in enumerate(lines):
            known = line.until(step)
            mean = f"mean gain {known[-1][1]:+.3f}" if known else NOT_YET
            if len(lines) == 1:
                self._text(line.name, _GAP, 30, 20, weight=_BOLD, room=middle - 2 * _GAP)
                self._text(mean, _GAP, 80, 14, self.ground.dim)
            else:
                y, colour = 20 + 15 * place, self._colour(place)
                self._text(mean, middle - _GAP, y, 12, colour, align=1)
                self._text(line.name, _GAP, y, 12, colour, _BOLD, room=middle - 150)
        self._text(f"step {step:,}", _GAP, 57 if len(lines) == 1 else 86, 16)
        if wide - middle > 120:
            self._curves(step, middle + 40, 14, wide - middle - 40 - 2 * _GAP, _HEADER - 40)

    def _curves(self, step: int, x: float, y: float, wide: float, high: float) -> None:
        """Mean gains over steps; what is to come is faint."""
        low, top = self.reel.mean_gains
        for value in (0.0, top, low) if -low > 0.2 * (top - low) else (0.0, top):
            at = y + high * (top - value) / (top - low)
            self._text(f"{value:+.2f}" if value else "0", x - 6, at + 4, 10, self.ground.dim, align=1)
            self._stroke([(x, at), (x + wide, at)], self.ground.border)
        for place, line in enumerate(self.reel.lines):
            points = [(s, g) for s, g in line.points if math.isfinite(g)]
            self._curve(points, step, (low, top), (x, y, wide, high), self._colour(place))

    def _colour(self, line: int) -> Colour:
        """Of a run's curves: one colour per run where there are several."""
        return self.ground.lines[line % len(self.ground.lines)] if len(self.reel.lines) > 1 else self.ground.better

    def _curve(self, points: list[tuple[int, float]], step: int, values: tuple[float, float], box: Box, colour: Colour) -> None:
        x, y, wide, high = box
        first, last, (low, top) = self.reel.steps[0], self.reel.steps[-1], values
        places = [
            (x + wide * (s - first) / max(last - first, 1), y + high * (top - min(max(g, max(low, LOWEST_GAIN)), top)) / (top - low))
            for s, g in points
        ]
        n_past = sum(s <= step for s, _ in points)
        faint = tuple((3 * a + b) // 4 for a, b in zip(self.ground.border, colour, strict=True))
        self._stroke(places, faint)  # type: ignore[arg-type]
        self._stroke(places[:n_past], colour, 2.0)
        if n_past:
            self._dot(places[n_past - 1], colour)

    def _card(self, track: Track, place: int, step: int, x: float, y: float) -> None:
        ground, take = self.ground, track.at(step)
        self._box(x, y, _CARD_WIDTH, _CARD_HEIGHT, ground.card, ground.border)
        if len(self.reel.lines) > 1:
            self._box(x, y, _CARD_WIDTH, 3, self._colour(track.line))
        shown = self._gain(take, x + _CARD_WIDTH - 12, y + 25) if take else 0.0
        self._text(track.logo, x + 12, y + 25, 15, weight=_BOLD, room=_CARD_WIDTH - 36 - shown)
        self._picture(track, place, take, x + 12, y + 36)
        if take is None:
            return
        facts = [f"{take.n_bytes:,} bytes"] if take.n_bytes > 0 else []
        facts += [f"SSIM {take.ssim:.4f}"] if math.isfinite(take.ssim) else []
        facts += [f"step {take.step:,}"] if len(self.reel.lines) > 1 and take.step != step else []
        self._text("  ·  ".join(facts), x + 12, y + 256, 12, ground.dim, room=_CARD_WIDTH - 24)
        self._beside(track, place, take, x + _SIDE, y + 36, _CARD_WIDTH - _SIDE - 12)

    def _gain(self, take: Take, right: float, y: float) -> float:
        """Write the gain and return how wide it is."""
        if not math.isfinite(take.gain):
            return 0.0
        return self._text(f"{take.gain:+.3f}", right, y, 15, self.ground.better if take.gain >= 0 else self.ground.worse, _BOLD, align=1)

    def _beside(self, track: Track, place: int, take: Take, x: float, y: float, wide: float) -> None:
        """The original, the curve of the gain, and the parameters."""
        original = self._original(track, place)
        left = 0
        if original is not None:
            self._paste(self._laid(original, self._ground_of(track, place, original)), x, y, _THUMB)
            self._text("original", x + _THUMB / 2, y + _THUMB + 13, 10, self.ground.dim, align=0)
            left = _THUMB + 12
        low, top = self.reel.gains
        zero = y + _THUMB * top / (top - low)
        self._stroke([(x + left, zero), (x + wide, zero)], self.ground.border)
        points = [(t.step, t.gain) for t in track.takes if math.isfinite(t.gain)]
        self._curve(points, take.step, (low, top), (x + left, y, wide - left, _THUMB), self._colour(track.line))
        self._text("gain", x + left, y + _THUMB + 13, 10, self.ground.dim)
        for k, (spec, value) in enumerate(zip(SPECS, take.params, strict=False)):
            if not math.isfinite(value):
                continue
            at = y + _THUMB + 31 + 14 * k
            self._text(spec.name.replace("_", " "), x, at, 11, self.ground.dim)
            share = min(max((value - spec.low) / (spec.high - spec.low), 0.0), 1.0)
            start, room = x + 98, wide - 98 - 38
            self._box(start, at - 5, room, 2, self.ground.border)
            self._box(start, at - 5, room * share, 2, self.ground.better)
            self._dot((start + room * share, at - 4), self.ground.better, 3)
            self._text(f"{value:.3g}" if abs(value) >= 1 else f"{value:.2f}" if value else "0", x + wide, at, 11, align=1)

    def _picture(self, track: Track, place: int, take: Take | None, x: float, y: float) -> None:
        drawn: Pixels | str = (
            (NOT_YET if track.takes else ELSEWHERE) if take is None else take.word if take.svg is None else self._svg(take.svg)
        )
        if not isinstance(drawn, str):
            self._paste(self._laid(drawn, self._ground_of(track, place, drawn)), x, y, _PICTURE)
            return
        if take is not None and (key := take.svg or Path(str(place), str(take.step))) not in self._told:
            self._told.add(key)
            self.reel.problems.append(Problem(self.reel.lines[track.line].name, track.logo, take.step, drawn))
        self._box(x, y, _PICTURE, _PICTURE, self.ground.page, self.ground.border)
        self._text(drawn, x + _PICTURE / 2, y + _PICTURE / 2 + 5, 14, self.ground.dim, align=0, room=_PICTURE - 12)

    def _svg(self, path: Path) -> Pixels | str:
        """An SVG as RGBA that fits its place, or a word for why not."""
        if path in self._drawn:
            self._drawn.move_to_end(path)
        else:
            self._drawn[path] = draw_file(path, round(_PICTURE * self._scale), self._draw)
            if len(self._drawn) > _KEPT_PICTURES:
                self._drawn.popitem(last=False)
        return self._drawn[path]

    def _original(self, track: Track, place: int) -> Pixels | None:
        """The original, small, RGBA; None where its file is gone or damaged."""
        if place not in self._originals:
            self._originals[place] = None
            with suppress(OSError, PictureError, DamagedFileError):
                data = read_small(track.picture, MAX_SVG_BYTES) if track.picture else None
                if data:
                    pixels = decode_png(data)
                    rgba = pixels if pixels.shape[2] == 4 else np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
                    self._originals[place] = _fitted(rgba, round(_THUMB * self._scale))
        return self._originals[place]

    def _ground_of(self, track: Track, place: int, drawn: Pixels) -> Colour:
        """What lies beneath a logo all through: the card's colour, or that of the other ground's where more of the logo would stand out."""
        if place not in self._beneath:
            original = self._original(track, place)
            rgba, other = drawn if original is None else original, DARK if self.ground is LIGHT else LIGHT
            self._beneath[place] = min((self.ground.card, other.card), key=lambda colour: round(_share_lost(rgba, colour), 2))
        return self._beneath[place]

    def _laid(self, rgba: Pixels, ground: Colour) -> Pixels:
        alpha = rgba[..., 3:].astype(np.uint16)
        return ((rgba[..., :3] * alpha + np.array(ground, np.uint16) * (255 - alpha) + 127) // 255).astype(np.uint8)

    def _paste(self, pixels: Pixels, x: float, y: float, side: float) -> None:
        """RGB in the middle of a square place."""
        high, wide = pixels.shape[:2]
        left, top = self._px(x + side / 2) - wide // 2, self._px(y + side / 2) - high // 2
        self._page[top : top + high, left : left + wide] = pixels

    def _px(self, value: float) -> int:
        return round(value * self._scale)

    def _box(self, x: float, y: float, wide: float, high: float, fill: Colour, border: Colour | None = None) -> None:
        corners = (self._px(x), self._px(y)), (self._px(x + wide) - 1, self._px(y + high) - 1)
        cv2.rectangle(self._page, *corners, fill, -1)
        if border is not None:
            cv2.rectangle(self._page, *corners, border, 1)

    def _stroke(self, places: list[tuple[float, float]], colour: Colour, wide: float = 1.0) -> None:
        if len(places) > 1:
            exact = np.array([[round(a * self._scale * 16), round(b * self._scale * 16)] for a, b in places], np.int32)
            cv2.polylines(self._page, [exact], False, colour, max(round(wide * self._scale), 1), cv2.LINE_AA, shift=4)

    def _dot(self, place: tuple[float, float], colour: Colour, radius: float = 4.0) -> None:
        centre = round(place[0] * self._scale * 16), round(place[1] * self._scale * 16)
        cv2.circle(self._page, centre, round(radius * self._scale * 16), colour, -1, cv2.LINE_AA, shift=4)

    def _text(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        colour: Colour | None = None,
        weight: int = _WEIGHT,
        align: int = -1,
        room: float = 0.0,
    ) -> float:
        """Write on the base line ``y``, from ``x`` (``align`` -1), around it (0) or up to it (1), shortened to ``room``; returns the width."""
        pixels = max(round(size * self._scale), 8)
        measure: Callable[[str], int] = lambda said: cv2.getTextSize((self.width, self.height), said, (0, 0), self._font, pixels, weight)[2]
        said = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if room and measure(said) > room * self._scale:
            while said and measure(f"{said}…") > room * self._scale:
                said = said[:-1].rstrip()
            said = f"{said}…"
        wide = measure(said)
        left = self._px(x) - (0, wide // 2, wide)[align + 1]
        cv2.putText(self._page, said, (left, self._px(y)), colour or self.ground.text, self._font, pixels, weight)
        return wide / self._scale


def draw_file(path: Path, side: int, draw: Draw = draw_ours) -> Pixels | str:
    """An SVG as RGBA whose longer side is ``side``; a word where it is missing, damaged or shows nothing."""
    try:
        svg = read_small(path, MAX_SVG_BYTES)
        if svg is None:
            return MISSING
        if b"</svg" not in svg[-64:]:
            return DAMAGED  # cut off: what is left would be drawn as if it were all
        drawn = draw(svg, side)
        return drawn if drawn[..., 3].any() else EMPTY
    except (DamagedFileError, PictureError, RasterError, SvgError):
        return DAMAGED


def _fitted(rgba: Pixels, side: int) -> Pixels:
    scale = side / max(rgba.shape[:2])
    size = max(round(rgba.shape[1] * scale), 1), max(round(rgba.shape[0] * scale), 1)
    return np.asarray(cv2.resize(rgba, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST), dtype=np.uint8)


def _share_lost(rgba: Pixels, ground: Colour) -> float:
    """Share of what can be seen that is nearly of the ground's colour; 0 where nothing is clear, since any ground will do."""
    seen = rgba[..., 3] >= 128
    if seen.all() or not seen.any():
        return 0.0
    distance = np.abs(rgba[..., :3][seen].astype(np.int16) - np.array(ground, np.int16)).max(axis=1)
    return float((distance < _CONTRAST).mean())


def png_of(pixels: Pixels) -> bytes:
    """A frame as a PNG."""
    return encode_png(pixels)
