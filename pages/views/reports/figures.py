"""The charts of reports: the same queries and the same drawing as the pages, as specifications that a report embeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from core.runs.event_types import StageEvaluation, StageStarted
from core.trends import Trend, fit, running_mean
from pages.views.charts import curves, plots, trends
from pages.views.charts.curves import Chart, View
from pages.views.event_text import METHOD_LABELS
from pages.views.live.run_view import stages_of
from pages.views.reports.blocks import Curve
from pages.views.reports.facts import Facts
from storage import queries
from storage.store import Store

SMOOTHING = 0.6
AVERAGED = 5  # values of a running average
HINT = "Drag to pan, Shift and wheel to zoom, double-click to reset."


def curve(title: str, chart: Chart, note: str = "") -> Curve:
    """A chart as wide as the page, which can be moved and zoomed."""
    spec = chart.properties(width="container").to_dict()
    _let_zoom(spec)
    return Curve(title, spec, note)


def _let_zoom(spec: dict[str, Any]) -> None:
    """On a page the brush has the data read again; in a file it moves the axis."""
    for params in [spec.get("params", []), *(layer.get("params", []) for layer in spec.get("layer", []))]:
        for param in params:
            if param.get("name") == curves.ZOOM:
                param["bind"] = "scales"
                param["select"] = {"type": "interval", "encodings": ["x"], "zoom": "wheel![event.shiftKey]"}


def of_run(facts: Facts) -> list[Curve]:
    """Gain, reward, success and losses of a run."""
    store, run_id, view = facts.store, facts.run_id, View(smoothing=SMOOTHING)
    stages = stages_of(store, run_id)
    found = [] if facts.evaluations.empty else [gain_of(store, {run_id: facts.name}, references(facts), stages)]
    found += rewards(store, {run_id: facts.name}, stages)
    success = queries.success_by(store, run_id, "category")
    if len(success):
        found.append(curve("Success by category", plots.success_lines(success, view, stages=stages)))
    losses = queries.metric_series(store, [run_id], ["train/loss"], "step", curves.POINTS)
    if len(losses):
        colours, labels = {run_id: curves.PALETTE[0]}, {run_id: facts.name}
        found.append(curve("Loss per update", curves.line(losses, colours, view, "train/loss", labels=labels, stages=stages)))
    return found


def gain_of(store: Store, names: dict[str, str], lines: pd.DataFrame | None = None, stages: pd.DataFrame | None = None) -> Curve:
    """Validation gain of runs. ``names``: {run id: name}."""
    frame = queries.evaluations(store, list(names))
    chart = curves.evaluation_line(frame, curves.run_colours(list(names), list(names)), View(), names, lines, stages)
    return curve("Gain on validation logos, with its 95% interval", chart, HINT)


def rewards(store: Store, names: dict[str, str], stages: pd.DataFrame | None = None) -> list[Curve]:
    """Reward per episode of runs; empty before there was one."""
    series = queries.episode_series(store, list(names), "training_gain", "step", curves.points_for(len(names)))
    if series.empty:
        return []
    colours = curves.run_colours(list(names), list(names))
    chart = curves.line(series, colours, View(smoothing=SMOOTHING), "reward", labels=names, stages=stages)
    return [curve("Reward per episode", chart, "Faint: measured values; solid: moving average.")]


def references(facts: Facts) -> pd.DataFrame:
    """Level lines of the gain: value, label; those far below the curve are left out, so that it can be read."""
    floor = min(0.0, float(facts.evaluations["gain_low"].min())) - 0.1
    rows = [(0.0, METHOD_LABELS["default"]), *((b.gain, METHOD_LABELS.get(b.method, b.method)) for b in facts.baselines if b.budget == 1)]
    return pd.DataFrame([row for row in rows if row[0] >= floor], columns=["value", "label"])


def methods(rows: Sequence[tuple[str, float, float, float, bool]]) -> Curve:
    """(method, gain, low, high, is the agent)."""
    frame = pd.DataFrame(rows, columns=["method", "gain", "low", "high", "is_agent"])
    return curve("Mean gain with its 95% interval", trends.intervals(frame))


def trend_of(
    points: pd.DataFrame, title: str, axis: str = "step", form: str = "+.3f", window: int = AVERAGED
) -> tuple[Chart, Trend | None]:
    """``points``: x, value, label in the order of x."""
    x, y = points["x"].to_numpy(dtype=float), points["value"].to_numpy(dtype=float)
    found = fit(x, y)
    shown = points.assign(average=running_mean(y, window))
    line = pd.DataFrame(columns=["x", "middle", "low", "high"], dtype=float)
    if found is not None:
        places = np.linspace(float(x.min()), float(x.max()), 40)
        middle, low, high = found.line(places)
        line = pd.DataFrame({"x": places, "middle": middle, "low": low, "high": high})
    return trends.trend(shown, line, title, axis, form), found


def of_curriculum(facts: Facts) -> list[Curve]:
    """What the stages asked for and got, and what was kept of them."""
    store, run_id, view = facts.store, facts.run_id, View(axis="episode", smoothing=SMOOTHING)
    stages, found = stages_of(store, run_id, "episode"), []
    shares = queries.metric_series(store, [run_id], ["curriculum/success_share"], "episode", curves.POINTS)
    needed = {event.data.name: event.data.success_threshold for event in facts.events if isinstance(event.data, StageStarted)}
    if len(shares) and len(stages):
        gates = stages.assign(threshold=stages["name"].map(needed))
        decided = stages[stages["is_over"]]
        found.append(curve("Success rate in the window and what each stage requires", plots.gate(shares, gates, decided, view, stages)))
    success = queries.success_by(store, run_id, "stage", "episode")
    if len(success):
        palette = dict(zip(sorted(success["group"].unique()), curves.PALETTE, strict=False))
        found.append(curve("Success by stage", plots.success_lines(success, view, palette, stages)))
    kept = [
        {"stage": name, "step": event.step, "share": share}
        for event in facts.events
        if isinstance(event.data, StageEvaluation)
        for name, share in event.data.shares.items()
    ]
    if kept:
        found.append(curve("Retention by stage", plots.kept_lines(pd.DataFrame(kept))))
    return found
