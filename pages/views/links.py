"""Choices that live in the page's address by their value, so that a link or a reload shows the same.

Streamlit's own binding writes what an option is shown as; two runs may be called alike, and a link names an id.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

STAYS = "stays"  # what a visit of a page began with, until another page is opened


def choose(label: str, options: Sequence[str], parameter: str, default: str = "", show: Callable[[str], str] = str, **more: Any) -> str:
    """A select box over ``options`` whose value is the address's ``parameter``; ``default`` (else the first) is not written there."""
    default = default if default in options else options[0]
    wanted = st.query_params.get(parameter, default)
    st.session_state[parameter] = wanted if wanted in options else default
    return str(st.selectbox(label, options, format_func=show, key=parameter, on_change=_write, args=(parameter, default), **more))


def choose_many(label: str, options: Sequence[str], parameter: str, show: Callable[[str], str] = str, **more: Any) -> list[str]:
    """The same for any number of options."""
    st.session_state[parameter] = [value for value in st.query_params.get_all(parameter) if value in options]
    return list(st.multiselect(label, options, format_func=show, key=parameter, on_change=_write, args=(parameter, None), **more))


def wanted(parameter: str, options: Sequence[str]) -> str:
    """What the address names, else what this visit of the page began with: a run that is new does not take its place.

    It is kept in the session and not written into the address, where it would stand between a visitor and the page before.
    """
    named = st.query_params.get(parameter)
    if named:
        return named
    kept: dict[str, str] = st.session_state.setdefault(STAYS, {})
    return kept.setdefault(parameter, options[0]) if options else kept.get(parameter, "")


def drop_parameters(*parameters: str) -> None:
    """Take parameters out of the address; what a widget of this page is bound to stays, since only the widget may change it."""
    for parameter in parameters:
        with contextlib.suppress(StreamlitAPIException):
            st.query_params.pop(parameter, None)


def _write(parameter: str, default: str | None) -> None:
    value = st.session_state[parameter]
    if value == default or value == []:
        st.query_params.pop(parameter, None)
    else:
        st.query_params[parameter] = value
