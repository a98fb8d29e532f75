"""Values over time with their running average and a line through them; methods against each other with their intervals. Pure."""

from __future__ import annotations

import altair as alt
import pandas as pd

from pages.views.charts.curves import HEIGHT, PALETTE, Chart, x_axis

AVERAGE, LINE = PALETTE[0], PALETTE[1]


def trend(points: pd.DataFrame, line: pd.DataFrame, title: str, axis: str = "step", form: str = "+.3f") -> Chart:
    """``points``: x, value, average, label; ``line``: x, middle, low, high, empty where there is none. On "wall" x is in seconds since 1970."""
    factor = 1000 if axis == "wall" else 1
    kind = "T" if axis == "wall" else "Q"
    points, line = points.assign(x=points["x"] * factor), line.assign(x=line["x"] * factor)
    x = x_axis(axis, "x", points["x"])
    scale = alt.Scale(zero=False, nice=True)
    when = alt.Tooltip(f"x:{kind}", title="when", format="%b %d, %H:%M") if axis == "wall" else alt.Tooltip(f"x:{kind}", title=axis)
    layers: list[alt.Chart] = []
    if len(line):
        base = alt.Chart(line).encode(x=x)
        layers.append(base.mark_area(opacity=0.15, color=LINE).encode(y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q"))
        layers.append(base.mark_line(color=LINE, strokeDash=[6, 4]).encode(y=alt.Y("middle:Q", title=title, scale=scale)))
    drawn = alt.Chart(points).encode(x=x)
    layers.append(drawn.mark_line(color=AVERAGE, strokeWidth=2.5).encode(y=alt.Y("average:Q", title=title, scale=scale)))
    tip = [
        "label:N",
        when,
        alt.Tooltip("value:Q", title=title, format=form),
        alt.Tooltip("average:Q", title="running average", format=form),
    ]
    layers.append(drawn.mark_circle(size=45, opacity=0.55, color=AVERAGE).encode(y=alt.Y("value:Q", scale=scale), tooltip=tip))
    return alt.layer(*layers).properties(height=HEIGHT)


def intervals(methods: pd.DataFrame, title: str = "gain over VTracer's defaults") -> Chart:
    """Each method's mean with its interval. ``methods``: method, gain, low, high, is_agent; in the order in which they stand."""
    order = list(methods["method"])
    y = alt.Y("method:N", title=None, sort=order, axis=alt.Axis(labelLimit=260))
    colour = alt.condition("datum.is_agent", alt.value(PALETTE[0]), alt.value("#8a8a8a"))
    scale = alt.Scale(zero=True, nice=True)
    base = alt.Chart(methods).encode(y=y, color=colour)
    tip = [
        "method:N",
        *(alt.Tooltip(f"{n}:Q", title=t, format="+.3f") for n, t in (("gain", "gain"), ("low", "95% from"), ("high", "to"))),
    ]
    zero = alt.Chart(pd.DataFrame({"x": [0.0]})).mark_rule(color="#8a8a8a", strokeDash=[4, 3]).encode(x="x:Q")
    bars = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=title, scale=scale), x2="high:Q")
    points = base.mark_circle(size=110, opacity=1).encode(x=alt.X("gain:Q", scale=scale), tooltip=tip)
    return alt.layer(zero, bars, points).properties(height=max(34 * len(order), 70))
