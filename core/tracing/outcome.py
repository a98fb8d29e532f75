"""What one conversion is worth: outcome, and gain over VTracer's defaults.

    V    = exp(mean of ln(structure + 0.001), ln(colour + 0.1), ln(edge + 0.005))
    gain = w_quality ln(V0 / V) + w_size ln(bytes0 / bytes) + w_speed ln(cpu_s0 / cpu_s)

with index 0 for VTracer's own defaults on the same picture. V is the visual error: structure is 1 - SSIM, colour the mean CIELAB distance,
edge the gradient magnitude similarity deviation (core/tracing/visual.py). 0 is as good as the defaults; 0.69 on a term of
weight 1 is half the error, or half the bytes. Pure functions; nothing here traces or reads files.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

ERROR_FLOORS = (0.001, 0.1, 0.005)  # of structure, colour and edge: below them an error is nothing that one sees
MIN_CPU_S = 1e-4  # below this a CPU time is the clock's own grain
FAILED_GAIN = -3.0  # what a trace counts that panicked, came out blank or too large
MIN_GAIN = -3.0
SSIM_SLACK = 0.01  # an SSIM so much below the defaults' is one that a user would see
SLACK = 1.1  # an error so many times the defaults' is one that a user would see
LOST_SLACK = 0.002  # share of the picture by which more may be off in colour before a user would see that something is gone
REPEATABLE = ("panic", "blank", "oversized", "unreadable")  # failures that the same picture and parameters give again
LOST = ("crashed", "timeout", "memory")  # the conversion took its process with it, or would have
FAILURES = (*REPEATABLE, *LOST)
ENDS = (None, *FAILURES)  # what a conversion can come to; places in it stand for it in bytes and tables
_BYTES = struct.Struct("<dqqdBdddq")


@dataclass(frozen=True)
class Outcome:
    """One conversion, measured.

    ``ssim`` in [-1, 1]; ``cpu_s`` in seconds of the tracing thread; ``colour``: mean CIELAB distance, in [0, about 260]; ``edge``: GMSD, in
    [0, about 0.5]; ``lost``: share of the picture, in patches of at least 3 x 3 pixels, whose colour is another one.
    """

    ssim: float
    n_bytes: int
    n_paths: int
    cpu_s: float
    failure: str | None = None
    colour: float = 0.0
    edge: float = 0.0
    lost: float = 0.0
    n_nodes: int = 0

    @property
    def structure(self) -> float:
        """1 - SSIM, in [0, 2]."""
        return 1 - self.ssim

    @property
    def visual(self) -> float:
        """The three errors as one."""
        return visual_error(self.structure, self.colour, self.edge)

    def is_visibly_worse(self, than: Outcome) -> bool:
        """Whether one of the three errors is visibly larger than the other's, or a colour is gone that the other has."""
        own, theirs = (self.structure, self.colour, self.edge), (than.structure, than.colour, than.edge)
        is_larger = any(a > SLACK * b + floor for a, b, floor in zip(own, theirs, ERROR_FLOORS, strict=True))
        return is_larger or self.lost > SLACK * than.lost + LOST_SLACK

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def pack(self) -> bytes:
        """:data:`PACKED_BYTES` bytes that :meth:`unpack` reads back to the bit."""
        end = ENDS.index(self.failure)
        return _BYTES.pack(self.ssim, self.n_bytes, self.n_paths, self.cpu_s, end, self.colour, self.edge, self.lost, self.n_nodes)

    @classmethod
    def unpack(cls, data: bytes) -> Outcome:
        """From the first bytes of ``data``; raises struct.error or IndexError where they are none of :meth:`pack`."""
        ssim, n_bytes, n_paths, cpu_s, end, colour, edge, lost, n_nodes = _BYTES.unpack_from(data)
        return cls(ssim, n_bytes, n_paths, cpu_s, ENDS[end], colour, edge, lost, n_nodes)


PACKED_BYTES = _BYTES.size


@dataclass(frozen=True)
class Term:
    """One term of the gain.

    ``formula``: what it is, in words. ``value``: the same, without a weight, of an outcome against the defaults'; larger is better.
    ``is_timed``: it depends on the clock, so it is left out where its weight is 0. ``is_learned``: outcome models predict it.
    """

    name: str
    formula: str
    colour: str
    default_weight: float
    value: Callable[[Outcome, Outcome], float]
    is_timed: bool = False
    is_learned: bool = False


