"""Registered models: gain and origin of each, the default, comparing two, deleting one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pandas as pd
import streamlit as st

from core.errors import TracewrightError
from core.models import registry
from core.models.facts import compare
from core.models.registry import Entry, Interval
from core.packaging import folder
from core.paths import HOME_VARIABLE, PROJECT, program
from pages.views import downloads
from pages.views.access import acts
from pages.views.buttons import button, locked, submit_button
from pages.views.links import choose
from pages.views.run_choice import offered
from pages.views.shell import begin, path_of, say, show_toasts
from pages.views.tables import all_names, newest_first
from pages.views.text import gain_text, plain
from storage import queries

COLUMNS = [1.8, 1.4, 1.7, 2.6]  # the last holds two buttons side by side, also on a small screen
REGISTER_S = 300  # seconds that registering may take; it takes a few
console = begin("Models")


def interval_text(value: Interval) -> str:
    return f"{value.low:+.3f} to {value.high:+.3f}"


def tell(act: object, done: str) -> bool:
    """Act, and say in a toast what came of it; returns whether it was done."""
    try:
        act()  # type: ignore[operator]
    except (TracewrightError, OSError) as error:
        say(str(error), ":material/warning:")
        return False
    say(done)
    return True


@acts("model.promote")
def promote(entry: Entry) -> None:
    tell(lambda: registry.promote(console.home, entry), f"{entry.model_id} is now the default")


@acts("model.delete")
def delete(entry: Entry) -> None:
    if tell(lambda: registry.discard(console.home, entry), f"Deleted {entry.model_id}"):
        st.session_state["models.undo"] = entry.model_id


@acts("model.restore")
def restore(model_id: str) -> None:
    st.session_state.pop("models.undo", None)
    tell(lambda: registry.restore(console.home, model_id), f"{model_id} restored")


@acts("model.note")
def annotate(entry: Entry, key: str) -> None:
    tell(lambda: registry.annotate(entry, str(st.session_state.get(key, ""))), "Note saved")


@acts("model.register", is_drawn=True)
def register(run_id: str, name: str, note: str) -> None:
    """In a process of its own: reading a checkpoint takes torch, which pages do without."""
    command = [sys.executable, "-m", "core", "models", "register", "--json", f"--name={name}", f"--note={note}", "--", run_id]
    environment = os.environ | {HOME_VARIABLE: str(console.home)}
    try:
        ended = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=REGISTER_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        st.error(plain(f"The model could not be registered: {error}"))
        return
    if ended.returncode:
        reason = next((line for line in reversed(ended.stderr.splitlines()) if line.startswith("error: ")), "see the console's log")
        st.error(plain(f"The model could not be registered: {reason.removeprefix('error: ')}"))
        return
    say(f"Registered {json.loads(ended.stdout.splitlines()[-1])['model']}")
    st.rerun()


def register_form() -> None:
    evaluated, known, names = queries.evaluated_runs(console.store), newest_first(console.home), all_names(console.home)
    ids = [run_id for run_id in known if run_id in evaluated]
    asked = st.query_params.get("run", "")
    with st.expander("Register a run's model", expanded=bool(asked) or (bool(ids) and len(entries) == 1), icon=":material/add:"):
        runs = {run_id: known[run_id] for run_id in offered(ids, "run", names) if known[run_id].checkpoint_names()}
        options = list(runs)
        if asked and asked not in runs:
            st.warning(f"The run {plain(asked)} can't be registered: it has no checkpoint or evaluation yet, or was deleted.")
        if not runs:
            st.caption("A run can be registered once it has a checkpoint and an evaluation.")
            st.page_link(path_of("runs"), label="All runs")
            return
        with st.form("register", border=False):
            first, second = st.columns([2, 1])
            at = options.index(asked) if asked in runs else 0
            run_id = first.selectbox("Run", options, index=at, format_func=lambda i: f"{names[i]} · {i}")
            name = second.text_input(
                "Name", placeholder="as in the run's settings", max_chars=60, help="Registered as the next version of this name."
            )
            note = st.text_input("Note", max_chars=400, placeholder="Optional")
            if submit_button("Register", does="model.register", icon=":material/add:"):
                with st.spinner("Registering the model …"):
                    register(str(run_id), name.strip(), note)


def figures(entry: Entry) -> None:
    """The gain by category, and where the model comes from."""
    record = entry.record
    if record is None or record.gain is None:
        st.caption(f"No gain is recorded; measure it with `{program()} evaluate --model {entry.model_id}`.")
        return
    rows = [("all", record.gain), *record.by_category.items()]
    table = pd.DataFrame([{"category": name, "logos": v.n, "gain": v.mean, "95% interval": interval_text(v)} for name, v in rows])
    st.dataframe(table, hide_index=True, column_config={"gain": st.column_config.NumberColumn(format="%+.3f")}, width="stretch")
    if record.over_single is not None:
        word = "Better than" if record.over_single.low > 0 else "No better than"
        st.caption(f"{word} the best single setting: {record.over_single.mean:+.3f} ({interval_text(record.over_single)}).")


def origin(entry: Entry) -> None:
    record = entry.record
    if record is None:
        return
    step = f" at step {record.step:,}, checkpoint {record.checkpoint}" if record.checkpoint else ""
    st.markdown(f"From **{plain(record.source)}**{step}.")
    data = f"{plain(record.data or 'unknown')}" + (f", {record.n_logos} logos, digest `{record.data_digest}`" if record.data_digest else "")
    st.markdown(f"Data: {data}.")


def export_button(entry: Entry) -> None:
    """The folder is put together when the button is pressed; a damaged model's has the reason in it instead."""

    def make() -> bytes:
        try:
            return folder.as_zip(entry)
        except (TracewrightError, OSError) as error:
            return f"This model can't be exported: {error}\n".encode()

    downloads.button(
        "Export", make, f"{entry.model_id}.zip", "application/zip", icon=":material/download:", key=f"export.{entry.model_id}",
        help="policy.onnx, a model card, and a standalone runner that needs only four packages, not Tracewright.", disabled=bool(entry.problem),
    )  # fmt: skip


