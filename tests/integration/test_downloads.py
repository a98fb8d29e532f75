"""Pages of a run with hostile names: what it gives away has a name that only names it."""

import streamlit as st

from core.names import download_name
from core.runs.records import write_label
from tests.support import hostile
from tests.support.evaluated import evaluated_run
from tests.support.pages import caught_up

NAME = '../..\\.\u202e"; filename=/CON\r\n<b>.exe'


def test_what_pages_give_away_is_named_safely(visit, console, monkeypatch):
    given: dict[str, str] = {}
    monkeypatch.setattr(st, "download_button", lambda label, data, file_name, mime, **more: given.setdefault(more["key"], file_name))
    runs = [evaluated_run(console.home, 2, 3, name, names=[NAME, hostile.NAMES[4], "plain"]) for name in ("strange", "other")]
    for run in runs:
        write_label(run, NAME, NAME)
        caught_up(console, run)
    for name in ("runs", "live", "gallery", "curriculum", "workbench", "new_run"):
        page = visit(name, run=runs[0].run_id, logo=NAME, source="a logo of a run")
        assert not page.exception, name
    for tab in ("Overview", "Logo by logo"):
        visit("compare", run=[run.run_id for run in runs], tab=tab)
    assert {"svg.right", "svg.left", "csv", "csv.logos", "csv.figures", "export.runs", "yaml"} <= given.keys()
    assert [name for name in given.values() if download_name(name) != name or "/" in name] == []
    assert given["svg.right"].endswith("-agent.svg")
