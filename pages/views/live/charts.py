"""Every chart of the live page by its name, so that any of them can be pinned to the top."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import pandas as pd
import streamlit as st

from core.config.config import CurriculumConfig
from core.errors import ConfigError
from core.runs.records import peek_config
from core.tracing.outcome import TERM_NAMES
from core.tracing.params import NAMES, SPECS
from pages.views import chart_box
from pages.views.charts import curves, plots
from pages.views.event_text import METHOD_LABELS
from pages.views.live.run_view import RunView
from pages.views.shell import room_for
from storage import queries

FRESH_S = 600.0
TALL = curves.HEIGHT + 40
HEAD = 50  # pixels of title and menu
GAIN_TITLE, REWARD_TITLE = "Gain on validation logos", "Reward per episode"
GATE_TITLE = "Success rate and stage gate"
LOSSES = {
    "train/value_loss": "value loss",
    "train/policy_gradient_loss": "policy loss",
    "train/entropy_loss": "entropy loss",
    "train/approx_kl": "KL divergence",
    "train/clip_fraction": "clip fraction",
    "train/explained_variance": "explained variance",
    "train/grad_norm": "gradient norm",
    "train/learning_rate": "learning rate",
    "train/std": "exploration std",
}
WHERE_ANY = {"trace/failed_share": "failed conversions", "trace/cache_hit_rate": "cache hits"}
COLOURINGS = {"share": "share", "gain": "mean gain"}
_SPECS = {spec.name: spec for spec in SPECS}


def gain(run_view: RunView) -> None:
    """Validation gain against the baselines, over the stages."""
    store, view = run_view.console.store, run_view.view

    def read(runs: list[str]) -> pd.DataFrame:
        return queries.evaluations(store, runs, run_view.axis)

    found = run_view.with_parent(read(run_view.shown), read)
    if found.empty:
        chart_box.empty("gain", GAIN_TITLE, run_view.nothing_before("the first evaluation, of the untrained agent"), TALL)
        return
    if view.window is not None:
        found = found[found["x"].between(*view.window)]
        if found.empty:
            chart_box.empty("gain", GAIN_TITLE, "No evaluation in this range.", TALL)
            return
    references = queries.baselines(store, [run_view.run_id])
    lines = [(0.0, "VTracer's defaults"), *zip(references["gain"], [METHOD_LABELS.get(m, m) for m in references["method"]], strict=True)]
    floor = min(0.0, float(found["gain_low"].min())) - 0.1
    near = pd.DataFrame([line for line in lines if line[0] >= floor], columns=["value", "label"])
    chart = curves.evaluation_line(found, run_view.colours, view, run_view.labels, near, run_view.stages, run_view.marks)
    far = [f"{label} {value:+.3f}" for value, label in lines if value < floor]
    note = f"Mean over {int(found['n_logos'].iloc[-1])} logos with its 95% interval" + (
        f"; below the chart: {', '.join(far)}" if far else ""
    )
    chart_box.show(chart, "gain", GAIN_TITLE, found, view, note, newest_ts=float(found["ts"].max()))


def reward(run_view: RunView) -> None:
    store, view = run_view.console.store, run_view.view

    def read(runs: list[str]) -> pd.DataFrame:
        return queries.episode_series(store, runs, "training_gain", run_view.axis, run_view.n_points, view.window)

    series = run_view.with_parent(read(run_view.shown), read)
    if series.empty:
        awaited = "No episode in this range." if view.window else run_view.nothing_before("the first episodes")
        chart_box.empty("reward", REWARD_TITLE, awaited, TALL)
        return
    chart = curves.line(series, run_view.colours, view, "reward", labels=run_view.labels, height=TALL, stages=run_view.stages)
    chart_box.show(chart, "reward", REWARD_TITLE, series, view, newest_ts=queries.newest_ts(store, run_view.run_id))


def success(run_view: RunView) -> None:
    found = queries.success_by(run_view.console.store, run_view.run_id, "category", run_view.axis, window=run_view.view.window)
    _or_empty(found, lambda: plots.success_lines(found, run_view.view, stages=run_view.stages), "success", "Success by category", run_view)


def success_by_stage(run_view: RunView) -> None:
    found = queries.success_by(run_view.console.store, run_view.run_id, "stage", run_view.axis, window=run_view.view.window)
    order = list(dict.fromkeys(run_view.stages["name"])) or sorted(set(found["group"])) if len(found) else []
    colours = {name: curves.STAGE_COLOURS[i % len(curves.STAGE_COLOURS)] for i, name in enumerate(order)}
    _or_empty(
        found, lambda: plots.success_lines(found, run_view.view, colours, run_view.stages), "success-stage", "Success by stage", run_view
    )


def categories(run_view: RunView) -> None:
    frame = queries.evaluations(run_view.console.store, [run_view.run_id])
    columns = [c for c in frame.columns if c in {f"gain_{name}" for name in curves.CATEGORY_COLOURS}]
    if frame.empty or not columns:
        chart_box.empty("categories", "Gain by category: first and best", run_view.nothing_before("the first evaluation"))
        return
    picked = {"first": frame.iloc[0], "best": frame.loc[frame["gain"].idxmax()]}
    bars = pd.DataFrame([{"category": c.removeprefix("gain_"), "gain": r[c], "when": when} for when, r in picked.items() for c in columns])
    chart_box.show(plots.category_bars(bars), "categories", "Gain by category: first and best", bars)


def gate(run_view: RunView) -> None:
    """The share of successes in the window against what each stage asks for."""
    store, view = run_view.console.store, run_view.view
    shares = queries.metric_series(store, [run_view.run_id], ["curriculum/success_share"], run_view.axis, window=view.window)
    try:
        config = peek_config(run_view.run).curriculum
    except ConfigError:
        config = CurriculumConfig()
    if shares.empty or run_view.stages.empty:
        awaited = run_view.nothing_before(_first_update(run_view)) if config.enabled else "Only runs with a curriculum have a gate."
        chart_box.empty("gate", GATE_TITLE, awaited)
        return
    stages = {stage.name: stage for stage in config.stages}
    spans = run_view.stages.assign(threshold=[stages[n].success_threshold if n in stages else None for n in run_view.stages["name"]])
    spans = spans[spans["threshold"].notna()]
    decided = spans[spans["is_over"] & spans["success_share"].notna()]
    if view.window is not None:
        decided = decided[decided["x2"].between(*view.window)]
    shares = with_decisions(shares, decided)
    if view.window is not None:
        spans = spans.assign(x=spans["x"].clip(*view.window), x2=spans["x2"].clip(*view.window))
    chart = plots.gate(shares, spans, decided, view, run_view.stages)
    chart_box.show(chart, "gate", GATE_TITLE, shares, view, "Dashed: success rate needed to pass; diamonds: decisions")


def with_decisions(shares: pd.DataFrame, decided: pd.DataFrame) -> pd.DataFrame:
    """A point of the curve may be a mean of several updates; what a decision was made on is one of its own.

    ``shares``: of one run, as :func:`queries.metric_series` gives them; ``decided``: x2, success_share.
    """
    at = pd.DataFrame({"run_id": shares["run_id"].iloc[0], "name": shares["name"].iloc[0], "x": decided["x2"], "n": 1})
    at = at.assign(**dict.fromkeys(("mean", "low", "high"), decided["success_share"]))
    return pd.concat([at, shares]).sort_values("x", kind="stable").reset_index(drop=True)


def density(run_view: RunView) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Parameter", NAMES, key="param", bind="query-params", width=200)
        by = st.segmented_control("Colour", list(COLOURINGS), default="share", key="by", bind="query-params", required=True)
    spec = _SPECS[str(name)]
    cells = queries.param_density(
        run_view.console.store, run_view.run_id, spec.name, spec.low, spec.high, run_view.axis, window=run_view.view.window
    )
    if cells.empty:
        st.caption("No episode yet.")
        return
    chart = plots.param_heatmap(cells, run_view.view, spec.name, spec.unit, str(by))
    chart_box.show(chart, "explored", f"{spec.name}, explored over time", cells, note=spec.meaning)


def by_value(run_view: RunView) -> None:
    name = str(st.session_state.get("param") or st.query_params.get("param", NAMES[0]))
    spec = _SPECS.get(name, SPECS[0])
    values = queries.gain_by_value(run_view.console.store, run_view.run_id, spec.name)
    if values.empty:
        st.caption("No episode yet.")
        return
    chart_box.show(
        plots.gain_by_value(values, spec.name, spec.unit, spec.is_integer),
        "by-value",
        f"Gain by {spec.name}",
        values,
        note="Band: the middle half of the episodes",
    )


def pair(run_view: RunView) -> None:
    """Any two parameters against each other."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        a = st.selectbox("X axis", NAMES, key="pair_a", bind="query-params", width=170)
        b = st.selectbox("Y axis", NAMES, index=1, key="pair_b", bind="query-params", width=170)
        by = st.segmented_control("Colour of the pair", list(COLOURINGS), default="gain", key="pair_by", bind="query-params", required=True)
    if a == b:
        st.caption("Choose two different parameters.")
        return
    one, two = _SPECS[str(a)], _SPECS[str(b)]
    cells = queries.param_pair(run_view.console.store, run_view.run_id, (one.name, one.low, one.high), (two.name, two.low, two.high))
    if cells.empty:
        st.caption("No episode yet.")
        return
    chart_box.show(
        plots.param_pair(cells, one.name, two.name, str(by)), "pair", f"{one.name} and {two.name}", cells, note="Over all episodes"
    )


