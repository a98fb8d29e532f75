"""The lines of the list of runs as they are drawn: a run with its figures and buttons, and several that fold into one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from core.runs import trash
from core.runs.records import MAX_NAME
from core.statistics import TIE
from pages.server.service import Console
from pages.views import actions, controls, tables
from pages.views.buttons import button, locked
from pages.views.links import hold_address, write_address
from pages.views.runs.choices import COLUMNS, Choices
from pages.views.runs.lines import Line, Listed
from pages.views.shell import path_of
from pages.views.text import duration_text, gain_text, plain

PICKED = "picked"
_NAME, _BUTTONS = 2.9, 2.2  # widths of columns, in parts
_WIDTHS = {"progress": 1.8, "gain": 1.4, "duration": 1.0, "started": 1.1, "seed": 0.6, "tags": 1.0, "note": 1.6}


def picked() -> list[str]:
    """The runs that are ticked, on whatever page of the list."""
    return list(st.session_state.setdefault(PICKED, []))


def pick(run_ids: Sequence[str], is_on: bool) -> None:
    others = [run_id for run_id in picked() if run_id not in run_ids]
    st.session_state[PICKED] = [*others, *run_ids] if is_on else others


def header(choices: Choices) -> None:
    with st.container(key="runs-header"):
        columns = st.columns(_widths(choices))
    for column, text in zip(columns, ["Run", *(COLUMNS[name] for name in choices.columns), ""], strict=True):
        column.caption(text)


def _widths(choices: Choices) -> list[float]:
    return [_NAME, *(_WIDTHS[name] for name in choices.columns), _BUTTONS]


def row(console: Console, line: Line, shown: tables.RunRow, choices: Choices, base: Listed | None) -> None:
    """One run; ``base``: the baseline run."""
    listed = line.runs[0]
    run = shown.run
    name, *cells, buttons = st.columns(_widths(choices), vertical_alignment="center")
    with name, st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"run-name-{run.run_id}"):
        if line.depth:
            st.space("small")
        box(listed)
        st.page_link(
            path_of("live"), label=f"**{plain(listed.label)}**", query_params={"run": run.run_id}, help=run.run_id, width="content"
        )
        colour = tables.STATUS_COLOURS[shown.state.status]
        st.badge(shown.state.status.value.capitalize(), color=colour, help=plain(shown.state.reason) or None)  # type: ignore[arg-type]
        if base is not None and base.run_id == run.run_id:
            st.badge("Baseline", color="violet", icon=":material/flag:", help="Every run's gain is held against this run's.")
        if shown.problems:
            st.badge("Damaged", color="red", icon=":material/broken_image:", help=plain("\n\n".join(shown.problems)))
    for column, cell in zip(choices.columns, cells, strict=True):
        with cell:
            _cell(column, listed, shown, base)
    with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        controls.buttons(console, shown, f"{run.run_id}.")
        with st.popover("More", icon=":material/more_vert:", type="tertiary"):
            more(console, shown, base)


def box(listed: Listed) -> None:
    """The box that picks a run for what is done with several."""
    key = f"pick.{listed.run_id}"
    st.session_state[key] = listed.run_id in picked()
    st.checkbox(f"Select {plain(listed.label)}", key=key, label_visibility="collapsed", on_change=_pick_one, args=(listed.run_id,))


def _pick_one(run_id: str) -> None:
    pick([run_id], bool(st.session_state[f"pick.{run_id}"]))


def _cell(column: str, listed: Listed, shown: tables.RunRow, base: Listed | None) -> None:
    match column:
        case "progress":
            steps = f"{shown.step:,} of {shown.total:,} steps" if shown.step < shown.total else f"{shown.step:,} steps"
            st.progress(shown.progress, text=f"{plain(shown.stage.replace('_', ' '))} · {steps}" if shown.stage else steps)
        case "gain":
            delta = beside(shown.best_gain, base, listed.run_id)
            st.markdown(f"**{gain_text(shown.best_gain)}**{f'  {delta}' if delta else ''}", help=shown.headline or None)
            if shown.is_no_better:
                st.caption("not better than one fixed setting")
        case "duration":
            st.markdown(duration_text(shown.minutes) if shown.minutes else "–")
        case "started":
            st.markdown(datetime.fromtimestamp(shown.started_ts).strftime("%b %d, %H:%M") if shown.started_ts else "–")
        case "seed":
            st.markdown("–" if listed.facts.seed is None else f"seed {listed.facts.seed}")
        case "tags":
            if shown.tags:
                st.markdown(plain(" ".join(f"#{tag}" for tag in shown.tags)))
        case _:
            if shown.note:
                note = shown.note if len(shown.note) <= 90 else f"{shown.note[:89]}…"
                st.caption(plain(note), help=plain(shown.note))


def beside(gain: float | None, base: Listed | None, run_id: str = "") -> str:
    """A gain held against the baseline's, in Markdown; empty where there is nothing to hold it against."""
    if base is None or base.gain is None or gain is None or base.run_id == run_id:
        return ""
    difference = gain - base.gain
    colour = "gray" if abs(difference) < TIE else "green" if difference > 0 else "red"
    return f":{colour}[{gain_text(difference)}]"


