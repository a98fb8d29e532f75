"""A run as it happens: status, figures, curves, stages, parameters, log. While it is live, its head and main charts look every two seconds for something new to draw, the tabs every five."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from core.paths import program
from core.runs import baseline_run, shelf
from core.runs.event_types import NODE, ActionTaken, AlertRaised, LogosLoaded, StageDecision, StageEnded, WarningGiven, WorkerLost
from core.runs.records import read_log_tail, read_parent
from core.runs.rounds import known_runs
from core.runs.status import Status, run_state
from pages.server import changes
from pages.server.start_document import base_path
from pages.views import actions, chart_box, gone, tables
from pages.views.buttons import button
from pages.views.chart_options import options, run_list, zoom_state
from pages.views.charts import curves, plots
from pages.views.components.mount import clock
from pages.views.event_text import detail, text_of_decision
from pages.views.first_visit import duration_of
from pages.views.links import choose, choose_many, wanted, write_address
from pages.views.live import charts, head, health
from pages.views.live.run_view import PARENT_COLOUR, RunView, forks_of, view_to_end
from pages.views.run_choice import offered
from pages.views.shell import begin, redraw_when, show_toasts
from pages.views.text import plain
from storage import queries

REFRESH_S = 2
TABS_REFRESH_S = 5
NEAR = 0.05  # of a run, on either side of an event that was clicked

console = begin("Live")
runs = tables.newest_first(console.home)
labels = tables.all_names(console.home)
ids = list(runs)
begun_with = wanted("run", ids)
gone.stop_if_deleted(console, begun_with)
if not runs:
    actions.invite(console, f"No runs yet. Start the quick run to see this page in action; it takes {duration_of(console, 'quick')}.")

if begun_with not in ids:
    st.warning(f"Run {plain(begun_with)} was not found; it may have been deleted. The newest run is shown.")
start = begun_with if begun_with in ids else ids[0]


def follow_switch() -> None:
    st.toggle("Follow the latest run", key="follow", bind="query-params", help="Switch to each new run as it starts.")


with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="live-choice"):
    among = offered(ids, "run", labels, [start, *st.query_params.get_all("with")])
    run_id = choose("Run", among, "run", start, show=lambda i: labels.get(i, i), width=250)
    others = choose_many(
        "Compare with", [i for i in among if i != run_id], "with", show=lambda i: labels.get(i, i), placeholder="other runs", width=250
    )
    view = options(more=follow_switch)
    shown = run_list(ids, [run_id, *others], labels, fixed=run_id)
    head.links(run_id, actions.has_stages(runs[run_id]))
follows = bool(st.session_state.get("follow"))

run = runs[run_id]
if follows and run_id != ids[0] and st.session_state.get("followed") != ids[0]:
    st.session_state["followed"] = ids[0]
    write_address(run=ids[0])
    st.rerun()
colours = curves.run_colours(shown, ids)
view = view_to_end(view, [runs[i] for i in shown])
forks = forks_of(run_id, [one.facts for one in shelf.look_all(console.home).values()])
is_live = any(run_state(runs[i]).status.is_moving for i in shown)
parent = read_parent(run)
curve_colours, curve_labels = dict(colours), dict(labels)
if parent is not None and parent.run_id in ids and parent.run_id not in shown and view.axis not in ("minutes", "wall"):
    curve_colours[parent.run_id] = PARENT_COLOUR
    curve_labels[parent.run_id] = f"{labels.get(parent.run_id, parent.run_id)}, before the fork"


def watch(every_s: float, key: str) -> None:
    """Draw this part again when there is something new of the runs that are shown."""
    if is_live:
        watched = [runs[i] for i in shown]
        clock(changes.address(base_path(), watched), changes.version(console.store, watched), every_s, key)


def run_view() -> RunView:
    """Read again each time the page is drawn."""
    return RunView(console, run, shown, ids, view, curve_colours, curve_labels, parent)


def stages(row: tables.RunRow, now: RunView) -> None:
    """The curriculum as a strip, its gate, what ended each stage, and buttons to control it."""
    if row.config is None or not row.config.curriculum.enabled:
        return
    if len(now.stages):
        st.altair_chart(chart_box.fresh(plots.stage_strip(now.stages, view), "stages"), key="stages", alt="Curriculum stages over the run")
        name = now.stages["name"].iloc[-1]
        stage = next((s for s in row.config.curriculum.stages if s.name == name), None)
        share = now.stages["success_share"].iloc[-1]
        if stage is not None:
            reached = f", now {share:.0%}" if pd.notna(share) else ""
            st.caption(
                f"Stage **{plain(str(name))}** passes at a success rate of {stage.success_threshold:.0%}{reached}. "
                f"Success: SSIM at least {stage.target_ssim:g} and gain at least {stage.gain_needed():g}. "
                f"It takes at least {row.config.curriculum.min_episodes:,} episodes and at most {stage.max_episodes:,}."
            )
    found = queries.events_of(console.store, run_id, [StageEnded, StageDecision])
    decisions = [event.data for event in found if isinstance(event.data, StageDecision)]
    if decisions:
        st.caption(f"Last decision, in {plain(decisions[-1].name)}: {plain(text_of_decision(decisions[-1]))}.")
    if row.state.status is Status.RUNNING:
        is_held = False
        for decision in decisions:
            is_held = decision.reason == "held" or (is_held and decision.reason in ("extended", "eased"))
        hold = ("Release", "release", ":material/play_arrow:") if is_held else ("Hold", "hold", ":material/pause:")
        with st.container(horizontal=True):
            for label, command, icon in (
                ("Previous stage", "back", ":material/skip_previous:"),
                hold,
                ("Next stage", "advance", ":material/skip_next:"),
            ):
                button(label, icon=icon, key=f"stage.{command}", on_click=actions.steer, args=(row.run, command))


def waiting(row: tables.RunRow) -> bool:
    """Shows a message while there is no data yet; returns whether it did."""
    if row.episodes or row.best_gain is not None:
        return False
    if row.state.status is Status.RUNNING:
        st.info(f"Starting: {plain(row.state.reason)}. The first data appears within 20 seconds.", icon=":material/hourglass_top:")
    elif row.state.status is Status.QUEUED:
        st.info(f"In the queue: {plain(row.state.reason)}.", icon=":material/hourglass_top:")
    elif row.state.status is Status.FAILED:
        st.error("This run failed before its first step; its log is under *Events and log*.")
    else:
        st.info("This run has no episodes yet.")
    return True


def warnings_of(run_id: str) -> None:
    found = queries.events_of(console.store, run_id, [WarningGiven, LogosLoaded, WorkerLost])
    lost = [event.data for event in found if isinstance(event.data, WorkerLost)]
    if nodes := [one for one in lost if one.is_node]:
        told = "A node of the cluster was lost" if len(nodes) == 1 else f"Nodes of the cluster were lost {len(nodes)} times, the latest"
        st.warning(
            plain(f"{told}: {nodes[-1].worker.removeprefix(NODE)}, {nodes[-1].reason}. The run continues on the nodes that are there.")
        )
    if n_lost := len(lost) - len(nodes):
        workers = "One worker was" if n_lost == 1 else f"{n_lost} workers were"
        st.warning(
            f"{workers} lost and replaced; the run continues. The events below show the logo, and the log shows how to reproduce it."
        )
    for event in found:
        if isinstance(event.data, WarningGiven):
            st.warning(plain(event.data.text))
        elif isinstance(event.data, LogosLoaded) and event.data.skipped:
            left_out = event.data.skipped
            with st.expander(f"{len(left_out)} files were skipped", icon=":material/warning:"):
                st.dataframe(left_out, hide_index=True)


def events(now: RunView) -> None:
    cells = st.grid(2, min_column_width=380, gap="medium")
    with cells.cell():
        st.subheader("Events")
        found = [e for e in reversed(queries.events_of(console.store, run_id)) if not isinstance(e.data, LogosLoaded)]
        rows = [
            {"when": datetime.fromtimestamp(e.ts), "step": e.step, "event": e.kind.replace("_", " "), "detail": detail(e)} for e in found
        ]

        def jump() -> None:
            """Zoom the charts to where the event was."""
            picked = st.session_state["events"]["selection"]["rows"]
            spans = queries.stage_spans(console.store, run_id)
            if picked and len(spans):
                at = now.place(found[picked[0]])
                low, high = float(spans[view.axis].min()), float(spans[f"{view.axis}_end"].max())
                write_address(zoom=f"{max(at - NEAR * (high - low), low):.10g}~{min(at + NEAR * (high - low), high):.10g}")
                st.session_state["redraw"] = True

        st.dataframe(
            pd.DataFrame(rows, columns=["when", "step", "event", "detail"]),
            hide_index=True,
            height=300,
            key="events",
            on_select=jump,
            selection_mode="single-row",
            column_config={
                "when": st.column_config.DatetimeColumn("when", format="HH:mm:ss", width="small"),
                "step": st.column_config.NumberColumn("step", width="small", format="localized"),
                "event": st.column_config.TextColumn(width="small"),
            },
        )
        st.caption("Click a row to zoom the charts to it.")
    with cells.cell():
        st.subheader("Log")
        if lines := read_log_tail(run, 60):
            st.code("\n".join(lines), language=None, height=300)
        elif actions.is_over(run):
            st.caption(f"No log was saved: a run started with `{program()} train` logs to its terminal.")
        else:
            st.caption("The log is still empty.")


@st.fragment
def top() -> None:
    watch(REFRESH_S, "clock.top")  # before anything is read: what comes meanwhile is new
    chart_box.redraw_if_asked()
    show_toasts()
    if not run.path.is_dir():
        st.rerun()  # deleted elsewhere: the page says so
    st.session_state["drawn"] = statuses()
    row = next(r for r in tables.run_rows([run], queries.run_overview(console.store, [run_id])))
    now_live = any(run_state(runs[i]).status.is_moving for i in shown)
    if now_live != is_live:
        st.rerun()  # ended or begun since the page was drawn: the clock follows
    now = run_view()
    head.heading(console, row)
    head.figures(console, row, base_row())
    if waiting(row):
        head.origin(row, labels, forks)
        return
    zoom_state(view)
    charts.side_by_side(now, ("gain", "reward"))
    charts.pins(now)
    stages(row, now)
    head.origin(row, labels, forks)
    warnings_of(run_id)


@st.fragment
def below() -> None:
    watch(TABS_REFRESH_S, "clock.below")
    chart_box.redraw_if_asked()
    if not run.path.is_dir():
        return
    now = run_view()
    drawn = {name: lambda names=names: charts.grid(now, names) for name, names in charts.TABS.items()} | {
        "Losses": lambda: charts.losses(now),
        "Health": lambda: health.panel(console, run, queries.events_of(console.store, run_id, [AlertRaised, ActionTaken])),
        "Machine": lambda: health.machine_charts(now),
        "Events and log": lambda: events(now),
        "Export": exports,
    }
    for tab, draw in zip(st.tabs(list(drawn), key="tab", bind="query-params"), drawn.values(), strict=True):
        if tab.open:  # a hidden chart costs as much as one that is seen
            with tab:
                draw()


def exports() -> None:
    st.caption("All plotted data as tables. Steps that a resumed run repeated are included once.")
    with st.container(width=320):
        actions.export_buttons(console.store, run, "live")


def base_row() -> tables.RunRow | None:
    """The baseline run, unless it is the one that is shown."""
    base = baseline_run.read(console.home)
    if base is None or base not in ids or base == run_id:
        return None
    return tables.run_rows([runs[base]], queries.run_overview(console.store, [base]))[0]


def statuses() -> list[Status]:
    return [run_state(runs[i]).status for i in shown]


def is_stale() -> bool:
    """Whether a status changed while the page's own clock stands still, or there is a newer run to follow."""
    newest = next(reversed(known_runs(console.home)), "")
    if not run.path.is_dir():
        return True
    return (not is_live and statuses() != st.session_state.get("drawn")) or (bool(follows) and newest > ids[0])


top()
below()
if follows or not is_live:  # else the clocks see all that there is to see
    redraw_when(is_stale)
