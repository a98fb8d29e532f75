"""The frame around every page: the page registry, navigation, sidebar, title."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.runs.run_dir import all_runs
from core.runs.status import Status, run_state
from pages.views.tables import display_name
from storage import service

SECTIONS = {
    "Train": {"runs": "Runs", "new_run": "New run", "live": "Live"},
    "Inspect": {"gallery": "Gallery"},
}
DEFAULT = "runs"
PRODUCT = "Tracewright"
MARK = Path(__file__).with_name("mark.svg")
WORDMARK = Path(__file__).with_name("wordmark.svg")


def path_of(name: str) -> str:
    """The file of a page, for links and switches."""
    return f"pages/{name}.py"


def navigation() -> st.Page:  # type: ignore[valid-type]
    """Declare the pages and return the one that the visitor asked for."""
    return st.navigation(
        {
            section: [st.Page(path_of(name), title=title, default=name == DEFAULT) for name, title in pages.items()]
            for section, pages in SECTIONS.items()
        }
    )


def begin(title: str) -> service.Console:
    """Draw the frame and return the console. First line of every page.

    The navigation is declared again here: in tests, and on a first visit to a deep link, Streamlit runs a page file
    without ``app.py`` before it.
    """
    st.set_page_config(page_title=f"{title} · {PRODUCT}", page_icon=str(MARK), layout="wide", initial_sidebar_state=220)
    navigation()
    st.logo(str(WORDMARK), icon_image=str(MARK), size="large")
    try:
        console = service.console()
    except RuntimeError as error:
        st.error(str(error))
        st.stop()
    st.title(title)
    with st.sidebar:
        _sidebar(console)
    return console


@st.fragment(run_every="5s")
def _sidebar(console: service.Console) -> None:
    live = [run for run in all_runs(console.home) if run_state(run).status is Status.RUNNING]
    with st.container():
        if live:
            st.caption(f"{len(live)} live run{'s' if len(live) > 1 else ''}")
            for run in live[:5]:
                label = display_name(run)
                st.page_link(path_of("live"), label=label, icon=":material/play_circle:", query_params={"run": run.run_id})
        else:
            st.caption("No run is live.")
        if console.ingest.error:
            st.warning(f"Reading the logs failed, trying again: {console.ingest.error}")
