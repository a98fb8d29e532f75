"""Choices that live in the page's address by their value, so that a link or a reload shows the same.

Streamlit's own binding writes what an option is shown as; two runs may be called alike, and a link names an id.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.tracing.params import Params
from core.tracing.pipeline import MODES, Mode

_PLAIN = ",plain"
PAGE = "page.title"  # in the session: the page that is drawn; "page" alone is what paginations are called
STAYS = "stays"  # what a visit of a page began with, until another page is opened
WRITTEN = "written"  # what was written into the address of this page last, by parameter
LATE_S = 4.0  # for how long after that a click may come with the address of before


@dataclass
class _Written:
    """``values``: what the address was given, by parameter; ``left``: whole addresses that it had before, with the time at which each went;
    ``own``: parameters that no widget is bound to, so that only a link or this module changes them.
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    left: list[tuple[float, dict[str, list[str]]]] = field(default_factory=list)
    own: set[str] = field(default_factory=set)


def write_address(**parameters: str | Sequence[str]) -> None:
    """Have the address name these values; "" or none takes a parameter out. Not for one that a widget is bound to.

    The only way in which pages write it: until the browser knows of it, what somebody does comes with the address of before, and would undo
    it; see :func:`hold_address`.
    """
    hold_address()
    written = _written()
    wanted = {name: [text for text in ([value] if isinstance(value, str) else value) if text] for name, value in parameters.items()}
    written.own.update(wanted)
    written.values |= wanted
    _say(wanted, written)


def hold_address() -> None:
    """First of whatever reads the address, also in a fragment: what was written into it a moment ago stands there again where this request came
    with an address of before. A link that leads to anything else goes first; one to what was left within the last seconds can't be told apart.
    """
    written = _written()
    if all(st.query_params.get_all(name) == values for name, values in written.values.items()):
        return
    now, since = {name: st.query_params.get_all(name) for name in written.own}, time.monotonic() - LATE_S
    if any(ts > since and all(address.get(name, []) == values for name, values in now.items()) for ts, address in written.left):
        _say(written.values, written)
    else:
        written.values.clear()
        written.left.clear()


def begin_address() -> None:
    """The same, once at the beginning of a page: what the browser's own buttons ask for goes first."""
    context = get_script_run_ctx()
    if context is not None and context.is_history_navigation:
        st.session_state.pop(WRITTEN, None)
    hold_address()


def _written() -> _Written:
    found: _Written = st.session_state.setdefault(WRITTEN, _Written())
    return found


def _own(parameter: str) -> None:
    """No widget is bound to this parameter."""
    hold_address()
    _written().own.add(parameter)


def _say(parameters: dict[str, list[str]], written: _Written | None = None) -> None:
    """Only what differs: each is a message to the browser, and where another request waits the last thing that this run does."""

    def note() -> None:
        if written is not None:
            now = time.monotonic()
            written.left[:] = [(ts, address) for ts, address in written.left if now - ts < LATE_S]
            written.left.append((now, {name: st.query_params.get_all(name) for name in st.query_params}))

    for name, values in parameters.items():
        if not values and name in st.query_params:
            note()
            with contextlib.suppress(StreamlitAPIException):  # only the widget that is bound to it may change it
                st.query_params.pop(name, None)
    given = {name: values for name, values in parameters.items() if values and st.query_params.get_all(name) != values}
    if given:
        note()
        st.query_params.update(given)


def choose(label: str, options: Sequence[str], parameter: str, default: str = "", show: Callable[[str], str] = str, **more: Any) -> str:
    """A select box over ``options`` whose value is the address's ``parameter``; ``default`` (else the first) is not written there."""
    _own(parameter)
    default = default if default in options else options[0]
    wanted = st.query_params.get(parameter, default)
    st.session_state[parameter] = wanted if wanted in options else default
    return str(st.selectbox(label, options, format_func=show, key=parameter, on_change=_write, args=(parameter, default), **more))


def choose_many(label: str, options: Sequence[str], parameter: str, show: Callable[[str], str] = str, **more: Any) -> list[str]:
    """The same for any number of options."""
    _own(parameter)
    st.session_state[parameter] = [value for value in st.query_params.get_all(parameter) if value in options]
    return list(st.multiselect(label, options, format_func=show, key=parameter, on_change=_write, args=(parameter, None), **more))


def wanted(parameter: str, options: Sequence[str]) -> str:
    """What the address names, else what this visit of the page began with: a run that is new does not take its place.

    It is kept in the session and not written into the address, where it would stand between a visitor and the page before.
    """
    _own(parameter)
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
    """Take parameters out of the address that a widget is bound to; where it is drawn on this page they stay, since only it may change them."""
    _say({name: [] for name in parameters})


def _write(parameter: str, default: str | None) -> None:
    value = st.session_state[parameter]
    write_address(**{parameter: "" if value == default else value})
