"""A study as its charts draw it, on the page Search and in reports: which trials, which objective, and the tables that need a study's space.

Guarantee: it knows no Streamlit, so that a report can be made where no page is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from core.studies import analysis
from core.studies.space import Dimension, encoded
from core.studies.storage import TrialRow
from core.studies.study import OBJECTIVES, StudyConfig, StudyDir

TITLES = {"gain": "validation gain", "minutes": "minutes of training", "bytes": "bytes"}
SHORT = {"gain": "gain", "minutes": "minutes", "bytes": "bytes"}  # where there is little room
ON_FRONT, BEHIND = "on the Pareto front", "behind the front"


@dataclass(frozen=True)
class StudyView:
    """What the tabs draw: a study, its settings, its trials, and the objective that is looked at."""

    study: StudyDir
    config: StudyConfig
    trials: Sequence[TrialRow]
    place: int = 0

    @property
    def title(self) -> str:
        return TITLES[self.config.objectives[self.place]]

    @property
    def is_larger_better(self) -> bool:
        return OBJECTIVES[self.config.objectives[self.place]][0] == "maximize"

    def most(self, n: int) -> list[TrialRow]:
        """At most ``n`` trials, by number: the better half of them the best, the others the newest."""
        if len(self.trials) <= n:
            return list(self.trials)
        sign = analysis.signs(self.config)[self.place]
        by_value = sorted(analysis.complete(self.trials), key=lambda trial: -sign * trial.values[self.place])[: n // 2]
        numbers = {trial.number for trial in by_value} | {trial.number for trial in self.trials[-(n // 2) :]}
        return [trial for trial in self.trials if trial.number in numbers]

    def note(self, n: int) -> str:
        return f"the best and the newest {n} of {len(self.trials):,} trials" if len(self.trials) > n else ""


def axis_ends(name: str, dimension: Dimension) -> list[analysis.Row]:
    """What stands at the axis of a setting: its ends, or its choices."""
    if dimension.choices is not None:
        n = max(len(dimension.choices) - 1, 1)
        return [{"setting": name, "unit": i / n, "text": analysis.shown(encoded(choice))} for i, choice in enumerate(dimension.choices)]
    return [
        {"setting": name, "unit": unit, "text": f"{value:g}"}
        for unit, value in ((0.0, dimension.low), (1.0, dimension.high))
        if value is not None
    ]


def front_points(trials: Sequence[TrialRow], config: StudyConfig, x: str, y: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(every complete trial: x, y, number, state, on_front; the line of the front: x, y, in order, of two objectives only)."""
    places = config.objectives.index(x), config.objectives.index(y)  # type: ignore[arg-type]
    kept = {trial.number for trial in analysis.front(trials, config)}
    points = pd.DataFrame(
        {
            "x": trial.values[places[0]], "y": trial.values[places[1]], "number": trial.number, "state": analysis.kind_of(trial),
            "on_front": ON_FRONT if trial.number in kept else BEHIND,
        }
        for trial in analysis.complete(trials)
    )  # fmt: skip
    line = points[points["on_front"] == ON_FRONT].sort_values("x") if len(config.objectives) == 2 else points.head(0)
    return points, line[["x", "y"]]
