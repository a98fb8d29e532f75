"""The top of the live page: status and buttons, what there is to say of the run in a sentence, progress, four figures."""

from __future__ import annotations

import time

import streamlit as st

from core.runs.event_types import AlertRaised
from core.runs.records import read_heartbeat, read_parent, read_trial
from core.runs.status import Status
from pages.server.service import Console
from pages.views import controls, tables
from pages.views.live import health
from pages.views.shell import path_of
from pages.views.text import duration_text, gain_text, plain
from storage import queries


def heading(console: Console, row: tables.RunRow) -> None:
    """Status and what can be done."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="live-head"):
        st.badge(row.state.status.value.capitalize(), color=tables.STATUS_COLOURS[row.state.status])  # type: ignore[arg-type]
        if row.state.reason and row.state.reason != row.state.status.value.lower():
            st.caption(plain(row.state.reason), width="content")
        if row.state.is_stalled:
            st.badge("no heartbeat for 30 s", color="orange", icon=":material/warning:")
        health.lights(queries.events_of(console.store, row.run.run_id, [AlertRaised]))
        st.space("stretch")
        lost = steps_at_risk(console, row)
        controls.buttons(console, row, "", is_large=True, n_lost=lost)
    if row.config_error:
        st.error(plain(row.config_error))
    if row.config is not None and row.config.version < 2:
        st.caption(f"This run was {tables.OLD_SCORE}.")


def links(run_id: str, has_stages: bool) -> None:
    """To the other pages about a run."""
    query = {"run": run_id}
    if has_stages:
        st.page_link(path_of("curriculum"), label="Curriculum", icon=":material/stairs:", query_params=query, width="content")
    st.page_link(path_of("gallery"), label="Gallery", icon=":material/imagesmode:", query_params=query, width="content")


def steps_at_risk(console: Console, row: tables.RunRow) -> int:
    """The steps since the last checkpoint, which a kill discards; 0 for a run that is not live."""
    if not row.state.status.is_live:
        return 0
    return max(row.step - queries.last_checkpoint_step(console.store, row.run.run_id), 0)


def origin(row: tables.RunRow, labels: dict[str, str], forks: list[str]) -> None:
    """Where a fork came from, what was forked from it, and whose trial a run is."""
    trial, parent = read_trial(row.run), read_parent(row.run)
    if trial is None and parent is None and not forks:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="live-origin"):
        if trial is not None:
            query = {"study": trial.study, "trial": str(trial.number)}
            label = f"Trial {trial.number} of {plain(trial.study)}"
            st.page_link(path_of("search"), label=label, icon=":material/science:", query_params=query, width="content")
        if parent is not None:
            st.caption(f"Forked at step {parent.step:,} ({controls.checkpoint_name(parent.checkpoint)}) from", width="content")
            if parent.run_id in labels:
                link(parent.run_id, labels)
            else:
                st.caption(f"{plain(parent.run_id)}, which was deleted together with its curve.", width="content")
        if forks:
            st.caption("Forks:", width="content")
            for fork in forks:
                link(fork, labels)


def link(run_id: str, labels: dict[str, str]) -> None:
    """To a run's live page."""
    st.page_link(path_of("live"), label=plain(labels.get(run_id, run_id)), query_params={"run": run_id}, width="content")


def workers_by_node(row: tables.RunRow) -> None:
    """Where a run on a cluster converts; nothing of a run on this machine."""
    if row.config is None or row.config.workers.backend != "ray" or row.state.status is not Status.RUNNING:
        return
    beat = read_heartbeat(row.run)
    nodes = [f"{plain(node)}: {n}" for node, n in sorted(beat.nodes.items())] if beat is not None else []
    st.caption(f":material/hub: Workers by node: {', '.join(nodes) or 'known after the first update'}")


def figures(console: Console, row: tables.RunRow, base: tables.RunRow | None) -> None:
    """Progress and the four figures; ``base``: the baseline run, unless it is this one."""
    rate = queries.recent_rate(console.store, row.run.run_id)
    is_running = row.state.status is Status.RUNNING
    elapsed = row.elapsed_minutes(time.time())
    told = [f"{row.step:,}" + (f" of {row.total:,}" if row.step < row.total else "") + " steps"]
    if elapsed * 60 >= 1:
        told.append(f"{duration_text(elapsed)} elapsed" if row.state.status.is_live else f"{duration_text(elapsed)} of training")
    if is_running and rate and row.total:
        told.append(f"about {duration_text(max(row.total - row.step, 0) / rate / 60)} left")
    elif is_running and row.total:
        told.append("time left: known after the first steps")
    st.progress(row.progress, text=" · ".join(told))
    workers_by_node(row)
    with st.grid(4, min_column_width=128, key="live-figures"):
        beside = None if base is None or base.best_gain is None or row.best_gain is None else row.best_gain - base.best_gain
        st.metric(
            "Best validation gain",
            gain_text(row.best_gain),
            delta=None if beside is None else f"{gain_text(beside)} against baseline",
            help="Mean over the validation logos, relative to VTracer's defaults. 0 is equal to the defaults; +0.69 is half the error at the same size.",
        )
        st.metric("Latest gain", gain_text(row.last_gain))
        st.metric("Episodes", f"{row.episodes:,}")
        st.metric("Steps per second", f"{rate:.0f}" if rate else "–")
    if sentence := row.headline:
        st.caption(f":material/balance: {sentence}")
