"""Reads users' picture files as what they say they are; every rejection states its reason.

What a file says about its pixels is applied before anything else is done to them: orientation, 16 bits, colour profile,
transparency, frames. Guarantee: whatever the bytes, the result is pixels or a :class:`PictureError`; nothing outside the
file is loaded.
"""

from __future__ import annotations

import gzip
import io
import math
import warnings
import zlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from core.errors import PictureError, RasterError
from core.logos.svg_source import MAX_BYTES as MAX_SVG_BYTES
from core.logos.svg_source import cleaned_svg
from core.tracing.raster import over, rasterizer

FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".gif": "GIF", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF",
    ".ico": "ICO", ".avif": "AVIF", ".svg": "SVG", ".svgz": "SVG",
}  # fmt: skip
MIN_SIDE = 8
MAX_PIXELS = 40_000_000
MAX_FILE_BYTES = 64_000_000
ORDINARY_PIXELS, ORDINARY_BYTES = 4_200_000, 16_000_000  # what is decoded beside everything else, in tens of milliseconds
MAX_FRAMES = 200  # of an animation that are looked through for one that is not blank
SVG_SIDE = 1024  # longest side, in pixels, at which an SVG is drawn unless the caller chooses another
_ALLOWED = tuple(sorted({name for name in FORMATS.values() if name != "SVG"}))
_STRIP = 256  # rows
_ORIENTATION = 0x0112  # in Exif
_SRGB = ImageCms.createProfile("sRGB")
_GZIP = b"\x1f\x8b"
_MARKS: dict[str, tuple[bytes, ...]] = {
    "PNG": (b"\x89PNG\r\n\x1a\n",), "JPEG": (b"\xff\xd8\xff",), "GIF": (b"GIF87a", b"GIF89a"), "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "ICO": (b"\0\0\1\0",), "ZIP": (b"PK\x03\x04", b"PK\x05\x06"),
}  # fmt: skip
_BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, KeyError, OverflowError, zlib.error, Image.DecompressionBombError
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A picture that was read.

    ``pixels``: RGB, shape (height, width, 3), or RGBA; ``notes``: what was left out of it; ``size``: width and height that its file says.
    """

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)


def kind_of(data: bytes) -> str:
    """What a file is by its first bytes, whatever its name says: a value of :data:`FORMATS`, "ZIP", or "" for anything else."""
    for kind, marks in _MARKS.items():
        if data.startswith(marks):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and any(brand in data[8:64] for brand in (b"avif", b"avis", b"mif1", b"miaf")):
        return "AVIF"
    return "SVG" if is_svg(data) else ""


def check_kind(data: bytes) -> str:
    """The kind of a file that may be a picture, a value of :data:`FORMATS`.

    Raises:
        PictureError: it is empty, larger than the limit, or of another kind.
    """
    if not data:
        raise PictureError("the file is empty")
    if len(data) > MAX_FILE_BYTES:
        raise PictureError(f"{len(data):,} bytes; the limit is {MAX_FILE_BYTES:,}")
    kind = kind_of(data)
    if kind not in FORMATS.values():
        what = "a ZIP file" if kind else "no picture of a supported format"
        raise PictureError(f"its content is {what}; supported are {', '.join(sorted(FORMATS))}")
    return kind


def is_ordinary(data: bytes) -> bool:
    """Whether decoding a picture costs little whatever is in it: one frame of few pixels, in a format whose time grows with these alone.

    A progressive JPEG may have any number of scans; a WebP, TIFF, icon, AVIF or SVG is not known before it is decoded.
    """
    if len(data) > ORDINARY_BYTES or kind_of(data) not in ("PNG", "JPEG", "GIF", "BMP"):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_ALLOWED) as image:
                is_single = not getattr(image, "is_animated", False) and "progressive" not in image.info
                return is_single and image.width * image.height <= ORDINARY_PIXELS
    except _BROKEN:
        return True  # it will not be decoded either


def decode_picture(data: bytes, background: int | None = 255, svg_side: int = SVG_SIDE) -> NDArray[np.uint8]:
    """The pixels of a file's bytes; see :func:`decode`."""
    return decode(data, background, svg_side).pixels


