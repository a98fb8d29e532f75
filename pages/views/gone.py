"""A run that was deleted while a page shows it, in this tab or another: said on the page, with the way back."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.runs import trash
from pages.server.service import Console
from pages.views import actions, tables
from pages.views.buttons import button
from pages.views.shell import path_of, redraw_when
from pages.views.text import plain


def tell_deleted(console: Console, wanted: Sequence[str]) -> None:
    """Say which of several runs that a page was to show were deleted, with the way back; the page goes on with the others."""
    found = [run for run in trash.discarded(console.home) if run.run_id in wanted and not (console.home / run.run_id).exists()]
    if found:
        with st.container(horizontal=True, vertical_alignment="center", border=True, key="gone"):
            names = ", ".join(f"**{plain(tables.display_name(run))}**" for run in found)
            st.markdown(
                f"{names} {'was' if len(found) == 1 else 'were'} deleted and {'is' if len(found) == 1 else 'are'} left out.",
                width="content",
            )
            ids = [run.run_id for run in found]
            button("Undo", does="run.restore", icon=":material/undo:", key="gone.undo", on_click=actions.restore, args=(console, ids))


def stop_if_deleted(console: Console, wanted: str | None) -> None:
    """End the page where the address names a run that was deleted and can be put back, and draw it again once it was.

    So no button of a page acts on a run that is gone.
    """
    found = next((run for run in trash.discarded(console.home) if run.run_id == wanted), None) if wanted else None
    if found is None or (console.home / found.run_id).exists():
        return
    st.warning(f"**{plain(tables.display_name(found))}** was deleted. You can restore it within a week.", icon=":material/delete:")
    with st.container(horizontal=True, vertical_alignment="center"):
        button(
            "Undo",
            does="run.restore",
            type="primary",
            icon=":material/undo:",
            key="gone.undo",
            on_click=actions.restore,
            args=(console, found.run_id),
        )
        st.page_link(path_of("runs"), label="All runs", icon=":material/list:", width="content")
    redraw_when(lambda: (console.home / found.run_id).exists())
    st.stop()


def watch(console: Console, run_ids: Sequence[str]) -> None:
    """Last line of a page about runs: draw it again once one of them was deleted elsewhere."""
    redraw_when(lambda: any(not (console.home / run_id).is_dir() for run_id in run_ids))
