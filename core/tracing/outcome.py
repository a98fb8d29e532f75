"""What one conversion is worth: outcome, and gain over VTracer's defaults.

    gain = w_quality ln((1 - ssim0 + e) / (1 - ssim + e)) + w_size ln(bytes0 / bytes) + w_speed ln(cpu_s0 / cpu_s)

with e = 0.001 and index 0 for the defaults on the same picture. 0 is as good as the defaults; 0.69 on a term of
weight 1 is half the error, or half the bytes. Pure functions; nothing here traces or reads files.
"""

from __future__ import annotations

import math
import struct
from dataclasses import asdict, dataclass
from typing import Any

EPSILON = 0.001
MIN_CPU_S = 1e-4  # below this a CPU time is the clock's own grain
FAILED_GAIN = -3.0  # what a trace counts that panicked, came out blank or too large
MIN_GAIN = -3.0
SSIM_SLACK = 0.01  # an SSIM so much below the defaults' is one that a user would see
REPEATABLE = ("panic", "blank", "oversized", "unreadable")  # failures that the same picture and parameters give again
LOST = ("crashed", "timeout", "memory")  # the conversion took its process with it, or would have
FAILURES = (*REPEATABLE, *LOST)
ENDS = (None, *FAILURES)  # what a conversion can come to; places in it stand for it in bytes and tables
_BYTES = struct.Struct("<dqqdB")


@dataclass(frozen=True)
class Weights:
    """Weights of the three terms of the gain."""

    quality: float = 1.0
    size: float = 0.3
    speed: float = 0.0


TERM_NAMES: tuple[str, ...] = ("quality", "size", "speed")
HEADLINE = Weights(1.0, 0.3, 0.0)
BALANCED = Weights(0.6, 0.1, 0.3)


@dataclass(frozen=True)
class Outcome:
    """One conversion, measured. ``ssim`` in [-1, 1], ``cpu_s`` in seconds of the tracing thread."""

    ssim: float
    n_bytes: int
    n_paths: int
    cpu_s: float
    failure: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def pack(self) -> bytes:
        """:data:`PACKED_BYTES` bytes that :meth:`unpack` reads back to the bit."""
        return _BYTES.pack(self.ssim, self.n_bytes, self.n_paths, self.cpu_s, ENDS.index(self.failure))

    @classmethod
    def unpack(cls, data: bytes) -> Outcome:
        """From the first bytes of ``data``; raises struct.error or IndexError where they are none of :meth:`pack`."""
        ssim, n_bytes, n_paths, cpu_s, end = _BYTES.unpack_from(data)
        return cls(ssim, n_bytes, n_paths, cpu_s, ENDS[end])


PACKED_BYTES = _BYTES.size


@dataclass(frozen=True)
class Gain:
    """The weighted terms and their sum. Larger is better."""

    quality: float
    size: float
    speed: float

    @property
    def total(self) -> float:
        return self.quality + self.size + self.speed


def gain(outcome: Outcome, defaults: Outcome, weights: Weights = HEADLINE) -> Gain:
    """Gain of ``outcome`` over ``defaults``. A failed trace counts :data:`FAILED_GAIN`, and no gain counts less."""
    if outcome.failure is not None:
        return Gain(FAILED_GAIN, 0.0, 0.0)
    quality = weights.quality * math.log((1 - defaults.ssim + EPSILON) / (1 - outcome.ssim + EPSILON))
    size = weights.size * math.log(max(defaults.n_bytes, 1) / max(outcome.n_bytes, 1))
    speed = 0.0
    if weights.speed:
        speed = weights.speed * math.log(max(defaults.cpu_s, MIN_CPU_S) / max(outcome.cpu_s, MIN_CPU_S))
    total = quality + size + speed
    if total < MIN_GAIN:
        return Gain(quality - (total - MIN_GAIN), size, speed)
    return Gain(quality, size, speed)
