"""Fills: what each traced region is painted with, fitted to the pixels that it shows.

VTracer paints every region with one averaged colour. Here each region takes the median of its pixels, soft edges left
out, or a linear or radial gradient with as few stops as needed, where that lowers the colour error by enough to pay
for its bytes; also from opaque to transparent. All regions at once: a region's colours enter as sums per region (and
per region and place along its gradient), and small systems of equations are solved for all of them together.

Lengths are in pixels of the picture; :class:`Shape` and :class:`Paint` are in units of the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from core.tracing.raster import rasterizer

MIN_FLAT, MIN_GRADIENT = 4, 24  # pixels that a region must show to be given a colour of its own, and a gradient
MAX_SHAPES = 8000  # of a picture; noise is left as it is
_DRAWN = 2  # label pictures are drawn so many times larger
_FLAT_ERROR = 4.0  # root mean square in levels of 256 below which a flat colour is good enough
_BETTER, _BETTER_BY = 0.9, 0.3  # what an error must fall to (share, levels) for a gradient, or for a stop more
_WORTH = 1e-4  # levels, times the share of the picture, that a byte must buy
_BYTES, _BYTES_PER_STOP = 110, 34
_MOST_PIXELS, _FEW_PIXELS = 2000, 500  # of a region that a gradient is fitted to, and by which its centre is looked for
_BINS = 24  # places along a gradient
_STOPS = (2, 3, 4, 5)
_SMOOTH = 0.02  # weight of straightness where a stop sees few pixels
_STEPS = (0.5, 0.25, 0.125, 0.0625, 0.03)  # of the search for a centre, in region sizes
_CODE, _CODES = 0x9E3779B1 & 0xFFFFFF, 1 << 24
_DECODE = pow(_CODE, -1, _CODES)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """A traced region: path data in units of the trace, VTracer's colour ("#rrggbb"), and what it is moved by."""

    d: str
    fill: str
    dx: float = 0.0
    dy: float = 0.0


@dataclass(frozen=True)
class Stop:
    """``offset`` and ``opacity`` in [0, 1]; ``colour``: "#rrggbb"."""

    offset: float
    colour: str
    opacity: float = 1.0


@dataclass(frozen=True)
class Paint:
    """What fills a shape. One stop: a flat colour. ``points``: x1, y1, x2, y2 of a linear gradient, or cx, cy, r of a radial one, in units
    of the trace before the shape's move."""

    stops: tuple[Stop, ...]
    points: tuple[float, ...] = ()

    @property
    def is_gradient(self) -> bool:
        return len(self.stops) > 1

    @property
    def is_clear(self) -> bool:
        """Whether nothing of it would be seen."""
        return all(stop.opacity < 0.01 for stop in self.stops)


def fitted(shapes: Sequence[Shape], pixels: NDArray[np.uint8], view: tuple[float, float]) -> list[Paint]:
    """A paint per shape. ``pixels``: the picture, uint8 RGB or RGBA; ``view``: width and height of the trace."""
    paints = [Paint((Stop(0.0, shape.fill),)) for shape in shapes]
    if not shapes or len(shapes) > MAX_SHAPES:
        return paints
    label = shown(shapes, pixels.shape[1], pixels.shape[0], view).ravel()
    places = np.flatnonzero(label >= 0)
    if not len(places):
        return paints
    seen, numbers = _Seen.of(label[places], places, pixels)
    scale = (view[0] / pixels.shape[1], view[1] / pixels.shape[0])
    for region, stops in _flat(seen):
        paints[numbers[region]] = Paint(stops)
    for region, paint in _gradients(seen, pixels.shape[0] * pixels.shape[1], scale):
        paints[numbers[region]] = _moved(paint, shapes[numbers[region]])
    return paints


def _moved(paint: Paint, shape: Shape) -> Paint:
    if not (shape.dx or shape.dy):
        return paint
    moves = (shape.dx, shape.dy) * 2
    points = tuple(value - moves[i] if len(paint.points) == 4 or i < 2 else value for i, value in enumerate(paint.points))
    return Paint(paint.stops, points)


