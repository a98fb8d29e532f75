"""The charts of a study: history, importance, settings against the objective, intermediate values, timeline, front. Pure, as
:mod:`pages.views.charts.curves`; what they draw is worked out in core/studies/analysis.py.

A trial's state has one colour in all of them, and a pruned one is grey.
"""

from __future__ import annotations

import json
from typing import Literal

import altair as alt
import pandas as pd

from pages.views.charts.curves import CLOCK, HEIGHT, PALETTE, Chart, legend_columns

STATE_COLOURS = {
    "complete": "#0072b2",
    "pruned": "#9aa5ad",
    "infeasible": "#e69f00",
    "failed": "#d55e00",
    "running": "#009e73",
    "waiting": "#cc79a7",
}
ROW, AXES = 26, 76  # pixels of a bar; of title, axis and legend around the bars
AXIS_TEXT = "#7a858d"
BAD_TO_GOOD: Literal["viridis"] = "viridis"


def _state(frame: pd.DataFrame, with_legend: bool = True) -> alt.Color:
    present = [state for state in STATE_COLOURS if state in set(frame["state"])]
    legend = (
        alt.Legend(orient="top", title=None, symbolOpacity=1, columns=legend_columns(present)) if with_legend and len(present) > 1 else None
    )
    return alt.Color("state:N", scale=alt.Scale(domain=present, range=[STATE_COLOURS[s] for s in present]), legend=legend)


def _value_scale(frame: pd.DataFrame, column: str = "value") -> alt.Scale:
    """Of the objective's axis. Pruned trials, worse by their nature, don't stretch it far below the others."""
    kept = frame.loc[frame["state"] != "pruned", column] if "state" in frame else frame[column]
    low, high = (float(kept.min()), float(kept.max())) if len(kept) > 1 else (float(frame[column].min()), float(frame[column].max()))
    room = 0.12 * (high - low) or max(abs(high) * 0.05, 0.05)
    return alt.Scale(domain=[low - room, high + room], zero=False, nice=True)


