"""Mounts the before/after slider of :mod:`pages.views.svg` in a page."""

from __future__ import annotations

import streamlit as st

from pages.views.svg import SLIDER_CSS, SLIDER_HTML, SLIDER_JS, Side, slider_data

_SLIDER = st.components.v2.component("tracewright_slider", html=SLIDER_HTML, css=SLIDER_CSS, js=SLIDER_JS)


def before_after(shown: str, left: Side, right: Side, width: int, height: int, key: str) -> None:
    """Draw the slider; ``width`` and ``height`` of the picture in pixels."""
    _SLIDER(key=key, data=slider_data(shown, left, right, width, height))
