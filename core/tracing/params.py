"""The seven VTracer parameters: range, unit, default and meaning, each described once.

Owns the mapping between actions in [-1, 1]^7 and parameters. Imports nothing of the package. Guarantee: whatever
finite action comes in, the parameters that go out are inside the ranges below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ParamError

Encoding = Callable[[NDArray[np.float64]], list[NDArray[np.float64]]]


def as_switches(first: int, last: int) -> Encoding:
    """A column per whole number: 1 where the value is it; larger ones count as the last."""
    return lambda v: [(np.minimum(v, last) == n).astype(np.float64) for n in range(first, last + 1)]


def scaled(by: float, less: float) -> Encoding:
    """One column, linear."""
    return lambda v: [v / by - less]


def log_scaled(plus: float, by: float, less: float) -> Encoding:
    """One column, logarithmic."""
    return lambda v: [np.log2(np.maximum(v + plus, 1)) / by - less]


@dataclass(frozen=True)
class ParamSpec:
    """One parameter: ``low`` and ``high`` are inclusive and in ``unit``.

    ``argument``: what VTracer's binding calls it. ``switches`` and ``figures``: what networks are given of it, columns of 0 and 1 and scaled
    numbers. ``is_searched``: whether an agent and the searches choose it.
    """

    name: str
    low: float
    high: float
    default: float
    is_integer: bool
    unit: str
    meaning: str
    argument: str
    switches: Encoding | None = None
    figures: tuple[Encoding, ...] = ()
    is_searched: bool = True

    @property
    def n_values(self) -> int | None:
        """How many values it can have; None for a parameter that is no whole number."""
        return int(self.high - self.low) + 1 if self.is_integer else None


SPECS: tuple[ParamSpec, ...] = (
    ParamSpec(
        "color_precision",
        1,
        8,
        6,
        True,
        "bits",
        "Bits kept of each colour channel: fewer bits, fewer colours.",
        "color_precision",
        switches=as_switches(1, 8),
    ),
    ParamSpec(
        "layer_difference",
        0,
        128,
        16,
        True,
        "levels",
        "Colour distance that starts a new layer of a gradient.",
        "layer_difference",
        figures=(log_scaled(4, 3.5, 1.2), scaled(64, 1), lambda v: [(v == 0).astype(np.float64)]),
    ),
    ParamSpec(
        "corner_threshold",
        0,
        180,
        60,
        True,
        "degrees",
        "Smallest turn of an outline that is kept as a corner.",
        "corner_threshold",
        figures=(scaled(90, 1),),
    ),
    ParamSpec(
        "length_threshold",
        3.5,
        10,
        4,
        False,
        "pixels",
        "Longest segment left after subdividing an outline.",
        "length_threshold",
        figures=(scaled(3, 2),),
    ),
    ParamSpec(
        "max_iterations", 1, 20, 10, True, "rounds", "Rounds of smoothing of an outline.", "max_iterations", figures=(log_scaled(0, 2, 1),)
    ),
    ParamSpec(
        "splice_threshold",
        0,
        180,
        45,
        True,
        "degrees",
        "Turn at which a spline is cut into two.",
        "splice_threshold",
        figures=(scaled(90, 1),),
    ),
    ParamSpec(
        "path_precision",
        0,
        8,
        2,
        True,
        "decimals",
        "Decimals written of each coordinate.",
        "path_precision",
        switches=as_switches(0, 3),
        figures=(scaled(4, 1),),
    ),
)
_IS_WHOLE = tuple(spec.is_integer for spec in SPECS)
_WHOLE = [i for i, whole in enumerate(_IS_WHOLE) if whole]
NAMES: tuple[str, ...] = tuple(spec.name for spec in SPECS)
N_PARAMS = len(SPECS)
LOW = np.array([spec.low for spec in SPECS])
HIGH = np.array([spec.high for spec in SPECS])

FILTER_SPECKLE = 4  # VTracer's default: areas below 4 x 4 pixels are dropped


@dataclass(frozen=True)
class Params:
    """One setting: the seven, and what else VTracer 1.0 can be told, which is fixed so far. The defaults are VTracer's own.

    ``simplify``: pixels that a curve may leave its outline by, so that it needs fewer nodes; ``filter_speckle``: areas below its square are
    dropped; ``hierarchical``: 0 stacks shapes on each other, 1 cuts them out of each other. Lengths are in pixels of the picture, whatever
    the size at which it is traced. Values may lie outside the ranges (a baseline shows what such values do): call :meth:`check` on what users give.
    """

    color_precision: int = 6
    layer_difference: int = 16
    corner_threshold: int = 60
    length_threshold: float = 4.0
    max_iterations: int = 10
    splice_threshold: int = 45
    path_precision: int = 2
    simplify: float = 0.0
    filter_speckle: float = FILTER_SPECKLE
    hierarchical: int = 0

    @classmethod
    def from_values(cls, values: NDArray[np.floating[Any]] | list[float]) -> Params:
        """Build from seven numbers in the order of :data:`NAMES`; whole-number parameters are rounded."""
        return cls(*[round(float(v)) if whole else float(v) for whole, v in zip(_IS_WHOLE, values, strict=True)])  # type: ignore[arg-type]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Params:
        """Build from a mapping; parameters that are left out keep VTracer's defaults.

        Raises:
            ParamError: an unknown name, no number, or a value outside its range.
        """
        unknown = sorted(set(values) - set(NAMES))
        if unknown:
            raise ParamError(f"unknown parameter {unknown[0]!r}; the seven are {', '.join(NAMES)}")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ParamError(f"{name} = {value!r} is no number")
        params = replace(cls(), **dict(values))
        params.check()
        return params

    def check(self) -> None:
        """Raise :class:`ParamError` for the first value outside its range."""
        for spec in SPECS:
            value = getattr(self, spec.name)
            if not spec.low <= value <= spec.high or (spec.is_integer and value != round(value)):
                kind = "a whole number" if spec.is_integer else "a number"
                raise ParamError(f"{spec.name} = {value:g} is not {kind} in [{spec.low:g}, {spec.high:g}] {spec.unit}")

    def clamped(self) -> Params:
        """The nearest parameters inside the ranges."""
        return Params.from_values(np.clip(self.values(), LOW, HIGH))

    def values(self) -> NDArray[np.float64]:
        """The seven as an array, shape (7,), in the order of :data:`NAMES`."""
        return np.array(_values(self), dtype=np.float64)

    def as_tuple(self) -> tuple[float, ...]:
        """The same as a tuple."""
        return _values(self)

    def as_dict(self) -> dict[str, float]:
        """The seven by name."""
        return dict(zip(NAMES, _values(self), strict=True))

    def with_values(self, **changes: float) -> Params:
        """The same with some parameters changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


