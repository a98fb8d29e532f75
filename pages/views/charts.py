"""Tidy DataFrame -> Altair chart. Pure: no Streamlit, no SQL, no files.

Every chart takes the columns that its docstring lists. Colours: one a run, the same on every page; categories and
terms have colours of their own. A series has mean, low and high per point; the band shows what thinning hid.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd
from altair.utils import schemapi

schemapi.disable_debug_mode()  # a chart is checked once, as it is drawn, and not at each step of its making too

# After Okabe and Ito: told apart with any colour vision, on light and on dark.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b5f97", "#8a8a8a")
CATEGORY_COLOURS = {"simple": "#0072b2", "text": "#e69f00", "gradient": "#cc79a7", "complex": "#009e73"}
TERM_COLOURS = {"quality": "#0072b2", "size": "#e69f00", "speed": "#009e73"}
STAGE_COLOURS = ("#56b4e9", "#009e73", "#e69f00", "#cc79a7")
AXIS_TITLES = {"step": "step", "episode": "episode", "minutes": "minutes of training"}
HEIGHT = 260


def run_colours(runs: Sequence[str], all_runs: Sequence[str]) -> dict[str, str]:
    """{run: colour}, by the run's place among all runs, so that a run keeps its colour from page to page."""
    order = {run: i for i, run in enumerate(sorted(all_runs))}
    return {run: PALETTE[order.get(run, 0) % len(PALETTE)] for run in runs}


def smooth(series: pd.DataFrame, weight: float) -> pd.DataFrame:
    """Debiased exponential moving average of ``mean`` within each run_id and name; ``weight`` in [0, 1).

    The debiasing keeps the first points from being drawn towards zero (Kingma and Ba, "Adam", 2014).
    """
    out = series.copy()
    if out.empty or weight <= 0:
        out["smooth"] = out["mean"] if "mean" in out else []
        return out
    out["smooth"] = out.groupby(["run_id", "name"], sort=False)["mean"].transform(
        lambda s: s.ewm(alpha=1 - weight, adjust=True, ignore_na=True).mean()
    )
    return out


def _x(axis: str, field: str = "x", values: pd.Series | None = None) -> alt.X:
    """The x axis; ``values`` where there may be a single one, which alone would give it no length."""
    low, high = (0.0, 1.0) if values is None or values.empty else (float(values.min()), float(values.max()))
    scale = alt.Scale(nice=False) if values is None or high > low else alt.Scale(nice=False, domain=[low, low + 1])
    marks = alt.Axis(tickCount=6, format="~s" if axis != "minutes" else "~g", grid=False, titlePadding=6)
    return alt.X(f"{field}:Q", title=AXIS_TITLES.get(axis, axis), axis=marks, scale=scale)


def _colour(colours: dict[str, str], field: str = "label", title: str | None = None, with_legend: bool = True) -> alt.Color:
    return alt.Color(
        f"{field}:N",
        title=title,
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
        legend=alt.Legend(orient="top", labelLimit=260, symbolOpacity=1) if with_legend and len(colours) > 1 else None,
    )


def line(
    series: pd.DataFrame,
    colours: dict[str, str],
    axis: str,
    title: str,
    *,
    labels: dict[str, str] | None = None,
    smoothing: float = 0.0,
    height: int = HEIGHT,
    log_y: bool = False,
    from_zero: bool = False,
    references: pd.DataFrame | None = None,
) -> alt.Chart | alt.LayerChart | alt.FacetChart:
    """Curves of runs. ``series``: run_id, name, x, mean, low, high. ``references``: value, label (level lines)."""
    data = smooth(series, smoothing)
    names = labels or {}
    data["label"] = [names.get(run, run) for run in data["run_id"]]
    palette = {names.get(run, run): colour for run, colour in colours.items()}
    y_scale = alt.Scale(type="symlog" if log_y else "linear", zero=from_zero, nice=True)
    base = alt.Chart(data).encode(x=_x(axis, "x", data["x"]), color=_colour(palette))
    tip = [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("x:Q", title=AXIS_TITLES.get(axis, axis), format=",.4~g"),
        alt.Tooltip("smooth:Q", title=title, format=".4f"),
        alt.Tooltip("low:Q", format=".4f"),
        alt.Tooltip("high:Q", format=".4f"),
    ]
    layers: list[alt.Chart] = []
    if smoothing > 0:
        layers.append(base.mark_line(opacity=0.25, strokeWidth=1).encode(y=alt.Y("mean:Q", title=title, scale=y_scale)))
    layers.append(base.mark_line(strokeWidth=2).encode(y=alt.Y("smooth:Q", title=title, scale=y_scale)))
    hover = alt.selection_point(fields=["x"], nearest=True, on="pointerover", empty=False)
    layers.append(
        base.mark_point(size=50, filled=True)
        .encode(y=alt.Y("smooth:Q", title=title, scale=y_scale), opacity=alt.condition(hover, alt.value(1), alt.value(0)), tooltip=tip)
        .add_params(hover)
    )
    if references is not None and not references.empty:
        layers += _reference_layers(references)
    return alt.layer(*layers).properties(height=height)