def _value(title: str, scale: alt.Scale) -> alt.Y:
    return alt.Y("value:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6))


def _number_axis(is_log: bool) -> alt.Axis:
    """Of a setting that is a number; by magnitude only what is asked for is written without a power of ten."""
    return alt.Axis(tickCount=5, grid=False, format="~g") if is_log else alt.Axis(tickCount=5, grid=False)


def history(found: pd.DataFrame, title: str) -> Chart:
    """Every trial's value and the best so far. ``found``: number, value, best, state."""
    base = alt.Chart(found).encode(
        x=alt.X("number:Q", title="trial", axis=alt.Axis(format="d", tickMinStep=1, grid=False), scale=alt.Scale(nice=False, padding=10))
    )
    tip = [alt.Tooltip("number:Q", title="trial"), alt.Tooltip("value:Q", title=title, format=".4~g"), "state:N"]
    scale = _value_scale(found)
    line = base.mark_line(interpolate="step-after", strokeWidth=2, color=PALETTE[1]).encode(y=alt.Y("best:Q", title=title, scale=scale))
    points = base.mark_circle(size=64, opacity=0.9, clip=True).encode(y=_value(title, scale), color=_state(found), tooltip=tip)
    return alt.layer(line.transform_filter("isValid(datum.best)"), points).properties(height=HEIGHT)


def importance(shares: pd.DataFrame) -> Chart:
    """How much each setting matters. ``shares``: setting, share, method."""
    order = list(shares.groupby("setting")["share"].max().sort_values(ascending=False).index)
    methods = list(dict.fromkeys(shares["method"]))
    colour = alt.Color(
        "method:N", scale=alt.Scale(domain=methods, range=list(PALETTE[: len(methods)])),
        legend=alt.Legend(orient="top", title=None, columns=legend_columns(methods)) if len(methods) > 1 else None,
    )  # fmt: skip
    return (
        alt.Chart(shares)
        .mark_bar()
        .encode(
            y=alt.Y("setting:N", title=None, sort=order, axis=alt.Axis(labelLimit=220, labelOverlap=False)),
            yOffset=alt.YOffset("method:N", sort=methods),
            x=alt.X("share:Q", title="share of importance", axis=alt.Axis(format="%", tickCount=5)),
            color=colour,
            tooltip=["setting:N", "method:N", alt.Tooltip("share:Q", format=".1%")],
        )
        .properties(height=ROW * len(order) * len(methods) ** 0.5 + AXES)
    )


def parallel(lines: pd.DataFrame, ends: pd.DataFrame, title: str, is_larger_better: bool = True) -> Chart:
    """A line per trial over the settings. ``lines``: number, setting, unit, shown, value, state; ``ends``: setting, unit, text."""
    order = list(dict.fromkeys(lines["setting"]))
    x = alt.X(
        "setting:N",
        title=None,
        sort=order,
        axis=alt.Axis(labelAngle=-18, labelLimit=190, labelOverlap=False, grid=True),
        scale=alt.Scale(padding=0.3),
    )
    y = alt.Y("unit:Q", title=None, axis=None, scale=alt.Scale(domain=[-0.04, 1.04], nice=False))
    full = lines.loc[lines["state"] != "pruned", "value"]
    domain = [float(full.min()), float(full.max())] if len(full) > 1 and full.max() > full.min() else alt.Undefined
    colour = alt.Color(
        "value:Q", title=title, scale=alt.Scale(scheme=BAD_TO_GOOD, domain=domain, clamp=True, reverse=not is_larger_better),
        legend=alt.Legend(type="gradient", orient="top", gradientLength=180, format=".3~g"),
    )  # fmt: skip
    tip = [
        alt.Tooltip("number:Q", title="trial"),
        alt.Tooltip("value:Q", title=title, format=".4~g"),
        "setting:N",
        alt.Tooltip("shown:N", title="value"),
        "state:N",
    ]
    opacity = alt.condition("datum.state == 'complete'", alt.value(0.75), alt.value(0.22))
    best_last = lines.sort_values("value", ascending=is_larger_better, kind="stable")  # drawn above the others
    base = alt.Chart(best_last).encode(x=x, y=y, detail="number:N")
    drawn = base.mark_line(strokeWidth=1.6).encode(color=colour, opacity=opacity)
    dots = base.mark_circle(size=24, color=AXIS_TEXT).encode(
        opacity=opacity, tooltip=tip
    )  # in the lines' colours, the legend would be dots
    text = alt.Chart(ends).mark_text(align="left", dx=7, fontSize=11, fontWeight="bold", color=AXIS_TEXT).encode(x=x, y=y, text="text:N")
    return alt.layer(drawn, dots, text).properties(height=HEIGHT + 60)


def slice_of(points: pd.DataFrame, setting: str, title: str, is_log: bool, choices: list[str] | None) -> Chart:
    """One setting against the objective. ``points``: number, drawn, value, state; ``choices``: what it is chosen from, in their order."""
    frame = points.assign(drawn=points["drawn"].astype(str) if choices is not None else points["drawn"].astype(float))
    if choices is not None:
        x: alt.X = alt.X(
            "drawn:N", title=setting, sort=choices, axis=alt.Axis(labelAngle=0, labelLimit=110), scale=alt.Scale(domain=choices)
        )
    else:
        kind = alt.Scale(type="log", nice=False, padding=8) if is_log else alt.Scale(zero=False, nice=True, padding=8)
        x = alt.X("drawn:Q", title=setting, scale=kind, axis=_number_axis(is_log))
    tip = [
        alt.Tooltip("number:Q", title="trial"),
        alt.Tooltip("drawn", title=setting),
        alt.Tooltip("value:Q", title=title, format=".4~g"),
        "state:N",
    ]
    chart = alt.Chart(frame).mark_circle(size=64, opacity=0.85, clip=True)
    return chart.encode(x=x, y=_value(title, _value_scale(frame)), color=_state(frame, with_legend=False), tooltip=tip).properties(
        height=HEIGHT - 60
    )


def contour(
    cells: pd.DataFrame, points: pd.DataFrame, names: tuple[str, str], is_log: tuple[bool, bool], labels: tuple[list[str], list[str]], title: str,
    is_larger_better: bool = True,
) -> Chart:  # fmt: skip
    """The objective over two settings. ``cells``: x, x2, y, y2, value; ``points``: x, y, number, value, state; ``labels``: of choices, by their
    places; empty for numbers."""

    def axis(place: int) -> tuple[alt.Axis, alt.Scale]:
        if labels[place]:
            texts = f"{json.dumps(labels[place])}[datum.value]"
            ticks = alt.Axis(values=list(range(len(labels[place]))), labelExpr=texts, grid=False)
            return ticks, alt.Scale(domain=[-0.5, len(labels[place]) - 0.5], nice=False)
        kind = alt.Scale(type="log" if is_log[place] else "linear", nice=False, zero=False, padding=9)
        return _number_axis(is_log[place]), kind

    (x_axis, x_scale), (y_axis, y_scale) = axis(0), axis(1)
    x, y = alt.X("x:Q", title=names[0], axis=x_axis, scale=x_scale), alt.Y("y:Q", title=names[1], axis=y_axis, scale=y_scale)
    colour = alt.Color(
        "value:Q", title=title, scale=alt.Scale(scheme=BAD_TO_GOOD, reverse=not is_larger_better),
        legend=alt.Legend(type="gradient", orient="right", gradientLength=160, format=".3~g"),
    )  # fmt: skip
    tip = [alt.Tooltip("number:Q", title="trial"), alt.Tooltip("value:Q", title=title, format=".4~g"), "state:N"]
    layers: list[alt.Chart] = []
    if len(cells):
        ends = {end: cells[end] + 0.1 * (cells[end] - cells[start]) for start, end in (("x", "x2"), ("y", "y2"))}
        wide = alt.Chart(cells.assign(**ends))  # a little over the next, or seams show between them
        layers.append(wide.mark_rect(stroke=None, opacity=1, clip=True).encode(x=x, x2="x2:Q", y=y, y2="y2:Q", color=colour))
    dots = alt.Chart(points).mark_circle(size=54, stroke="white", strokeWidth=1.2, opacity=1)
    layers.append(dots.encode(x=x, y=y, color=colour, tooltip=tip))
    return alt.layer(*layers).properties(height=HEIGHT + 60)


def intermediate(rows: pd.DataFrame, domain: tuple[float, float] | None) -> Chart:
    """Validation gain at each evaluation, a line per trial. ``rows``: number, step, value, state; ``domain``: what the axis shows."""
    scale = alt.Scale(domain=list(domain), zero=False, nice=True) if domain else alt.Scale(zero=False)
    base = alt.Chart(rows).encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(tickCount=6, format="~s", grid=False), scale=alt.Scale(nice=False)),
        y=alt.Y("value:Q", title="validation gain", scale=scale),
        detail="number:N",
        color=_state(rows),
        opacity=alt.condition("datum.state == 'pruned'", alt.value(0.55), alt.value(0.9)),
    )
    tip = [
        alt.Tooltip("number:Q", title="trial"),
        alt.Tooltip("step:Q", format=","),
        alt.Tooltip("value:Q", title="gain", format="+.3f"),
        "state:N",
    ]
    return alt.layer(base.mark_line(strokeWidth=1.6, clip=True), base.mark_circle(size=32, clip=True).encode(tooltip=tip)).properties(
        height=HEIGHT
    )


