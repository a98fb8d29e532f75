"""What is done with several runs at once, and the way back from it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import streamlit as st

from core.runs import trash
from core.runs.run_dir import RunDir
from pages.server.service import Console
from pages.views import actions, take_home
from pages.views.buttons import button, pressed
from pages.views.links import write_address
from pages.views.runs.lines import Listed
from pages.views.runs.rows import PICKED, pick, picked
from pages.views.shell import path_of
from pages.views.tables import display_name
from pages.views.text import plain

RECENT_S = 600.0  # for how long what was deleted is offered back at the top of every open list
_AT_ONCE_S = 3.0  # what was deleted within so many seconds was deleted together
MAX_COMPARED = 20


def bar(console: Console, known: Mapping[str, Listed]) -> None:
    """What can be done with the runs that are picked; those that are gone are none any more."""
    ids = [run_id for run_id in picked() if run_id in known]
    if not ids:
        st.session_state[PICKED] = []
        return
    runs = [known[run_id].facts.run for run_id in ids]
    n_live = sum(known[run_id].state.status.is_live for run_id in ids)
    with st.container(horizontal=True, vertical_alignment="center", border=True, key="runs-picked"):
        st.markdown(f"**{len(ids)} selected**", width="content")
        if pressed("Compare", icon=":material/compare_arrows:", key="picked.compare", disabled=not 2 <= len(ids) <= MAX_COMPARED):
            st.switch_page(path_of("compare"), query_params={"run": ids})
        if pressed("Export", icon=":material/folder_zip:", key="picked.export"):
            write_address(**{take_home.PANEL: "export", take_home.RUNS: ids})
            st.rerun()
        button("Archive", does="run.archive", icon=":material/archive:", key="picked.archive", on_click=actions.archive, args=(runs,))
        button(
            "Delete", does="run.delete", icon=":material/delete:", key="picked.delete", on_click=actions.delete, args=(runs,), disabled=n_live > 0,
            help=f"{n_live} of them are live; stop them first." if n_live else "You can restore them within a week.",
        )  # fmt: skip
        st.button("Clear", key="picked.clear", type="tertiary", on_click=pick, args=(ids, False))


def undo(console: Console) -> None:
    """What was just deleted, in this tab or another, or archived in this one, with an undo button."""
    deleted = _just_deleted(console)
    archived = [RunDir(console.home / run_id) for run_id in st.session_state.get("archived_last") or []]
    for what, runs in (("deleted", deleted), ("archived", archived)):
        if not runs:
            continue
        with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"undo-{what}"):
            st.markdown(f"{_names(runs)} {'was' if len(runs) == 1 else 'were'} {what}.", width="content")
            ids = [run.run_id for run in runs]
            button(
                "Undo", does="run.restore", icon=":material/undo:", key="undo.button" if what == "deleted" else "undo.archive",
                on_click=actions.restore if what == "deleted" else actions.archive, args=(console, ids) if what == "deleted" else (runs, False),
            )  # fmt: skip
            st.button("Dismiss", key=f"undo.dismiss.{what}", type="tertiary", on_click=_dismiss, args=(what, ids))


def _names(runs: Sequence[RunDir]) -> str:
    shown = ", ".join(f"**{plain(display_name(run))}**" for run in runs[:3])
    return shown if len(runs) <= 3 else f"{shown} and {len(runs) - 3} more"


def _just_deleted(console: Console) -> list[RunDir]:
    dismissed = st.session_state.get("dismissed") or []
    found = [(run, trash.discarded_ts(run)) for run in trash.discarded(console.home)]
    recent = [(run, ts) for run, ts in found if time.time() - ts < RECENT_S and run.run_id not in dismissed]
    newest = max((ts for _, ts in recent), default=0.0)
    return [run for run, ts in recent if newest - ts <= _AT_ONCE_S]


def _dismiss(what: str, run_ids: Sequence[str]) -> None:
    if what == "archived":
        st.session_state["archived_last"] = []
    else:
        st.session_state["dismissed"] = [*(st.session_state.get("dismissed") or []), *run_ids]


def deleted(console: Console) -> None:
    """All that was deleted within a week."""
    found = trash.discarded(console.home)
    if not found:
        return
    with st.expander(f"{len(found)} deleted run{'s' if len(found) > 1 else ''}", icon=":material/delete:"):
        st.caption("Deleted for good after a week.")
        for run in found[:20]:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"{plain(display_name(run))} · {run.run_id}")
                button(
                    "Restore",
                    does="run.restore",
                    key=f"back.{run.run_id}",
                    on_click=actions.restore,
                    args=(console, [run.run_id]),
                    type="tertiary",
                )
        button("Free disk space now", key="empty", icon=":material/delete_forever:", on_click=actions.empty_trash, args=(console,))
