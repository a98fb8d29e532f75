"""Home: all runs, what they reached, and what can be done with them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from core.paths import runs_home
from core.runs import baseline_run, shelf
from core.runs.run_dir import all_runs, unlisted
from core.runs.status import Status
from pages.views import actions, controls, downloads, first_visit, tables, take_home
from pages.views.buttons import button
from pages.views.runs import rows, saved, several
from pages.views.runs.choices import Choices, menu
from pages.views.runs.lines import Listed, folded, ordered, wanted
from pages.views.shell import begin, path_of, redraw_when, show_toasts
from pages.views.text import gain_text, plain
from storage import export, queries

PAGE_SIZE, MAX_EXPORTED = 15, 200

console = begin("Runs" if next(all_runs(runs_home()), None) is not None else "Welcome")


def everything() -> list[Listed]:
    """All runs, the newest first, by what is known of them without their episodes."""
    figures = queries.run_figures(console.store)
    known = dict(zip(figures["run_id"], zip(figures["best_gain"].tolist(), figures["minutes"].tolist(), strict=True), strict=True))
    seen = shelf.look_all(console.home)
    labels = tables.all_names(console.home, seen)
    return [
        Listed(one.facts, one.state, labels.get(run_id, one.facts.name), *map(number, known.get(run_id, (None, None))))
        for run_id, one in seen.items()
    ]


def number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def studies(runs: Sequence[Listed]) -> None:
    """The trials of studies, a line per study; each run of them stands in the list where it is asked for."""
    groups: dict[str, list[Listed]] = {}
    for row in runs:
        if row.facts.study:
            groups.setdefault(row.facts.study, []).append(row)
    if not groups:
        return
    n = sum(len(trials) for trials in groups.values())
    with st.expander(
        f"{n} trial{'s' if n > 1 else ''} of {len(groups)} stud{'ies' if len(groups) > 1 else 'y'}", icon=":material/science:"
    ):
        for study, trials in groups.items():
            counts = {status: sum(row.state.status is status for row in trials) for status in Status}
            told = ", ".join(f"{k} {status.value.lower()}" for status, k in counts.items() if k)
            best = max((row.gain for row in trials if row.gain is not None), default=None)
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.page_link(path_of("search"), label=f"**{plain(study)}**", query_params={"study": study}, width="content")
                st.caption(f"{told} · best gain {gain_text(best)}")
        st.toggle("Show them among the other runs", key="trials")


def controls_row(runs: Sequence[Listed]) -> tuple[list[Listed], Choices, str]:
    """What is looked for and how, and what begins something new; returns what is to be listed, in its order."""
    saved.undo(console.home)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        saved.choice(console.home)
        text = st.text_input("Find", placeholder="Name, tag, note or status", key="find", bind="query-params", width=260)
        choices = menu(console.home, lambda now: saved.menu(console.home, now, text))
        with_trials = bool(st.session_state.get("trials")) or choices.group == "study"
        found = ordered(wanted(runs, text, choices.hides_finished, bool(st.session_state.get("archived")), with_trials), choices.sort)
        told = f"Train on the built-in logos: {first_visit.duration_of(console, 'quick')} on this machine."
        if button("Quick run", does="run.start", icon=":material/play_arrow:", help=told):
            actions.start_preset(console, "quick")
        st.page_link(path_of("new_run"), label="New run", icon=":material/tune:")
        downloads.button(
            "Table as CSV", lambda: as_csv(found), "runs.csv", "text/csv", icon=":material/download:", key="export.runs",
            help="The list as shown.",
        )  # fmt: skip
        take_home.open_button("export", [run.run_id for run in found[:MAX_EXPORTED]])
        take_home.open_button("import")
    return found, choices, text


def as_csv(found: Sequence[Listed]) -> bytes:
    runs = {run.run_id: run.facts.run for run in found}
    rows = {row.run.run_id: row for row in tables.run_rows(list(runs.values()), queries.run_overview(console.store))}
    return export.to_csv(tables.table_frame([rows[run_id] for run_id in runs], baseline_run.read(console.home)))


def listing(found: Sequence[Listed], choices: Choices, base: Listed | None) -> None:
    """The lines of the page that is shown."""
    lines = folded(found, choices.group, rows.unfolded())
    n_pages = max((len(lines) - 1) // PAGE_SIZE + 1, 1)
    page = st.pagination(n_pages, key="page") if n_pages > 1 and hasattr(st, "pagination") else 1
    shown = lines[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    runs = [line.runs[0].facts.run for line in shown if not line.is_group]
    known = {row.run.run_id: row for row in tables.run_rows(runs, queries.run_overview(console.store, [run.run_id for run in runs]))}
    rows.header(choices)
    for line in shown:
        if line.is_group:
            rows.group(line, line.key in rows.unfolded(), base)
        else:
            rows.row(console, line, known[line.runs[0].run_id], choices, base)


unused = [everything()]  # what the page was begun with, for the first time that the list is drawn
is_any_live = any(run.state.status.is_moving for run in unused[0])


@st.fragment(run_every="2s" if is_any_live else None)
def table() -> None:
    show_toasts()
    several.undo(console)
    runs = unused.pop() if unused else everything()
    st.session_state["listed"] = [run.run_id for run in runs]
    if is_any_live != any(run.state.status.is_moving for run in runs):
        st.rerun()  # the last live run ended (or one began): stop (or start) the clock
    for line in unlisted(console.home):
        st.warning(f"{plain(line)}.")
    if not runs:
        first_visit.first_visit(console)
        several.deleted(console)
        return
    known = {run.run_id: run for run in runs}
    found, choices, text = controls_row(runs)
    if any(run.state.status is Status.QUEUED for run in runs):
        with st.expander("Queue", expanded=True, icon=":material/hourglass_top:"):
            controls.queue_list(console, {run.run_id: run.label for run in runs})
    if choices.group != "study":
        studies(runs)
    several.bar(console, known)
    if found:
        listing(found, choices, known.get(baseline_run.read(console.home) or ""))
    else:
        st.info(nothing(text, runs, choices))
    n_archived = sum(run.facts.is_archived for run in runs)
    if n_archived:
        st.toggle(f"Show the {n_archived} archived", key="archived")
    several.deleted(console)


def nothing(text: str, runs: Sequence[Listed], choices: Choices) -> str:
    """Why no run is listed."""
    if text:
        return f"No run matches “{plain(text)}”."
    if all(run.facts.is_archived for run in runs):
        return "All runs are archived."
    return "No run is unfinished." if choices.hides_finished else "All runs are trials of studies."


def has_changed() -> bool:
    """Whether runs came, went or began to move while the list's own clock stands still."""
    if is_any_live:
        return False
    seen = shelf.look_all(console.home)
    return list(seen) != st.session_state.get("listed") or any(one.state.status.is_moving for one in seen.values())


take_home.panel(console)
table()
redraw_when(has_changed)
