"""Buttons and fields that do an action of the table: off, with a line that says which role it takes, for whoever may not do it.

A courtesy only: pages/views/access.py holds the table in front of every action, whatever was drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from core.access.actions import ACTIONS
from core.access.roles import Role
from pages.views.access import whoami
from pages.views.links import PAGE

PRESS, _PRESS_S = "press", 10.0  # the last one that nothing was done for yet, and how long it counts where its own run was cut off
_SURE_S = 1.0  # for how long a role that was looked up holds for what is drawn: a page has hundreds of buttons


def button(label: str, does: str = "", **more: Any) -> bool:
    """``st.button`` for an action, by its name or by the ``on_click`` that does it."""
    return pressed(label, **_held_back(does, more))


def submit_button(label: str, does: str, **more: Any) -> bool:
    """The same in a form."""
    return _pressed(st.form_submit_button, label, _held_back(does, more))


def pressed(label: str, **more: Any) -> bool:
    """``st.button`` whose press is not lost where the page is drawn again before it has come to the button, as when a field beside it changes or
    files arrive: Streamlit forgets it then. A callback runs before anything is drawn, so it can keep the press. What the button acts on belongs
    into its key, or the press could count for what was chosen meanwhile.
    """
    return _pressed(st.button, label, more)


def _pressed(draw: Callable[..., bool], label: str, more: dict[str, Any]) -> bool:
    if "on_click" in more:
        return draw(label, **more)
    key = more.setdefault("key", f"press.{label}")
    is_pressed = draw(label, on_click=_note_press, args=(key,), **more)
    kept = st.session_state.get(PRESS)
    if kept is not None and kept[:2] == (key, st.session_state.get(PAGE)):
        del st.session_state[PRESS]
        is_pressed = is_pressed or time.monotonic() - kept[2] < _PRESS_S
    return is_pressed and not more.get("disabled")


def _note_press(key: str) -> None:
    st.session_state[PRESS] = (key, st.session_state.get(PAGE), time.monotonic())


def locked(does: str, **more: Any) -> dict[str, Any]:
    """``more``, and for whoever may not do the action what switches a field off."""
    why = refusal(does)
    return more | ({"disabled": True, "help": why} if why else {})


def refusal(does: str) -> str:
    """Why the person who looks at the page may not do an action of this name; "" where they may."""
    takes, role = ACTIONS[does].role, _role()
    return "" if role >= takes else f"Takes the role {takes.label}; you are {role.label}."


def _held_back(does: str, more: dict[str, Any]) -> dict[str, Any]:
    return locked(does or more["on_click"].action, **more)


def _role() -> Role:
    claims, now = st.user.to_dict(), time.monotonic()
    kept = st.session_state.get("access.role")
    if kept is None or kept[0] != claims or now - kept[1] > _SURE_S:
        kept = st.session_state["access.role"] = (claims, now, whoami().role)
    role: Role = kept[2]
    return role
