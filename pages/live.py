"""A run as it happens: status, stages, curves, parameters, log. Updates every two seconds while it is live."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from core.runs.run_dir import all_runs
from core.runs.status import Status, run_state
from core.tracing.params import NAMES, SPECS
from pages.views import actions, charts, controls, health, tables
from pages.views.event_text import METHOD_LABELS, decision_text, detail
from pages.views.links import choose, choose_many
from pages.views.shell import begin, path_of, redraw_when, show_toasts
from storage import queries
from storage.queries import Axis

REFRESH_S = 2
REWARD_POINTS = 240
PARENT_COLOUR = "#8a8a8a"
MOVING = (Status.RUNNING, Status.PAUSED, Status.QUEUED)
LOSSES = {
    "train/value_loss": "value loss",
    "train/policy_gradient_loss": "policy loss",
    "train/entropy_loss": "entropy loss",
    "train/approx_kl": "KL divergence",
    "train/clip_fraction": "clip fraction",
    "train/explained_variance": "explained variance",
    "train/grad_norm": "gradient norm",
    "train/learning_rate": "learning rate",
    "train/std": "exploration deviation",
}
WHERE_ANY = {"trace/failed_share": "failed conversions", "trace/cache_hit_rate": "known from the cache"}

console = begin("Live")
runs = sorted(all_runs(console.home), key=lambda run: run.run_id, reverse=True)
if not runs:
    actions.invite(console, "No run yet. Start the quick run: in about two minutes it shows what this page is for.")

labels = tables.unique_names(tables.run_rows(runs, queries.run_overview(console.store)))
ids = [run.run_id for run in runs]
wanted = st.query_params.get("run")
if wanted and wanted not in ids:
    st.warning(f"There is no run {wanted}. It may have been deleted; the newest is shown.")


def long_label(run_id: str) -> str:
    """Streamlit tells options apart by what they are shown as: no two may look the same."""
    stamp = f"  ·  {run_id[4:6]}-{run_id[6:8]} {run_id[9:11]}:{run_id[11:13]}" if run_id[:8].isdigit() else ""
    return labels[run_id] if "·" in labels[run_id] else f"{labels[run_id]}{stamp}"


with st.grid(4, min_column_width=220, vertical_alignment="bottom"):
    run_id = choose("Run", ids, "run", show=long_label)
    others = choose_many("Compare with", [i for i in ids if i != run_id], "with", show=long_label, placeholder="other runs")
    axis: Axis = st.segmented_control("X axis", ["step", "episode", "minutes"], default="step", key="x", bind="query-params", required=True)  # type: ignore[assignment]
    smoothing = st.slider("Smoothing", 0.0, 0.99, 0.6, 0.01, key="smooth", bind="query-params")

run = runs[ids.index(run_id)]
shown = [run_id, *others]
colours = charts.run_colours(shown, ids)
is_live = any(run_state(runs[ids.index(i)]).status in MOVING for i in shown)
clock = f"{REFRESH_S}s" if is_live else None
parent = run.read_parent()
curve_colours, curve_labels = dict(colours), dict(labels)
if parent is not None and parent.run_id in ids and parent.run_id not in shown and axis != "minutes":
    curve_colours[parent.run_id] = PARENT_COLOUR
    curve_labels[parent.run_id] = f"{labels[parent.run_id]}, before the fork"


def heading(row: tables.RunRow) -> None:
    """Status, progress and what can be done."""
    left, right = st.columns([1, 1], vertical_alignment="center")
    with left, st.container(horizontal=True, vertical_alignment="center"):
        st.badge(row.state.status.value.capitalize(), color=tables.STATUS_COLOURS[row.state.status])  # type: ignore[arg-type]
        st.markdown(row.state.reason or "")
        if row.state.is_stalled:
            st.badge("no sign of life for 30 s", color="orange", icon=":material/warning:")
        health.lights(queries.events_of(console.store, run_id, ["alert"]))
    with right, st.container(horizontal=True, horizontal_alignment="right"):
        controls.buttons(console, row, "", is_large=True)
        st.page_link(path_of("gallery"), label="Gallery", icon=":material/imagesmode:", query_params={"run": run_id})
    if row.config_error:
        st.error(row.config_error)


def origin() -> None:
    """Where a fork came from."""
    if parent is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Forked at step {parent.step:,} ({controls.checkpoint_name(parent.checkpoint)}) from")
        name = labels.get(parent.run_id)
        if name:
            st.page_link(path_of("live"), label=name, query_params={"run": parent.run_id})
        else:
            st.caption(f"{parent.run_id}, which was deleted; its curve is gone.")


def with_parent(frame: pd.DataFrame, read: Any, x: str) -> pd.DataFrame:
    """A fork's curve with its parent's before it, up to the join."""
    if parent is None or axis == "minutes" or parent.run_id not in ids or parent.run_id in shown or frame.empty:
        return frame
    own = frame[frame["run_id"] == run_id]
    before = read([parent.run_id])
    if own.empty or before.empty:
        return frame
    join = parent.step if axis == "step" else float(own[x].min())
    return pd.concat([before[before[x] <= join], frame], ignore_index=True)


def figures(row: tables.RunRow) -> None:
    rate = queries.recent_rate(console.store, run_id)
    is_running = row.state.status is Status.RUNNING
    left_text = "–"
    if is_running and rate and row.total:
        left_text = tables.duration_text(max(row.total - row.step, 0) / rate / 60)
    of = f" of {row.total:,}" if row.step < row.total else ""
    st.progress(row.progress, text=f"{row.step:,}{of} steps" + (f" · about {left_text} left" if is_running and rate else ""))
    with st.grid(5, min_column_width=130):
        st.metric(
            "Best validation gain",
            tables.gain_text(row.best_gain),
            help="Mean over the validation logos, over VTracer's defaults. 0 is as good as they are; +0.69 is half the error at equal size.",
        )
        st.metric("Latest gain", tables.gain_text(row.last_gain))
        st.metric("Episodes", f"{row.episodes:,}")
        st.metric("Steps a second", f"{rate:.0f}" if rate else "–")
        st.metric("Training time", tables.duration_text(row.minutes) if row.minutes else "–")


def stages(row: tables.RunRow) -> None:
    """The curriculum as a strip, with what ended each stage."""
    if row.config is None or not row.config.curriculum.enabled:
        return
    found = queries.events_of(console.store, run_id, ["stage_started", "stage_ended", "stage_decision"])
    x_of = {"step": "step", "minutes": "minutes"}.get(axis, "step")
    strip: list[dict[str, Any]] = []
    for event in found:
        if event["kind"] == "stage_started":
            strip.append(
                {
                    "name": event["data"]["name"],
                    "x": event[x_of],
                    "x2": max(row.step, 1) if x_of == "step" else row.minutes,
                    "reason": "running",
                }
            )
        elif strip and event["kind"] == "stage_ended":
            strip[-1] |= {"x2": event[x_of], "reason": decision_text(event["data"])}
    if strip:
        st.altair_chart(charts.stage_strip(pd.DataFrame(strip), x_of), key="stages")
        share_now = queries.metric_series(console.store, [run_id], ["curriculum/success_share"], "step", 10)
        stage = next((s for s in row.config.curriculum.stages if s.name == strip[-1]["name"]), None)
        if stage is not None:
            now = f", now {share_now['mean'].iloc[-1]:.0%}" if len(share_now) else ""
            st.caption(
                f"Stage **{stage.name}** passes at {stage.success_threshold:.0%} successes{now}: SSIM at least {stage.target_ssim:g} and gain at least {stage.gain_needed():g}."
            )
    decisions = [event["data"] for event in found if event["kind"] != "stage_started"]
    if decisions:
        st.caption(f"Last decision, in {decisions[-1]['name']}: {decision_text(decisions[-1])}.")
    if row.state.status is Status.RUNNING:
        is_held = False
        for event in found:
            is_held = event["kind"] == "stage_decision" and (
                event["data"]["reason"] == "held" or (is_held and event["data"]["reason"] != "released")
            )
        with st.container(horizontal=True):
            for label, command, icon in (
                ("Stage before", "back", ":material/skip_previous:"),
                (
                    "Release" if is_held else "Hold",
                    "release" if is_held else "hold",
                    ":material/play_arrow:" if is_held else ":material/pause:",
                ),
                ("Next stage", "advance", ":material/skip_next:"),
            ):
                st.button(label, icon=icon, key=f"stage.{command}", on_click=actions.steer, args=(row.run, command))


def waiting(row: tables.RunRow) -> bool:
    """What to show before there is anything to draw; returns whether that is now."""
    if row.episodes or row.best_gain is not None:
        return False
    if row.state.status is Status.RUNNING:
        st.info(f"Getting ready: {row.state.reason}. The first point comes within 20 seconds.", icon=":material/hourglass_top:")
    elif row.state.status is Status.QUEUED:
        st.info(f"In the queue: {row.state.reason}.", icon=":material/hourglass_top:")
    elif row.state.status is Status.FAILED:
        st.error(f"This run failed before its first step: {row.state.reason}")
    else:
        st.info("This run has no episodes yet.")
    return True


def warnings_of(run_id: str) -> None:
    found = queries.events_of(console.store, run_id, ["warning", "logos_loaded", "worker_lost"])
    n_lost = sum(event["kind"] == "worker_lost" for event in found)
    if n_lost:
        workers = "One worker was" if n_lost == 1 else f"{n_lost} workers were"
        st.warning(f"{workers} lost and replaced; the run goes on. The events below say at what, and the log how to repeat it.")
    for event in found:
        if event["kind"] == "worker_lost":
            continue
        if event["kind"] == "warning":
            st.warning(event["data"]["text"])
        elif event["data"]["skipped"]:
            left_out = event["data"]["skipped"]
            with st.expander(f"{len(left_out)} files were left out", icon=":material/warning:"):
                st.dataframe(left_out, hide_index=True)


def two() -> tuple[Any, Any]:
    """Two cells side by side, below each other where it is narrow."""
    grid = st.grid(2, min_column_width=380, gap="medium")
    return grid.cell(), grid.cell()


def curves() -> None:
    left, right = two()
    with left:
        st.subheader("Gain on validation logos")
        evaluations = with_parent(
            queries.evaluations(console.store, shown), lambda runs: queries.evaluations(console.store, runs), str(axis)
        )
        references = queries.baselines(console.store, [run_id])
        lines = [
            (0.0, "VTracer's defaults"),
            *zip(references["gain"], [METHOD_LABELS.get(m, m) for m in references["method"]], strict=True),
        ]
        if evaluations.empty:
            st.caption("The first evaluation is on its way.")
        else:
            floor = min(0.0, float(evaluations["gain_low"].min())) - 0.1
            near = pd.DataFrame([line for line in lines if line[0] >= floor], columns=["value", "label"])
            st.altair_chart(charts.evaluation_line(evaluations, curve_colours, axis, curve_labels, near), key="evaluations")
            far = [f"{label} {gain:+.3f}" for gain, label in lines if gain < floor]
            st.caption(
                f"Mean over {int(evaluations['n_logos'].iloc[-1])} logos with its 95 % interval."
                + (f" Below the chart: {', '.join(far)}." if far else "")
            )
    with right:
        st.subheader("Reward of an episode")
        series = with_parent(
            queries.episode_series(console.store, shown, "reward", axis, REWARD_POINTS),
            lambda runs: queries.episode_series(console.store, runs, "reward", axis, REWARD_POINTS),
            "x",
        )
        if series.empty:
            st.caption("No episode yet.")
        else:
            st.altair_chart(
                charts.line(
                    series, curve_colours, axis, "reward", labels=curve_labels, smoothing=max(smoothing, 0.01), height=charts.HEIGHT + 40
                ),
                key="reward",
            )
            _thinned(series)


def _thinned(series: pd.DataFrame) -> None:
    n = int(series["n"].sum())
    if n > len(series):
        st.caption(f"{n:,} episodes in {len(series):,} points, each a mean.")


def success() -> None:
    left, right = two()
    with left:
        st.subheader("Success by category")
        found = queries.success_by(console.store, run_id, "category", axis)
        if found.empty:
            st.caption("No episode yet.")
        else:
            st.altair_chart(charts.success_lines(found, axis), key="success")
    with right:
        st.subheader("Gain by category: first and best")
        frame = queries.evaluations(console.store, [run_id])
        columns = [c for c in frame.columns if c in {f"gain_{name}" for name in charts.CATEGORY_COLOURS}]
        if frame.empty or not columns:
            st.caption("No evaluation yet.")
        else:
            picked = {"first": frame.iloc[0], "best": frame.loc[frame["gain"].idxmax()]}
            bars = [{"category": c.removeprefix("gain_"), "gain": r[c], "when": when} for when, r in picked.items() for c in columns]
            st.altair_chart(charts.category_bars(pd.DataFrame(bars)), key="bars")


def parameters() -> None:
    st.subheader("What the agent explores")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Parameter", NAMES, key="param", bind="query-params", width=220)
        by = st.segmented_control("Colour", ["share", "gain"], default="share", key="by", bind="query-params", required=True)
    spec = next(s for s in SPECS if s.name == name)
    st.caption(spec.meaning)
    left, right = two()
    cells = queries.param_density(console.store, run_id, name, spec.low, spec.high, axis)
    values = queries.gain_by_value(console.store, run_id, name)
    if cells.empty:
        st.caption("No episode yet.")
        return
    left.altair_chart(charts.param_heatmap(cells, axis, name, spec.unit, str(by)), key="heatmap")
    right.altair_chart(charts.gain_by_value(values, name, spec.unit), key="by_value")


def distribution() -> None:
    left, right = two()
    with left:
        st.subheader("Rewards: first and latest episodes")
        cells = queries.reward_histogram(console.store, run_id)
        if cells.empty:
            st.caption("No episode yet.")
        else:
            st.altair_chart(charts.histogram(cells, "reward"), key="histogram")
    with right:
        st.subheader("Reward by term")
        terms = queries.metric_series(console.store, [run_id], ["reward/quality", "reward/size", "reward/speed"], axis)
        if terms.empty:
            st.caption("The first update is on its way.")
        else:
            st.altair_chart(charts.term_lines(terms, axis), key="terms")


def losses() -> None:
    st.subheader("Losses and health")
    series = queries.metric_series(console.store, shown, [*LOSSES, *WHERE_ANY], axis)
    if series.empty:
        st.caption("The first update is on its way.")
        return
    with st.grid(3, min_column_width=300):
        for name, title in (LOSSES | WHERE_ANY).items():
            part = series[series["name"] == name]
            if not part.empty and (name in LOSSES or part["high"].max() > 0):
                st.altair_chart(charts.line(part, colours, axis, title, labels=labels, smoothing=smoothing, height=190), key=f"loss.{name}")


def events() -> None:
    left, right = two()
    with left:
        st.subheader("Events")
        skipped = ("logos_loaded",)
        found = [e for e in queries.events_of(console.store, run_id) if e["kind"] not in skipped]
        rows = [
            {"when": datetime.fromtimestamp(e["ts"]), "step": e["step"], "event": e["kind"].replace("_", " "), "detail": detail(e)}
            for e in reversed(found)
        ]
        st.dataframe(
            rows,
            hide_index=True,
            height=300,
            column_config={
                "when": st.column_config.DatetimeColumn("when", format="HH:mm:ss", width="small"),
                "step": st.column_config.NumberColumn("step", width="small", format="localized"),
                "event": st.column_config.TextColumn(width="small"),
            },
        )
    with right:
        st.subheader("Log")
        st.code("\n".join(run.log_tail(60)) or "nothing written yet", language=None, height=300)


@st.fragment(run_every=clock)
def top() -> None:
    show_toasts()
    st.session_state["drawn"] = statuses()
    row = next(r for r in tables.run_rows([run], queries.run_overview(console.store)))
    now_live = any(run_state(runs[ids.index(i)]).status in MOVING for i in shown)
    if now_live != is_live:
        st.rerun()  # ended or begun since the page was drawn: the clock follows
    heading(row)
    origin()
    figures(row)
    stages(row)
    if waiting(row):
        return
    warnings_of(run_id)
    curves()
    if is_live:
        st.caption(f"As of {time.strftime('%H:%M:%S')}; updates every {REFRESH_S} s.")


@st.fragment(run_every="5s" if is_live else None)
def below() -> None:
    drawn = {
        "Success": success,
        "Parameters": parameters,
        "Rewards": distribution,
        "Losses": losses,
        "Health": doctor,
        "Machine": machine,
        "Events and log": events,
        "Export": exports,
    }
    for tab, draw in zip(st.tabs(list(drawn), key="tab", bind="query-params"), drawn.values(), strict=True):
        if tab.open:  # a hidden chart costs as much as one that is seen
            with tab:
                draw()


def doctor() -> None:
    health.panel(console, run, queries.events_of(console.store, run_id, ["alert", "action"]))


def machine() -> None:
    health.machine_charts(console, run_id, shown, axis, colours, labels)


def exports() -> None:
    st.caption("Everything that is drawn here, as tables. What a resumed run did twice is there once.")
    with st.container(width=320):
        actions.export_buttons(console.store, run_id, "live")


def statuses() -> list[Status]:
    return [run_state(runs[ids.index(i)]).status for i in shown]


top()
below()
redraw_when(lambda: not is_live and statuses() != st.session_state.get("drawn"))
