"""Charts of many runs together: seeds folded to one curve with its interval, groups beside each other, which settings mattered.

Pure, as :mod:`pages.views.charts.curves`.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from pages.views.charts.curves import HEIGHT, MOST_BANDS, PALETTE, Chart, View, colour_of, x_of, x_tip, zoomable

GAIN = "gain over VTracer's defaults"
LAST_GAIN = f"last {GAIN}"
MEASURES = {"explained": "explains", "ped_anova": "PED-ANOVA"}
ROW = 34  # pixels of a line of a chart that is a list
_LABEL_WIDTH = 150  # pixels
_AXIS, _LEGEND = 90, 70  # pixels that they take of a chart's height
_DENSE = 20  # points of a curve, of more each is small


def group_colours(labels: Sequence[str]) -> dict[str, str]:
    """{group: colour}, told apart as far as there are colours."""
    return {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}


def band_lines(bands: pd.DataFrame, colours: dict[str, str], view: View, title: str = GAIN, height: int = HEIGHT + 40) -> Chart:
    """One curve per group with the interval of its seeds. ``bands``: group, x, value, low, high, n_runs; low and high may be NaN."""
    base = alt.Chart(bands).encode(x=x_of(view, bands["x"]), color=colour_of(colours, "group"))
    scale = alt.Scale(type="symlog" if view.is_log else "linear", zero=False, nice=True)
    y = alt.Y("value:Q", title=title, scale=scale)
    tip = [
        alt.Tooltip("group:N"),
        x_tip(view.axis),
        alt.Tooltip("value:Q", title="interquartile mean", format="+.3f"),
        alt.Tooltip("low:Q", title="95% from", format="+.3f"),
        alt.Tooltip("high:Q", title="to", format="+.3f"),
        alt.Tooltip("n_runs:Q", title="seeds"),
    ]
    layers: list[alt.Chart] = []
    if len(colours) <= MOST_BANDS and bands["low"].notna().any():
        band = base.mark_area(opacity=0.16, clip=True).transform_filter("isValid(datum.low)")
        layers.append(band.encode(y=alt.Y("low:Q", title=title, scale=scale), y2="high:Q"))
    layers.append(zoomable(base.mark_line(strokeWidth=2.5, clip=True).encode(y=y)))
    size = 45 if len(bands) <= _DENSE * max(len(colours), 1) else 14
    layers.append(base.mark_circle(size=size, opacity=1, clip=True).encode(y=y, tooltip=tip))
    return alt.layer(*layers).properties(height=height)


def group_intervals(figures: pd.DataFrame, runs: pd.DataFrame, colours: dict[str, str]) -> Chart:
    """Groups below each other, the best first: interquartile mean, its interval, and each seed as a small ring.

    ``figures``: group, n_seeds, iqm, low, high; ``runs``: group, run, gain.
    """
    order = list(figures["group"])
    row = alt.Y("group:N", title=None, sort=order, axis=alt.Axis(labelLimit=_LABEL_WIDTH, labelOverlap=False))
    x = alt.X("iqm:Q", title=LAST_GAIN, axis=alt.Axis(tickCount=6), scale=alt.Scale(zero=False, nice=True))
    colour = alt.Color("group:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())), legend=None)
    base = alt.Chart(figures).encode(y=row, color=colour)
    tip = [
        alt.Tooltip("group:N"),
        alt.Tooltip("iqm:Q", title="interquartile mean", format="+.3f"),
        alt.Tooltip("low:Q", title="95% from", format="+.3f"),
        alt.Tooltip("high:Q", title="to", format="+.3f"),
        alt.Tooltip("n_seeds:Q", title="seeds"),
    ]
    of_runs = [alt.Tooltip("run:N"), alt.Tooltip("gain:Q", format="+.3f")]
    seeds = alt.Chart(runs).mark_point(size=40, opacity=0.75, strokeWidth=1.5)
    return alt.layer(
        base.mark_rule(strokeWidth=5, opacity=0.35)
        .transform_filter("isValid(datum.low)")
        .encode(x=alt.X("low:Q", title=LAST_GAIN), x2="high:Q"),
        seeds.encode(y=row, x=alt.X("gain:Q", title=LAST_GAIN), color=colour, tooltip=of_runs),
        base.mark_point(size=130, filled=True, opacity=1, shape="diamond").encode(x=x, tooltip=tip),
    ).properties(height=ROW * max(len(order), 2) + _AXIS)


def importance_bars(rows: pd.DataFrame) -> Chart:
    """Two bars per setting, the one that explains most on top. ``rows``: setting, explained (may be NaN), ped_anova, p_value, best."""
    order = list(rows["setting"])
    long = rows.melt(["setting", "p_value", "best"], list(MEASURES), "measure", "share").dropna(subset=["share"])
    long["measure"] = long["measure"].map(MEASURES)
    scale = alt.Scale(domain=list(MEASURES.values()), range=[PALETTE[0], PALETTE[5]])
    return (
        alt.Chart(long)
        .mark_bar()
        .encode(
            y=alt.Y("setting:N", title=None, sort=order, axis=alt.Axis(labelLimit=_LABEL_WIDTH + 40, labelOverlap=False)),
            yOffset=alt.YOffset("measure:N", sort=list(MEASURES.values())),
            x=alt.X("share:Q", title="importance", axis=alt.Axis(format="%", tickCount=6), scale=alt.Scale(domainMin=0)),
            color=alt.Color("measure:N", title=None, scale=scale, legend=alt.Legend(orient="top", symbolOpacity=1)),
            tooltip=[
                "setting:N", "measure:N", alt.Tooltip("share:Q", format=".0%"), alt.Tooltip("p_value:Q", title="p", format=".3f"), "best:N",
            ],
        )
        .properties(height=ROW * max(len(order), 2) + _AXIS + _LEGEND)
    )  # fmt: skip
