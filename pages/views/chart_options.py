"""How a page's charts are looked at: axis, smoothing, scales, range and runs. All of it is in the page's address."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

import streamlit as st

from pages.views.chart_box import redraw_if_asked
from pages.views.charts.curves import AXIS_TITLES, View
from pages.views.links import hold_address, write_address

AXES = {"step": "step", "episode": "episode", "minutes": "minutes", "clock": "wall"}
SMOOTHING = 0.6
MAX_LISTED = 40

_FARTHEST = 1e15  # of what an axis shows: steps, or seconds since 1970


def _clear(name: str) -> None:
    write_address(**{name: ""})
    st.session_state["redraw"] = True  # of all of the page, also from within a fragment


def options(smoothing: float = SMOOTHING, more: Callable[[], None] | None = None) -> View:
    """Draw the controls in a menu and return what they say; ``more`` draws what else a page has there."""
    with st.popover("View", icon=":material/tune:", width="content", key="view"):
        axis = AXES[st.selectbox("X axis", list(AXES), key="x", bind="query-params", on_change=_clear, args=("zoom",))]
        weight = st.slider(
            "Smoothing",
            0.0,
            0.99,
            smoothing,
            0.01,
            key="smooth",
            bind="query-params",
            help="Weight of the moving average; the faint line shows the measured values.",
        )
        is_log = st.toggle("Logarithmic y axis", key="log", bind="query-params")
        ignores = st.toggle(
            "Ignore outliers",
            value=True,
            key="outliers",
            bind="query-params",
            help="The y axis shows what all but outliers lie in; small triangles at its edge mark those.",
        )
        has_band = st.toggle(
            "Show range",
            value=True,
            key="band",
            bind="query-params",
            help="A band from the lowest to the highest value behind each point; only while readable, for up to eight runs.",
        )
        if more is not None:
            more()
    return View(axis, float(weight), bool(is_log), bool(ignores), bool(has_band), window_of(st.query_params.get("zoom", "")))


def window_of(text: str) -> tuple[float, float] | None:
    """The ends that an address names as ``low~high``; None of what is no part of any axis."""
    try:
        low, high = (float(end) for end in text.split("~"))
    except ValueError:
        return None
    return (low, high) if -_FARTHEST <= low < high <= _FARTHEST else None


def zoom_state(view: View) -> None:
    """What the charts are zoomed to, with the way back."""
    if view.window is None:
        return
    low, high = view.window
    if view.axis == "wall":
        ends = " to ".join(time.strftime("%H:%M:%S", time.localtime(end)) for end in view.window)
    else:
        ends = f"{low:,.4g} to {high:,.4g}" if high < 100 else f"{low:,.0f} to {high:,.0f}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Zoomed to {AXIS_TITLES[view.axis]} {ends}.")
        st.button("Full range", icon=":material/zoom_out_map:", key="zoom.reset", on_click=_clear, args=("zoom",), type="tertiary")


def matching(pattern: str, ids: Sequence[str], labels: dict[str, str]) -> list[str]:
    """The runs whose name or id a regular expression finds; an expression that is none is looked for as it stands."""
    try:
        found = re.compile(pattern, re.IGNORECASE)
    except re.error:
        found = re.compile(re.escape(pattern), re.IGNORECASE)
    return [i for i in ids if found.search(labels.get(i, i)) or found.search(i)]


def _toggle(run_id: str, parameter: str, key: str) -> None:
    """By what the box says, rather than the other way round from what the address says: that may be of before."""
    is_named = bool(st.session_state[key]) != (parameter == "hide")
    hold_address()
    now = st.query_params.get_all(parameter)
    write_address(**{parameter: [*now, *([run_id] if run_id not in now else [])] if is_named else [i for i in now if i != run_id]})
    st.session_state["redraw"] = True


def _add(run_ids: Sequence[str], parameter: str) -> None:
    hold_address()
    write_address(**{parameter: list(dict.fromkeys([*st.query_params.get_all(parameter), *run_ids]))})
    st.session_state["redraw"] = True


def run_list(ids: Sequence[str], chosen: Sequence[str], labels: dict[str, str], parameter: str = "with", fixed: str = "") -> list[str]:
    """A list of runs with a box each, filtered by a regular expression; returns the chosen ones that are not hidden."""
    hidden = set(st.query_params.get_all("hide"))
    _boxes(ids, chosen, hidden, labels, parameter, fixed)
    return [i for i in chosen if i not in hidden] or list(chosen[:1])


@st.fragment
def _boxes(ids: Sequence[str], chosen: Sequence[str], hidden: set[str], labels: dict[str, str], parameter: str, fixed: str) -> None:
    """The list itself, made only while it is open."""
    redraw_if_asked()
    menu = st.popover("Show and hide", icon=":material/checklist:", width="content", key="runs", on_change="rerun")
    if not menu.open and "match" not in st.query_params:
        return
    with menu:
        pattern = st.text_input("Filter by name", placeholder="regular expression", key="match", bind="query-params")
        found = matching(pattern, ids, labels)
        more = [i for i in found if i not in chosen and i != fixed]
        if pattern and more:
            st.button(f"Add {len(more)} matching", key="match.add", on_click=_add, args=(more, parameter), icon=":material/add:")
        for run_id in found[:MAX_LISTED]:
            is_known = run_id in chosen
            name = parameter if not is_known else "hide"  # a run that is drawn is hidden, one that is not is added
            key = f"run.{name}.{run_id}.{run_id in hidden}"
            st.checkbox(
                labels.get(run_id, run_id),
                value=is_known and run_id not in hidden,
                key=key,
                on_change=_toggle,
                args=(run_id, name, key),
            )
        if not found:
            st.caption("No run matches.")
        if len(found) > MAX_LISTED:
            st.caption(f"{len(found) - MAX_LISTED} more; narrow the filter.")
