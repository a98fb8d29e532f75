"""SVG to pixels with ThorVG's software canvas, which comes whole in its wheel.

Guarantee: never loads what an SVG refers to outside itself (no resource path is handed over), and always returns
opaque RGB on the given background. The C functions are declared here once: the wheel's own Python layer declares
them again at every call, which breaks under threads and leaves a ctypes type behind for every length of SVG.
"""

from __future__ import annotations

import ctypes
import math
import re
import threading
from ctypes import POINTER, c_bool, c_char_p, c_float, c_uint8, c_uint32, c_void_p

import cv2
import numpy as np
import thorvg_python.engine
from numpy.typing import NDArray

from core.errors import RasterError
from core.tracing.allowed import checked

MAX_SIDE = 8192
MAX_SURFACES = 64
_ABGR8888 = 0  # bytes in memory: R, G, B, A
_EXTERNAL = re.compile(rb"""(?:xlink:)?href\s*=\s*["']\s*(?!#|data:)[^"']*["']""", re.IGNORECASE)
_PROTOTYPES: dict[str, tuple[list[type], type]] = {
    "tvg_engine_init": ([c_uint32], c_uint32),
    "tvg_swcanvas_create": ([c_uint8], c_void_p),
    "tvg_swcanvas_set_target": ([c_void_p, c_void_p, c_uint32, c_uint32, c_uint32, c_uint8], c_uint32),
    "tvg_canvas_destroy": ([c_void_p], c_uint32),
    "tvg_canvas_add": ([c_void_p, c_void_p], c_uint32),
    "tvg_canvas_remove": ([c_void_p, c_void_p], c_uint32),
    "tvg_canvas_update": ([c_void_p], c_uint32),
    "tvg_canvas_draw": ([c_void_p, c_bool], c_uint32),
    "tvg_canvas_sync": ([c_void_p], c_uint32),
    "tvg_picture_new": ([], c_void_p),
    "tvg_picture_load_data": ([c_void_p, c_char_p, c_uint32, c_char_p, c_char_p, c_bool], c_uint32),
    "tvg_picture_set_size": ([c_void_p, c_float, c_float], c_uint32),
    "tvg_picture_get_size": ([c_void_p, POINTER(c_float), POINTER(c_float)], c_uint32),
    "tvg_paint_unref": ([c_void_p, c_bool], c_uint32),
}


def _open_library() -> ctypes.CDLL:
    found = thorvg_python.engine.THORVG_LIB
    if found is None:
        raise RasterError("ThorVG's library can't be loaded: install thorvg-python again")
    library = ctypes.CDLL(found._name)  # a handle of our own: the wheel's layer changes its argument types
    for name, (arguments, result) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, result
    library.tvg_engine_init(0)
    return library


class _Surface:
    """A canvas of fixed size and a NumPy view of its buffer, shape (height, width, 4), RGBA order."""

    def __init__(self, library: ctypes.CDLL, width: int, height: int) -> None:
        self.pixels = np.zeros((height, width, 4), dtype=np.uint8)
        self.canvas = library.tvg_swcanvas_create(0)
        library.tvg_swcanvas_set_target(self.canvas, self.pixels.ctypes.data, width, width, height, _ABGR8888)


