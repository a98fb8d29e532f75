"""Reads users' picture files as what they say they are; every rejection states its reason.

What a file says about its pixels is applied before anything else is done to them: orientation, 16 bits, colour profile,
transparency, frames. Guarantee: whatever the bytes, the result is pixels or a :class:`PictureError`; nothing outside the
file is loaded.
"""

from __future__ import annotations

import gzip
import io
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from core.errors import PictureError, RasterError
from core.logos.svg_source import checked_svg
from core.tracing.raster import over, rasterizer

FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF",
    ".ico": "ICO", ".avif": "AVIF", ".svg": "SVG", ".svgz": "SVG",
}  # fmt: skip
MIN_SIDE = 8
MAX_PIXELS = 64_000_000
MAX_FILE_BYTES = 64_000_000
MAX_FRAMES = 200  # of an animation that are looked through for one that is not blank
SVG_SIDE = 1024  # longest side, in pixels, at which an SVG is drawn unless the caller chooses another
_ALLOWED = tuple(sorted({name for name in FORMATS.values() if name != "SVG"}))
_SRGB = ImageCms.createProfile("sRGB")
_GZIP = b"\x1f\x8b"
_BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError, OverflowError, zlib.error, Image.DecompressionBombError
)  # fmt: skip


def read_picture(path: Path, background: int | None = 255, svg_side: int = SVG_SIDE) -> NDArray[np.uint8]:
    """Read a file to RGB, shape (height, width, 3), with transparency flattened onto the grey level ``background``; or, where that is
    None, to RGBA where anything is transparent.

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
    return decode_picture(data, background, svg_side)


def decode_picture(data: bytes, background: int | None = 255, svg_side: int = SVG_SIDE) -> NDArray[np.uint8]:
    """Decode a file's bytes, whatever its name says; see :func:`read_picture`."""
    if not data:
        raise PictureError("the file is empty")
    pixels = _draw_svg(unpacked(data), svg_side) if is_svg(data) else _decode_raster(data)
    if pixels.shape[2] == 4 and bool((pixels[..., 3] == 255).all()):
        pixels = np.ascontiguousarray(pixels[..., :3])
    if _is_plain(pixels):
        raise PictureError("it has only one colour, so there is nothing to trace")
    if pixels.shape[2] == 4 and background is not None:
        pixels = over(pixels, background)
        if _is_plain(pixels):
            raise PictureError("it has only one colour on this background, so there is nothing to trace")
    return pixels


def svg_size(path: Path) -> tuple[int, int] | None:
    """Width and height that an SVG says it has, in whole pixels; None of any other picture, and where it can't be read."""
    try:
        data = path.read_bytes()
        if not is_svg(data):
            return None
        width, height = rasterizer().size(checked_svg(unpacked(data)))
    except (OSError, PictureError, RasterError):
        return None
    return max(round(width), 1), max(round(height), 1)


def is_svg(data: bytes) -> bool:
    """Whether bytes are those of an SVG, packed or not."""
    if data.startswith(_GZIP):
        return True
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith((b"<", b"\xff\xfe<", b"\xfe\xff\x00<"))


def _is_plain(pixels: NDArray[np.uint8]) -> bool:
    """Whether all that one could see is of one colour."""
    if pixels.shape[2] == 4:
        if not pixels[..., 3].any():
            return True
        return not (pixels != pixels[0, 0]).any()
    return not (pixels[::16] != pixels[0, 0]).any() and not (pixels != pixels[0, 0]).any()


def unpacked(data: bytes) -> bytes:
    """The bytes of an SVG that may be packed (SVGZ); :class:`PictureError` where that is broken."""
    if not data.startswith(_GZIP):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(MAX_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise PictureError(f"broken SVGZ: {error}") from error
    if len(unpacked) > MAX_FILE_BYTES:
        raise PictureError(f"more than {MAX_FILE_BYTES} bytes unpacked, above the limit")
    return unpacked


def _draw_svg(data: bytes, svg_side: int) -> NDArray[np.uint8]:
    data = checked_svg(data)
    try:
        width, height = rasterizer().size(data)
        scale = svg_side / max(width, height)
        return rasterizer().draw_rgba(data, max(round(width * scale), 1), max(round(height * scale), 1))
    except RasterError as error:
        raise PictureError(str(error)) from error


def _decode_raster(data: bytes) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_ALLOWED) as image:
                width, height = image.size
                if min(width, height) < MIN_SIDE:
                    raise PictureError(f"{width} x {height} pixels; each side needs at least {MIN_SIDE}")
                if width * height > MAX_PIXELS:
                    raise PictureError(f"{width} x {height} pixels; the limit is {MAX_PIXELS} pixels")
                return _first_that_shows(image)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        raise PictureError("unreadable image") from error
    except (*_BROKEN, ImageCms.PyCMSError) as error:
        raise PictureError(f"unreadable image: {str(error)[:120] or type(error).__name__}") from error


def _first_that_shows(image: Image.Image) -> NDArray[np.uint8]:
    """The first frame that is not blank; the first one where all are."""
    image.seek(0)
    first = _pixels(image)
    n_frames = min(getattr(image, "n_frames", 1), MAX_FRAMES) if getattr(image, "is_animated", False) else 1
    found, place = first, 0
    while _is_plain(found) and place + 1 < n_frames:
        place += 1
        image.seek(place)
        found = _pixels(image)
    return first if _is_plain(found) else found


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """RGB or RGBA, uint8, in sRGB, the right way up."""
    profile = image.info.get("icc_profile")
    transposed = ImageOps.exif_transpose(image)
    levels = _levels(transposed)
    if levels is not None:
        return np.repeat(levels[..., None], 3, axis=2)
    has_alpha = transposed.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in transposed.info
    alpha = transposed.convert("RGBA").getchannel("A") if has_alpha else None
    opaque = _opaque(transposed)
    if profile:
        opaque = _in_srgb(opaque, profile)
    rgb = np.asarray(opaque.convert("RGB"))
    return rgb.copy() if alpha is None else np.dstack([rgb, np.asarray(alpha)])


def _levels(image: Image.Image) -> NDArray[np.uint8] | None:
    """Grey levels of pictures with more than 8 bits per pixel, the upper 8 of them; None for all others."""
    if image.mode.startswith("I;16"):
        return (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
    if image.mode not in ("I", "F"):
        return None
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    most = float(values.max(initial=0.0))
    if image.mode == "F" and most <= 1:
        values = values * 255
    elif most > 65535:
        values = values * (255 / most)
    elif most > 255:
        values = np.floor(values / 256)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _opaque(image: Image.Image) -> Image.Image:
    """Without alpha and palette, still in the colours that its profile speaks of: L, RGB, CMYK or LAB."""
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image
    if image.mode in ("1", "LA", "La"):
        return image.convert("RGBA").convert("RGB").convert("L") if image.mode == "La" else image.convert("L")
    return image.convert("RGBA").convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Colours as the profile means them. One that is damaged, or of another kind of picture, is passed over."""
    try:
        found = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        moved = ImageCms.profileToProfile(image, found, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, *_BROKEN):
        return image
    return image if moved is None else moved
