"""A picture at work size with everything that converting it again and again needs, prepared once.

Guarantee: measuring the same parameters twice gives the same outcome to the bit, CPU seconds apart.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import RasterError
from core.tracing.features import Features, all_features
from core.tracing.outcome import Outcome
from core.tracing.params import DEFAULTS, REFINED, Params
from core.tracing.pipeline import PLAIN, Canvas, Mode, Pipeline, Trace, convert
from core.tracing.raster import ground_of, over, rasterizer
from core.tracing.similarity import WINDOW, Reference
from core.tracing.sizes import fit as fit


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Lossless PNG of RGB or RGBA pixels."""
    order = cv2.COLOR_RGB2BGR if pixels.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
    ok, buffer = cv2.imencode(".png", cv2.cvtColor(pixels, order), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not ok:
        raise ValueError(f"a picture of shape {pixels.shape} can't be encoded as PNG")
    return bytes(buffer)


def decode_png(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _is_varied(pixels: NDArray[np.uint8]) -> bool:
    return bool((pixels != pixels[0, 0]).any())


@dataclass(frozen=True)
class Measured:
    """A trace and its outcome."""

    trace: Trace
    outcome: Outcome


class Picture:
    """RGB or RGBA pixels, uint8, shape (height, width, 3 or 4), both sides at least 8.

    ``source``: as they came; ``pixels``: opaque RGB, what is clear laid over the ``ground``, white or black, that it stands out from more.
    """

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or min(pixels.shape[:2]) < WINDOW:
            raise ValueError(f"a picture of shape {pixels.shape} can't be traced; it needs (height, width, 3 or 4), sides >= {WINDOW}")
        self.source = pixels
        self.ground = ground_of(pixels)
        self.pixels = pixels if pixels.shape[2] == 3 else over(pixels, self.ground)

    @cached_property
    def png(self) -> bytes:
        return encode_png(self.source)

    @cached_property
    def canvas(self) -> Canvas:
        """What VTracer is given of it."""
        return Canvas.of(self.source, PLAIN)

    @cached_property
    def reference(self) -> Reference:
        return Reference(self.pixels)

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
        return _is_varied(self.pixels)

    def measure(self, params: Params, mode: Mode = "spline") -> Measured:
        """Trace as VTracer does by itself, draw and compare."""
        return self._compared(convert(self.canvas, self.source, params, PLAIN, mode=mode))

    def refined(self, params: Params = REFINED, pipeline: Pipeline = Pipeline()) -> Measured:
        """The same with clean edges and fitted fills."""
        height, width = self.pixels.shape[:2]
        return self._compared(convert(Canvas.of(self.source, pipeline), self.source, params, pipeline, (width, height)))

    def _compared(self, traced: Trace) -> Measured:
        failure: str | None = traced.failure
        similarity = 0.0
        if failure is None:
            height, width = self.pixels.shape[:2]
            try:
                drawn = rasterizer().draw(traced.svg.encode(), width, height, self.ground)
                similarity = self.reference.ssim(drawn)
                if traced.n_paths == 1 and self._is_varied and not _is_varied(drawn):
                    failure = "blank"  # what precisions above 8 do: they wrap, and all colours fall together
            except RasterError:
                failure = "unreadable"
        return Measured(traced, Outcome(similarity, traced.n_bytes, traced.n_paths, traced.cpu_s, failure))
