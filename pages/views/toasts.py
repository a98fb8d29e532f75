"""Toasts: what a button's callback says, shown as soon as the page is drawn again."""

from __future__ import annotations

import streamlit as st

from pages.views.text import plain


def say(text: str, icon: str | None = None) -> None:
    """Have a toast shown as soon as the page is drawn again: a button's callback must not draw by itself. ``text`` is shown as it is."""
    st.session_state.setdefault("toasts", []).append((plain(text), icon))


def show_toasts() -> None:
    """First line of every fragment whose buttons say something."""
    for text, icon in st.session_state.pop("toasts", []):
        st.toast(text, icon=icon)
