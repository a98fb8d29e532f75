"""Tidy DataFrame -> Altair chart: what every curve has in common. Pure: no Streamlit, no SQL, no files.

Every chart takes the columns that its docstring lists. Colours: one per run, the same on every page; categories and
terms have colours of their own. A series has mean, low and high per point; the band shows what thinning hid. An
interval selection named :data:`ZOOM` lets whoever draws the chart read the data again at the range that was brushed.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd
from altair.utils import schemapi

from core.tracing.outcome import TERMS

schemapi.disable_debug_mode()  # a chart is checked once, as it is drawn, and not at each step of its making too

# After Okabe and Ito: told apart with any colour vision, on light and on dark.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b5f97", "#8a8a8a")
CATEGORY_COLOURS = {"simple": "#0072b2", "text": "#e69f00", "gradient": "#cc79a7", "complex": "#009e73"}
TERM_COLOURS = {term.name: term.colour for term in TERMS}
STAGE_COLOURS = ("#56b4e9", "#009e73", "#e69f00", "#cc79a7")
STAGE_WIDTH = alt.ExprRef("max(scale('x', datum.x2) - scale('x', datum.x) - 6, 1)")  # pixels that a stage's name may take
CLOCK = {"milliseconds": "%H:%M:%S", "seconds": "%H:%M:%S", "minutes": "%H:%M", "hours": "%H:%M", "date": "%b %d"}
AXIS_TITLES = {"step": "step", "episode": "episode", "minutes": "minutes of training", "wall": "time of day"}
HEIGHT = 260
_LABEL_ROOM = 0.07  # of the height, that the label of a level line takes
# Pixels of a legend: a character, a symbol with the space around it, the axis left of it
_LEGEND_CHARACTER, _LEGEND_SYMBOL, _LEGEND_LEFT = 7, 28, 70
LEGEND_ROW = 52  # characters that fit beside each other
ZOOM = "zoom"
_SAVED_WIDTH = 900  # pixels
POINTS, CHART_POINTS, LEAST_POINTS = 240, 2400, 60  # of a curve, of all curves of a chart, of a curve among very many
HOVER_POINTS = 250  # of a chart: what a point says is worked out for each before any is seen
MOST_BANDS = 8  # of more, one hides the other
TAIL, FEW = 0.05, 8  # the share at either end that may be outliers; values below which none is called one
SPARSE = 12  # points of a curve, of up to so many each is drawn

Chart = alt.Chart | alt.LayerChart | alt.FacetChart


@dataclass(frozen=True)
class View:
    """How curves are looked at. ``window``: the range of the x axis that was zoomed to, in its own unit."""

    axis: str = "step"
    smoothing: float = 0.0
    is_log: bool = False
    ignores_outliers: bool = True
    has_band: bool = True
    window: tuple[float, float] | None = None
    end: float = 0.0  # of the x axis where it is known beforehand, as the number of steps is; 0 for as far as the data goes


def points_for(n_runs: int) -> int:
    """Points a curve may have at most: where there are many curves each has fewer, down to what still shows its shape."""
    return max(min(POINTS, CHART_POINTS // max(n_runs, 1)), LEAST_POINTS)


def run_colours(runs: Sequence[str], all_runs: Sequence[str]) -> dict[str, str]:
    """{run: colour}, by the run's place among all runs, so that a run keeps its colour from page to page."""
    order = {run: i for i, run in enumerate(sorted(all_runs))}
    return {run: PALETTE[order.get(run, 0) % len(PALETTE)] for run in runs}


def smooth(series: pd.DataFrame, weight: float) -> pd.DataFrame:
    """Debiased exponential moving average of ``mean`` within each run_id and name; ``weight`` in [0, 1).

    The debiasing keeps the first points from being drawn towards zero (Kingma and Ba, "Adam", 2014). Where there is
    no value there is none afterwards either: a gap stays a gap.
    """
    out = series.copy()
    if out.empty or weight <= 0:
        out["smooth"] = out["mean"] if "mean" in out else []
        return out
    averaged = out.groupby(["run_id", "name"], sort=False)["mean"].transform(
        lambda s: s.ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean()
    )
    out["smooth"] = averaged.where(out["mean"].notna())
    return out


