"""The Runs page's export of a selection and its import of archives."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from core.runs.archive import pack
from core.runs.records import claim
from core.runs.run_dir import all_runs
from pages.views import take_home
from storage.table_files import read_table
from tests.support.events import write_run
from tests.support.pages import caught_up, texts
from tests.support.runs import tiny_config


@pytest.fixture
def runs(console, home):
    found = [write_run(home), write_run(home, 15, "other")]
    for run in found:
        caught_up(console, run)
    return found


def made(home: Path) -> list[Path]:
    return sorted((home / "cache" / "exports").glob("*/*"))


def test_export_begins_with_all_that_is_listed_and_not_only_a_page_of_it(visit, runs, home):
    page = visit("runs", find="other")
    page.button(key="open.export").click().run()
    assert not page.exception
    assert page.multiselect(key="of").value == [runs[1].run_id]
    assert page.query_params["take"] in ("export", ["export"])
    page.button(key="take.close").click().run()
    assert "Export runs" not in texts(page)
    more = [claim(home, tiny_config(home, name=f"more {n}")) for n in range(20)]  # two pages of the list
    page = visit("runs")
    page.button(key="open.export").click().run()
    assert set(page.multiselect(key="of").value) == {run.run_id for run in [*runs, *more]}


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_the_chosen_tables_of_the_chosen_runs_become_one_zip(form, visit, runs, home, tmp_path):
    page = visit("runs", take="export", of=[run.run_id for run in runs])
    page.segmented_control(key="take.form").set_value(form).run()
    page.button_group(key="take.kinds").set_value(["episodes", "events"]).run()
    page.button(key="take.make").click().run()
    assert not page.exception
    assert "Rows: episodes 35, events 10; includes a data dictionary" in texts(page)
    (path,) = made(home)
    assert path.name == f"2-runs-{form}.zip"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    assert read_table(tmp_path / f"runs-episodes.{form}").num_rows == 35
    assert (tmp_path / f"runs-dictionary.{form}").is_file()


def test_another_choice_needs_other_files(visit, runs):
    page = visit("runs", take="export", of=runs[0].run_id)
    page.button(key="take.make").click().run()
    assert "includes a data dictionary" in texts(page)
    page.segmented_control(key="take.form").set_value("json").run()
    assert "includes a data dictionary" not in texts(page)
    page.multiselect(key="of").set_value([]).run()
    assert page.button(key="take.make").disabled


def test_a_whole_run_goes_out_and_comes_in(visit, runs, home):
    page = visit("runs", take="export", of=runs[0].run_id)
    page.segmented_control(key="take.form").set_value("archive").run()
    page.button(key="take.make").click().run()
    (path,) = made(home)
    page = visit("runs", take="import")
    page.file_uploader(key="take.files.0").set_value(("mine.zip", path.read_bytes(), "application/zip")).run()
    page.text_input(key="take.as").set_value("a-copy").run()
    page.button(key="take.import").click().run()
    assert not page.exception
    assert "a\\-copy was imported" in texts(page)
    assert "a-copy" in [run.run_id for run in all_runs(home)]
    page.file_uploader(key="take.files.1").set_value(("mine.zip", path.read_bytes(), "application/zip")).run()  # the first one is emptied
    page.button(key="take.import").click().run()
    assert "already exists; nothing was changed" in texts(page)


def test_a_bad_upload_is_a_sentence_with_its_own_name(visit, runs, home):
    page = visit("runs", take="import")
    page.file_uploader(key="take.files.0").set_value(("mine.zip", b"not a zip", "application/zip")).run()
    page.button(key="take.import").click().run()
    assert not page.exception
    assert "mine.zip is not a ZIP file, or is damaged" in page.error[0].value.replace("\\", "")
    assert made(home) == []
    assert len(list(all_runs(home))) == 2
    assert not page.button(key="take.import").disabled  # it is still there, for another name


def test_what_was_made_goes_after_an_hour(console, runs, home, monkeypatch):
    old = take_home._folder(console)
    pack(runs, old / "old.zip")
    monkeypatch.setattr(take_home, "KEPT_S", -1.0)
    new = take_home._folder(console)
    assert not old.exists()
    assert new.is_dir()


def test_a_newcomer_can_import(visit):
    page = visit("runs")
    page.button(key="open.import").click().run()
    assert "Import runs" in texts(page)
