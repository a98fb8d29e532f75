"""Saved views of the list of runs: kept under a name, opened by a link, one's own where people sign in, and never in the way."""

import json

import pytest

from core.access.roles import Role
from core.bench.made_up import finished_runs
from core.runs.small_files import RunTable, SavedView
from pages.views.runs.choices import PEOPLE, TABLE_FILE
from pages.views.runs.saved import VIEWS_FILE, read_views
from tests.support.pages import texts
from tests.support.sign_in import asked_to_sign_in, claims_of

ODD = "$x$ *b* ![](http://x)"


@pytest.fixture(autouse=True)
def made(home) -> None:
    """Six runs that ended before the console began."""
    finished_runs(home, 6)


@pytest.fixture
def listed(visit):
    """The list of them, looked at in a way of its own."""
    page = visit("runs", columns=["seed", "tags"], sort="name", fold="seeds", find="many")
    page.toggle(key="unfinished").set_value(False).run()
    return page


def save(page, name: str):
    page.text_input(key="view.name").set_value(name).run()
    return page.button(key="view.save").click().run()


def test_a_view_is_saved_opened_by_a_link_overwritten_and_deleted_with_undo(listed, visit, home):
    save(listed, ODD)
    assert listed.query_params["view"] == ODD
    assert read_views(home / VIEWS_FILE) == ({ODD: SavedView(ODD, RunTable(["seed", "tags"], "name", "seeds"), "many")}, "")
    other = visit("runs", view=ODD)
    assert other.multiselect(key="columns").value == ["seed", "tags"]
    assert [other.selectbox(key=key).value for key in ("sort", "fold", "view.shown")] == ["name", "seeds", ODD]
    assert other.text_input(key="find").value == "many"
    assert not other.toggle(key="unfinished").value
    assert other.button(key="view.save").label == "Overwrite"
    other.selectbox(key="sort").set_value("oldest first").run()
    other.button(key="view.save").click().run()
    assert read_views(home / VIEWS_FILE)[0][ODD].table.sort == "oldest first"
    other.button(key="view.delete").click().run()
    assert read_views(home / VIEWS_FILE) == ({}, "")
    assert r"**\$x\$ \*b\* \!\[\]\(http\://x\)** was deleted" in texts(other)
    other.button(key="undo.view").click().run()
    assert list(read_views(home / VIEWS_FILE)[0]) == [ODD]
    assert other.query_params["view"] == ODD
    assert not listed.exception
    assert not other.exception


def test_choosing_a_view_sets_the_list_and_none_leaves_it(listed, home):
    save(listed, "first")
    listed.selectbox(key="sort").set_value("oldest first").run()
    save(listed, "second")
    listed.selectbox(key="view.shown").set_value("first").run()
    assert listed.selectbox(key="sort").value == "name"
    assert listed.text_input(key="view.name").value == "first"
    listed.selectbox(key="view.shown").set_value("").run()
    assert "view" not in listed.query_params
    assert listed.selectbox(key="sort").value == "name"
    assert not listed.exception


@pytest.mark.parametrize(
    "text", ["[", "[]", '{"views": [{"name": 1}]}', '{"views": {}}', "\0", '{"views": [{"name": "' + "x" * 99 + '"}]}']
)
def test_a_damaged_file_is_one_line_and_is_kept_beside_the_new_one(visit, home, text):
    (home / VIEWS_FILE).write_text(text)
    page = visit("runs")
    assert [w.value for w in page.warning if "no saved view is shown" in w.value.replace("\\", "")] == [page.warning[0].value]
    assert len([box for box in page.checkbox if box.key.startswith("pick.")]) == 6
    save(page, "mine")
    assert list(read_views(home / VIEWS_FILE)[0]) == ["mine"]
    assert (home / f"{VIEWS_FILE}.damaged").read_text() == text
    assert not page.exception


def test_a_view_that_is_not_there_is_said_and_a_link_with_more_in_it_is_followed(listed, visit):
    page = visit("runs", view="gone *b*")
    assert r"There is no saved view “gone \*b\*”" in texts(page)
    save(listed, "mine")
    page = visit("runs", view="mine", sort="longest")
    assert page.selectbox(key="sort").value == "longest"
    assert not page.exception


def test_what_a_newer_version_saved_is_opened_as_far_as_it_is_known(visit, home):
    view = {"name": "new", "table": {"columns": ["colour", "seed"], "sort": "by mood", "group": "seeds", "zoom": 2}, "more": True}
    (home / VIEWS_FILE).write_text(json.dumps({"v": 2, "views": [view]}))
    page = visit("runs", view="new")
    assert page.multiselect(key="columns").value == ["seed"]
    assert page.selectbox(key="fold").value == "seeds"
    assert not page.exception


def test_each_person_who_signs_in_has_views_and_columns_of_their_own(visit, home, tmp_path):
    with asked_to_sign_in(home, tmp_path):
        for role, name in ((Role.VIEWER, "of vera"), (Role.TRAINER, "of tom")):
            page = visit("runs")
            page.user = claims_of(role)
            page.run()
            assert not [box for box in page.selectbox if box.key == "view.shown"]
            save(page, name)
            page.multiselect(key="columns").set_value(["seed"]).run()
            assert page.selectbox(key="view.shown").options == ["none", name]
            assert not page.exception
        assert len(list((home / PEOPLE).glob(f"*/{VIEWS_FILE}"))) == len(list((home / PEOPLE).glob(f"*/{TABLE_FILE}"))) == 2
        assert not (home / VIEWS_FILE).exists()
        assert not (home / TABLE_FILE).exists()
