"""What the live page is about: a run, the runs beside it, and how their curves are looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from core.errors import ConfigError
from core.runs.event_types import ActionTaken, AlertRaised, AttemptStarted, Record, StageDecision, WorkerLost
from core.runs.records import peek_config, read_parent
from core.runs.run_dir import RunDir
from core.runs.shelf import RunFacts
from core.runs.small_files import Parent
from core.runs.status import run_state
from pages.server.service import Console
from pages.views.charts import curves
from pages.views.charts.curves import View
from pages.views.event_text import decision_text, short_label
from storage import queries
from storage.queries import Axis, TimedEvent
from storage.store import Store

PARENT_COLOUR = "#8a8a8a"
MARKED: dict[type[Record], str] = {
    AlertRaised: "#d55e00",
    WorkerLost: "#d55e00",
    ActionTaken: "#cc79a7",
    AttemptStarted: "#8a8a8a",
    StageDecision: "#5b5f97",
}


@dataclass(frozen=True)
class RunView:
    """``shown``: the run and those beside it; ``colours`` and ``labels`` for them, and for the parent of a fork."""

    console: Console
    run: RunDir
    shown: list[str]
    ids: list[str]
    view: View
    colours: dict[str, str]
    labels: dict[str, str]
    parent: Parent | None

    @property
    def run_id(self) -> str:
        return self.run.run_id

    @property
    def axis(self) -> Axis:
        return self.view.axis  # type: ignore[return-value]

    @property
    def n_points(self) -> int:
        """Points of a curve at most."""
        return curves.points_for(len(self.shown))

    @cached_property
    def stages(self) -> pd.DataFrame:
        """name, x, x2, reason, success_share, is_over on the page's axis; empty without a curriculum."""
        return stages_of(self.console.store, self.run_id, self.axis)

    @cached_property
    def marks(self) -> pd.DataFrame:
        """Events to be seen on the time line: x, label, colour."""
        found = queries.events_of(self.console.store, self.run_id, list(MARKED))
        rows = [
            {"x": self.place(event), "label": short_label(event), "colour": MARKED[type(event.data)]}
            for event in found
            if not isinstance(event.data, AttemptStarted) or event.attempt > 1
        ]
        frame = pd.DataFrame(rows, columns=["x", "label", "colour"])
        if self.view.window is not None and len(frame):
            frame = frame[frame["x"].between(*self.view.window)]
        return frame

    @cached_property
    def is_moving(self) -> bool:
        """A trainer works on it, or will."""
        return run_state(self.run).status.is_moving

    def nothing_before(self, what: str) -> str:
        """What an empty chart says: what it waits for, or that nothing more will come."""
        return f"Waits for {what}." if self.is_moving else f"The run ended before {what}."

    def place(self, event: TimedEvent) -> float:
        """Where an event is on the page's axis."""
        if self.axis == "episode":
            return float(queries.episode_at(self.console.store, self.run_id, event.step))
        return {"step": float(event.step), "minutes": event.minutes, "wall": event.ts}[self.axis]

    def with_parent(self, frame: pd.DataFrame, read: Callable[[list[str]], pd.DataFrame]) -> pd.DataFrame:
        """A fork's curve with its parent's before it, up to the join."""
        parent = self.parent
        if (
            parent is None
            or self.axis in ("minutes", "wall")
            or parent.run_id not in self.ids
            or parent.run_id in self.shown
            or frame.empty
        ):
            return frame
        own = frame[frame["run_id"] == self.run_id]
        before = read([parent.run_id])
        if own.empty or before.empty:
            return frame
        join = parent.step if self.axis == "step" else float(own["x"].min())
        return pd.concat([before[before["x"] <= join], frame], ignore_index=True)


def view_to_end(view: View, runs: Sequence[RunDir]) -> View:
    """The view with the x axis up to the end of the longest of these runs, on an axis where that is known."""
    ends = [0.0]
    for run in runs if view.axis in ("step", "episode") else ():
        with suppress(ConfigError):
            config, parent = peek_config(run), read_parent(run)
            steps = config.planned_steps(parent.step if parent else 0)
            ends.append(steps if view.axis == "step" else steps / config.env.max_steps)
    return replace(view, end=max(ends))


def forks_of(run_id: str, runs: Sequence[RunFacts]) -> list[str]:
    """The runs that were forked from one, oldest first."""
    found = [run.run_id for run in runs if run.parent is not None and run.parent.run_id == run_id]
    return sorted(found)


def stages_of(store: Store, run_id: str, axis: Axis = "step") -> pd.DataFrame:
    """The stages of a run on an axis: name, x, x2, reason, success_share (when left, or now), is_over; empty without a curriculum."""
    spans = queries.stage_spans(store, run_id)
    if len(spans) < 2 and (spans.empty or spans["name"].iloc[0] == "all_logos"):
        return pd.DataFrame(columns=["name", "x", "x2", "reason", "success_share", "is_over"])
    told = [
        decision_text(row["reason"], row["why"], row["success_share"], row["n_episodes"]) if row["reason"] else "running"
        for row in spans.to_dict("records")
    ]
    found = pd.DataFrame({"name": spans["name"], "x": spans[axis], "x2": spans[f"{axis}_end"], "reason": told})
    return found.assign(success_share=spans["success_share"].astype(float), is_over=spans["reason"] != "")