def deviation(run_view: RunView) -> None:
    _metric(run_view, "train/std", "std", "Standard deviation of actions")


def reward_bands(run_view: RunView) -> None:
    _bands(run_view, "training_gain", "reward-bands", "Distribution of rewards")


def quality_bands(run_view: RunView) -> None:
    _bands(run_view, "ssim", "quality-bands", "Distribution of SSIM")


def colour_bands(run_view: RunView) -> None:
    _bands(run_view, "colour", "colour-bands", "Distribution of the colour error")


def edge_bands(run_view: RunView) -> None:
    _bands(run_view, "edge", "edge-bands", "Distribution of the edge error")


def histogram(run_view: RunView) -> None:
    cells = queries.reward_histogram(run_view.console.store, run_view.run_id)
    _or_empty(
        cells, lambda: plots.histogram(cells, "reward"), "histogram", "Rewards: first and latest episodes", run_view, is_zoomable=False
    )


def terms(run_view: RunView) -> None:
    found = queries.metric_series(
        run_view.console.store,
        [run_view.run_id],
        [f"reward/{name}" for name in TERM_NAMES],
        run_view.axis,
        200,
        run_view.view.window,
    )
    _or_empty(found, lambda: plots.term_areas(found, run_view.view), "terms", "Reward by term", run_view)


