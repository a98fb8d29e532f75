"""A chart as it stands in a page: with its title, its brush, what it can be saved as, its pin and what it does not show.

What was brushed, and what is pinned, is in the page's address: a link or a reload shows the same.
"""

from __future__ import annotations

import functools
import time
import zlib
from collections.abc import Callable
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from pages.views import downloads
from pages.views.charts.curves import ZOOM, Chart, View, saved
from pages.views.links import hold_address, write_address
from storage import export

FORMATS = {"png": "image/png", "svg": "image/svg+xml", "html": "text/html"}
FRESH_S = 300
ICON = {"png": ":material/image:", "svg": ":material/polyline:", "html": ":material/html:"}


def show(
    chart: Chart,
    name: str,
    title: str,
    data: pd.DataFrame,
    view: View | None = None,
    note: str = "",
    can_pin: bool = True,
    newest_ts: float | None = None,
) -> None:
    """Draw a chart. ``name``: of the file and of the pin; ``data``: what it draws, for the CSV; ``view`` where it can be zoomed."""
    is_zoomable = view is not None and ZOOM in _params(chart)
    with st.container(key=f"box-{name.replace('.', '-').replace('/', '-')}", gap="small"):
        _head(chart, name, title, data, can_pin)
        # Another key once the range changes: what was brushed belongs to the chart before
        key = f"{name}.{view.window}" if view is not None and view.window else name
        more: Any = {"on_select": lambda: _zoom(key, view), "selection_mode": ZOOM} if is_zoomable and view is not None else {}
        st.altair_chart(unchecked(fresh(chart, name)), key=key, alt=title, **more)
        told = [part for part in (thinned(data), note, age(newest_ts)) if part]
        if told:
            st.caption(" · ".join(told))


def empty(name: str, title: str, awaited: str, height: int = 0) -> None:
    """In place of a chart that has nothing to show yet: its title, and what it waits for; ``height``: of the chart, in pixels."""
    with st.container(key=f"box-{name.replace('.', '-').replace('/', '-')}", gap="small"):
        st.markdown(f"**{title}**")
        with st.container(border=True, height=height or "content", vertical_alignment="center", horizontal_alignment="center"):
            st.caption(awaited, width="content")


def choose(chart: Chart, name: str, title: str, data: pd.DataFrame, selection: str, note: str = "") -> dict[str, Any] | None:
    """Draw a chart of points one of which can be clicked; returns the one that is, None without."""
    _head(chart, name, title, data, can_pin=False)
    state: Any = st.altair_chart(unchecked(fresh(chart, name)), key=name, alt=title, on_select="rerun", selection_mode=selection)
    if note:
        st.caption(note)
    found = (state.get("selection", {}) if state else {}).get(selection) or []
    return dict(found[0]) if found else None


def unchecked(chart: Chart) -> Chart:
    """The chart, to be turned into a dictionary without the check against Vega-Lite's schema, which costs as much as all else.

    The tests make that check on every chart that a page draws.
    """
    object.__setattr__(chart, "to_dict", functools.partial(chart.to_dict, validate=False))  # its own attributes are the chart's
    return chart


def fresh(chart: Chart, name: str) -> Chart:
    """The chart, which the browser makes from nothing every five minutes, each of a page at another moment; between, it is given new data.

    Given new data, Vega keeps up to 10,000 of the marks before for each kind of mark: a page that is left open would grow for hours.
    """
    marked = chart.copy(deep=False)
    marked.usermeta = {"drawn": int((time.time() + zlib.crc32(name.encode()) % FRESH_S) // FRESH_S)}
    return marked


def _head(chart: Chart, name: str, title: str, data: pd.DataFrame, can_pin: bool) -> None:
    """The title, and the menu, which is made only while it is open."""
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{title}**")
        menu = st.popover("Save", type="tertiary", key=f"menu.{name}", on_change="rerun", icon=":material/more_horiz:")
    if menu.open:
        with menu:
            _menu(chart, name, title, data, can_pin)


def _params(chart: Chart) -> set[str]:
    """The names of the chart's selections, those of its layers among them."""
    found = {str(p.name) for p in (chart.params if isinstance(chart.params, list) else [])}
    for layer in getattr(chart, "layer", []) or []:
        found |= _params(layer) if layer is not alt.Undefined else set()
    return found


def _menu(chart: Chart, name: str, title: str, data: pd.DataFrame, can_pin: bool) -> None:
    if can_pin:
        pins = pinned()
        st.toggle("Pin to top", value=name in pins, key=f"pin.{name}", on_change=_pin, args=(name,))
    downloads.button(
        "CSV",
        lambda: export.to_csv(data),
        f"{name}.csv",
        "text/csv",
        icon=":material/csv:",
        key=f"csv.{name}",
        width="stretch",
    )
    for form, mime in FORMATS.items():
        make: Callable[[], bytes] = lambda form=form: saved(chart, form, title)  # type: ignore[misc]
        label = "Interactive page" if form == "html" else form.upper()
        downloads.button(label, make, f"{name}.{form}", mime, icon=ICON[form], key=f"{form}.{name}", width="stretch")


def pinned() -> list[str]:
    """The charts that are kept at the top, in the order in which they were."""
    hold_address()
    return list(dict.fromkeys(st.query_params.get_all("pin")))


def _pin(name: str) -> None:
    now = pinned()
    write_address(pin=[n for n in now if n != name] if name in now else [*now, name])
    st.session_state["redraw"] = True


def _zoom(key: str, view: View) -> None:
    """What was brushed becomes the page's range."""
    selected = (st.session_state.get(key) or {}).get("selection", {}).get(ZOOM, {})
    ends = next(iter(selected.values()), None) if selected else None
    if not ends or len(ends) != 2:
        return
    scale = 1000.0 if view.axis == "wall" else 1.0
    low, high = sorted(float(end) / scale for end in ends)
    if high > low:
        write_address(zoom=f"{low:.10g}~{high:.10g}")
        st.session_state["redraw"] = True


def redraw_if_asked() -> None:
    """First line of a fragment: what was brushed or pinned in it is for the whole page."""
    if st.session_state.pop("redraw", False):
        st.rerun()


def thinned(data: pd.DataFrame) -> str:
    """How many values stand behind fewer points."""
    if "n" not in data or "mean" not in data or data.empty:
        return ""
    n = int(data["n"].sum())
    return f"{n:,} values averaged into {len(data):,} points" if n > len(data) else ""


def age(newest_ts: float | None) -> str:
    """How old the newest of it is."""
    if newest_ts is None:
        return ""
    seconds = max(time.time() - newest_ts, 0.0)
    if seconds > 600:
        return "newest " + time.strftime("%b %d, %H:%M", time.localtime(newest_ts))
    return f"newest {seconds:.0f} s ago" if seconds < 120 else f"newest {seconds / 60:.0f} min ago"