def decode(data: bytes, background: int | None = 255, svg_side: int = SVG_SIDE) -> Found:
    """Decode a file's bytes, whatever its name says, in this process: RGB with transparency flattened onto the grey level ``background``;
    or, where that is None, RGBA where anything is transparent.

    Raises:
        PictureError: it has an unsupported format, or is empty, broken, too small, too large, or of a single colour.
    """
    found = _draw_svg(unpacked(data), svg_side) if check_kind(data) == "SVG" else _decode_raster(data)
    pixels = found.pixels
    if pixels.shape[2] == 4 and bool((pixels[..., 3] == 255).all()):
        pixels = np.ascontiguousarray(pixels[..., :3])
    if _is_plain(pixels):
        raise PictureError("it has only one colour, so there is nothing to trace")
    if pixels.shape[2] == 4 and background is not None:
        pixels = over(pixels, background)
        if _is_plain(pixels):
            raise PictureError("it has only one colour on this background, so there is nothing to trace")
    return replace(found, pixels=pixels)


def is_svg(data: bytes) -> bool:
    """Whether bytes are those of an SVG, packed or not."""
    if data.startswith(_GZIP):
        return True
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    return head.startswith((b"<", b"\xff\xfe<", b"\xfe\xff\x00<"))


def _is_plain(pixels: NDArray[np.uint8]) -> bool:
    """Whether all that one could see is of one colour."""
    if pixels.shape[2] == 4 and not pixels[..., 3].any():
        return True
    return not any((pixels[top : top + _STRIP] != pixels[0, 0]).any() for top in range(0, len(pixels), _STRIP))


def unpacked(data: bytes) -> bytes:
    """The bytes of an SVG that may be packed (SVGZ); :class:`PictureError` where that is broken."""
    if not data.startswith(_GZIP):
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(MAX_SVG_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise PictureError(f"broken SVGZ: {error}") from error
    if len(unpacked) > MAX_SVG_BYTES:
        raise PictureError(f"more than {MAX_SVG_BYTES:,} bytes unpacked, above the limit")
    return unpacked


def _draw_svg(data: bytes, svg_side: int) -> Found:
    cleaned = cleaned_svg(data)
    try:
        width, height = rasterizer().size(cleaned.svg)
        if not (math.isfinite(width) and math.isfinite(height)):
            raise RasterError("the SVG has no width or height")
        scale = svg_side / max(width, height)
        drawn = rasterizer().draw_rgba(cleaned.svg, max(round(width * scale), 1), max(round(height * scale), 1))
        return Found(drawn, cleaned.notes, (max(round(width), 1), max(round(height), 1)))
    except RasterError as error:
        raise PictureError(str(error)) from error


def _decode_raster(data: bytes) -> Found:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_ALLOWED) as image:
                width, height = image.size
                if min(width, height) < MIN_SIDE:
                    raise PictureError(f"{width} x {height} pixels; each side needs at least {MIN_SIDE}")
                if width * height > MAX_PIXELS:
                    raise PictureError(f"{width} x {height} pixels; the limit is {MAX_PIXELS:,} pixels")
                pixels = _first_that_shows(image)
                return Found(pixels, (), (pixels.shape[1], pixels.shape[0]))
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
    """RGB or RGBA, uint8, in sRGB, the right way up; strip by strip, so that a large picture is in memory about twice."""
    profile = image.info.get("icc_profile")
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    levels = _levels(image)
    if levels is not None:
        return np.repeat(levels[..., None], 3, axis=2)
    has_alpha = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    image.load()
    pixels = np.empty((image.height, image.width, 4 if has_alpha else 3), np.uint8)
    for top in range(0, image.height, _STRIP):
        strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
        opaque = _opaque(strip)
        if profile:
            opaque = _in_srgb(opaque, profile)
        pixels[top : top + _STRIP, :, :3] = np.asarray(opaque.convert("RGB"))
        if has_alpha:
            pixels[top : top + _STRIP, :, 3] = np.asarray(strip.convert("RGBA").getchannel("A"))
    return pixels


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
