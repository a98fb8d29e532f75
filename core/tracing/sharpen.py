"""Clean edges: the picture enlarged, with every blended edge pixel set to an unblended colour beside it.

A tracer follows the borders of pixels and takes each shade of a soft edge for a layer of its own. Here the picture is
enlarged a whole number of times, and near edges each pixel of the enlargement takes that colour of an unblended pixel
around it that comes nearest to its own: edges end up as sharp as in a drawing, and where the soft edge had them.
Slopes, noise and photographs have no blended pixels in this sense and pass through.

Pure functions of pixels, vectorised over all pixels at once.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CONTRAST = 24.0  # distance across a pixel, in levels of 256, from which on it can be a blend of what lies on both sides
REACH = 2  # pixels around a blended one where its unblended colour is looked for
_LOW, _HIGH = 0.02, 0.98  # shares of the one side between which a pixel counts as a blend
_SLACK, _SLACK_SHARE = 6.0, 0.1  # how far off the line between both sides: levels, and share of their distance
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
_OFFSETS = np.array(
    sorted(
        ((dy, dx) for dy in range(-REACH, REACH + 1) for dx in range(-REACH, REACH + 1)), key=lambda offset: offset[0] ** 2 + offset[1] ** 2
    )
)
_FEW = 0.02  # share of the pixels at edges
_AT_ONCE = 3_000_000  # distances that are computed at a time

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Bytes = NDArray[np.uint8]


def blendable(pixels: Bytes) -> Floats:
    """Colours in which a blend of two lies on the line between them: RGB, shape (height, width, 3); with alpha over white and over black,
    (…, 6), scaled so that distances are root mean squares over both grounds."""
    if pixels.shape[2] == 3:
        return pixels.astype(np.float32)
    black = pixels[..., :3] * (pixels[..., 3:] * np.float32(1 / 255))
    white = black + (255 - pixels[..., 3:].astype(np.float32))
    return np.concatenate([white, black], axis=2) * np.float32(0.5**0.5)


def blended(colours: Floats) -> Flags:
    """Which pixels are a blend of what lies on two opposite sides of them. ``colours``: from :func:`blendable`."""
    height, width = colours.shape[:2]
    padded = np.ascontiguousarray(np.pad(colours, ((1, 1), (1, 1), (0, 0)), mode="edge").transpose(2, 0, 1))  # planes: faster
    here = padded[:, 1:-1, 1:-1]
    found = np.zeros((height, width), bool)
    for dy, dx in _DIRECTIONS:
        back = here - padded[:, 1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        on = padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] - here
        cross = (back * on).sum(axis=0)
        back *= back
        on *= on
        behind = back.sum(axis=0)
        distance = behind + on.sum(axis=0) + 2 * cross  # squared, from the one side to the other
        along = behind + cross
        share = along / np.maximum(distance, 1e-6)
        off = behind - share * along  # squared, from the line between them
        slack = _SLACK_SHARE * np.sqrt(np.maximum(distance, 0)) + _SLACK
        found |= (distance > CONTRAST * CONTRAST) & (share > _LOW) & (share < _HIGH) & (off < slack * slack)
    return found


def _steep(colours: Floats) -> Flags:
    """Which pixels have a neighbour of another colour, blended or not: edges there are stairs unless they are interpolated."""
    found = np.zeros(colours.shape[:2], bool)
    for ours, theirs in (
        (np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]), (np.s_[1:, 1:], np.s_[:-1, :-1]), (np.s_[1:, :-1], np.s_[:-1, 1:])
    ):  # fmt: skip
        off = colours[ours] - colours[theirs]
        differs = (off * off).sum(axis=2) > CONTRAST * CONTRAST
        found[ours] |= differs
        found[theirs] |= differs
    return found


def is_hard_edged(pixels: Bytes) -> bool:
    """Whether a picture has edges, next to no blended pixel on them, and no part that is one pixel thin.

    Such a picture was drawn without soft edges, and its outlines are stairs. VTracer takes stairs of one pixel for what they are, but not
    enlarged ones; only thin lines need to be larger to be seen by it.
    """
    colours = blendable(pixels)
    steep = _steep(colours)
    n_steep = int(steep.sum())
    if not n_steep or int(blended(colours).sum()) > _FEW * n_steep:
        return False
    across, down = (
        ((b - a) ** 2).sum(axis=2) <= CONTRAST * CONTRAST for a, b in ((colours[:, :-1], colours[:, 1:]), (colours[:-1], colours[1:]))
    )
    block = across[:-1] & across[1:] & down[:, :-1] & down[:, 1:]  # two by two pixels of one colour, by their upper left one
    thick = np.zeros(steep.shape, bool)
    for rows, columns in ((np.s_[:-1], np.s_[:-1]), (np.s_[:-1], np.s_[1:]), (np.s_[1:], np.s_[:-1]), (np.s_[1:], np.s_[1:])):
        thick[rows, columns] |= block
    return int((steep & ~thick).sum()) <= _FEW * n_steep


def enlarge(pixels: Bytes, factor: int) -> Bytes:
    """Every pixel as a square of ``factor`` x ``factor``."""
    return pixels if factor == 1 else np.repeat(np.repeat(pixels, factor, axis=0), factor, axis=1)


def sharpen(pixels: Bytes, factor: int = 1) -> Bytes:
    """Enlarge ``factor`` times and clean the edges. ``pixels``: uint8 RGB or RGBA, shape (height, width, 3 or 4).

    Returns the same number of channels, shape (factor * height, factor * width, …).
    """
    pixels = np.ascontiguousarray(pixels)
    colours = blendable(pixels)
    is_blended = blended(colours)
    near = cv2.dilate(is_blended.view(np.uint8), np.ones((3, 3), np.uint8)).view(np.bool_) | _steep(colours)
    out = np.ascontiguousarray(enlarge(pixels, factor)).copy()
    rows, columns = np.nonzero(near)
    if not len(rows):
        return out
    soft = _enlarged_softly(pixels, factor)
    at_once = max(_AT_ONCE // (factor * factor * len(_OFFSETS)), 1)
    for start in range(0, len(rows), at_once):
        part = slice(start, start + at_once)
        _clean(out, soft, pixels, colours, is_blended, rows[part], columns[part], factor)
    return out


def _enlarged_softly(pixels: Bytes, factor: int) -> Bytes:
    """Cubic interpolation; colours are weighted by their alpha."""
    if factor == 1:
        return pixels
    if pixels.shape[2] == 3:
        return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]
    weighted = pixels.astype(np.float32)
    weighted[..., :3] *= weighted[..., 3:] * np.float32(1 / 255)
    weighted = np.asarray(cv2.resize(weighted, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC), dtype=np.float32)
    weighted[..., :3] *= 255 / np.maximum(weighted[..., 3:], 1)
    return np.rint(np.clip(weighted, 0, 255)).astype(np.uint8)


def _clean(
    out: Bytes,
    soft: Bytes,
    pixels: Bytes,
    colours: Floats,
    is_blended: Flags,
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    factor: int,
) -> None:
    """Decide, in ``out``, the squares of the pixels at ``rows`` and ``columns``."""
    height, width, n_channels = pixels.shape
    y, x = rows[:, None] + _OFFSETS[:, 0], columns[:, None] + _OFFSETS[:, 1]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    place = np.clip(y, 0, height - 1) * width + np.clip(x, 0, width - 1)
    allowed = inside & ~is_blended.ravel()[place]
    known = colours.reshape(height * width, -1)[place]  # (n, offsets, colour)
    squares = (rows, slice(None), columns, slice(None))
    own = soft.reshape(height, factor, width, factor, n_channels)[squares].reshape(-1, 1, n_channels)
    wanted = blendable(own).reshape(len(rows), factor * factor, -1)
    cost = np.einsum("nok,nok->no", known, known)
    cost[~allowed] = np.float32(np.inf)
    distance = cost[:, None, :] - 2 * np.matmul(wanted, known.transpose(0, 2, 1))
    chosen = np.take_along_axis(place, distance.argmin(axis=2), axis=1)  # (n, factor ** 2); the nearest pixel where several are equal
    decided = pixels.reshape(height * width, n_channels)[chosen]
    lost = ~allowed.any(axis=1)  # nothing unblended around: as soft as it was
    if lost.any():
        decided[lost] = own.reshape(len(rows), factor * factor, n_channels)[lost]
    out.reshape(height, factor, width, factor, n_channels)[squares] = decided.reshape(len(rows), factor, factor, n_channels)
