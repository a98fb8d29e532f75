"""Holds the table of actions in front of every action of a page: who acts is looked up each time, and each action is recorded.

A function that changes anything is decorated with :func:`acts`; hidden and disabled buttons are a courtesy only.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from typing import ParamSpec

import streamlit as st

from core.access import audit
from core.access.actions import ACTIONS, Action
from core.access.limits import Limit
from core.access.roles import Person, Role
from core.errors import TracewrightError
from pages.server import identity, service
from pages.views.text import plain
from pages.views.toasts import say

P = ParamSpec("P")
_LOG = logging.getLogger(__name__)
_MINUTE = Limit(60.0, time.monotonic)
_LEAVING = "access.leaving"


def whoami() -> Person:
    """Who uses this page, and their role at this moment."""
    return identity.person(st.user.to_dict())


def may(name: str) -> bool:
    """Whether the person may do the action of this name."""
    return whoami().role >= ACTIONS[name].role


def acts(name: str, is_drawn: bool = False) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Decorator: done only by who may, recorded before it is done; whoever may not is told why, in a toast.

    ``is_drawn``: called while the page is drawn rather than from a widget's callback, so that the reason is drawn there.
    """
    action = ACTIONS[name]

    def wrap(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def held(*args: P.args, **kwargs: P.kwargs) -> None:
            problem = _problem(action, audit.target_of([*args, *kwargs.values()]))
            icon = ":material/lock:"
            if not problem:
                try:
                    function(*args, **kwargs)
                except (TracewrightError, OSError) as error:  # what it acts on may be gone since it was drawn, or the disk be full
                    _LOG.warning("%s failed: %s", name, error)
                    problem, icon = f"{action.title} failed: {error}", ":material/error:"
            if problem and is_drawn:
                st.error(plain(problem), icon=icon)
            elif problem:
                say(plain(problem), icon)

        held.action = name  # type: ignore[attr-defined] # pages/views/buttons.py switches buttons off by it
        return held

    return wrap


def _problem(action: Action, target: str) -> str:
    """Why an action does not happen, "" where it does; it is recorded either way."""
    person = whoami()
    outcome, told = _outcome(person, action)
    try:
        audit.record(service.console().home, audit.now_entry(person.name or "signed out", person.role.label, action.name, target, outcome))
    except OSError as error:
        if person.is_limited:  # whoever uses this machine itself must be able to free its disk
            return f"Nothing was done, because it could not be recorded: {error.strerror or error}"
    return told


def _outcome(person: Person, action: Action) -> tuple[audit.Outcome, str]:
    """(outcome, what the person is told; "" where it may happen)."""
    if person.role < action.role:
        you = "you are signed out" if person.role is Role.SIGNED_OUT else f"you are {person.role.label}"
        return "refused", f"{action.title}: takes the role {action.role.label}; {you}."
    if person.is_limited:
        settings = identity.access_settings()
        most = settings.actions_per_minute if settings is not None else 0
        wait = _MINUTE.wait_s(person.name, 1, most)
        if wait:
            return "limited", f"{most} actions per minute are allowed. Try again in {min(wait, 60):.0f} s."
    return "allowed", ""


def admit() -> None:
    """Let a viewer and those above on; anybody else sees how to sign in, and nothing of the console. Then ends the page."""
    person = whoami()
    if person.role >= Role.VIEWER:
        _note_visit(person)
        return
    _, middle, _ = st.columns([1, 2, 1])
    with middle, st.container(border=True):
        if st.user.to_dict().get("is_logged_in") is True:
            _without_role(person)
        else:
            st.subheader("Sign in to Tracewright")
            _sign_in_buttons()
    st.stop()


def _without_role(person: Person) -> None:
    claims = st.user.to_dict()
    if person.name:
        st.subheader("You have no role here")
        st.markdown(
            f"You are signed in as **{plain(person.name)}**. An administrator can give you a role on Settings, or in `settings.yaml`:"
        )
        if person.name != (own := f"sub:{claims.get('sub')}"):
            st.caption("By your address, which the provider has verified, or by your identifier with the provider:")
        st.code(own, language=None)
    else:
        st.subheader("Sign in again")
        st.markdown("Your sign-in has ended, is too old, or can't be checked now.")
        _sign_in_buttons()
        return
    st.button("Sign out", icon=":material/logout:", key="access.out", on_click=sign_out)


def _sign_in_buttons() -> None:
    from_sections = sorted(identity.provider_names())
    for name in from_sections:
        label = f"Sign in with {name}" if name else "Sign in"
        st.button(
            plain(label), icon=":material/login:", type="primary", key=f"access.in.{name}", on_click=st.login, args=(name,) if name else ()
        )
    if not from_sections:
        st.error("Sign-in can't be used: no provider is set up in .streamlit/secrets.toml.")


def _note_visit(person: Person) -> None:
    """The beginning of a visit, and a role that changed within it, in the trail."""
    if not person.is_limited or st.session_state.get("access.seen") == person:
        return
    st.session_state["access.seen"] = person
    try:
        audit.record(service.console().home, audit.now_entry(person.name, person.role.label, "visit", "", "allowed"))
    except OSError:
        return  # what is done in it is recorded, or not done


def sign_out() -> None:
    """Callback of the button: over at once, in every page, whether or not the browser comes to the address that deletes its cookie."""
    identity.end_of(st.user.to_dict())
    st.session_state[_LEAVING] = True
    st.logout()


def show_person() -> Person:
    """In the sidebar: who is signed in, with which role, and the way out; returns them."""
    person = whoami()
    if st.session_state.get(_LEAVING):
        st.stop()  # drawn again, the page would drop the message that takes the browser to the address which deletes its cookie
    if person.role < Role.VIEWER:
        st.rerun()  # withdrawn while the page was open: draw the page again, which ends it
    if identity.way() == "sign-in":
        st.caption(f"{plain(person.name)} · {person.role.label}")
        st.button("Sign out", icon=":material/logout:", key="access.out", type="tertiary", on_click=sign_out)
    return person


def warn_if_shared() -> None:
    """On every page of a console that a token opens."""
    if identity.way() == "token":
        st.warning(
            "Shared by a token: whoever has the address with it can start, change and delete runs here, and what is sent is not encrypted. "
            "Share it with people you trust, on a network you trust; end the console when you are done.",
            icon=":material/public:",
        )