def shown_x(frame: pd.DataFrame, axis: str, *columns: str) -> pd.DataFrame:
    """Times of day as the browser takes them, in milliseconds; every other axis as it is."""
    if axis != "wall" or frame.empty:
        return frame
    return frame.assign(**{column: frame[column] * 1000 for column in columns or ("x",)})


def x_axis(axis: str, field: str = "x", values: pd.Series | None = None, end: float = 0.0) -> alt.X:
    """The x axis; ``values`` where there may be a single one, which alone would give it no length; ``end``: it goes from 0 to there
    at least."""
    title = AXIS_TITLES.get(axis, axis)
    if axis == "wall":
        clock = alt.Axis(tickCount=6, format=CLOCK, labelOverlap=True, grid=False, titlePadding=6)
        return alt.X(f"{field}:T", title=title, axis=clock, scale=alt.Scale(nice=False))
    low, high = (0.0, 1.0) if values is None or values.empty else (float(values.min()), float(values.max()))
    scale = alt.Scale(nice=False)
    if end > 0:
        scale = alt.Scale(nice=False, domain=[0.0, max(end, high)])
    elif values is not None and high <= low:
        scale = alt.Scale(nice=False, domain=[0.0, low] if low > 0 else [low, low + 1])
    marks = alt.Axis(tickCount=6, format="~s" if axis != "minutes" else "~g", grid=False, titlePadding=6)
    return alt.X(f"{field}:Q", title=title, axis=marks, scale=scale)


def x_tip(axis: str, field: str = "x") -> alt.Tooltip:
    """The x of a point, as a tooltip says it."""
    title = AXIS_TITLES.get(axis, axis)
    return (
        alt.Tooltip(f"{field}:T", title=title, format="%H:%M:%S")
        if axis == "wall"
        else alt.Tooltip(f"{field}:Q", title=title, format=",.4~g")
    )


def legend_columns(names: Sequence[str]) -> alt.ExprRef:
    """Of a legend above a chart: its names beside each other where there is width enough for them, else in two columns. Asked of the container:
    the chart's own width is known only after the legend has been given its place.
    """
    width = _LEGEND_LEFT + sum(_LEGEND_CHARACTER * len(name) + _LEGEND_SYMBOL for name in names)
    return alt.ExprRef(f"containerSize()[0] < {width} ? 2 : 0")


def colour_of(colours: dict[str, str], field: str = "label", title: str | None = None, with_legend: bool = True) -> alt.Color:
    is_long = sum(len(name) + 4 for name in colours) > LEGEND_ROW
    limit = alt.ExprRef("clamp(width / 2 - 24, 90, 260)") if is_long else 260  # two columns fit a phone too
    legend = alt.Legend(orient="top", labelLimit=limit, symbolOpacity=1, columns=2 if is_long else legend_columns(list(colours)))
    return alt.Color(
        f"{field}:N",
        title=title,
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=legend if with_legend and len(colours) > 1 else None,
    )


def x_of(view: View, values: pd.Series | None = None) -> alt.X:
    """The x axis of a page's charts, from 0 to the end that is known, unless a range of it was zoomed to."""
    return x_axis(view.axis, "x", values, 0.0 if view.window is not None else view.end)


def zoomable(chart: alt.Chart) -> alt.Chart:
    """The chart with the brush; of a layered chart one layer carries it."""
    return chart.add_params(alt.selection_interval(name=ZOOM, encodings=["x"], zoom=False, translate=False))


def robust_range(numbers: pd.Series) -> tuple[float, float] | None:
    """The range that all but outliers lie in: the inner 90 % and as much again on either side; None for few or equal values."""
    values = numbers.dropna()
    if len(values) < FEW:
        return None
    low, high = float(values.quantile(TAIL)), float(values.quantile(1 - TAIL))
    if high <= low:
        return None
    return max(float(values.min()), 2 * low - high), min(float(values.max()), 2 * high - low)