_values = attrgetter(*NAMES)
DEFAULTS = Params()
# The best single setting for all logos: found by TPE over 50 training logos (about 80 conversions of each).
BEST_SINGLE = Params(4, 53, 40, 9.5, 9, 42, 0)
# One setting for all logos where edges are cleaned and fills fitted.
REFINED = Params(4, 24, 30, 1.0, 7, 26, 0, simplify=0.125, filter_speckle=2.5)


class ActionMap:
    """Maps actions to parameters, one number in [-1, 1] a parameter, in the order of :data:`NAMES`.

    Action 0 is ``centre``; -1 and 1 are the ends of the range; each side is linear, so that every parameter value
    has an action. Starting a policy at a good setting rather than mid-range saves most of early training.
    """

    def __init__(self, centre: Params | None = None) -> None:
        middle = (LOW + HIGH) / 2
        self.centre = middle if centre is None else np.clip(centre.values(), LOW, HIGH)

    def to_params(self, action: NDArray[np.floating[Any]]) -> Params:
        """Parameters of an action, shape (7,). Values outside [-1, 1] are clipped; NaN counts as 0."""
        a = np.clip(np.nan_to_num(np.asarray(action, dtype=np.float64)), -1.0, 1.0)
        values = self.centre + np.where(a < 0, a * (self.centre - LOW), a * (HIGH - self.centre))
        return Params.from_values(np.clip(values, LOW, HIGH))

    def to_params_of_all(self, actions: NDArray[np.floating[Any]]) -> list[Params]:
        """:meth:`to_params` of each row of ``actions``, shape (n, 7); several times faster than one by one."""
        return [Params.from_values(row) for row in self._values(actions).tolist()]

    def to_values(self, actions: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """:meth:`to_params` of each row as an array, shape (n, 7), whole-number parameters rounded."""
        values = self._values(actions)
        values[:, _WHOLE] = np.rint(values[:, _WHOLE])
        return values

    def _values(self, actions: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        a = np.clip(np.nan_to_num(np.asarray(actions, dtype=np.float64)), -1.0, 1.0)
        return np.clip(self.centre + np.where(a < 0, a * (self.centre - LOW), a * (HIGH - self.centre)), LOW, HIGH)

    def to_action(self, params: Params) -> NDArray[np.float32]:
        """The action that gives ``params`` (clipped into range), shape (7,), each in [-1, 1]."""
        d = np.clip(params.values(), LOW, HIGH) - self.centre
        span = np.where(d < 0, self.centre - LOW, HIGH - self.centre)
        return np.divide(d, span, out=np.zeros_like(d), where=span > 0).astype(np.float32)
