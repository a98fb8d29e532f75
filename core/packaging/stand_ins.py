"""What the runner of an exported model uses in the place of packages that it must do without: Pillow, SciPy, thorvg-python.

Only the few names that core/tracing and core/environment take from them, with the same results to the bit (a test holds each against the
package itself). Imports nothing of ours: core/packaging/bundle.py writes this source into the runner.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

LIBRARIES = {"win32": "thorvg-1.dll", "darwin": "libthorvg-1.dylib"}  # by platform; all others have the next
LIBRARY = "libthorvg-1.so"
_BITS = 22  # of Pillow's whole-number weights
_SUPPORT = 3.0  # of Lanczos' filter, in pixels


class Resampling(IntEnum):
    """The one of Pillow's filters that is used here."""

    LANCZOS = 1


class Picture:
    """RGB or RGBA pixels, uint8, that can be resized as Pillow does it."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels

    def resize(self, size: tuple[int, int], resample: int) -> NDArray[np.uint8]:
        """``size``: width and height in pixels."""
        if resample != Resampling.LANCZOS:
            raise ValueError(f"the filter {resample} is not known here")
        if self._pixels.shape[2] == 4:
            return _unweighted(_resized(_weighted(self._pixels), size))
        return _resized(self._pixels, size)


def _open(*_: Any) -> Any:
    raise NotImplementedError("pictures are read with OpenCV here")


Image = SimpleNamespace(fromarray=Picture, open=_open, Resampling=Resampling, Image=Picture)


def _weighted(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours times their alpha, rounded as Pillow's RGBa."""
    alpha = pixels[..., 3:].astype(np.int64)
    times = pixels[..., :3] * alpha + 128
    return np.concatenate([((times >> 8) + times) >> 8, alpha], axis=2).astype(np.uint8)


def _unweighted(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = pixels[..., 3:].astype(np.int64)
    colours = pixels[..., :3].astype(np.int64)
    full = np.minimum(255 * colours // np.maximum(alpha, 1), 255)
    return np.concatenate([np.where((alpha == 0) | (alpha == 255), colours, full), alpha], axis=2).astype(np.uint8)


def _resized(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Across and down, each in whole numbers and rounded to 8 bits; down first where the height loses more than twice what the width does: as
    Pillow 13 does it."""
    lost_rows, lost_columns = pixels.shape[0] - size[1], pixels.shape[1] - size[0]
    for axis in (0, 1) if lost_rows > 2 * lost_columns else (1, 0):
        if axis == 1 and lost_columns:
            pixels = _along(pixels, size[0])
        elif axis == 0 and lost_rows:
            pixels = _along(pixels.transpose(1, 0, 2), size[1]).transpose(1, 0, 2)
    return np.ascontiguousarray(pixels)


def _along(pixels: NDArray[np.uint8], n_out: int) -> NDArray[np.uint8]:
    """The second axis resampled to ``n_out`` places."""
    out = np.empty((pixels.shape[0], n_out, pixels.shape[2]), np.uint8)
    for place, (first, weights) in enumerate(_weights(pixels.shape[1], n_out)):
        part = pixels[:, first : first + len(weights)].astype(np.int64)
        total = np.einsum("hkc,k->hc", part, weights) + (1 << (_BITS - 1))
        out[:, place] = np.clip(total >> _BITS, 0, 255)
    return out


def _weights(n_in: int, n_out: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Of each place: the first that it is made of, and whole-number weights of that and those after it."""
    scale = n_in / n_out
    wide = max(scale, 1.0)
    reach = _SUPPORT * wide
    for place in range(n_out):
        centre = (place + 0.5) * scale
        first, end = max(int(centre - reach + 0.5), 0), min(int(centre + reach + 0.5), n_in)
        each = [_lanczos((x - centre + 0.5) * (1.0 / wide)) for x in range(first, end)]
        total = 0.0
        for weight in each:
            total += weight
        fine = [weight / total * (1 << _BITS) for weight in each]
        yield first, np.array([int(value - 0.5 if value < 0 else value + 0.5) for value in fine], np.int64)


def _lanczos(x: float) -> float:
    return _sinc(x) * _sinc(x / 3) if -_SUPPORT <= x < _SUPPORT else 0.0


def _sinc(x: float) -> float:
    return math.sin(x * math.pi) / (x * math.pi) if x else 1.0


def coo_matrix(entries: tuple[Any, tuple[NDArray[np.integer], NDArray[np.integer]]], shape: tuple[int, int]) -> tuple[Any, ...]:
    """The edges of a graph of ``shape[0]`` nodes, for :func:`connected_components`."""
    return (*entries[1], shape[0])


def connected_components(graph: tuple[Any, ...], directed: bool = False) -> tuple[int, NDArray[np.int32]]:
    """How many parts hang together, and the part of each node; numbered by their first nodes, as SciPy does."""
    one, other, n_nodes = graph
    root = np.arange(n_nodes)
    while len(one):
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        apart = low != high
        if not apart.any():
            break
        one, other, low, high = one[apart], other[apart], low[apart], high[apart]
        np.minimum.at(root, high, low)
        while not ((further := root[root]) == root).all():
            root = further
    found, label = np.unique(root, return_inverse=True)
    return len(found), label.astype(np.int32)


class _Engine:
    """Where ThorVG's library is: beside the runner, else in the package thorvg-python where that is installed."""

    @property
    def THORVG_LIB(self) -> SimpleNamespace | None:
        name = LIBRARIES.get(sys.platform, LIBRARY)
        folders = [Path(__file__).resolve().parent, *(Path(folder) / "thorvg_python" for folder in sys.path)]
        return next((SimpleNamespace(_name=str(folder / name)) for folder in folders if (folder / name).is_file()), None)


engine = _Engine()