def y_scale(values: pd.DataFrame, view: View, from_zero: bool = False) -> alt.Scale:
    """``values``: columns whose spread the axis has to show."""
    numbers = pd.concat([values[column] for column in values]).dropna() if len(values) else pd.Series(dtype=float)
    kind = "linear" if not view.is_log else "log" if len(numbers) and float(numbers.min()) > 0 else "symlog"
    inner = robust_range(numbers) if view.ignores_outliers else None
    if inner is not None:
        low, high = inner
        room = 0.06 * (high - low)
        low = low if kind == "log" else min(low - room, 0.0) if from_zero else low - room
        return alt.Scale(type=kind, domain=[low, high + room], zero=False, nice=kind == "linear")  # type: ignore[arg-type]
    return alt.Scale(type=kind, zero=from_zero and kind != "log", nice=True)  # type: ignore[arg-type]


def edge_marks(data: pd.DataFrame, value: str, scale: alt.Scale, x: alt.X, colour: alt.Color) -> list[alt.Chart]:
    """Values beyond the y axis as small triangles at its edge, so that what is left out is seen. ``data``: x, label, ``value``."""
    if not isinstance(scale.domain, list):
        return []
    low, high = float(scale.domain[0]), float(scale.domain[1])
    layers = []
    for shape, place, beyond in (("triangle-up", 4, data[value] > high), ("triangle-down", alt.ExprRef("height - 4"), data[value] < low)):
        if beyond.any():
            marks = alt.Chart(data[beyond]).mark_point(shape=shape, size=34, filled=True, opacity=0.8)
            tip = [alt.Tooltip("label:N", title="run"), alt.Tooltip(f"{value}:Q", title="beyond the axis", format=".4~f")]
            layers.append(marks.encode(x=x, color=colour, y=alt.value(place), tooltip=tip))
    return layers