def visual_error(structure: float, colour: float, edge: float) -> float:
    """Three errors as one, their geometric mean: structure is 1 - SSIM, colour the mean CIELAB distance, edge GMSD."""
    return math.exp(
        sum(math.log(max(error, 0.0) + floor) for error, floor in zip((structure, colour, edge), ERROR_FLOORS, strict=True)) / 3
    )


def _quality(outcome: Outcome, defaults: Outcome) -> float:
    return math.log(defaults.visual / outcome.visual)


def _size(outcome: Outcome, defaults: Outcome) -> float:
    return math.log(max(defaults.n_bytes, 1) / max(outcome.n_bytes, 1))


def _speed(outcome: Outcome, defaults: Outcome) -> float:
    return math.log(max(defaults.cpu_s, MIN_CPU_S) / max(outcome.cpu_s, MIN_CPU_S))


# A new term is a row here and its weight in the config's reward section; docs/extending.md says what follows and what does not.
TERMS: tuple[Term, ...] = (
    Term("quality", "ln(visual error of the defaults / visual error)", "#0072b2", 1.0, _quality, is_learned=True),
    Term("size", "ln(bytes of the defaults / bytes)", "#e69f00", 0.1, _size, is_learned=True),
    Term("speed", "ln(CPU time of the defaults / CPU time)", "#009e73", 0.0, _speed, is_timed=True),
)
TERM_NAMES: tuple[str, ...] = tuple(term.name for term in TERMS)
LEARNED_TERMS: tuple[str, ...] = tuple(term.name for term in TERMS if term.is_learned)
_PLACE = {name: place for place, name in enumerate(TERM_NAMES)}


class PerTerm:
    """A number per term, in the order of :data:`TERMS`, each an attribute of the term's name."""

    __slots__ = ("values",)
    values: tuple[float, ...]

    def __init__(self, *values: float, **named: float) -> None:
        """Values in order, or by name; what is left out is the term's default weight."""
        if not named and len(values) == len(TERMS):
            object.__setattr__(self, "values", values)
            return
        unknown = set(named) - set(TERM_NAMES)
        if unknown or len(values) > len(TERMS):
            raise TypeError(f"{sorted(unknown) or values} match none of the terms {', '.join(TERM_NAMES)}")
        given = dict(zip(TERM_NAMES, values, strict=False)) | named
        object.__setattr__(self, "values", tuple(float(given.get(term.name, term.default_weight)) for term in TERMS))

    def __getattr__(self, name: str) -> float:
        place = _PLACE.get(name)
        if place is None:
            raise AttributeError(name)
        return self.values[place]

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.values == other.values

    def __hash__(self) -> int:
        return hash(self.values)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.values

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value:g}' for name, value in zip(TERM_NAMES, self.values, strict=True))})"

    def as_dict(self) -> dict[str, float]:
        return dict(zip(TERM_NAMES, self.values, strict=True))


class Weights(PerTerm):
    """Weights of the terms of the gain; each term's default weight unless given."""

    __slots__ = ()


class Gain(PerTerm):
    """The weighted terms and their sum. Larger is better."""

    __slots__ = ()

    @property
    def total(self) -> float:
        return sum(self.values)


def _quality_and_size(quality: float, size: float) -> Weights:
    """Weights that compare results: no other term counts, whatever its default weight, so that gains stay comparable."""
    return Weights(**(dict.fromkeys(TERM_NAMES, 0.0) | {"quality": quality, "size": size}))


HEADLINE = _quality_and_size(1.0, 0.1)
SMALLER = _quality_and_size(1.0, 0.4)
FAITHFUL = _quality_and_size(1.0, 0.02)


def gain(outcome: Outcome, defaults: Outcome, weights: Weights = HEADLINE) -> Gain:
    """Gain of ``outcome`` over ``defaults``. A failed trace counts :data:`FAILED_GAIN`, and no gain counts less; what is missing to that
    is put on the first term."""
    rest = [0.0] * (len(TERMS) - 1)
    if outcome.failure is not None:
        return Gain(FAILED_GAIN, *rest)
    values = [
        0.0 if term.is_timed and not weight else weight * term.value(outcome, defaults)
        for term, weight in zip(TERMS, weights.values, strict=True)
    ]
    total = sum(values)
    if total < MIN_GAIN:
        values[0] -= total - MIN_GAIN
    return Gain(*values)
