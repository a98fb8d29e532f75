"""VTracer's parameters, the seven that it always had and three of version 1.0: range, unit, default and meaning, each described once.

Owns the mapping between actions in [-1, 1]^10 and parameters. Lengths are in pixels of the picture, whatever the size at which it is traced. Imports nothing of the package. Guarantee: whatever
finite action comes in, the parameters that go out are inside the ranges below.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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


FILTER_SPECKLE = 4  # VTracer's default: areas below 4 x 4 pixels are dropped

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
        0.5,
        10,
        4,
        False,
        "pixels",
        "Longest segment left after subdividing an outline. VTracer accepts 3.5 to 10 pixels of the enlarged picture.",
        "length_threshold",
        figures=(scaled(3, 2), log_scaled(0.5, 2, 0.5)),
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
        "Turn at which a spline is split in two.",
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
        "Decimals per coordinate.",
        "path_precision",
        switches=as_switches(0, 3),
        figures=(scaled(4, 1),),
    ),
    ParamSpec(
        "simplify",
        0,
        2,
        0,
        False,
        "pixels",
        "How far a curve may deviate from its outline to save nodes.",
        "simplify",
        figures=(scaled(0.5, 1), lambda v: [(v == 0).astype(np.float64)]),
    ),
    ParamSpec(
        "filter_speckle",
        0,
        12,
        FILTER_SPECKLE,
        False,
        "pixels",
        "Areas smaller than its square are dropped.",
        "filter_speckle",
        figures=(scaled(4, 1), log_scaled(1, 2, 0.8)),
    ),
    ParamSpec(
        "hierarchical",
        0,
        1,
        0,
        True,
        "switch",
        "0: shapes are stacked; 1: shapes are cut out of each other.",
        "hierarchical",
        switches=as_switches(0, 1),
    ),
)
_IS_WHOLE = tuple(spec.is_integer for spec in SPECS)
_WHOLE = [i for i, whole in enumerate(_IS_WHOLE) if whole]
NAMES: tuple[str, ...] = tuple(spec.name for spec in SPECS)
N_PARAMS = len(SPECS)
N_OLD_PARAMS = 7  # what versions before searched: the first ones
LOW = np.array([spec.low for spec in SPECS])
HIGH = np.array([spec.high for spec in SPECS])


@dataclass(frozen=True)
class Params:
    """One setting; :data:`SPECS` says what each means. The defaults are VTracer's own.

    ``is_plain``: by VTracer alone, as it comes: nothing sharpened, flat fills; no value of its own, and nothing that an agent chooses.
    Values may lie outside the ranges (a baseline shows what such values do): call :meth:`check` on what users give.
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
    is_plain: bool = False

    @classmethod
    def from_values(cls, values: NDArray[np.floating[Any]] | list[float]) -> Params:
        """Build from numbers in the order of :data:`NAMES`; whole-number parameters are rounded.

        The first seven alone are enough, as versions before wrote them: the others keep VTracer's defaults.
        """
        if len(values) not in (N_OLD_PARAMS, N_PARAMS):
            raise ValueError(f"{len(values)} values given; expected {N_PARAMS}, or the first {N_OLD_PARAMS}, of {', '.join(NAMES)}")
        return cls(*[round(float(v)) if whole else float(v) for whole, v in zip(_IS_WHOLE, values, strict=False)])  # type: ignore[arg-type]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Params:
        """Build from a mapping; parameters that are left out keep VTracer's defaults.

        Raises:
            ParamError: an unknown name, no number, or a value outside its range.
        """
        unknown = sorted(set(values) - set(NAMES))
        if unknown:
            raise ParamError(f"unknown parameter {unknown[0]!r}; choose from {', '.join(NAMES)}")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ParamError(f"{name} = {value!r} is not a number")
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
        """All as an array, shape (10,), in the order of :data:`NAMES`."""
        return np.array(_values(self), dtype=np.float64)

    def as_tuple(self) -> tuple[float, ...]:
        """The same as a tuple."""
        return _values(self)

    def as_dict(self) -> dict[str, float]:
        """All by name."""
        return dict(zip(NAMES, _values(self), strict=True))

    def with_values(self, **changes: float) -> Params:
        """The same with some parameters changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


_values = attrgetter(*NAMES)
DEFAULTS = Params(is_plain=True)  # index 0 of every gain
PIPELINE_DEFAULTS = Params()
# One setting for all logos, by hand over the validation of several: what training and searches start from.
BEST_SINGLE = Params(4, 24, 30, 1.0, 7, 26, 0, simplify=0.125, filter_speckle=2.5)
# The same where pictures are traced at several times their size for delivery: more colours, which cost less there, and larger speckles gone.
LARGE_SINGLE = BEST_SINGLE.with_values(color_precision=5, layer_difference=32, simplify=0.19, filter_speckle=4.0)


class ActionMap:
    """Maps actions to parameters, one number in [-1, 1] per parameter, in the order of :data:`NAMES`.

    Action 0 is ``centre``; -1 and 1 are the ends of the range; each side is linear, so that every parameter value
    has an action. Starting a policy at a good setting rather than mid-range saves most of early training. Of ``fixed`` parameters, given by
    name, every action is ``centre``.
    """

    def __init__(self, centre: Params | None = None, fixed: Sequence[str] = ()) -> None:
        middle = (LOW + HIGH) / 2
        self.centre = middle if centre is None else np.clip(centre.values(), LOW, HIGH)
        self._moves = np.array([float(name not in fixed) for name in NAMES])

    def to_params(self, action: NDArray[np.floating[Any]]) -> Params:
        """Parameters of an action, shape (10,). Values outside [-1, 1] are clipped; NaN counts as 0."""
        a = np.clip(np.nan_to_num(np.asarray(action, dtype=np.float64)), -1.0, 1.0) * self._moves
        values = self.centre + np.where(a < 0, a * (self.centre - LOW), a * (HIGH - self.centre))
        return Params.from_values(np.clip(values, LOW, HIGH))

    def to_params_of_all(self, actions: NDArray[np.floating[Any]]) -> list[Params]:
        """:meth:`to_params` of each row of ``actions``, shape (n, 10); several times faster than one by one."""
        return [Params.from_values(row) for row in self._values(actions).tolist()]

    def to_values(self, actions: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """:meth:`to_params` of each row as an array, shape (n, 10), whole-number parameters rounded."""
        values = self._values(actions)
        values[:, _WHOLE] = np.rint(values[:, _WHOLE])
        return values

    def _values(self, actions: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        a = np.clip(np.nan_to_num(np.asarray(actions, dtype=np.float64)), -1.0, 1.0) * self._moves
        return np.clip(self.centre + np.where(a < 0, a * (self.centre - LOW), a * (HIGH - self.centre)), LOW, HIGH)

    def to_action(self, params: Params) -> NDArray[np.float32]:
        """The action that gives ``params`` (clipped into range, fixed ones left out), shape (10,), each in [-1, 1]."""
        d = (np.clip(params.values(), LOW, HIGH) - self.centre) * self._moves
        span = np.where(d < 0, self.centre - LOW, HIGH - self.centre)
        return np.divide(d, span, out=np.zeros_like(d), where=span > 0).astype(np.float32)
