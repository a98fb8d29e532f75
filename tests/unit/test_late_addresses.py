"""What somebody does within the latency of a click comes with the address of before it: what that click wrote there stays."""

from __future__ import annotations

import re
import time
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from pages.views import links
from tests.support.paths import ROOT


def page() -> None:
    import streamlit as st

    from pages.views.links import begin_address, choose, choose_many, hold_address, write_address

    def add(name: str) -> None:
        hold_address()
        write_address(pins=[*st.query_params.get_all("pins"), name])

    begin_address()
    choose("Logo", ["a", "b", "c"], "logo")
    choose_many("Runs", ["r", "s", "t"], "with")
    st.toggle("Dark", key="dark", bind="query-params")
    st.slider("Other", 0, 9, key="other")
    st.button("Next", key="next", on_click=write_address, kwargs={"logo": "c"})
    for name in ("x", "y"):
        st.button(name, key=name, on_click=add, args=(name,))


@pytest.fixture
def at() -> AppTest:
    return AppTest.from_function(page).run()


def test_a_choice_stays_when_the_next_click_comes_with_the_address_of_before(at):
    at.selectbox(key="logo").set_value("b").run()
    assert at.query_params["logo"] in ("b", ["b"])
    del at.query_params["logo"]
    at.slider(key="other").set_value(3).run()
    assert at.selectbox(key="logo").value == "b"
    assert at.query_params["logo"] in ("b", ["b"])
    assert at.slider(key="other").value == 3


def test_the_last_of_several_quick_choices_stays(at):
    at.selectbox(key="logo").set_value("b").run()
    at.button(key="next").click().run()
    for late in ("b", None):
        if late is None:
            del at.query_params["logo"]
        else:
            at.query_params["logo"] = late
        at.slider(key="other").set_value(4).run()
        assert at.selectbox(key="logo").value == "c"
        assert at.query_params["logo"] in ("c", ["c"])


def test_what_was_taken_out_stays_out(at):
    at.multiselect(key="with").set_value(["r", "s"]).run()
    at.multiselect(key="with").set_value([]).run()
    at.query_params["with"] = ["r", "s"]
    at.slider(key="other").set_value(5).run()
    assert at.multiselect(key="with").value == []
    assert "with" not in at.query_params


def test_of_two_quick_presses_none_undoes_the_other(at):
    at.button(key="x").click().run()
    del at.query_params["pins"]
    at.button(key="y").click().run()
    assert at.query_params["pins"] == ["x", "y"]


def test_a_link_to_something_else_goes_first(at):
    at.selectbox(key="logo").set_value("b").run()
    at.query_params["logo"] = "c"
    at.run()
    assert at.selectbox(key="logo").value == "c"
    del at.query_params["logo"]
    at.run()
    assert at.selectbox(key="logo").value == "a"


def test_a_link_that_names_another_thing_beside_what_was_before_goes_first(at):
    at.selectbox(key="logo").set_value("b").run()
    del at.query_params["logo"]
    at.query_params["with"] = "s"
    at.run()
    assert at.selectbox(key="logo").value == "a"
    assert at.multiselect(key="with").value == ["s"]
    assert "logo" not in at.query_params


def test_what_the_browser_wrote_for_a_widget_of_its_own_makes_no_difference(at):
    at.selectbox(key="logo").set_value("b").run()
    del at.query_params["logo"]
    at.query_params["dark"] = "true"  # as Streamlit does for a widget that is bound to the address
    at.toggle(key="dark").set_value(True).run()
    assert at.selectbox(key="logo").value == "b"


def test_what_the_browsers_buttons_ask_for_goes_first(at, monkeypatch):
    at.selectbox(key="logo").set_value("b").run()
    monkeypatch.setattr(links, "get_script_run_ctx", lambda: SimpleNamespace(is_history_navigation=True))
    del at.query_params["logo"]
    at.run()
    assert at.selectbox(key="logo").value == "a"
    assert "logo" not in at.query_params


def test_an_address_of_before_counts_again_after_a_while(at, monkeypatch):
    at.selectbox(key="logo").set_value("b").run()
    now = time.monotonic()
    monkeypatch.setattr(links.time, "monotonic", lambda: now + links.LATE_S)
    del at.query_params["logo"]
    at.run()
    assert at.selectbox(key="logo").value == "a"


def test_the_address_is_written_in_one_place():
    """Any other way forgets what the next click must not undo."""
    written = re.compile(r"query_params(\[[^\]]+\] = |\.(pop|update|clear|from_dict)\()|del st\.query_params")
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "pages").rglob("*.py") if written.search(path.read_text(encoding="utf-8"))}
    assert found == {"pages/views/links.py"}
