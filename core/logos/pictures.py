"""Reads users' picture files in all supported formats as opaque RGB; every rejection states its reason.

Guarantee: whatever the bytes, the result is pixels or a :class:`PictureError`; nothing outside the file is loaded.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.errors import PictureError, RasterError
from core.tracing.raster import rasterizer, without_references

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".svg": "SVG"}
MIN_SIDE = 8
MAX_PIXELS = 64_000_000
MAX_FILE_BYTES = 64_000_000
SVG_SIDE = 1024  # longest side, in pixels, at which an SVG is drawn unless the caller chooses another
_ALLOWED = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


def read_picture(path: Path, background: int = 255, svg_side: int = SVG_SIDE) -> NDArray[np.uint8]:
    """Read a file to RGB, shape (height, width, 3). Transparency is flattened onto the grey level ``background``.

    Raises:
        PictureError: the file has an unsupported format, or is empty, broken, too small, too large, or of a single colour.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise PictureError(f"unsupported format ({suffix or 'no extension'}); supported are {', '.join(sorted(FORMATS))}")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PictureError(f"{path.stat().st_size} bytes; the limit is {MAX_FILE_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(f"can't be read: {error.strerror or error}") from error
    return decode_picture(data, suffix == ".svg", background, svg_side)


def decode_picture(data: bytes, is_svg: bool = False, background: int = 255, svg_side: int = SVG_SIDE) -> NDArray[np.uint8]:
    """Decode a file's bytes; see :func:`read_picture`."""
    if not data:
        raise PictureError("the file is empty")
    pixels = _draw_svg(data, background, svg_side) if is_svg else _decode_raster(data, background)
    if not (pixels[::16] != pixels[0, 0]).any() and not (pixels != pixels[0, 0]).any():
        raise PictureError("it has only one colour, so there is nothing to trace")
    return pixels


def _draw_svg(data: bytes, background: int, svg_side: int) -> NDArray[np.uint8]:
    data = without_references(data)
    try:
        width, height = rasterizer().size(data)
        scale = svg_side / max(width, height)
        return rasterizer().draw(data, max(round(width * scale), 1), max(round(height * scale), 1), background)
    except RasterError as error:
        raise PictureError(str(error)) from error


def _decode_raster(data: bytes, background: int) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_ALLOWED) as image:
                width, height = image.size
                if min(width, height) < MIN_SIDE:
                    raise PictureError(f"{width} x {height} pixels; each side needs at least {MIN_SIDE}")
                if width * height > MAX_PIXELS:
                    raise PictureError(f"{width} x {height} pixels; the limit is {MAX_PIXELS} pixels")
                image.seek(0)
                return _flatten(image, background)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError("not a readable picture") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, IndexError, TypeError) as error:
        raise PictureError(f"broken picture: {str(error)[:120] or type(error).__name__}") from error


def _flatten(image: Image.Image, background: int) -> NDArray[np.uint8]:
    """Opaque RGB: VTracer picks a random key colour for transparency, so it must not see any."""
    has_alpha = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if not has_alpha:
        return np.asarray(image.convert("RGB")).copy()
    rgba = image.convert("RGBA")
    canvas = Image.new("RGBA", rgba.size, (background, background, background, 255))
    return np.asarray(Image.alpha_composite(canvas, rgba).convert("RGB")).copy()
