"""Saved views of the list of runs: its columns, order, grouping and filter under a name, which the address names, so that a link opens it.

They are kept in the home, or for each person where people sign in. Guarantee: a file that is damaged is one line on the page, is never
written over, and takes nothing from the list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import streamlit as st

from core.errors import DamagedFileError
from core.files import set_aside, write_aside
from core.runs.small_files import MAX_FIND, RunTable, SavedView, SavedViews, read
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.links import write_address
from pages.views.runs.choices import COLUMNS, Choices, kept_in
from pages.views.runs.lines import GROUPS, SORTS
from pages.views.shell import say
from pages.views.text import plain

VIEWS_FILE = "runs_views.json"
PARAMETER = "view"
MAX_VIEWS, MAX_NAME = 50, 60
_SET = ("columns", "sort", "fold", "unfinished", "find")  # parameters of the address that a view sets
_NAME, _OPENED, _DELETED = "view.name", "view.opened", "view.deleted"


def read_views(file: Path) -> tuple[dict[str, SavedView], str]:
    """({name: view} by name, what is wrong with the file; "" for nothing)."""
    try:
        found = read(file, SavedViews)
    except DamagedFileError as error:
        return {}, f"{error}; no saved view is shown. Fix or delete {file.name}; if you save a view, the damaged file is kept beside it"
    views = sorted(found.views, key=lambda view: view.name.lower()) if found else []
    return {view.name: view for view in views}, ""


def _write(file: Path, views: Mapping[str, SavedView]) -> bool:
    """Returns whether it went well; else it is said why not."""
    try:
        if read_views(file)[1]:
            set_aside(file)
        write_aside(file, json.dumps({"v": 1, "views": [asdict(view) for view in views.values()]}).encode())
    except OSError as error:
        say(f"The views could not be saved: {error.strerror or error}", ":material/warning:")
        return False
    return True


@acts("view.save")
def save(name: str, file: Path, table: RunTable, find: str) -> None:
    """Save the list as it is looked at, in place of a view of that name."""
    name, (views, _) = name.strip()[:MAX_NAME], read_views(file)
    if not name:
        say("Give the view a name first", ":material/warning:")
    elif name not in views and len(views) >= MAX_VIEWS:
        say(f"There are {len(views)} views, and {MAX_VIEWS} is the most; delete or overwrite one", ":material/warning:")
    elif _write(file, views | {name: SavedView(name, table, find[:MAX_FIND])}):
        _name(name)
        say(f"View {name} saved")


@acts("view.delete")
def delete(name: str, file: Path) -> None:
    box: dict[str, SavedView] = st.session_state.setdefault(_DELETED, {})  # before: Streamlit may end this at any look into the session
    views, _ = read_views(file)
    gone = views.pop(name, None)
    if gone is not None and _write(file, views):
        box["view"] = gone
        _name("")


@acts("view.save")
def restore(name: str, file: Path) -> None:
    """Put back the view that was deleted last in this visit."""
    gone: SavedView | None = st.session_state.get(_DELETED, {}).pop("view", None)
    if gone is not None and _write(file, {name: gone} | read_views(file)[0]):
        _name(name)
        say(f"View {name} restored")


def _name(name: str) -> None:
    """Have the address name a view as the one that is shown."""
    st.session_state[_OPENED] = st.session_state[_NAME] = name
    write_address(**{PARAMETER: name})


def _open(view: SavedView) -> None:
    """Have the list be looked at as a view says; what this version does not know is left as it is."""
    table = view.table
    st.session_state["columns"] = [name for name in COLUMNS if name in table.columns]
    known = {"sort": table.sort if table.sort in SORTS else "", "fold": table.group if table.group in GROUPS else ""}
    write_address(columns=st.session_state["columns"], **{parameter: value for parameter, value in known.items() if value})
    st.session_state["unfinished"], st.session_state["find"] = table.hides_finished, view.find
    _name(view.name)


def choice(home: Path) -> None:
    """The view that is shown, drawn before all that it sets; nothing where none was saved."""
    views, problem = read_views(kept_in(home) / VIEWS_FILE)
    if problem:
        st.warning(f"{plain(problem)}.", icon=":material/broken_image:")
    named = st.query_params.get(PARAMETER, "")
    if named in views and st.session_state.get(_OPENED) != named and not set(_SET) & set(st.query_params):
        _open(views[named])
    elif named and named not in views and not problem:
        st.warning(f"There is no saved view “{plain(named[:MAX_NAME])}”; it may have been deleted, or be another person's.")
    if views:
        st.session_state["view.shown"] = named if named in views else ""
        st.selectbox(
            "View", ["", *views], format_func=lambda name: name or "none", key="view.shown", on_change=_pick, args=(home,), width=180
        )


def _pick(home: Path) -> None:
    views, _ = read_views(kept_in(home) / VIEWS_FILE)
    view = views.get(str(st.session_state["view.shown"]))
    if view is not None:
        _open(view)
    else:
        _name("")


def menu(home: Path, shown: Choices, find: str) -> None:
    """In the menu of the table: save what is shown as a view, or delete the one that was chosen."""
    file = kept_in(home) / VIEWS_FILE
    views, _ = read_views(file)
    named = st.query_params.get(PARAMETER, "")
    table = RunTable(list(shown.columns), shown.sort, shown.group, shown.hides_finished)
    st.divider()
    if _NAME not in st.session_state:
        st.session_state[_NAME] = named if named in views else ""
    name = str(st.text_input("Name of this view", key=_NAME, max_chars=MAX_NAME, placeholder="such as: tonight, by gain")).strip()
    with st.container(horizontal=True):
        button(
            "Overwrite" if name in views else "Save view", key="view.save", icon=":material/bookmark_add:", disabled=not name,
            on_click=save, args=(name, file, table, find), help="Saves columns, order, grouping and what is looked for under this name.",
        )  # fmt: skip
        if named in views:
            button("Delete view", key="view.delete", icon=":material/delete:", on_click=delete, args=(named, file))


def undo(home: Path) -> None:
    """The view that was deleted last in this visit, with an undo button."""
    gone: SavedView | None = st.session_state.get(_DELETED, {}).get("view")
    if gone is not None:
        with st.container(horizontal=True, vertical_alignment="center", border=True, key="undo-view"):
            st.markdown(f"The view **{plain(gone.name)}** was deleted.", width="content")
            button("Undo", icon=":material/undo:", key="undo.view", on_click=restore, args=(gone.name, kept_in(home) / VIEWS_FILE))
            st.button("Dismiss", key="undo.dismiss.view", type="tertiary", on_click=_dismiss)


def _dismiss() -> None:
    st.session_state.pop(_DELETED, None)
