"""The charts that show one thing only: distributions, heatmaps, stages, trade-offs. Pure, as :mod:`pages.views.charts.curves`."""

from __future__ import annotations

import altair as alt
import pandas as pd

from pages.views.charts.curves import (
    CATEGORY_COLOURS,
    HEIGHT,
    PALETTE,
    STAGE_COLOURS,
    TERM_COLOURS,
    Chart,
    View,
    colour_of,
    legend_columns,
    shown_x,
    stage_bands,
    x_axis,
    x_of,
    x_tip,
    zoomable,
)


def group_lines(groups: pd.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Mean curve and band of groups of runs. ``groups``: group, step, gain, low, high, n_runs."""
    names = sorted(groups["group"].unique())
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
    base = alt.Chart(groups).encode(x=x_axis("step", "step", groups["step"]), color=colour_of(colours, "group"))
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


def success_lines(success: pd.DataFrame, view: View, colours: dict[str, str] | None = None, stages: pd.DataFrame | None = None) -> Chart:
    """Share of successes over time. ``success``: group, x, success, gain, n."""
    palette = colours or {g: CATEGORY_COLOURS.get(g, PALETTE[i % len(PALETTE)]) for i, g in enumerate(sorted(success["group"].unique()))}
    enough = success[success["n"] >= min(5, int(success["n"].median()))]  # a share of one or two says nothing
    base = alt.Chart(shown_x(enough, view.axis)).encode(
        x=x_of(view),
        y=alt.Y("success:Q", title="success rate", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        color=colour_of(palette, "group"),
    )
    tip = [
        "group:N",
        alt.Tooltip("success:Q", format=".0%"),
        alt.Tooltip("gain:Q", format="+.3f"),
        alt.Tooltip("n:Q", title="episodes"),
    ]
    lines = zoomable(base.mark_line(strokeWidth=2))
    return alt.layer(*stage_bands(stages, view), lines, base.mark_circle(size=22).encode(tooltip=tip)).properties(height=HEIGHT)


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


def _heat(by: str, cells: pd.DataFrame) -> alt.Color:
    if by != "gain":
        return alt.Color("share:Q", title="share", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(format="%"))
    limit = 1.0
    if len(cells):  # what nine tenths of the episodes stay below
        ordered = cells.assign(size=cells["gain"].abs()).sort_values("size")
        reached = ordered["n"].cumsum() >= 0.9 * ordered["n"].sum()
        limit = max(float(ordered.loc[reached, "size"].iloc[0]), 0.05)
    scale = alt.Scale(domain=[-limit, 0, limit], range=["#d55e00", "#9aa5ad", "#0072b2"], clamp=True, interpolate="rgb")
    return alt.Color("gain:Q", title="mean gain", scale=scale)


def param_heatmap(cells: pd.DataFrame, view: View, param: str, unit: str, by: str) -> alt.Chart:
    """Explored values over time. ``cells``: x, x2, y, y2, n, share, gain; ``by``: "share" or "gain"."""
    return (
        alt.Chart(shown_x(cells, view.axis, "x", "x2"))
        .mark_rect(stroke=None)
        .encode(
            x=x_of(view),
            x2="x2:T" if view.axis == "wall" else "x2:Q",
            y=alt.Y("y:Q", title=f"{param} ({unit})", scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False)),
            y2="y2:Q",
            color=_heat(by, cells),
            tooltip=[
                alt.Tooltip("y:Q", title="from", format=".3~g"),
                alt.Tooltip("y2:Q", title="to", format=".3~g"),
                alt.Tooltip("n:Q", title="episodes"),
                alt.Tooltip("gain:Q", title="mean gain", format="+.3f"),
            ],
        )
        .properties(height=HEIGHT)
    )


def param_pair(cells: pd.DataFrame, a: str, b: str, by: str) -> alt.Chart:
    """Two parameters against each other. ``cells``: x, x2, y, y2, n, share, gain."""
    return (
        alt.Chart(cells)
        .mark_rect(stroke=None)
        .encode(
            x=alt.X("x:Q", title=a, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False)),
            x2="x2:Q",
            y=alt.Y("y:Q", title=b, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False)),
            y2="y2:Q",
            color=_heat(by, cells),
            tooltip=[
                alt.Tooltip("x:Q", title=a, format=".3~g"),
                alt.Tooltip("y:Q", title=b, format=".3~g"),
                alt.Tooltip("n:Q", title="episodes"),
                alt.Tooltip("gain:Q", title="mean gain", format="+.3f"),
            ],
        )
        .properties(height=HEIGHT)
    )


def quantile_bands(found: pd.DataFrame, view: View, title: str, stages: pd.DataFrame | None = None) -> Chart:
    """A distribution over time. ``found``: x, q05, q25, q50, q75, q95, n."""
    base = alt.Chart(shown_x(found, view.axis)).encode(x=x_of(view, found["x"]))
    tip = [x_tip(view.axis), *(alt.Tooltip(f"q{q}:Q", title=f"{q} %", format=".3~f") for q in ("95", "75", "50", "25", "05"))]
    scale = alt.Scale(zero=False, nice=True)
    return alt.layer(
        *stage_bands(stages, view),
        base.mark_area(opacity=0.15, color=PALETTE[0]).encode(y=alt.Y("q05:Q", title=title, scale=scale), y2="q95:Q"),
        base.mark_area(opacity=0.3, color=PALETTE[0]).encode(y=alt.Y("q25:Q", title=title, scale=scale), y2="q75:Q"),
        zoomable(base.mark_line(color=PALETTE[0], strokeWidth=2).encode(y=alt.Y("q50:Q", title=title, scale=scale))),
        base.mark_circle(size=40, opacity=0, color=PALETTE[0]).encode(y=alt.Y("q50:Q", scale=scale), tooltip=tip),
    ).properties(height=HEIGHT)


def gate(shares: pd.DataFrame, thresholds: pd.DataFrame, decided: pd.DataFrame, view: View, stages: pd.DataFrame | None = None) -> Chart:
    """What a stage has to reach, and where it was left.

    ``shares``: x, mean (share of successes in the window); ``thresholds``: x, x2, threshold, name; ``decided``: x2,
    success_share, name, reason.
    """
    scale, shown = alt.Scale(domain=[0, 1]), alt.Axis(format="%")
    base = alt.Chart(shown_x(shares, view.axis)).encode(x=x_of(view))
    tip = [x_tip(view.axis), alt.Tooltip("mean:Q", title="successes", format=".0%")]
    lines = zoomable(
        base.mark_line(strokeWidth=2, color=PALETTE[0]).encode(
            y=alt.Y("mean:Q", title="success rate in the window", axis=shown, scale=scale)
        )
    )
    points = base.mark_circle(size=24, color=PALETTE[0]).encode(y=alt.Y("mean:Q", scale=scale), tooltip=tip)
    needed = (
        alt.Chart(shown_x(thresholds, view.axis, "x", "x2"))
        .mark_rule(strokeDash=[5, 4], strokeWidth=2, color=PALETTE[1])
        .encode(
            x=x_of(view),
            x2="x2:T" if view.axis == "wall" else "x2:Q",
            y=alt.Y("threshold:Q", scale=scale),
            tooltip=["name:N", alt.Tooltip("threshold:Q", title="needed", format=".0%")],
        )
    )
    told = ["name:N", alt.Tooltip("reason:N", title="decision"), alt.Tooltip("success_share:Q", title="successes", format=".0%")]
    decisions = (
        alt.Chart(shown_x(decided, view.axis, "x2"))
        .mark_point(shape="diamond", size=90, filled=True, opacity=1, color=PALETTE[1])
        .encode(x=x_axis(view.axis, "x2"), y=alt.Y("success_share:Q", scale=scale), tooltip=told)
    )
    return alt.layer(*stage_bands(stages, view), needed, lines, points, decisions).properties(height=HEIGHT)


def kept_lines(kept: pd.DataFrame) -> Chart:
    """How the share of logos that meet each stage went on. ``kept``: stage, step, share."""
    order = list(dict.fromkeys(kept["stage"]))
    colours = {name: STAGE_COLOURS[i % len(STAGE_COLOURS)] for i, name in enumerate(order)}
    base = alt.Chart(kept).encode(
        x=x_axis("step", "step", kept["step"]),
        y=alt.Y("share:Q", title="logos meeting the stage", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
        color=colour_of(colours, "stage"),
    )
    tip = ["stage:N", alt.Tooltip("step:Q", format=","), alt.Tooltip("share:Q", format=".0%")]
    return alt.layer(base.mark_line(strokeWidth=2), base.mark_circle(size=40, opacity=1).encode(tooltip=tip)).properties(height=HEIGHT)


def shares_of(cells: pd.DataFrame, field: str, title: str) -> alt.Chart:
    """Bars of shares. ``cells``: <field>, n."""
    return (
        alt.Chart(cells)
        .mark_bar(color=PALETTE[0])
        .encode(
            y=alt.Y(f"{field}:N", title=None, sort="-x"),
            x=alt.X("n:Q", title=title),
            tooltip=[f"{field}:N", alt.Tooltip("n:Q", format=",")],
        )
        .properties(height=HEIGHT)
    )


def trade_off(points: pd.DataFrame, front: pd.DataFrame) -> Chart:
    """Error against bytes of every known conversion. ``points``: bytes, error, kind, gain, place; ``front``: bytes, error."""
    kinds = ["search", "tried", "evaluation", "defaults", "Method 1", "agent", "favourite"]
    colours = ["#c3cad0", "#8f9ba4", "#56b4e9", "#d55e00", "#e69f00", "#0072b2", "#cc79a7"]
    shapes = ["circle", "circle", "circle", "square", "diamond", "triangle-up", "cross"]
    present = [kind for kind in kinds if kind in set(points["kind"])]
    x = alt.X(
        "bytes:Q", title="bytes", scale=alt.Scale(type="log", nice=False, padding=12), axis=alt.Axis(format="~s", tickCount=6, grid=False)
    )
    y = alt.Y(
        "error:Q", title="error (1 − SSIM)", scale=alt.Scale(type="log", nice=False, padding=12), axis=alt.Axis(format="~g", tickCount=6)
    )
    pick = alt.selection_point(fields=["place"], name="pick", empty=False)
    dots = (
        alt.Chart(points)
        .mark_point(filled=True, opacity=0.9)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=present, range=[colours[kinds.index(k)] for k in present]),
                legend=alt.Legend(orient="top", columns=legend_columns(present)),
            ),
            shape=alt.Shape(
                "kind:N",
                title=None,
                scale=alt.Scale(domain=present, range=[shapes[kinds.index(k)] for k in present]),
                legend=alt.Legend(orient="top", columns=legend_columns(present)),
            ),
            size=alt.condition(pick, alt.value(260), alt.value(70)),
            tooltip=[
                "kind:N",
                alt.Tooltip("gain:Q", format="+.3f"),
                alt.Tooltip("error:Q", format=".4f"),
                alt.Tooltip("bytes:Q", format=","),
            ],
        )
        .add_params(pick)
    )
    line = alt.Chart(front).mark_line(interpolate="step-after", strokeDash=[4, 3], color="#8a8a8a").encode(x=x, y=y)
    return alt.layer(line, dots).properties(height=420)


def spread(values: pd.DataFrame, title: str) -> Chart:
    """Values by category, one tick per logo. ``values``: logo, category, split, value."""
    base = alt.Chart(values).encode(y=alt.Y("category:N", title=None))
    scale = alt.Scale(domain=list(CATEGORY_COLOURS), range=list(CATEGORY_COLOURS.values()))
    ticks = base.mark_tick(thickness=2, opacity=0.55, height=22).encode(
        x=alt.X("value:Q", title=title),
        color=alt.Color("category:N", scale=scale, legend=None),
        tooltip=["logo:N", "split:N", alt.Tooltip("value:Q", format=".4~g")],
    )
    middle = base.mark_tick(thickness=3, height=34, color="#8a8a8a").encode(x="median(value):Q")
    return alt.layer(ticks, middle).properties(height=220)


def gain_by_value(values: pd.DataFrame, param: str, unit: str, is_whole: bool = False) -> alt.Chart | alt.LayerChart | alt.FacetChart:
    """Mean gain by a parameter's value. ``values``: value, gain, q25, q75, n."""
    ticks = alt.Axis(tickMinStep=1, format="d") if is_whole else alt.Axis()
    base = alt.Chart(values).encode(x=alt.X("value:Q", title=f"{param} ({unit})", axis=ticks, scale=alt.Scale(zero=False)))
    y = alt.Y("gain:Q", title="episode gain", scale=alt.Scale(zero=False))
    tip = [alt.Tooltip("value:Q", format=".3~g"), alt.Tooltip("gain:Q", format="+.3f"), alt.Tooltip("n:Q", title="episodes")]
    return alt.layer(
        base.mark_area(opacity=0.15, color=PALETTE[0]).encode(y=alt.Y("q25:Q", title="episode gain"), y2="q75:Q"),
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


def term_areas(series: pd.DataFrame, view: View) -> Chart:
    """Reward terms over time, stacked; those below zero hang down. ``series``: name ("reward/<term>"), x, mean."""
    data = series.assign(term=series["name"].str.removeprefix("reward/"))
    present = [term for term in TERM_COLOURS if (data.loc[data["term"] == term, "mean"] != 0).any()]
    data = shown_x(data[data["term"].isin(present)], view.axis)
    base = alt.Chart(data).encode(x=x_of(view, data["x"]), color=colour_of({t: TERM_COLOURS[t] for t in present}, "term"))
    tip = ["term:N", x_tip(view.axis), alt.Tooltip("mean:Q", format=".4f")]
    areas = base.mark_area(opacity=0.55).encode(y=alt.Y("mean:Q", title="mean per term", stack="zero"), tooltip=tip)
    total = data.groupby("x", as_index=False)["mean"].sum()
    whole = alt.Chart(total).mark_line(color="#8a8a8a", strokeWidth=1.5).encode(x=x_of(view, data["x"]), y="mean:Q")
    return alt.layer(zoomable(areas), whole).properties(height=HEIGHT)


def stage_strip(stages: pd.DataFrame, view: View) -> alt.Chart:
    """Stages as a strip over the run. ``stages``: name, x, x2, reason."""
    order = list(dict.fromkeys(stages["name"]))  # a stage may come twice
    palette = {name: STAGE_COLOURS[i % len(STAGE_COLOURS)] for i, name in enumerate(order)}
    return (
        alt.Chart(shown_x(stages, view.axis, "x", "x2"))
        .mark_bar(height=16, cornerRadius=3)
        .encode(
            x=x_of(view),
            x2="x2:T" if view.axis == "wall" else "x2:Q",
            color=alt.Color(
                "name:N",
                scale=alt.Scale(domain=order, range=list(palette.values())),
                legend=alt.Legend(orient="top", title=None, columns=legend_columns(order)),
            ),
            tooltip=["name:N", "reason:N"],
        )
        .properties(height=124)  # the legend and the axis are inside
    )