def group(line: Line, is_open: bool, base: Listed | None) -> None:
    """Several runs in one line: what they came to, and a button that unfolds them."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"group-{line.key.replace(':', '-')}"):
        st.button(
            "Fold" if is_open else "Unfold", key=f"unfold.{line.key}", type="tertiary", on_click=_turn, args=(line.key,),
            icon=":material/expand_more:" if is_open else ":material/chevron_right:",
        )  # fmt: skip
        st.markdown(f"**{plain(line.title)}**", width="content")
        st.caption(line.told, width="content")
        if line.gains:
            mean = sum(line.gains) / len(line.gains)
            span = f", {gain_text(min(line.gains))} to {gain_text(max(line.gains))}" if len(line.gains) > 1 else ""
            st.markdown(f"mean of best gains **{gain_text(mean)}**  {beside(mean, base)}{span}", width="content")
        st.space("stretch")
        ids = [run.run_id for run in line.runs]
        query: dict[str, str | list[str]] = {"run": ids[:20], "fold": "true"}
        st.page_link(path_of("compare"), label="Compare as a band", icon=":material/area_chart:", query_params=query, width="content")
        all_picked = set(ids) <= set(picked())
        label = "Deselect" if all_picked else "Select all"
        st.button(label, key=f"pick.all.{line.key}", type="tertiary", on_click=pick, args=(ids, not all_picked))


def unfolded() -> list[str]:
    """The groups whose runs are shown."""
    hold_address()
    return st.query_params.get_all("open")


def _turn(key: str) -> None:
    now = unfolded()
    write_address(open=[k for k in now if k != key] if key in now else [*now, key])


def more(console: Console, shown: tables.RunRow, base: Listed | None) -> None:
    """Everything else that can be done with a run."""
    run = shown.run
    for problem in shown.problems:
        st.warning(plain(problem), icon=":material/broken_image:")
    if shown.state.reason:
        st.caption(plain(shown.state.reason))
    if shown.n_bad:
        st.caption(f"{shown.n_bad} lines of its log could not be read and are ignored.")
    if shown.n_newer:
        st.caption(f"{shown.n_newer} events were written by a newer version of Tracewright and are not shown; update to see them.")
    query = {"run": run.run_id}
    st.page_link(path_of("live"), label="Open", icon=":material/monitoring:", query_params=query)
    st.page_link(path_of("gallery"), label="Gallery", icon=":material/imagesmode:", query_params=query)
    st.page_link(path_of("new_run"), label="Clone as new", icon=":material/content_copy:", query_params={"clone": run.run_id})
    if shown.best_gain is not None:
        st.page_link(path_of("models"), label="Register as a model", icon=":material/inventory_2:", query_params=query)
    is_base = base is not None and base.run_id == run.run_id
    button(
        "No longer the baseline" if is_base else "Set as baseline", key=f"baseline.{run.run_id}", icon=":material/flag:",
        on_click=actions.set_baseline, args=(console, None if is_base else run), help="The run that all others are held against, here, on Live and on Compare.",
    )  # fmt: skip
    controls.pause(shown, f"more.{run.run_id}.")
    controls.resume_choice(console, shown, f"more.{run.run_id}.")
    _words(shown)
    actions.export_buttons(console.store, run, f"runs.{run.run_id}")
    is_live = shown.state.status.is_live
    hidden = trash.is_archived(run)
    with st.container(horizontal=True):
        button(
            "Unarchive" if hidden else "Archive", does="run.archive", key=f"archive.{run.run_id}", on_click=actions.archive, args=([run], not hidden),
            icon=":material/unarchive:" if hidden else ":material/archive:", help="Hides it from this list; its files stay.",
        )  # fmt: skip
        button(
            "Delete", does="run.delete", key=f"delete.{run.run_id}", on_click=actions.delete, args=([run],), disabled=is_live, icon=":material/delete:",
            help="You can restore it within a week." if not is_live else "Stop the run first.",
        )  # fmt: skip


def _words(shown: tables.RunRow) -> None:
    """Name, tags and note."""
    run = shown.run
    key = f"name.{run.run_id}"
    st.text_input("Name", value=shown.name, key=key, on_change=actions.rename, args=(run, key), max_chars=MAX_NAME, **locked("run.rename"))
    key = f"tags.{run.run_id}"
    st.text_input(
        "Tags",
        value=", ".join(shown.tags),
        key=key,
        on_change=actions.tag,
        args=(run, key),
        placeholder="separated by commas",
        **locked("run.tag"),
    )
    key = f"note.{run.run_id}"
    st.text_area(
        "Note", value=shown.note, key=key, on_change=actions.note, args=(run, key), max_chars=2000, height=80, **locked("run.note")
    )
