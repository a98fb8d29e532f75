"""Which of several SVGs of one picture is the result: the one that looks best for its bytes, and that looks worse in nothing.

An agent's search goes by SSIM and bytes; here the last word has what one sees: structure, colour and edges together
(:func:`core.tracing.outcome.visual_error`), beside VTracer's defaults.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import RasterError
from core.tracing.colours import ColourReference
from core.tracing.edges import EdgeReference
from core.tracing.outcome import ERROR_FLOORS, Outcome, visual_error
from core.tracing.params import Params
from core.tracing.raster import over, rasterizer
from core.tracing.similarity import Reference
from core.tracing.sizes import fit

DEFAULTS, AGENT, REFINED = "defaults", "agent", "refined"  # who made an SVG
WEIGHT_OF_BYTES = {"": 0.1, "smaller": 0.4, "faithful": 0.02}  # beside 1 for the visual gain
LONGEST_SIDE = 512  # pixels at which SVGs are compared
_SLACK = 1.1  # how much larger than the defaults' an error may be


@dataclass(frozen=True)
class Finalist:
    """An SVG that may be the result."""

    made_by: str
    svg: str
    outcome: Outcome
    params: Params


@dataclass(frozen=True)
class Looks:
    """The three errors of an SVG beside its picture; see :mod:`core.tracing.vector_judge`."""

    structure: float
    colour: float
    edge: float

    @property
    def visual(self) -> float:
        return visual_error(self.structure, self.colour, self.edge)

    def is_no_worse(self, other: Looks, slack: float = _SLACK) -> bool:
        """Whether no error is visibly larger than the other's."""
        own, theirs = (self.structure, self.colour, self.edge), (other.structure, other.colour, other.edge)
        return all(a <= slack * b + floor for a, b, floor in zip(own, theirs, ERROR_FLOORS, strict=True))


def looks(pixels: NDArray[np.uint8], svgs: Sequence[str]) -> list[Looks | None]:
    """Of each SVG beside the picture, RGB or RGBA; None for one that is empty or can't be drawn.

    Over white, and where anything is clear over black too: the means of both, so that a ground that is not in the picture counts.
    """
    pixels = fit(pixels, LONGEST_SIDE)
    height, width = pixels.shape[:2]
    grounds = [pixels] if pixels.shape[2] == 3 else [over(pixels, 255), over(pixels, 0)]
    references = [(Reference(flat), ColourReference(flat), EdgeReference(flat)) for flat in grounds]
    found: list[Looks | None] = []
    for svg in svgs:
        try:
            drawn = rasterizer().draw_over(svg.encode(), width, height) if svg else None
        except RasterError:
            drawn = None
        if drawn is None:
            found.append(None)
            continue
        errors = [(1 - s.ssim(flat), c.error(flat), e.error(flat)) for (s, c, e), flat in zip(references, drawn, strict=False)]
        found.append(Looks(*(sum(values) / len(errors) for values in zip(*errors, strict=True))))
    return found


def choose(pixels: NDArray[np.uint8], finalists: Sequence[Finalist], prefer: str = "") -> tuple[Finalist, float]:
    """The result, and its visual gain: ln of the error of the first finalist, VTracer's defaults, over its own.

    Unless small files are preferred, none is taken that looks visibly worse than the defaults in structure, colour or edges; where
    closeness is preferred, none with a lower SSIM or a larger colour error. Where the defaults failed, whatever is there is better.
    """
    base, *others = looks(pixels, [f.svg if f.outcome.failure is None else "" for f in finalists])
    best, best_score, best_gain = finalists[0], 0.0 if base else -math.inf, 0.0
    for finalist, own in zip(finalists[1:], others, strict=True):
        if own is None:
            continue
        gain = math.log(base.visual / own.visual) if base else 0.0
        smaller = math.log(max(finalists[0].outcome.n_bytes, 1) / max(finalist.outcome.n_bytes, 1)) if base else 0.0
        score = gain + WEIGHT_OF_BYTES[prefer] * smaller
        if base and prefer != "smaller" and not own.is_no_worse(base):
            continue
        if base and prefer == "faithful" and (own.structure > base.structure or own.colour > base.colour):
            continue
        if score > best_score:
            best, best_score, best_gain = finalist, score, gain
    return best, best_gain
