"""A picture at work size with everything that tracing it again and again needs, prepared once.

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
from core.tracing.params import DEFAULTS, Params
from core.tracing.raster import rasterizer
from core.tracing.similarity import WINDOW, Reference
from core.tracing.tracer import FILTER_SPECKLE, Mode, Trace, trace

MIN_SIDE = 8


def fit(pixels: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """Shrink so that the longest side is ``longest_side`` pixels; smaller pictures stay, short sides reach 8."""
    height, width = pixels.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    new_w, new_h = max(round(width * scale), 1), max(round(height * scale), 1)
    if (new_w, new_h) != (width, height):
        pixels = np.asarray(Image.fromarray(pixels).resize((new_w, new_h), Image.Resampling.LANCZOS))
    pad_w, pad_h = max(MIN_SIDE - new_w, 0), max(MIN_SIDE - new_h, 0)
    if pad_w or pad_h:  # the SSIM window needs 7 pixels each way
        pixels = np.pad(pixels, ((0, pad_h), (0, pad_w), (0, 0)), mode="edge")
    return np.ascontiguousarray(pixels)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Lossless opaque PNG of RGB pixels. Level 3: VTracer takes bytes one by one, so that smaller is faster to trace."""
    ok, buffer = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 3])
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
    """RGB pixels, uint8, shape (height, width, 3), both sides at least 8."""

    def __init__(self, pixels: NDArray[np.uint8], png: bytes | None = None) -> None:
        if pixels.ndim != 3 or pixels.shape[2] != 3 or min(pixels.shape[:2]) < WINDOW:
            raise ValueError(f"a picture of shape {pixels.shape} can't be traced; it needs (height, width, 3), sides >= {WINDOW}")
        self.pixels = pixels
        self.png = encode_png(pixels) if png is None else png

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

    def measure(self, params: Params, filter_speckle: int = FILTER_SPECKLE, mode: Mode = "spline") -> Measured:
        """Trace, draw and compare."""
        traced = trace(self.png, params, filter_speckle, mode)
        failure: str | None = traced.failure
        similarity = 0.0
        if failure is None:
            height, width = self.pixels.shape[:2]
            try:
                drawn = rasterizer().draw(traced.svg.encode(), width, height)
                similarity = self.reference.ssim(drawn)
                if traced.n_paths == 1 and self._is_varied and not _is_varied(drawn):
                    failure = "blank"  # what precisions above 8 do: they wrap, and all colours fall together
            except RasterError:
                failure = "unreadable"
        return Measured(traced, Outcome(similarity, traced.n_bytes, traced.n_paths, traced.cpu_s, failure))