def _reference_layers(references: pd.DataFrame) -> list[alt.Chart]:
    rule = alt.Chart(references).mark_rule(strokeDash=[5, 4], color="#8a8a8a").encode(y="value:Q")
    text = (
        alt.Chart(references)
        .mark_text(align="right", baseline="top", dx=-4, dy=4, color="#8a8a8a", fontSize=11)
        .encode(y="value:Q", x=alt.value("width"), text="label:N")
    )
    return [rule, text]


def group_lines(groups: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Mean curve and band of groups of runs. ``groups``: group, step, gain, low, high, n_runs."""
    names = sorted(groups["group"].unique())
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
    base = alt.Chart(groups).encode(x=_x("step", "step", groups["step"]), color=_colour(colours, "group"))
    scale = alt.Scale(zero=False, nice=True)
    tip = [
        alt.Tooltip("group:N"),
        alt.Tooltip("step:Q", format=","),
        alt.Tooltip("gain:Q", format="+.3f"),
        alt.Tooltip("n_runs:Q", title="runs"),
    ]
    return alt.layer(
        base.mark_area(opacity=0.16).encode(y=alt.Y("low:Q", title="gain over VTracer's defaults", scale=scale), y2="high:Q"),
        base.mark_line(strokeWidth=2.5, point=True).encode(y=alt.Y("gain:Q", scale=scale), tooltip=tip),
    ).properties(height=HEIGHT)


def evaluation_line(
    evaluations: pd.DataFrame, colours: dict[str, str], axis: str, labels: dict[str, str], references: pd.DataFrame | None = None
) -> alt.Chart | alt.LayerChart | alt.FacetChart:
    """Validation gain with its 95 % interval. ``evaluations``: run_id, <axis>, gain, gain_low, gain_high."""
    data = evaluations.copy()
    data["label"] = [labels.get(run, run) for run in data["run_id"]]
    palette = {labels.get(run, run): colour for run, colour in colours.items()}
    base = alt.Chart(data).encode(x=_x(axis, axis, data[axis]), color=_colour(palette))
    scale = alt.Scale(zero=False, nice=True)
    tip = [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("step:Q", format=","),
        alt.Tooltip("gain:Q", format="+.3f"),
        alt.Tooltip("gain_low:Q", title="95 % from", format="+.3f"),
        alt.Tooltip("gain_high:Q", title="to", format="+.3f"),
        alt.Tooltip("share_better:Q", title="better than defaults", format=".0%"),
    ]
    layers = [
        base.mark_area(opacity=0.14).encode(y=alt.Y("gain_low:Q", title="gain over VTracer's defaults", scale=scale), y2="gain_high:Q"),
        base.mark_line(strokeWidth=2.5, point=alt.OverlayMarkDef(size=55, filled=True)).encode(y=alt.Y("gain:Q", scale=scale), tooltip=tip),
    ]
    if references is not None and not references.empty:
        layers += _reference_layers(references)
    return alt.layer(*layers).properties(height=HEIGHT + 40)


def success_lines(success: pd.DataFrame, axis: str, colours: dict[str, str] | None = None) -> alt.Chart:
    """Share of successes over time. ``success``: group, x, success, gain, n."""
    palette = colours or {g: CATEGORY_COLOURS.get(g, PALETTE[i % len(PALETTE)]) for i, g in enumerate(sorted(success["group"].unique()))}
    return (
        alt.Chart(success)
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=20))
        .encode(
            x=_x(axis),
            y=alt.Y("success:Q", title="share of successes", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=_colour(palette, "group"),
            tooltip=[
                "group:N",
                alt.Tooltip("success:Q", format=".0%"),
                alt.Tooltip("gain:Q", format="+.3f"),
                alt.Tooltip("n:Q", title="episodes"),
            ],
        )
        .properties(height=HEIGHT)
    )


def category_bars(latest: pd.DataFrame) -> alt.Chart:
    """Validation gain by category. ``latest``: category, gain, when ("first" or "best")."""
    return (
        alt.Chart(latest)
        .mark_bar()
        .encode(
            y=alt.Y("category:N", title=None),
            yOffset=alt.YOffset("when:N", sort=["first", "best"]),
            x=alt.X("gain:Q", title="gain over VTracer's defaults"),
            color=alt.Color(
                "category:N", scale=alt.Scale(domain=list(CATEGORY_COLOURS), range=list(CATEGORY_COLOURS.values())), legend=None
            ),
            opacity=alt.Opacity(
                "when:N",
                scale=alt.Scale(domain=["first", "best"], range=[0.4, 1.0]),
                legend=alt.Legend(orient="top", title=None, symbolFillColor="#8a8a8a"),
            ),
            tooltip=["category:N", "when:N", alt.Tooltip("gain:Q", format="+.3f")],
        )
        .properties(height=HEIGHT)
    )


def param_heatmap(cells: pd.DataFrame, axis: str, param: str, unit: str, by: str) -> alt.Chart:
    """Explored values over time. ``cells``: x, x2, y, y2, n, share, gain; ``by``: "share" or "gain"."""
    if by == "gain":
        limit = float(max(cells["gain"].abs().quantile(0.95), 0.05)) if len(cells) else 1.0
        colour = alt.Color(
            "gain:Q", title="mean gain", scale=alt.Scale(domain=[-limit, 0, limit], range=["#d55e00", "#9aa5ad", "#0072b2"], clamp=True)
        )
    else:
        colour = alt.Color("share:Q", title="share", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(format="%"))
    return (
        alt.Chart(cells)
        .mark_rect(stroke=None)
        .encode(
            x=_x(axis),
            x2="x2:Q",
            y=alt.Y("y:Q", title=f"{param} ({unit})", scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False)),
            y2="y2:Q",
            color=colour,
            tooltip=[
                alt.Tooltip("y:Q", title="from", format=".3~g"),
                alt.Tooltip("y2:Q", title="to", format=".3~g"),
                alt.Tooltip("n:Q", title="episodes"),
                alt.Tooltip("gain:Q", title="mean gain", format="+.3f"),
            ],
        )
        .properties(height=HEIGHT)
    )


def gain_by_value(values: pd.DataFrame, param: str, unit: str) -> alt.Chart | alt.LayerChart | alt.FacetChart:
    """Mean gain by a parameter's value. ``values``: value, gain, q25, q75, n."""
    base = alt.Chart(values).encode(x=alt.X("value:Q", title=f"{param} ({unit})", scale=alt.Scale(zero=False)))
    y = alt.Y("gain:Q", title="gain of the episode", scale=alt.Scale(zero=False))
    tip = [alt.Tooltip("value:Q", format=".3~g"), alt.Tooltip("gain:Q", format="+.3f"), alt.Tooltip("n:Q", title="episodes")]
    return alt.layer(
        base.mark_area(opacity=0.15, color=PALETTE[0]).encode(y=alt.Y("q25:Q", title="gain of the episode"), y2="q75:Q"),
        base.mark_line(color=PALETTE[0], strokeWidth=2).encode(y=y),
        base.mark_circle(color=PALETTE[0], opacity=0.9).encode(
            y=y, size=alt.Size("n:Q", legend=None, scale=alt.Scale(range=[15, 180])), tooltip=tip
        ),
    ).properties(height=HEIGHT)


def histogram(cells: pd.DataFrame, title: str) -> alt.Chart:
    """Two distributions over each other. ``cells``: part ("first" or "latest"), low, high, share, n."""
    return (
        alt.Chart(cells)
        .mark_bar(opacity=0.6, binSpacing=0)
        .encode(
            x=alt.X("low:Q", bin="binned", title=title),
            x2="high:Q",
            y=alt.Y("share:Q", stack=None, title="share of episodes", axis=alt.Axis(format="%")),
            color=alt.Color(
                "part:N",
                title=None,
                scale=alt.Scale(domain=["first", "latest"], range=["#8a8a8a", "#0072b2"]),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=["part:N", alt.Tooltip("low:Q", format=".2f"), alt.Tooltip("high:Q", format=".2f"), "n:Q"],
        )
        .properties(height=HEIGHT)
    )


def term_lines(series: pd.DataFrame, axis: str) -> alt.Chart:
    """Reward terms over time. ``series``: name ("reward/<term>"), x, mean."""
    data = series.assign(term=series["name"].str.removeprefix("reward/"))
    present = [term for term in TERM_COLOURS if (data.loc[data["term"] == term, "mean"] != 0).any()]
    return (
        alt.Chart(data[data["term"].isin(present)])
        .mark_line(strokeWidth=2)
        .encode(
            x=_x(axis),
            y=alt.Y("mean:Q", title="mean of the term"),
            color=_colour({term: TERM_COLOURS[term] for term in present}, "term"),
            tooltip=["term:N", alt.Tooltip("x:Q", format=",.4~g"), alt.Tooltip("mean:Q", format=".4f")],
        )
        .properties(height=HEIGHT)
    )


def stage_strip(stages: pd.DataFrame, axis: str) -> alt.Chart:
    """Stages as a strip over the run. ``stages``: name, x, x2, reason."""
    order = list(dict.fromkeys(stages["name"]))  # a stage may come twice
    palette = {name: STAGE_COLOURS[i % len(STAGE_COLOURS)] for i, name in enumerate(order)}
    return (
        alt.Chart(stages)
        .mark_bar(height=16, cornerRadius=3)
        .encode(
            x=_x(axis),
            x2="x2:Q",
            color=alt.Color(
                "name:N", scale=alt.Scale(domain=order, range=list(palette.values())), legend=alt.Legend(orient="top", title=None)
            ),
            tooltip=["name:N", "reason:N"],
        )
        .properties(height=124)  # the legend and the axis are inside
    )