class Rasterizer:
    """Draws SVGs; any thread may call it, one draws at a time."""

    def __init__(self) -> None:
        self._library = _open_library()
        self._surfaces: dict[tuple[int, int], _Surface] = {}
        self._lock = threading.Lock()

    def draw(self, svg: bytes, width: int, height: int, background: int = 255) -> NDArray[np.uint8]:
        """Draw ``svg`` scaled to ``width`` x ``height`` pixels; returns RGB, shape (height, width, 3).

        Raises:
            RasterError: the SVG can't be parsed, or the size is out of range.
        """
        with self._lock:
            return cv2.cvtColor(self._drawn(svg, width, height, background), cv2.COLOR_RGBA2RGB)  # type: ignore[return-value]

    def draw_codes(self, svg: bytes, width: int, height: int) -> NDArray[np.uint32]:
        """The same as numbers, red + green * 256 + blue * 65,536, on black; shape (height, width).

        Raises:
            RasterError: as :meth:`draw`.
        """
        with self._lock:
            return self._drawn(svg, width, height, 0).view("<u4")[..., 0] & np.uint32(0xFFFFFF)

    def draw_rgba(self, svg: bytes, width: int, height: int) -> NDArray[np.uint8]:
        """The same on nothing; returns RGBA, shape (height, width, 4), colours as they are, not weighted by their alpha.

        Raises:
            RasterError: as :meth:`draw`.
        """
        with self._lock:
            drawn = self._drawn(svg, width, height, 0).copy()
        alpha = drawn[..., 3:].astype(np.uint16)
        drawn[..., :3] = np.minimum((drawn[..., :3].astype(np.uint16) * 255 + alpha // 2) // np.maximum(alpha, 1), 255)
        return drawn

    def draw_over(self, svg: bytes, width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The same over white and over black, drawn once: two of RGB, shape (height, width, 3)."""
        with self._lock:
            drawn = self._drawn(svg, width, height, 0)
            black: NDArray[np.uint8] = cv2.cvtColor(drawn, cv2.COLOR_RGBA2RGB)  # type: ignore[assignment]
            clear = 255 - drawn[..., 3:]
        return cv2.add(black, np.repeat(clear, 3, axis=2)), black  # type: ignore[return-value]

    def _drawn(self, svg: bytes, width: int, height: int, background: int) -> NDArray[np.uint8]:
        """The shared surface, colours weighted by their alpha; the lock must be held."""
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise RasterError(f"a picture of {width} x {height} pixels can't be drawn; sides are 1 to {MAX_SIDE}")
        library = self._library
        surface = self._surface(width, height)
        picture = self._load(svg)
        library.tvg_picture_set_size(picture, width, height)
        surface.pixels.fill(background)
        library.tvg_canvas_add(surface.canvas, picture)
        library.tvg_canvas_update(surface.canvas)
        library.tvg_canvas_draw(surface.canvas, False)
        library.tvg_canvas_sync(surface.canvas)
        library.tvg_canvas_remove(surface.canvas, picture)
        return surface.pixels

    def size(self, svg: bytes) -> tuple[float, float]:
        """Width and height that the SVG asks for, in pixels."""
        width, height = c_float(), c_float()
        with self._lock:
            picture = self._load(svg)
            self._library.tvg_picture_get_size(picture, width, height)
            self._library.tvg_paint_unref(picture, True)
        if not (width.value > 0 and height.value > 0):
            raise RasterError("the SVG has no width or height")
        return width.value, height.value

    def _surface(self, width: int, height: int) -> _Surface:
        key = (width, height)
        if key not in self._surfaces:
            if len(self._surfaces) >= MAX_SURFACES:
                oldest = next(iter(self._surfaces))
                self._library.tvg_canvas_destroy(self._surfaces.pop(oldest).canvas)
            self._surfaces[key] = _Surface(self._library, width, height)
        return self._surfaces[key]

    def _load(self, svg: bytes) -> int:
        picture: int = self._library.tvg_picture_new()
        if self._library.tvg_picture_load_data(picture, svg, len(svg), b"svg", None, True) != 0:
            self._library.tvg_paint_unref(picture, True)
            raise RasterError("not an SVG that can be parsed")
        return picture


_shared: Rasterizer | None = None
_shared_lock = threading.Lock()


def rasterizer() -> Rasterizer:
    """The rasterizer of this process."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Rasterizer()
        return _shared


def draw_ours(svg: bytes, side: int) -> NDArray[np.uint8]:
    """An SVG of ours on nothing, its longer side ``side`` pixels; returns RGBA as :meth:`Rasterizer.draw_rgba`.

    Raises:
        SvgError: it holds more than a tracer draws. RasterError: it can't be drawn.
    """
    wide, high = rasterizer().size(checked(svg))
    if not (math.isfinite(wide) and math.isfinite(high)):
        raise RasterError("the SVG has no width or height")
    scale = side / max(wide, high)
    return rasterizer().draw_rgba(svg, max(round(wide * scale), 1), max(round(high * scale), 1))


def without_references(svg: bytes) -> bytes:
    """The SVG with every reference to something outside itself removed."""
    return _EXTERNAL.sub(b"", svg)


def ground_of(pixels: NDArray[np.uint8]) -> int:
    """White (255) or black (0), whichever RGBA pixels stand out from more; white where nothing is clear."""
    if pixels.shape[2] == 3 or not pixels[..., 3].any():
        return 255
    weight = pixels[..., 3].astype(np.float64)
    lightness = float((cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY) * weight).sum() / weight.sum())
    return 255 if lightness < 208 or bool((pixels[..., 3] == 255).all()) else 0


def over(pixels: NDArray[np.uint8], ground: int) -> NDArray[np.uint8]:
    """RGBA pixels laid over a grey ``ground`` in [0, 255]: RGB of the same shape."""
    alpha = pixels[..., 3:].astype(np.uint16)
    return ((pixels[..., :3] * alpha + np.uint16(ground) * (255 - alpha) + 127) // 255).astype(np.uint8)