def shown(shapes: Sequence[Shape], width: int, height: int, view: tuple[float, float]) -> NDArray[np.int32]:
    """Which shape each pixel shows, -1 on soft edges and where none is; shape (height, width)."""
    coded = "".join(
        f'<path d="{s.d}" fill="#{(((i + 1) * _CODE) % _CODES).to_bytes(3, "little").hex()}"'
        + (f' transform="translate({s.dx:g},{s.dy:g})"/>' if s.dx or s.dy else "/>")
        for i, s in enumerate(shapes)
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{view[0]:g}" height="{view[1]:g}" viewBox="0 0 {view[0]:g} {view[1]:g}">'
    drawn = rasterizer().draw_codes(f"{head}{coded}</svg>".encode(), width * _DRAWN, height * _DRAWN)
    across = drawn[:, 1:] == drawn[:, :-1]
    square = (across[1:] & across[:-1] & (drawn[1:, :-1] == drawn[:-1, :-1])).view(np.uint8)  # each pixel and those right, below and across
    blocks = square[::_DRAWN, ::_DRAWN]  # whether a pixel of the picture shows one shape
    is_pure = cv2.erode(blocks, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE) > 0
    found = (drawn[::_DRAWN, ::_DRAWN] * np.uint32(_DECODE) & np.uint32(_CODES - 1)).view(
        np.int32
    ) - 1  # overflow leaves the low bits right
    is_pure &= found < len(shapes)
    # ... and so do its neighbours
    for ours, theirs in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1])):
        differs = found[ours] != found[theirs]
        is_pure[ours] &= ~differs
        is_pure[theirs] &= ~differs
    found[~is_pure] = -1
    return found


