"""Home: all runs, what they reached, and what can be done with them."""

from __future__ import annotations

import streamlit as st

from core.runs import trash
from core.runs.run_dir import RunDir, all_runs, unlisted
from core.runs.status import Status, run_state
from pages.views import actions, controls, first_visit, tables, take_home
from pages.views.shell import begin, path_of, redraw_when, show_toasts
from pages.views.text import duration_text, gain_text, plain
from storage import export, queries

PAGE_SIZE = 15
COLUMNS = [2.1, 1.9, 1.1, 1.2, 2.2]

console = begin("Runs")


def header_row() -> None:
    with st.container(key="runs-header"):
        columns = st.columns(COLUMNS)
    for column, text in zip(columns, ("Run", "Progress", "Best gain", "Duration", ""), strict=True):
        column.caption(text)


def run_row(row: tables.RunRow) -> None:
    run = row.run
    name, progress, gain, duration, buttons = st.columns(COLUMNS, vertical_alignment="center")
    with name, st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.page_link(path_of("live"), label=f"**{plain(row.name)}**", query_params={"run": run.run_id}, help=run.run_id)
        st.badge(row.state.status.value.capitalize(), color=tables.STATUS_COLOURS[row.state.status], help=plain(row.state.reason) or None)  # type: ignore[arg-type]
        if row.problems:
            st.badge("Damaged", color="red", icon=":material/broken_image:", help=plain("\n\n".join(row.problems)))
    steps = f"{row.step:,} of {row.total:,} steps" if row.step < row.total else f"{row.step:,} steps"
    progress.progress(row.progress, text=f"{row.stage.replace('_', ' ')} · {steps}" if row.stage else steps)
    gain.markdown(f"**{gain_text(row.best_gain)}**", help=row.verdict.capitalize() or None)
    if row.verdict.startswith("no better"):
        gain.caption("no better than the best single setting")
    duration.markdown(duration_text(row.minutes) if row.minutes else "–")
    with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        controls.buttons(console, row, f"{run.run_id}.")
        with st.popover("More", icon=":material/more_vert:", type="tertiary"):
            more(row)


def more(row: tables.RunRow) -> None:
    """Everything else that can be done with a run."""
    run = row.run
    for problem in row.problems:
        st.warning(plain(problem), icon=":material/broken_image:")
    if row.state.reason:
        st.caption(plain(row.state.reason))
    if row.n_bad:
        st.caption(f"{row.n_bad} lines of its log could not be read and are ignored.")
    if row.n_newer:
        st.caption(f"{row.n_newer} events were written by a newer version of Tracewright and are not shown; update to see them.")
    st.page_link(path_of("live"), label="Open", icon=":material/monitoring:", query_params={"run": run.run_id})
    st.page_link(path_of("gallery"), label="Gallery", icon=":material/imagesmode:", query_params={"run": run.run_id})
    st.page_link(path_of("new_run"), label="Clone as new", icon=":material/content_copy:", query_params={"clone": run.run_id})
    if row.best_gain is not None:
        st.page_link(path_of("models"), label="Register as a model", icon=":material/inventory_2:", query_params={"run": run.run_id})
    controls.pause(row, f"more.{run.run_id}.")
    controls.resume_choice(console, row, f"more.{run.run_id}.")
    st.text_input(
        "Name", value=row.name, key=f"name.{run.run_id}", on_change=actions.rename, args=(run, f"name.{run.run_id}"), max_chars=80
    )
    actions.export_buttons(console.store, run, f"runs.{run.run_id}")
    is_live = row.state.status.is_live
    hidden = trash.is_archived(run)
    with st.container(horizontal=True):
        st.button(
            "Unarchive" if hidden else "Archive", key=f"archive.{run.run_id}", on_click=actions.archive, args=(run, not hidden),
            icon=":material/unarchive:" if hidden else ":material/archive:", help="Hides it from this list; its files stay.",
        )  # fmt: skip
        st.button(
            "Delete", key=f"delete.{run.run_id}", on_click=actions.delete, args=(run,), disabled=is_live, icon=":material/delete:",
            help="You can restore it within a week." if not is_live else "Stop the run first.",
        )  # fmt: skip


