"""How the list of runs is looked at: in the address, so that a link shows the same, and kept for the next visit, for each person who signs in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from core.files import write_aside
from core.runs.small_files import RunTable, read_or_none
from pages.server import identity
from pages.views.access import whoami
from pages.views.links import choose, write_address
from pages.views.runs.lines import GROUPS, SORTS

TABLE_FILE = "runs_table.json"
PEOPLE = "people"  # in the home: a folder for each person who signs in, named by a digest
COLUMNS = {
    "progress": "Progress", "gain": "Best gain", "duration": "Time", "started": "Started", "seed": "Seed", "tags": "Tags", "note": "Note",
}  # fmt: skip
DEFAULT = RunTable(["progress", "gain", "duration", "started"])


@dataclass(frozen=True)
class Choices:
    """``columns``: keys of :data:`COLUMNS`, in their order there."""

    columns: tuple[str, ...]
    sort: str
    group: str
    hides_finished: bool


def kept_in(home: Path) -> Path:
    """The folder of what whoever uses this page chose: the home, or one of their own where people sign in."""
    person = whoami()
    if identity.way() != "sign-in" or not person.name:
        return home
    return home / PEOPLE / hashlib.sha256(person.name.encode()).hexdigest()[:24]


def menu(home: Path, draw_more: Callable[[Choices], None]) -> Choices:
    """Draw the menu of the table and return what it says; ``draw_more``: draws what stands below it in the menu."""
    file = kept_in(home) / TABLE_FILE
    kept = read_or_none(file, RunTable) or DEFAULT
    with st.popover("Table", icon=":material/tune:", width="content", key="table"):
        columns = _columns(kept)
        sort = choose("Order", SORTS, "sort", default=kept.sort)
        group = choose("Fold by", GROUPS, "fold", default=kept.group, help="Runs of a group fold into one line.")
        hides = st.toggle(
            "Hide finished runs", key="unfinished", value=kept.hides_finished and "unfinished" not in st.session_state, bind="query-params"
        )
        found = Choices(tuple(name for name in COLUMNS if name in columns), sort, group, bool(hides))
        draw_more(found)
    now = RunTable(list(found.columns), sort, group, found.hides_finished)
    first = st.session_state.setdefault("table.first", now)
    if now not in (kept, first):  # changed here, rather than by the link that was followed
        st.session_state["table.first"] = None
        with suppress(OSError):  # on a full disk it is kept in the address alone
            write_aside(file, json.dumps({"v": 1} | asdict(now)).encode())
    return found


def _columns(kept: RunTable) -> list[str]:
    if "columns" not in st.session_state:
        wanted = st.query_params.get_all("columns") or kept.columns
        st.session_state["columns"] = [name for name in wanted if name in COLUMNS]
    return list(st.multiselect("Columns", list(COLUMNS), format_func=lambda name: COLUMNS[name], key="columns", on_change=_write_columns))


def _write_columns() -> None:
    write_address(columns=st.session_state["columns"])
