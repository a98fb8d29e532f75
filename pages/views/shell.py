"""The frame around every page: the page registry, navigation, sidebar, title."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.notifications.notices import KINDS, Notice, last_read_ts, notice_of
from core.runs import shelf
from core.runs.run_dir import RunDir
from core.runs.status import Status
from pages.server import changes, service, start_document
from pages.server.registry import HOME, sections
from pages.views import access, guide
from pages.views.buttons import PRESS
from pages.views.components.mount import clock, keys, when_back
from pages.views.links import PAGE, STAYS, WRITTEN, begin_address
from pages.views.tables import all_names, display_name
from pages.views.text import plain
from pages.views.toasts import say as say
from pages.views.toasts import show_toasts as show_toasts
from storage import queries

STYLES = Path(__file__).with_name("components")
PRODUCT = "Tracewright"
REFRESH_S = 5  # how often the sidebar looks for something new
MARK = Path(__file__).with_name("mark.svg")
_TOAST = {"info": ":material/info:", "warning": ":material/warning:", "severe": ":material/error:"}
WORDMARK = Path(__file__).with_name("wordmark.svg")
# While another page is drawn, Streamlit shows the rest of the one before below the new title
VEIL = """<span></span><style>
  [data-testid=stMain] [data-stale=true] { display: none; }
  [data-testid=stMain] [data-testid=stPopover], [data-testid=stMain] [role=tablist] { visibility: hidden; }
</style>"""
INK, INK_ON_DARK = "#0f6e84", "#3aa5bd"  # of the wordmark


def path_of(name: str) -> str:
    """The file of a page, for links and switches."""
    return f"pages/{name}.py"


def navigation() -> st.Page:
    """Declare the pages and return the one that the visitor asked for."""
    return st.navigation(
        {
            section: [st.Page(path_of(page.name), title=page.title, icon=page.icon, default=page.name == HOME) for page in pages]
            for section, pages in sections().items()
        },
        expanded=True,  # beyond a dozen pages Streamlit would hide the last ones
    )


def redraw_when(is_stale: Callable[[], bool]) -> None:
    """Draw the whole page again when what it was drawn from has changed, also where its own clock stands still."""
    _redraw(is_stale, [True])


@st.fragment(run_every="5s")
def _redraw(is_stale: Callable[[], bool], is_new: list[bool]) -> None:
    """``is_new``: emptied as the page is drawn, when nothing can have changed yet and a look would cost as much as the page."""
    if is_new:
        is_new.clear()
    elif is_stale():
        st.rerun()


def room_for(name: str, height: int) -> Callable[[], DeltaGenerator]:
    """A placeholder for what takes a moment to draw, ``height`` pixels of skeleton until then; draw in it with ``with room():``.

    Only the first time in a visit to the page: later what was drawn stays until the new is there. So nothing jumps.
    """
    known: set[str] = st.session_state.setdefault("drawn_here", set())
    if name in known:
        box = st.container()
        return lambda: box
    known.add(name)
    return st.skeleton(height).container


def lift_veil() -> None:
    """The page is drawn: from now on what is drawn again may stay in sight until the new is there."""
    veil = st.session_state.pop("veil", None)
    if veil is not None:
        veil.empty()


def begin(title: str) -> service.Console:
    """Draw the frame and return the console. First line of every page.

    The navigation is declared again here: in tests, and on a first visit to a deep link, Streamlit runs a page file
    without ``app.py`` before it.
    """
    st.set_page_config(page_title=f"{title} · {PRODUCT}", page_icon=str(MARK), layout="wide", initial_sidebar_state=start_document.SIDEBAR)
    veil = st.empty()
    before = st.session_state.get(PAGE)
    if before != title:
        st.session_state.pop(PRESS, None)  # of a button that the page before did not come to
        st.session_state.pop("drawn_here", None)
        st.session_state.pop(STAYS, None)
        st.session_state.pop(WRITTEN, None)
        st.session_state[PAGE] = title  # last: Streamlit may end this run at any of these
        if before is not None:
            st.session_state["veil"] = veil
            veil.html(VEIL)
    begin_address()
    navigation()
    is_dark = st.context.theme.type == "dark"
    wordmark = WORDMARK.read_text(encoding="utf-8")
    st.logo(wordmark.replace(INK, INK_ON_DARK) if is_dark else wordmark, icon_image=str(MARK), size="large")
    try:
        console = service.console()
    except RuntimeError as error:
        st.error(plain(str(error)))
        st.stop()
    st.html(STYLES / "page.css")
    if is_dark:
        st.html(STYLES / "dark.css")
    access.admit()
    st.title(title)
    access.warn_if_shared()
    st.session_state.pop("redraw", None)  # what was asked for is happening
    show_toasts()
    with st.sidebar:
        when_back("clock.back")
        _sidebar(console)
    return console


def notices(console: service.Console) -> list[Notice]:
    """What deserved attention in all runs, newest first."""
    found = [notice_of(run_id, event) for run_id, event in queries.notable_events(console.store, list(KINDS))]
    return [notice for notice in found if notice is not None]


@st.fragment
def _sidebar(console: service.Console) -> None:
    person = access.show_person()
    told = changes.version_of_frame(console.home, console.store, console.ingest.error, person)
    clock(changes.address(start_document.base_path()), told, REFRESH_S, "clock.frame", hidden=True)  # for the browser's notifications
    seen = shelf.look_all(console.home)
    statuses = {run_id: one.state.status for run_id, one in seen.items()}
    live = [run_id for run_id, status in statuses.items() if status.is_live]
    names = all_names(console.home, seen) if live else {}
    n_waiting = sum(status is Status.QUEUED for status in statuses.values())
    found = notices(console)
    with st.container():
        _bell(console, found)
        if live:
            waiting = f", {n_waiting} waiting" if n_waiting else ""
            st.caption(f"{len(live)} live run{'s' if len(live) > 1 else ''}{waiting}")
            for run_id in live[:5]:
                label = plain(names.get(run_id, run_id))
                st.page_link(path_of("live"), label=label, icon=":material/play_circle:", query_params={"run": run_id})
        else:
            st.caption(f"No run is live{f', {n_waiting} waiting' if n_waiting else ''}.")
        if console.ingest.error:
            st.warning(plain(f"Reading the logs failed, trying again: {console.ingest.error}"))
        newest = next((notice for notice in found if notice.severity != "info" or notice.title.startswith("Run ")), None)
        latest = {"ts": newest.ts, "title": newest.title, "run": display_name(RunDir(console.home / newest.run_id))} if newest else None
        keys(guide.SHORTCUTS, guide.KEYS, guide.TOUR, latest)


def _bell(console: service.Console, found: list[Notice]) -> None:
    """Unread alerts, and a toast for what came since this visit began."""
    seen = last_read_ts(console.home)
    n_new = sum(notice.ts > seen and notice.severity != "info" for notice in found)
    label = f"{n_new} new alert{'s' if n_new > 1 else ''}" if n_new else "No new alerts"
    icon = ":material/notifications_active:" if n_new else ":material/notifications:"
    st.page_link(path_of("alerts"), label=label, icon=icon, help="Findings and milestones of all runs.")
    shown = float(st.session_state.setdefault("toasted_until", time.time()))
    fresh = [notice for notice in found if notice.ts > shown]
    if fresh:
        st.session_state["toasted_until"] = max(notice.ts for notice in fresh)
        for notice in fresh[:3]:
            st.toast(
                f"**{plain(notice.title)}** · {plain(display_name(RunDir(console.home / notice.run_id)))}", icon=_TOAST[notice.severity]
            )
