"""The machine and the queue: resources in use, live runs, queued runs and why they wait."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from core import machine
from core.access import audit
from core.config.installation import Settings, read_settings
from core.errors import ConfigError
from core.paths import program
from core.runs import shelf
from core.runs.records import peek_config, read_scheduler_state
from core.runs.requirements import workers_of
from core.runs.run_dir import RunDir
from core.scheduling import local
from pages.views import cluster, controls, tables
from pages.views.live.health import megabytes
from pages.views.shell import begin, path_of, show_toasts
from pages.views.text import plain
from storage import queries

REFRESH_S = 2
N_ACTIONS = 200
console = begin("System")


def settings() -> Settings:
    try:
        return read_settings(console.home)
    except ConfigError as error:
        st.warning(plain(f"The settings can't be read; the defaults are used. {error}"))
        return Settings()


def show_machine() -> None:
    now = machine.sample(console.home)
    with st.grid(4, min_column_width=130):
        busy = sum(now.cores)
        st.metric("Processor", f"{busy / max(len(now.cores), 1):.0%}", help=f"{busy:.1f} of {len(now.cores)} cores are busy.", border=True)
        used = now.memory_mb / max(now.memory_total_mb, 1)
        st.metric("Memory", f"{used:.0%}", help=f"{megabytes(now.memory_mb)} of {megabytes(now.memory_total_mb)}", border=True)
        st.metric(
            "Free disk space",
            megabytes(now.disk_free_mb),
            help=f"Of {megabytes(now.disk_total_mb)} on the disk that holds the runs.",
            border=True,
        )
        if now.gpus:
            for gpu in now.gpus:
                st.metric(gpu.name, f"{gpu.load:.0%}", help=f"{megabytes(gpu.memory_mb)} of {megabytes(gpu.memory_total_mb)}", border=True)
        else:
            st.metric("GPU", "none", help="Not needed: the networks are small, and conversions run on the processor.", border=True)
    with st.grid("auto", min_column_width=120):
        for i, share in enumerate(now.cores):
            st.progress(min(max(share, 0.0), 1.0), text=f"core {i}: {share:.0%}")


def workers_text(run: RunDir) -> str:
    try:
        n = workers_of(peek_config(run))
    except ConfigError:
        return "unknown workers"
    return f"{n} worker{'s' if n > 1 else ''}"


def live_runs(rows: list[tables.RunRow]) -> None:
    live = [row for row in rows if row.state.status.is_live]
    cores = settings().queue.cores or machine.available_cores()
    st.subheader("Running")
    if not live:
        st.caption(f"No live runs. Up to {cores} workers can run at a time.")
        return
    taken = sum(workers_of(row.config) for row in live if row.config is not None)
    st.caption(f"{taken} of {cores} workers are in use.")
    for row in live:
        name, progress, figures, buttons = st.columns([1.8, 2, 3, 2.4], vertical_alignment="center")
        with name, st.container(horizontal=True, vertical_alignment="center"):
            st.page_link(path_of("live"), label=f"**{plain(row.name)}**", query_params={"run": row.run.run_id})
            st.badge(row.state.status.value.capitalize(), color=tables.STATUS_COLOURS[row.state.status])  # type: ignore[arg-type]
            if row.state.is_stalled:
                st.badge("no heartbeat", color="orange", icon=":material/warning:")
        progress.progress(row.progress, text=f"{row.step:,} of {row.total:,} steps")
        rate = queries.recent_rate(console.store, row.run.run_id)
        memory = sum(machine.tree_memory_mb(process.pid) for process in local.trainers(row.run))
        disk = machine.folder_mb(row.run.path)
        budget = f" of {row.config.checkpoint.disk_budget_mb:g}" if row.config is not None else ""
        rate_text = f"{rate:.0f} steps per second" if rate else "starting"
        figures.caption(f"{workers_text(row.run)} · {megabytes(memory)} memory · {disk:.0f}{budget} MB disk · {rate_text}")
        with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
            controls.buttons(console, row, f"system.{row.run.run_id}.", is_large=True)


def scheduler_note() -> None:
    scheduler = read_scheduler_state(console.home)
    if console.scheduler.error:
        st.error(plain(f"The scheduler has a problem and keeps trying: {console.scheduler.error}"))
    elif console.scheduler.is_acting():
        st.caption("This console starts queued runs and restarts runs that died.")
    elif scheduler is not None:
        st.caption(f"Another process (pid {scheduler.process.pid}) starts queued runs; this console takes over when it ends.")
    else:
        st.caption("The scheduler is starting.")


def notifications() -> None:
    failures, waiting = console.notifier.failures, console.notifier.n_waiting
    if not failures and not waiting:
        return
    st.subheader("Notifications")
    if waiting:
        st.caption(f"{waiting} waiting to be sent or retried.")
    for failure in reversed(failures[-5:]):
        st.warning(
            plain(f"{datetime.fromtimestamp(failure['ts']):%b %d, %H:%M} · “{failure['title']}” could not be sent: {failure['problem']}")
        )


def trail() -> None:
    """Who did what lately. Not part of what is drawn every two seconds."""
    found = audit.read(console.home, N_ACTIONS)
    if not found.entries and not found.n_bad:
        return
    with st.expander("Audit trail", icon=":material/history:", key="trail", on_change="rerun") as box:
        if not box.open:
            return
        if found.n_bad:
            st.warning(f"{found.n_bad} lines of {audit.FILE} can't be read and are left out.")
        rows = [entry.as_dict() | {"ts": datetime.fromtimestamp(entry.ts)} for entry in found.entries]
        when = st.column_config.DatetimeColumn("when", format="MMM DD, HH:mm:ss")
        st.dataframe(pd.DataFrame(rows), hide_index=True, height=300, column_config={"ts": when}, lazy=True)
        st.caption(f"The last {N_ACTIONS} actions. All of them: `{program()} audit`.")


@st.fragment(run_every=f"{REFRESH_S}s")
def overview() -> None:
    show_toasts()
    live = [one.facts.run for one in shelf.look_all(console.home).values() if one.state.status.is_live]
    rows = tables.run_rows(live, queries.run_overview(console.store, [run.run_id for run in live])) if live else []
    show_machine()
    live_runs(rows)
    st.subheader("Queue")
    if not controls.queue_list(console, tables.all_names(console.home)):
        st.caption("The queue is empty. A run that exceeds the free capacity waits here and starts automatically.")
    scheduler_note()
    notifications()


overview()
cluster.panel()
trail()
