"""A picture at work size with everything that converting it again and again needs, prepared once.

Guarantee: measuring the same parameters twice gives the same outcome to the bit, CPU seconds apart.
"""

from __future__ import annotations

import io
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import PictureError, RasterError
from core.tracing.features import Features, all_features
from core.tracing.outcome import Outcome
from core.tracing.params import DEFAULTS, Params
from core.tracing.pipeline import PLAIN, Canvas, Mode, PackedCanvas, Pipeline, Trace, convert
from core.tracing.raster import ground_of, over
from core.tracing.similarity import WINDOW
from core.tracing.sizes import fit as fit
from core.tracing.visual import Errors, VisualReference

MAX_PIXELS = 40_000_000  # of a picture that is decoded beside everything else


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Lossless PNG of RGB or RGBA pixels."""
    order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    ok, buffer = cv2.imencode(".png", cv2.cvtColor(pixels, order), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not ok:
        raise ValueError(f"a picture of shape {pixels.shape} can't be encoded as PNG")
    return bytes(buffer)


def decode_png(png: bytes) -> NDArray[np.uint8]:
    """RGB, or RGBA where the picture has alpha.

    Raises:
        PictureError: it is damaged, or larger than any of ours, which is seen before it is decoded.
    """
    try:
        picture = Image.open(io.BytesIO(png))
        if picture.width * picture.height > MAX_PIXELS:
            raise PictureError(f"{picture.width} x {picture.height} pixels; the limit is {MAX_PIXELS:,} pixels")
        return np.asarray(picture.convert("RGBA" if picture.has_transparency_data else "RGB"))
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # Pillow says much of a damaged file: SyntaxError, struct.error, zlib.error, DecompressionBombError
        raise PictureError(f"it is damaged ({type(error).__name__})") from error


def _is_varied(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels != pixels[0, 0]).any())


Canvases = MutableMapping[Pipeline, PackedCanvas]


@dataclass(frozen=True)
class Measured:
    """A trace and its outcome."""

    trace: Trace
    outcome: Outcome


class Picture:
    """RGB or RGBA pixels, uint8, shape (height, width, 3 or 4), both sides at least 8.

    ``source``: as they came; ``pixels``: opaque RGB, what is clear laid over the ``ground``, white or black, that it stands out from more.
    ``pipeline``: what stands around VTracer in :meth:`measure`; the gain's reference, VTracer's own defaults, goes without it.
    """

    def __init__(self, pixels: NDArray[np.uint8], pipeline: Pipeline = Pipeline(), canvases: Canvases | None = None) -> None:
        if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or min(pixels.shape[:2]) < WINDOW:
            raise ValueError(f"a picture of shape {pixels.shape} can't be traced; it needs (height, width, 3 or 4), sides >= {WINDOW}")
        self.source = pixels
        self.pipeline = pipeline
        self.ground = ground_of(pixels)
        self.pixels = pixels if pixels.shape[2] == 3 else over(pixels, self.ground)
        self._canvases = canvases if canvases is not None else {}

    @cached_property
    def png(self) -> bytes:
        return encode_png(self.source)

    @cached_property
    def reference(self) -> VisualReference:
        return VisualReference(self.source)

    @cached_property
    def blank_errors(self) -> Errors:
        """Of nothing drawn: what a conversion counts that gave nothing."""
        height, width = self.source.shape[:2]
        flat = [np.full((height, width, 3), ground, np.uint8) for ground in ((255, 0) if self.reference.is_clear else (255,))]
        return self.reference.errors(tuple(flat))

    @cached_property
    def features(self) -> Features:
        return all_features(self.pixels)

    @cached_property
    def by_defaults(self) -> Measured:
        """VTracer's own defaults on this picture."""
        return self.measure(DEFAULTS)

    @property
    def defaults(self) -> Outcome:
        """The outcome of VTracer's own defaults."""
        return self.by_defaults.outcome

    @cached_property
    def _is_varied(self) -> bool:
        return _is_varied(self.source)

    def canvas(self, pipeline: Pipeline) -> Canvas:
        """What VTracer is given of it; made once per pipeline."""
        found = self._canvases.get(pipeline)
        if found is None:
            made = Canvas.of(self.source, pipeline)
            found = self._canvases[pipeline] = PackedCanvas.of(made)
            return made
        return found.unpacked()

    def measure(self, params: Params, pipeline: Pipeline | None = None, mode: Mode = "spline") -> Measured:
        """Convert, draw and compare; ``pipeline``: the picture's own unless given, and none for plain parameters."""
        pipeline = PLAIN if params.is_plain else pipeline or self.pipeline
        height, width = self.source.shape[:2]
        traced = convert(self.canvas(pipeline), self.source, params, pipeline, (width, height), mode)
        failure: str | None = traced.failure
        found: Errors | None = None
        if failure is None:
            try:
                drawn = self.reference.draw(traced.svg.encode(), params.hierarchical >= 0.5)
                found = self.reference.errors(drawn)
                if traced.n_paths == 1 and self._is_varied and not any(_is_varied(flat) for flat in drawn):
                    failure = "blank"  # what precisions above 8 do: they wrap, and all colours fall together
            except RasterError:
                failure = "unreadable"
        found = found or self.blank_errors
        made = Outcome(
            found.ssim, traced.n_bytes, traced.n_paths, traced.cpu_s, failure, found.colour, found.edge, found.lost, traced.n_nodes
        )
        return Measured(traced, made)
