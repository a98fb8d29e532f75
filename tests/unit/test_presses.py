"""A press that a page comes to only when it is drawn for the second time is not lost; one that is too old or of another page does nothing."""

from __future__ import annotations

import time

import pytest
from streamlit.testing.v1 import AppTest

from pages.views import buttons


def page() -> None:
    import streamlit as st

    from pages.views.buttons import pressed

    st.session_state.setdefault("page.title", "One")
    st.session_state["page"] = 3  # a pagination
    if st.session_state.pop("goes elsewhere", False):
        st.stop()  # as where another request interrupts the script before it comes to the button
    n = st.session_state.setdefault("n", 0)
    if pressed("Go", disabled=st.session_state.get("is off", False)):
        st.session_state["n"] = n + 1


@pytest.fixture
def at() -> AppTest:
    return AppTest.from_function(page).run()


def test_a_press_counts_once(at):
    at.button[0].click().run()
    assert at.session_state["n"] == 1
    at.run()
    assert at.session_state["n"] == 1


def test_a_press_that_was_interrupted_counts_when_the_button_is_drawn_next(at):
    at.session_state["goes elsewhere"] = True
    at.button[0].click().run()
    assert at.session_state["n"] == 0
    at.run()
    assert at.session_state["n"] == 1
    at.run()
    assert at.session_state["n"] == 1


@pytest.mark.parametrize("how", ["late", "elsewhere", "off"])
def test_a_press_of_before_does_nothing(at, how, monkeypatch):
    at.session_state["goes elsewhere"] = True
    at.button[0].click().run()
    if how == "late":
        now = time.monotonic()
        monkeypatch.setattr(buttons.time, "monotonic", lambda: now + 60)
    elif how == "elsewhere":
        at.session_state["page.title"] = "Two"
    else:
        at.session_state["is off"] = True
    at.run()
    assert at.session_state["n"] == 0
