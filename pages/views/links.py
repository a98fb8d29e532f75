"""Choices that live in the page's address by their value, so that a link or a reload shows the same.

Streamlit's own binding writes what an option is shown as; two runs may be called alike, and a link names an id.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException

from core.tracing.params import Params
from core.tracing.pipeline import MODES, Mode

_PLAIN = ",plain"
PAGE = "page.title"  # in the session: the page that is drawn; "page" alone is what paginations are called
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


def setting_text(params: Params, mode: str) -> str:
    """A setting as an address has it: its values in their order, the mode, and "plain" where VTracer alone draws."""
    return ",".join([*(f"{value:g}" for value in params.as_tuple()), mode]) + (_PLAIN if params.is_plain else "")


def setting_of(text: str) -> tuple[Params, Mode] | None:
    """What :func:`setting_text` wrote, within the ranges; None for anything else."""
    *values, mode = text.removesuffix(_PLAIN).split(",")
    named = next((known for known in MODES if known == mode), None)
    try:
        numbers = [float(value) for value in values]
        params = Params.from_values(numbers).clamped()
    except (ValueError, OverflowError):
        return None
    if named is None or not all(math.isfinite(number) for number in numbers):
        return None
    return params.with_values(is_plain=text.endswith(_PLAIN)), named


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