@dataclass(frozen=True)
class _Seen:
    """Pixels in the order of their regions, each of which has some.

    ``starts``: where each region begins; ``colours``: shape (3 or 6, n): over black and over white, or the one where nothing is clear.
    """

    region: Ints
    starts: Ints
    x: Floats
    y: Floats
    colours: Floats

    @classmethod
    def of(cls, labels: NDArray[np.int32], places: Ints, pixels: NDArray[np.uint8]) -> tuple[_Seen, list[int]]:
        """``labels``: of the pixels at ``places``; returns with it the label of each region."""
        order = np.argsort(labels.astype(np.uint16), kind="stable")  # of 16 bits: a radix sort
        labels, places = labels[order], places[order]
        starts = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
        counts = np.diff(np.append(starts, len(labels)))
        chosen = pixels.reshape(-1, pixels.shape[2])[places].T.astype(np.float64)
        colours = chosen[:3]
        if len(chosen) == 4 and not (chosen[3] == 255).all():
            black = colours * (chosen[3] / 255)
            colours = np.concatenate([black, black + (255 - chosen[3])])
        y, x = np.divmod(places.astype(np.int32), np.int32(pixels.shape[1]))
        return cls(np.repeat(np.arange(len(starts)), counts), starts, x + 0.5, y + 0.5, colours), labels[starts].tolist()

    @property
    def n_regions(self) -> int:
        return len(self.starts)

    def sums(self, values: Floats) -> Floats:
        """Per region; ``values``: shape (n,), or (k, n) for (regions, k)."""
        return np.add.reduceat(values, self.starts, axis=-1).T

    @cached_property
    def counts(self) -> Ints:
        return np.diff(np.append(self.starts, len(self.region)))

    def only(self, regions: Ints, most: int = _MOST_PIXELS) -> _Seen:
        """Of these regions, renumbered, at most ``most`` pixels each."""
        parts = []
        for start, count in zip(self.starts[regions].tolist(), self.counts[regions].tolist(), strict=True):
            parts.append(np.arange(start, start + count, -(-count // most)))
        kept, sizes = np.concatenate(parts), np.array([len(part) for part in parts])
        region = np.repeat(np.arange(len(regions)), sizes)
        return _Seen(region, np.cumsum(sizes) - sizes, self.x[kept], self.y[kept], self.colours[:, kept])


def _flat(seen: _Seen) -> list[tuple[int, tuple[Stop, ...]]]:
    """The median of each channel, in all regions that show enough."""
    counts = seen.counts
    regions = np.flatnonzero(counts >= MIN_FLAT)
    if not len(regions):
        return []
    first, medians = seen.region * 256, []
    for column in np.rint(seen.colours).astype(np.int32):
        below = np.bincount(first + column, minlength=seen.n_regions * 256).reshape(-1, 256)[regions].cumsum(axis=1)
        medians.append((below <= counts[regions, None] // 2).sum(axis=1))
    stops = _stops(np.stack(medians, axis=1)[:, None, :].astype(np.float64), np.zeros((len(regions), 1)))
    return list(zip(regions.tolist(), stops, strict=True))


def _stops(colours: Floats, offsets: Floats) -> list[tuple[Stop, ...]]:
    """``colours``: (regions, stops, 3 or 6); ``offsets``: (regions, stops)."""
    black = np.clip(colours[..., :3], 0, 255)
    if colours.shape[2] == 3:
        opacity = np.ones(colours.shape[:2])
    else:
        opacity = np.clip(1 - (colours[..., 3:] - colours[..., :3]).mean(axis=2) / 255, 0, 1)
        opacity[opacity > 0.99] = 1.0
        black = np.clip(black / np.maximum(opacity, 1e-3)[..., None], 0, 255)
        strongest = opacity.argmax(axis=1)
        own = np.take_along_axis(black, strongest[:, None, None], axis=1)
        black = np.where(opacity[..., None] < 0.04, own, black)  # a clear stop has no colour of its own: that of the strongest
    codes = np.rint(black).astype(int)
    return [
        tuple(
            Stop(round(float(offset), 3), f"#{r:02x}{g:02x}{b:02x}", round(float(o), 2))
            for offset, (r, g, b), o in zip(offsets[i], codes[i].tolist(), opacity[i], strict=True)
        )
        for i in range(len(codes))
    ]


def _gradients(seen: _Seen, n_pixels: int, scale: tuple[float, float]) -> list[tuple[int, Paint]]:
    """(region, paint) where a gradient pays."""
    counts = seen.counts
    means = seen.sums(seen.colours) / counts[:, None]
    spread = seen.sums(seen.colours**2) / counts[:, None] - means**2
    weight = 3 / len(seen.colours)
    flat = np.sqrt(np.maximum(spread.sum(axis=1) * weight, 0))
    share = seen.counts / n_pixels
    regions = np.flatnonzero((seen.counts >= MIN_GRADIENT) & (flat > _FLAT_ERROR) & (flat * share > _WORTH * _BYTES))
    if not len(regions):
        return []
    fit = _Fit(seen.only(regions), weight)
    best = _Best(flat[regions], share[regions])
    direction = fit.direction()
    along = seen_along = fit.seen.x * direction[fit.seen.region, 0] + fit.seen.y * direction[fit.seen.region, 1]
    low, high = fit.limits(along)
    for n_stops, error, colours in fit.profiles(seen_along, low, high):
        best.offer("linear", n_stops, error, colours)
    centre = _Fit(seen.only(regions, _FEW_PIXELS), weight).centre(best.error)
    radius = fit.radius(centre)
    inner, outer = fit.limits(radius)
    for n_stops, error, colours in fit.profiles(radius, inner, outer):
        best.offer("radial", n_stops, error, colours)
    return list(_painted(regions, best, direction, (low, high), centre, (inner, outer), scale))


class _Best:
    """The best paint of each region so far; one that costs more bytes must be better by enough."""

    def __init__(self, flat: Floats, share: Floats) -> None:
        self.error, self._share = flat.copy(), share
        self.kind = np.zeros(len(flat), np.int64)  # 0 flat, 1 linear, 2 radial
        self.colours: list[Floats | None] = [None] * len(flat)
        self._bytes = np.zeros(len(flat))

    def offer(self, kind: str, n_stops: int, error: Floats, colours: Floats) -> None:
        cost = _BYTES + _BYTES_PER_STOP * n_stops
        limit = np.where(cost > self._bytes, self.error * _BETTER - _BETTER_BY, self.error)
        pays = (self.error - error) * self._share > _WORTH * np.maximum(cost - self._bytes, 0)
        for i in np.flatnonzero((error < limit) & pays).tolist():
            self.error[i], self.kind[i], self.colours[i], self._bytes[i] = error[i], 1 + (kind == "radial"), colours[i], cost


@cache
def _of_stops(n: int) -> tuple[Floats, Floats, Floats]:
    """For so many stops: their places, what keeps a fit to empty bins solvable, and the squared bend, shape (n, n)."""
    bend = np.diff(np.eye(n), 2, axis=0)
    return np.linspace(0, 1, n), 1e-6 * np.eye(n), bend.T @ bend


class _Fit:
    """Gradients of several regions at once. ``weight``: what a squared difference of all channels counts."""

    def __init__(self, seen: _Seen, weight: float) -> None:
        self.seen, self._weight = seen, weight
        self._n = seen.counts.astype(np.float64)
        at = np.stack([seen.x, seen.y])
        self.middle = seen.sums(at) / self._n[:, None]
        self._at = at - self.middle.T[:, seen.region]
        self._off = seen.colours - (seen.sums(seen.colours) / self._n[:, None]).T[:, seen.region]
        self._squares = seen.sums(seen.colours**2)

    def limits(self, along: Floats) -> tuple[Floats, Floats]:
        """Least and most of each region; every region has pixels, in order."""
        low, high = np.minimum.reduceat(along, self.seen.starts), np.maximum.reduceat(along, self.seen.starts)
        return low, np.maximum(high, low + 1e-3)

    def direction(self) -> Floats:
        """Unit vectors along which the colour changes most: the plane fitted to it, shape (regions, 2)."""
        sums, at = self.seen.sums, self._at
        xx, xy, yy = sums(at[0] ** 2), sums(at[0] * at[1]), sums(at[1] ** 2)
        determinant = np.maximum(xx * yy - xy * xy, 1e-9)
        cx, cy = sums(self._off * at[0]), sums(self._off * at[1])
        slope_x = (yy[:, None] * cx - xy[:, None] * cy) / determinant[:, None]
        slope_y = (xx[:, None] * cy - xy[:, None] * cx) / determinant[:, None]
        a, b, c = (slope_x**2).sum(1), (slope_x * slope_y).sum(1), (slope_y**2).sum(1)
        angle = 0.5 * np.arctan2(2 * b, a - c)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def profiles(self, along: Floats, low: Floats, high: Floats) -> list[tuple[int, Floats, Floats]]:
        """For each number of stops: it, the error of each region, and the stops' colours, evenly spaced from ``low`` to ``high``."""
        weights, places, means, within = self._binned(along, low, high)
        return [(n, *self._stops(n, weights, places, means, within)) for n in _STOPS]

    def _binned(self, along: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        seen = self.seen
        place = (along - low[seen.region]) / (high - low)[seen.region]
        cell = seen.region * _BINS + np.clip((place * _BINS).astype(np.int64), 0, _BINS - 1)
        size = seen.n_regions * _BINS
        weights = np.bincount(cell, minlength=size).astype(np.float64)
        filled = np.maximum(weights, 1)
        places = np.bincount(cell, place, size) / filled
        sums = np.stack([np.bincount(cell, column, size) for column in seen.colours], axis=1)
        means = sums / filled[:, None]
        within = self._squares - (sums**2 / filled[:, None]).reshape(seen.n_regions, _BINS, -1).sum(axis=1)
        shape = (seen.n_regions, _BINS)
        return weights.reshape(shape), places.reshape(shape), means.reshape(*shape, -1), within.sum(axis=1)

    def _stops(self, n: int, weights: Floats, places: Floats, means: Floats, within: Floats) -> tuple[Floats, Floats]:
        even, ridge, bend = _of_stops(n)
        basis = np.maximum(0, 1 - np.abs(places[..., None] - even) * (n - 1))  # (regions, bins, stops)
        weighted = basis * weights[..., None]
        system = np.einsum("rbk,rbl->rkl", weighted, basis) + ridge
        if n > 2:
            system += _SMOOTH * (self._n / n)[:, None, None] * bend
        colours = np.clip(np.linalg.solve(system, np.einsum("rbk,rbc->rkc", weighted, means)), 0, 255)
        left = (weights[..., None] * (means - basis @ colours) ** 2).sum(axis=(1, 2)) + within
        return np.sqrt(np.maximum(left * self._weight, 0) / self._n), colours

    def radius(self, centre: Floats) -> Floats:
        return np.hypot(self.seen.x - centre[self.seen.region, 0], self.seen.y - centre[self.seen.region, 1])

    def _radial_error(self, centre: Floats) -> Floats:
        radius = self.radius(centre)
        weights, places, means, within = self._binned(radius, *self.limits(radius))
        return self._stops(3, weights, places, means, within)[0]

    def centre(self, linear_error: Floats) -> Floats:
        """Where a radial gradient begins: the vertex of the paraboloid fitted to the strongest colour change, then a search around it."""
        value = self._strongest()
        at, sums = self._at, self.seen.sums
        size = np.sqrt(np.maximum(sums((at**2).sum(axis=0)) / self._n, 1.0))
        u = at / size[self.seen.region]
        rows = np.stack([np.ones(u.shape[1]), u[0], u[1], (u**2).sum(axis=0)])
        system = np.stack([sums(rows * row) for row in rows], axis=1) + 1e-6 * np.eye(4)
        solved = np.linalg.solve(system, sums(rows * value)[..., None])[..., 0]
        bowl = np.where(np.abs(solved[:, 3]) < 1e-6, 1e-6, solved[:, 3])
        vertex = np.clip(-solved[:, 1:3] / (2 * bowl[:, None]), -3, 3) * size[:, None]
        best = self.middle.copy()
        error = self._radial_error(best)
        best, error = self._better(best, error, self.middle + vertex)
        for step in _STEPS:
            if not ((error > _FLAT_ERROR / 2) & (error < 4 * linear_error + 4)).any():
                break
            start = best
            for way in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                best, error = self._better(best, error, start + step * size[:, None] * np.array(way))
        return best

    def _better(self, best: Floats, error: Floats, other: Floats) -> tuple[Floats, Floats]:
        found = self._radial_error(other)
        wins = found < error
        return np.where(wins[:, None], other, best), np.where(wins, found, error)

    def _strongest(self) -> Floats:
        """Each pixel's place along the direction in which its region's colours vary most."""
        off = self._off
        spread = np.stack([self.seen.sums(off * row) for row in off], axis=1)
        main = np.linalg.eigh(spread)[1][..., -1]  # (regions, channels)
        return (off * main.T[:, self.seen.region]).sum(axis=0)


def _painted(
    regions: Ints,
    best: _Best,
    direction: Floats,
    along: tuple[Floats, Floats],
    centre: Floats,
    radius: tuple[Floats, Floats],
    scale: tuple[float, float],
) -> list[tuple[int, Paint]]:
    """The gradients that won, in units of the trace."""
    found = []
    for i in np.flatnonzero(best.kind).tolist():
        colours = best.colours[i]
        assert colours is not None
        spread = np.linspace(0, 1, len(colours))
        points: tuple[float, ...]
        if best.kind[i] == 1:
            (dx, dy), low, high = direction[i], along[0][i], along[1][i]
            points = (dx * low * scale[0], dy * low * scale[1], dx * high * scale[0], dy * high * scale[1])
        else:
            low, high = radius[0][i], radius[1][i]
            spread = (low + (high - low) * spread) / high
            points = (centre[i, 0] * scale[0], centre[i, 1] * scale[1], high * (scale[0] + scale[1]) / 2)
        found.append((int(regions[i]), Paint(_stops(colours[None], spread[None])[0], tuple(float(p) for p in points))))
    return found