def studies(rows: list[tables.RunRow]) -> None:
    """The trials of studies, a line per study; each run of them stands in the list where it is asked for."""
    groups: dict[str, list[tables.RunRow]] = {}
    for row in rows:
        if row.study:
            groups.setdefault(row.study, []).append(row)
    if not groups:
        return
    n = sum(len(trials) for trials in groups.values())
    with st.expander(
        f"{n} trial{'s' if n > 1 else ''} of {len(groups)} stud{'ies' if len(groups) > 1 else 'y'}", icon=":material/science:"
    ):
        for study, trials in groups.items():
            counts = {status: sum(row.state.status is status for row in trials) for status in Status}
            told = ", ".join(f"{k} {status.value.lower()}" for status, k in counts.items() if k)
            best = max((row.best_gain for row in trials if row.best_gain is not None), default=None)
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.page_link(path_of("search"), label=f"**{plain(study)}**", query_params={"study": study}, width="content")
                st.caption(f"{told} · best gain {gain_text(best)}")
        st.toggle("Show them among the other runs", key="trials")


def undo() -> None:
    """What was just deleted or archived, with an undo button."""
    done = st.session_state.get("undo")
    if done:
        what, run_id = done
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(f"**{run_id}** was {'deleted' if what == 'delete' else 'archived'}.")
            back = (console, run_id) if what == "delete" else (RunDir(console.home / run_id), False)
            st.button(
                "Undo",
                icon=":material/undo:",
                key="undo.button",
                on_click=actions.restore if what == "delete" else actions.archive,
                args=back,
            )


def deleted() -> None:
    found = trash.discarded(console.home)
    if not found:
        return
    with st.expander(f"{len(found)} deleted run{'s' if len(found) > 1 else ''}", icon=":material/delete:"):
        st.caption("Deleted for good after a week.")
        for run in found[:20]:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"{plain(tables.display_name(run))} · {run.run_id}")
                st.button("Restore", key=f"back.{run.run_id}", on_click=actions.restore, args=(console, run.run_id), type="tertiary")
        st.button("Free disk space now", key="empty", icon=":material/delete_forever:", on_click=actions.empty_trash, args=(console,))


def read_rows(runs: list[RunDir]) -> list[tables.RunRow]:
    return tables.run_rows(runs, queries.run_overview(console.store))


first_rows = read_rows(list(all_runs(console.home)))
is_any_live = any(row.state.status.is_moving for row in first_rows)


@st.fragment(run_every="2s" if is_any_live else None)
def table() -> None:
    show_toasts()
    undo()
    everything = read_rows(list(all_runs(console.home)))
    n_archived = sum(trash.is_archived(row.run) for row in everything)
    rows = [row for row in everything if st.session_state.get("archived") or not trash.is_archived(row.run)]
    if is_any_live != any(row.state.status.is_moving for row in everything):
        st.rerun()  # the last live run ended (or one began): stop (or start) the clock
    for line in unlisted(console.home):
        st.warning(plain(f"{line}."))
    if not everything:
        first_visit.first_visit(console)
        deleted()
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input("Find", placeholder="Name, status or stage", key="find", bind="query-params", width=280)
        listed = [row for row in rows if text or not row.study or st.session_state.get("trials")]
        wanted = [
            row for row in listed if text.lower() in f"{row.name} {row.run.run_id} {row.state.status} {row.stage} {row.study}".lower()
        ]
        if st.button(
            "Quick run",
            icon=":material/play_arrow:",
            help=f"Train on the built-in logos: {first_visit.duration_of(console, 'quick')} on this machine.",
        ):
            actions.start_preset(console, "quick")
        st.page_link(path_of("new_run"), label="New run", icon=":material/tune:")
        st.download_button(
            "Table as CSV",
            lambda: export.to_csv(tables.table_frame(wanted)),
            "runs.csv",
            "text/csv",
            on_click="ignore",
            icon=":material/download:",
            key="export.runs",
            help="The list as shown.",
        )
        take_home.open_button("export", [row.run.run_id for row in wanted])
        take_home.open_button("import")
    waiting = [row for row in rows if row.state.status is Status.QUEUED]
    if waiting:
        with st.expander(f"Queue: {len(waiting)} waiting", expanded=True, icon=":material/hourglass_top:"):
            controls.queue_list(console, {row.run.run_id: row.name for row in rows})
    studies(rows)
    n_pages = max((len(wanted) - 1) // PAGE_SIZE + 1, 1)
    page = st.pagination(n_pages, key="page") if n_pages > 1 and hasattr(st, "pagination") else 1
    header_row()
    for row in wanted[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]:
        run_row(row)
    if not wanted:
        st.info(
            f"No run matches “{text}”."
            if text
            else "All runs are archived."
            if not listed and not rows
            else "All runs are trials of studies."
        )
    if n_archived:
        st.toggle(f"Show the {n_archived} archived", key="archived")
    deleted()


def is_moving() -> bool:
    return any(run_state(run).status.is_moving for run in all_runs(console.home))


take_home.panel(console)
table()
redraw_when(lambda: not is_any_live and is_moving())
