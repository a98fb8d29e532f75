"""Fixed settings and formulas that the agent is compared with.

Method 1 derives each parameter from picture features by a formula. As written its values leave the valid ranges
(``method1_raw``); clamped it is a fair baseline (``method1``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.tracing.features import Features
from core.tracing.params import BEST_SINGLE, DEFAULTS, PIPELINE_DEFAULTS, Params

# VTracer's own presets, as its command line documents them
POSTER = Params(8, 16, 60, 4.0, 10, 45, 2, is_plain=True)
PHOTO = Params(8, 48, 180, 4.0, 10, 45, 2, is_plain=True)


def method1_raw(features: Features) -> Params:
    """The formulas as written."""
    f = features
    return Params(
        color_precision=round(float(np.clip(2 + np.log2(max(f.unique_colors, 1)), 2, 10))),
        layer_difference=DEFAULTS.layer_difference,
        corner_threshold=round(float(np.clip(110 - 800 * f.edge_density, 10, 110))),
        length_threshold=float(np.clip(1 + 100 * f.corner_density, 1, 20)),
        max_iterations=round(float(np.clip(5 + 15 * f.complexity, 5, 20))),
        splice_threshold=round(float(np.clip(10 + 90 * f.gradient_strength, 10, 100))),
        path_precision=round(float(np.clip(20 * (1 - f.entropy), 1, 20))),
    )


def method1(features: Features) -> Params:
    """The formulas, clamped to the ranges that VTracer can use."""
    return method1_raw(features).clamped()


@dataclass(frozen=True)
class Baseline:
    """A way of choosing that needs one conversion per picture. ``is_reference``: each training measures it for its charts."""

    name: str
    label: str
    choose: Callable[[Features], Params]
    is_reference: bool = False


# A new baseline is a row here: the command line, evaluations, trainings, charts and the Workbench follow.
BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for baseline in (
        Baseline("default", "VTracer's defaults", lambda _: DEFAULTS),
        Baseline("pipeline", "the pipeline's defaults", lambda _: PIPELINE_DEFAULTS),
        Baseline("single", "best single setting", lambda _: BEST_SINGLE, is_reference=True),
        Baseline("method1", "Method 1", method1, is_reference=True),
        Baseline("method1_raw", "Method 1 as written", method1_raw),
        Baseline("poster", "VTracer's poster preset", lambda _: POSTER),
        Baseline("photo", "VTracer's photo preset", lambda _: PHOTO),
    )
}