def ends(run_view: RunView) -> None:
    found = queries.end_reasons(run_view.console.store, run_view.run_id)
    _or_empty(found, lambda: plots.shares_of(found, "end_reason", "episodes"), "ends", "Episode endings", run_view, is_zoomable=False)


def length(run_view: RunView) -> None:
    series = queries.episode_series(
        run_view.console.store, run_view.shown, "length", run_view.axis, run_view.n_points, run_view.view.window
    )
    _or_empty(
        series,
        lambda: curves.line(
            series, run_view.colours, run_view.view, "steps", labels=run_view.labels, from_zero=True, stages=run_view.stages
        ),
        "length",
        "Episode length",
        run_view,
    )


def loss(name: str, title: str) -> Callable[[RunView], None]:
    def draw(run_view: RunView) -> None:
        _metric(run_view, name, name, title, 190)

    return draw


CHARTS: dict[str, Callable[[RunView], None]] = {
    "gain": gain,
    "reward": reward,
    "success": success,
    "success-stage": success_by_stage,
    "categories": categories,
    "gate": gate,
    "explored": density,
    "by-value": by_value,
    "pair": pair,
    "std": deviation,
    "reward-bands": reward_bands,
    "quality-bands": quality_bands,
    "colour-bands": colour_bands,
    "edge-bands": edge_bands,
    "histogram": histogram,
    "terms": terms,
    "ends": ends,
    "length": length,
} | {name: loss(name, title) for name, title in (LOSSES | WHERE_ANY).items()}
TABS = {
    "Success": ("success", "categories", "success-stage", "gate"),
    "Parameters": ("explored", "by-value", "pair", "std"),
    "Rewards": ("reward-bands", "quality-bands", "colour-bands", "edge-bands", "histogram", "terms", "ends", "length"),
}