def row(entry: Entry) -> None:
    record = entry.record
    name, gain, note, buttons = st.columns(COLUMNS, vertical_alignment="center")
    with name, st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{'Built-in model' if entry.is_shipped else entry.model_id}**")
        if entry.is_default:
            st.badge("Default", color="green", help="Used unless another model is chosen.")
        if entry.problem:
            st.badge("Damaged", color="red", icon=":material/broken_image:")
    known = record.gain if record is not None else None
    gain.markdown(f"**{gain_text(known.mean if known else None)}**" + (f" · {interval_text(known)}" if known else ""))
    when = time.strftime("%d %b %Y, %H:%M", time.localtime(record.made)) if record is not None else "Trained only on the built-in logos"
    with note.container(gap="xxsmall"):
        if record is not None and record.note:
            st.markdown(plain(record.note))
        st.caption(when if record is None else f"{when} · {plain(record.source)}")
    with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        export_button(entry)
        with st.popover("More", icon=":material/more_vert:", type="tertiary"):
            more(entry)


def more(entry: Entry) -> None:
    if entry.problem:
        st.warning(plain(entry.problem), icon=":material/broken_image:")
    figures(entry)
    origin(entry)
    if entry.record is not None:
        key = f"note.{entry.model_id}"
        st.text_area("Note", entry.record.note, key=key, on_change=annotate, args=(entry, key), max_chars=2000, **locked("model.note"))
    with st.container(horizontal=True):
        button(
            "Make default", key=f"promote.{entry.model_id}", on_click=promote, args=(entry,), icon=":material/verified:",
            disabled=entry.is_default or (bool(entry.problem) and not entry.is_shipped), help="Optimize and the command line will use it unless another model is chosen.",
        )  # fmt: skip
        if not entry.is_shipped:
            button(
                "Delete", key=f"delete.{entry.model_id}", on_click=delete, args=(entry,), icon=":material/delete:", disabled=entry.is_default,
                help="Make another model the default first." if entry.is_default else "You can restore it within a week.",
            )  # fmt: skip


def undo() -> None:
    model_id = st.session_state.get("models.undo")
    if model_id:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(f"**{model_id}** was deleted.")
            button("Undo", icon=":material/undo:", key="models.undo.button", on_click=restore, args=(model_id,))


def deleted() -> None:
    found = registry.discarded(console.home)
    if found:
        with st.expander(f"{len(found)} deleted model{'s' if len(found) > 1 else ''}", icon=":material/delete:"):
            st.caption("Deleted for good after a week.")
            for entry in found[:20]:
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.markdown(entry.model_id)
                    button("Restore", key=f"back.{entry.model_id}", on_click=restore, args=(entry.model_id,), type="tertiary")


def comparison() -> None:
    """Two models on the logos that both were evaluated on, and the settings in which they differ."""
    kept = [entry.model_id for entry in entries if entry.record is not None and not entry.problem]
    if len(kept) < 2:
        return
    st.subheader("Compare two models")
    first, second = st.columns(2)
    with first:
        one = choose("First", kept, "a", default=kept[1])
    with second:
        other = choose("Second", kept, "b", default=kept[0])
    by_id = {entry.model_id: entry for entry in entries}
    try:
        found = compare(by_id[one], by_id[other])
    except TracewrightError as error:
        st.warning(plain(str(error)))
        return
    st.markdown(f"**{plain(found.verdict())}**" if one != other else "Choose two different models.")
    if found.paired is not None and one != other:
        rows = {"all": found.paired} | found.by_category
        table = pd.DataFrame(
            [
                {"category": name, "difference": v.difference, "95% interval": f"{v.low:+.3f} to {v.high:+.3f}", "won": v.wins, "tied": v.ties, "lost": v.losses}
                for name, v in rows.items()
            ]
        )  # fmt: skip
        difference = st.column_config.NumberColumn(format="%+.3f", help="The second model's gain minus the first's, on the same logos.")
        won = st.column_config.NumberColumn(help="Logos on which the second model does better.")
        st.dataframe(table, hide_index=True, column_config={"difference": difference, "won": won}, width="stretch")
    if one != other:
        st.caption(
            "Both were trained on the same data." if found.has_same_data else "It is unknown whether both were trained on the same data."
        )
    if found.settings:
        lines = [{"setting": name, one: str(a), other: str(b)} for name, (a, b) in found.settings.items()]
        st.dataframe(pd.DataFrame(lines), hide_index=True, width="stretch")


entries = registry.models(console.home)
show_toasts()
undo()
register_form()
with st.container(key="models-header"):
    for column, text in zip(st.columns(COLUMNS), ("Model", "Gain", "Note", ""), strict=True):
        column.caption(text)
for each in entries:
    row(each)
deleted()
comparison()
