"""Which of several SVGs of one picture is the result: the one with the largest gain that looks no worse than VTracer's defaults in any respect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.tracing.outcome import FAITHFUL, HEADLINE, SMALLER, Outcome, Weights, gain
from core.tracing.params import Params

DEFAULTS, AGENT, SINGLE = "defaults", "agent", "single"  # who made an SVG
PREFERENCES: dict[str, Weights] = {"": HEADLINE, "smaller": SMALLER, "faithful": FAITHFUL}
# What the result is chosen by: of SVGs that differ by what is finer than the picture, the small one is what a person wants.
_CHOSEN_BY: dict[str, Weights] = PREFERENCES | {"": Weights(1.0, 0.3, 0.0)}
REFUSED = 10.0  # taken off what must not be the result: more than any gain
_LARGE_STRUCTURE, _LARGE_COLOUR, _MUCH_LOST = 0.2, 8.0, 0.02  # from which on a result needs a look


@dataclass(frozen=True)
class Finalist:
    """An SVG that may be the result.

    ``trace_size``: longest side at which VTracer saw the picture, in pixels; 0: as it is. ``is_minified``: the SVG; its figures are of before.
    """

    made_by: str
    svg: str
    outcome: Outcome
    params: Params
    trace_size: int = 0
    is_minified: bool = False


def is_refused(outcome: Outcome, defaults: Outcome, prefer: str) -> bool:
    """Whether it must not be the result.

    Unless small files are preferred, what looks visibly worse than the defaults in structure, colour or edges, or lost a colour that they
    have; where closeness is preferred, also what has a lower SSIM or a larger colour error. Where the defaults failed, whatever is there is better.
    """
    if outcome.failure is not None:
        return True
    if defaults.failure is not None or prefer == "smaller":
        return False
    if prefer == "faithful" and (outcome.ssim < defaults.ssim or outcome.colour > defaults.colour):
        return True
    return outcome.is_visibly_worse(defaults)


def worth(outcome: Outcome, defaults: Outcome, prefer: str) -> float:
    """What a search for the result maximises."""
    return gain(outcome, defaults, PREFERENCES[prefer]).total - (REFUSED if is_refused(outcome, defaults, prefer) else 0.0)


def choose(finalists: Sequence[Finalist], prefer: str = "") -> Finalist:
    """The result: of the first finalist, VTracer's defaults, and the others; the first of equals. Bytes count three times what they do in the gain."""
    defaults = finalists[0]
    best, most = defaults, -math.inf if defaults.outcome.failure is not None else 0.0
    for finalist in finalists[1:]:
        if not finalist.svg or is_refused(finalist.outcome, defaults.outcome, prefer):
            continue
        own = gain(finalist.outcome, defaults.outcome, _CHOSEN_BY[prefer]).total
        if own > most:
            best, most = finalist, own
    return best


def visual_gain(outcome: Outcome, defaults: Outcome) -> float:
    """ln of the defaults' visual error over its own; 0 is as good, 0.69 half the error."""
    return math.log(defaults.visual / outcome.visual)


def remark(outcome: Outcome, defaults: Outcome) -> str:
    """What a person should know about a result; empty if nothing."""
    found = []
    if defaults.failure == "blank":
        found.append("VTracer's defaults gave a single colour")
    elif defaults.failure is not None:
        found.append(f"VTracer's defaults failed ({defaults.failure})")
    if outcome.failure is not None:
        found.append("all attempts failed")
    elif outcome.structure > _LARGE_STRUCTURE or outcome.colour > _LARGE_COLOUR or outcome.lost > _MUCH_LOST:
        found.append("needs a look: it differs strongly from the picture")
    return "; ".join(found)