def side_by_side(run_view: RunView, names: Sequence[str], columns: int = 2, above: Sequence[str] = ()) -> None:
    """Charts beside each other, below each other where it is narrow; of those ``above`` it is only said where they are."""
    rooms = {}
    with st.grid(columns, min_column_width=380 if columns == 2 else 300, gap="medium") as cells:
        for name in names:
            with cells.cell():
                if name in above:
                    st.caption(f"{name.split('/')[-1].replace('_', ' ').replace('-', ' ').capitalize()} is pinned to the top.")
                else:
                    rooms[name] = room_for(name, TALL + HEAD)
    for name, room in rooms.items():
        with room():
            CHARTS[name](run_view)


def grid(run_view: RunView, names: Sequence[str], columns: int = 2) -> None:
    """The charts of a tab, but for those that are pinned."""
    side_by_side(run_view, names, columns, chart_box.pinned())


def losses(run_view: RunView) -> None:
    """Those of the updates, with what is shown only where there was any."""
    known = queries.metric_series(run_view.console.store, run_view.shown, list(WHERE_ANY), run_view.axis, 10)
    any_of = [name for name in WHERE_ANY if (known.loc[known["name"] == name, "high"] > 0).any()]
    grid(run_view, [*LOSSES, *any_of], 3)


def pins(run_view: RunView) -> None:
    """The charts that are kept at the top."""
    side_by_side(run_view, [name for name in chart_box.pinned() if name in CHARTS and name not in ("gain", "reward")])


def _metric(run_view: RunView, metric: str, name: str, title: str, height: int = curves.HEIGHT) -> None:
    series = queries.metric_series(run_view.console.store, run_view.shown, [metric], run_view.axis, run_view.n_points, run_view.view.window)
    _or_empty(
        series,
        lambda: curves.line(series, run_view.colours, run_view.view, title, labels=run_view.labels, height=height, stages=run_view.stages),
        name,
        title[:1].upper() + title[1:],
        run_view,
        _first_update(run_view),
    )


def _first_update(run_view: RunView) -> str:
    """ "the first update, at step 512"."""
    with suppress(ConfigError):
        return f"the first update, at step {peek_config(run_view.run).rollout_steps:,}"
    return "the first update, after the first rollout"


def _bands(run_view: RunView, column: str, name: str, title: str) -> None:
    found = queries.quantiles(run_view.console.store, run_view.run_id, column, run_view.axis, window=run_view.view.window)
    _or_empty(found, lambda: plots.quantile_bands(found, run_view.view, column, run_view.stages), name, title, run_view)


def _or_empty(
    data: pd.DataFrame,
    make: Callable[[], curves.Chart],
    name: str,
    title: str,
    run_view: RunView,
    first: str = "the first episodes",
    is_zoomable: bool = True,
) -> None:
    if data.empty:
        chart_box.empty(name, title, "Nothing in this range." if run_view.view.window else run_view.nothing_before(first))
        return
    newest = queries.newest_ts(run_view.console.store, run_view.run_id)
    is_fresh = newest is not None and time.time() - newest < FRESH_S  # of a run that has ended the top of the page says when
    chart_box.show(make(), name, title, data, run_view.view if is_zoomable else None, newest_ts=newest if is_fresh else None)