def timeline(spans: pd.DataFrame) -> Chart:
    """When each trial was worked on. ``spans``: number, start, end (seconds since 1970), state, minutes."""
    frame = spans.assign(start=spans["start"] * 1000, end=spans["end"] * 1000)
    tip = [alt.Tooltip("number:Q", title="trial"), "state:N", alt.Tooltip("minutes:Q", format=".1f")]
    colour = _state(frame)
    outline = alt.Stroke("state:N", scale=colour["scale"], legend=None)  # so that the shortest one is still seen
    return (
        alt.Chart(frame)
        .mark_bar(height=alt.RelativeBandSize(0.7), minBandSize=2, strokeWidth=1.5)
        .encode(
            x=alt.X("start:T", title="time of day", axis=alt.Axis(tickCount=6, format=CLOCK, labelOverlap=True, grid=False)),
            x2="end:T",
            y=alt.Y("number:O", title="trial", axis=alt.Axis(labelOverlap=True)),
            color=colour,
            stroke=outline,
            tooltip=tip,
        )
        .properties(height=max(min(14 * len(frame), 420), 90))
    )


def front(points: pd.DataFrame, line: pd.DataFrame, names: tuple[str, str]) -> Chart:
    """Two objectives against each other. ``points``: x, y, number, state, on_front; ``line``: x, y of the front in order."""
    pick = alt.selection_point(fields=["number"], name="pick", empty=False)
    x = alt.X("x:Q", title=names[0], scale=alt.Scale(zero=False, nice=True, padding=10), axis=alt.Axis(tickCount=6, grid=False))
    y = alt.Y("y:Q", title=names[1], scale=alt.Scale(zero=False, nice=True, padding=10), axis=alt.Axis(tickCount=6))
    tip = [
        alt.Tooltip("number:Q", title="trial"),
        alt.Tooltip("x:Q", title=names[0], format=".4~g"),
        alt.Tooltip("y:Q", title=names[1], format=".4~g"),
        "state:N",
    ]
    colour = alt.Color(
        "on_front:N", title=None, scale=alt.Scale(domain=["on the Pareto front", "behind the front"], range=[PALETTE[1], "#9aa5ad"]),
        legend=alt.Legend(orient="top", symbolOpacity=1),
    )  # fmt: skip
    size = alt.condition(pick, alt.value(240), alt.value(80))
    dots = alt.Chart(points).mark_circle(opacity=0.9).encode(x=x, y=y, color=colour, size=size, tooltip=tip).add_params(pick)
    steps = alt.Chart(line).mark_line(strokeDash=[4, 3], color=PALETTE[1], strokeWidth=1.5).encode(x=x, y=y, order="x:Q")
    return alt.layer(steps, dots).properties(height=HEIGHT + 60)