def line(  # noqa: PLR0913 - one chart for all curves, its variants by name
    series: pd.DataFrame,
    colours: dict[str, str],
    view: View,
    title: str,
    *,
    labels: dict[str, str] | None = None,
    height: int = HEIGHT,
    from_zero: bool = False,
    references: pd.DataFrame | None = None,
    stages: pd.DataFrame | None = None,
    marks: pd.DataFrame | None = None,
) -> Chart:
    """Curves of runs. ``series``: run_id, name, x, mean, low, high, n. ``references``: value, label (level lines).

    ``stages``: name, x, x2; ``marks``: x, label, colour (points in time).
    """
    data = smooth(series, view.smoothing)
    names = labels or {}
    data["label"] = [names.get(run, run) for run in data["run_id"]]
    data = shown_x(data, view.axis).drop(columns=["run_id", "name"])  # which the browser need not load
    palette = {names.get(run, run): colour for run, colour in colours.items()}
    scale = y_scale(data[["mean", "smooth"]], view, from_zero)
    base = alt.Chart(data).encode(x=x_of(view, data["x"]), color=colour_of(palette))
    y = alt.Y("smooth:Q", title=title, scale=scale)
    tip = [
        alt.Tooltip("label:N", title="run"),
        x_tip(view.axis),
        alt.Tooltip("smooth:Q", title=title, format=".4~f"),
        alt.Tooltip("low:Q", title="lowest", format=".4~f"),
        alt.Tooltip("high:Q", title="highest", format=".4~f"),
        alt.Tooltip("n:Q", title="values", format=","),
    ]
    layers: list[alt.Chart] = stage_bands(stages, view)
    if view.has_band and len(palette) <= MOST_BANDS and _has_readable_band(data, scale):
        layers.append(base.mark_area(opacity=0.12, clip=True).encode(y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q"))
    if view.smoothing > 0:
        layers.append(base.mark_line(opacity=0.3, strokeWidth=1, clip=True).encode(y=alt.Y("mean:Q", title=title, scale=scale)))
    layers.append(zoomable(base.mark_line(strokeWidth=2, clip=True).encode(y=y)))
    hover = alt.selection_point(fields=["x"], nearest=True, on="pointerover", empty=False, name="hover")
    is_sparse = data.groupby("label").size().min() <= SPARSE if len(data) else False
    shown = alt.condition(hover, alt.value(1), alt.value(0.9 if is_sparse else 0))
    points = alt.Chart(thinned(data)).encode(x=x_of(view, data["x"]), color=colour_of(palette))
    layers.append(points.mark_point(size=50, filled=True, clip=True).encode(y=y, opacity=shown, tooltip=tip).add_params(hover))
    layers += edge_marks(data[["label", "x", "mean"]], "mean", scale, x_of(view, data["x"]), colour_of(palette))
    layers += reference_lines(references, data["mean"]) + event_marks(marks, view)
    return alt.layer(*layers).properties(height=height)


def thinned(data: pd.DataFrame) -> pd.DataFrame:
    """Those of the points of many curves that can be pointed at, the last of each among them."""
    step = math.ceil(max(len(data), 1) / HOVER_POINTS)
    return data[data.groupby("label").cumcount(ascending=False) % step == 0] if step > 1 else data


def _has_readable_band(data: pd.DataFrame, scale: alt.Scale) -> bool:
    """Whether thinning hid anything, and the band is not simply all of the chart."""
    if "n" not in data or data.empty or int(data["n"].max()) <= 1:
        return False
    domain = scale.domain if isinstance(scale.domain, list) else None
    if domain is None:
        return True
    low, high = float(domain[0]), float(domain[1])
    height = data["high"].clip(low, high) - data["low"].clip(low, high)
    return float(height.median()) < 0.6 * (high - low)


def reference_lines(references: pd.DataFrame | None, *shown: pd.Series) -> list[alt.Chart]:
    """Level lines. ``references``: value, label; ``shown``: what else the y axis covers, to know which lines lie close."""
    if references is None or references.empty:
        return []
    rule = alt.Chart(references).mark_rule(strokeDash=[5, 4], color="#8a8a8a").encode(y="value:Q")
    text = (
        alt.Chart(_together(references, shown))
        .mark_text(align="right", baseline="top", dx=-4, dy=4, color="#8a8a8a", fontSize=11)
        .encode(y="value:Q", x=alt.value("width"), text="label:N")
    )
    return [rule, text]


def _together(references: pd.DataFrame, shown: Sequence[pd.Series]) -> pd.DataFrame:
    """Labels of lines too close for one each are one, below the lowest of them."""
    covered = pd.concat([references["value"], *shown]).dropna()
    room = _LABEL_ROOM * float(covered.max() - covered.min())
    groups: list[list[tuple[float, str]]] = []
    for value, label in sorted(zip(references["value"], references["label"], strict=True)):
        if groups and value - groups[-1][-1][0] < room:
            groups[-1].append((value, label))
        else:
            groups.append([(value, label)])
    return pd.DataFrame([(group[0][0], " · ".join(label for _, label in reversed(group))) for group in groups], columns=["value", "label"])


def stage_bands(stages: pd.DataFrame | None, view: View) -> list[alt.Chart]:
    """The stages behind a curve. ``stages``: name, x, x2. One layer per stage, so that they need no separate legend."""
    if stages is None or stages.empty:
        return []
    order = list(dict.fromkeys(stages["name"]))  # a stage may come twice
    data = shown_x(stages, view.axis, "x", "x2")
    if view.window is not None:
        factor = 1000 if view.axis == "wall" else 1
        low, high = view.window[0] * factor, view.window[1] * factor
        data = data.assign(x=data["x"].clip(low, high), x2=data["x2"].clip(low, high))
    data = data[data["x2"] > data["x"]]  # one that was skipped has no width
    if data.empty:
        return []
    least = 0.08 * max(
        float(data["x2"].max() - data["x"].min()), 0.0 if view.window else view.end
    )  # a narrower one has no room for its name
    layers = []
    for name, part in data.groupby("name", sort=False):
        base = alt.Chart(part).encode(x=x_of(view), tooltip=alt.value(None))
        colour = STAGE_COLOURS[order.index(name) % len(STAGE_COLOURS)]
        layers.append(base.mark_rect(color=colour, opacity=0.09).encode(x2="x2:Q" if view.axis != "wall" else "x2:T"))
        wide = alt.Chart(part[part["x2"] - part["x"] >= least]).encode(x=x_of(view))
        layers.append(
            wide.mark_text(align="left", baseline="top", dx=4, dy=3, color="#8a8a8a", fontSize=10, limit=STAGE_WIDTH).encode(
                y=alt.value(0), text="name:N"
            )
        )
    return layers


def event_marks(marks: pd.DataFrame | None, view: View) -> list[alt.Chart]:
    """Points in time as thin lines. ``marks``: x, label, colour."""
    if marks is None or marks.empty:
        return []
    tip = [alt.Tooltip("label:N", title="event"), x_tip(view.axis)]
    return [
        alt.Chart(shown_x(marks, view.axis))
        .mark_rule(strokeWidth=1.5, opacity=0.7)
        .encode(x=x_of(view), color=alt.Color("colour:N", scale=None), tooltip=tip)
    ]


def evaluation_line(
    evaluations: pd.DataFrame,
    colours: dict[str, str],
    view: View,
    labels: dict[str, str],
    references: pd.DataFrame | None = None,
    stages: pd.DataFrame | None = None,
    marks: pd.DataFrame | None = None,
) -> Chart:
    """Validation gain with its 95% interval. ``evaluations``: run_id, x, step, gain, gain_low, gain_high, share_better."""
    data = evaluations[["run_id", "x", "step", "gain", "gain_low", "gain_high", "share_better"]].copy()
    data["label"] = [labels.get(run, run) for run in data["run_id"]]
    palette = {labels.get(run, run): colour for run, colour in colours.items()}
    data = shown_x(data, view.axis).drop(columns="run_id")
    base = alt.Chart(data).encode(x=x_of(view, data["x"]), color=colour_of(palette))
    scale = alt.Scale(zero=False, nice=True)
    tip = [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("step:Q", format=","),
        alt.Tooltip("gain:Q", format="+.3f"),
        alt.Tooltip("gain_low:Q", title="95% from", format="+.3f"),
        alt.Tooltip("gain_high:Q", title="to", format="+.3f"),
        alt.Tooltip("share_better:Q", title="better than defaults", format=".0%"),
    ]
    layers: list[alt.Chart] = stage_bands(stages, view)
    title = "gain over VTracer's defaults"
    y = alt.Y("gain:Q", title=title, scale=scale)
    if len(palette) <= MOST_BANDS:
        layers.append(base.mark_area(opacity=0.14, clip=True).encode(y=alt.Y("gain_low:Q", title=title, scale=scale), y2="gain_high:Q"))
    layers.append(zoomable(base.mark_line(strokeWidth=2.5, clip=True).encode(y=y)))
    points = alt.Chart(thinned(data)).encode(x=x_of(view, data["x"]), color=colour_of(palette))
    layers.append(points.mark_circle(size=55, opacity=1).encode(y=y, tooltip=tip))  # the first at 0 is whole
    layers += reference_lines(references, data["gain_low"], data["gain_high"]) + event_marks(marks, view)
    return alt.layer(*layers).properties(height=HEIGHT + 40)


def saved(chart: Chart, form: str, title: str) -> bytes:
    """The chart as a file: a PNG at twice its size, an SVG, or a page with all that it needs inside."""
    with_title = chart.properties(width=_SAVED_WIDTH, title=title)
    if form == "html":
        buffer = io.StringIO()
        with_title.save(buffer, format="html", inline=True)
        return buffer.getvalue().encode()
    if form == "svg":
        text = io.StringIO()
        with_title.save(text, format="svg")
        return text.getvalue().encode()
    data = io.BytesIO()
    with_title.save(data, format="png", scale_factor=2)
    return data.getvalue()
