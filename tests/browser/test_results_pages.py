"""Models, Reports and Search in a real browser, each from its form to what it makes, and back."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.models import registry
from core.reports import kept
from core.runs.run_dir import RunDir
from core.studies.runner import STOP_S
from core.studies.study import StudyStatus, all_studies
from tests.support.browsers import SETTLED, press_until
from tests.support.recorded import Recordings
from tests.support.servers import Server, serving


@dataclass(frozen=True)
class Shared:
    """A server with one run that has ended."""

    server: Server
    home: Path
    run: RunDir


@pytest.fixture(scope="module")
def shared(recordings: Recordings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("results")
    run = recordings.tiny(folder / "home", name="seed 1", seed=1)
    with serving(folder / "home", folder) as server:
        server.await_read(run.events_file.stat().st_size)
        yield Shared(server, folder / "home", run)


def press(page: Any, name: str | re.Pattern[str]) -> None:
    page.get_by_role("button", name=name).filter(visible=True).first.click()


def test_a_model_is_registered_promoted_and_deleted_and_comes_back(shared, browse):
    page = browse()
    page.goto(f"{shared.server.url}/models")
    page.get_by_role("textbox", name="Name").fill("mine")
    press(page, re.compile("Register$"))
    page.get_by_text("mine-v1", exact=True).first.wait_for()
    page.wait_for_selector(SETTLED)
    press(page, "More")  # of the newest, which stands first
    press(page, "Make default")
    page.get_by_text("mine-v1 is now the default").first.wait_for()
    assert registry.models(shared.home)[0].is_default
    page.wait_for_selector(SETTLED)
    with page.expect_download() as download:
        press(page, "Export")
    assert download.value.path().read_bytes().startswith(b"PK")
    page.reload()  # what was chosen is kept, and the menu is closed
    page.get_by_text("Default", exact=True).first.wait_for()
    page.wait_for_selector(SETTLED)
    page.get_by_role("button", name="More").last.click()  # of the one that ships
    press(page, "Make default")
    page.get_by_text("shipped is now the default").first.wait_for()
    page.reload()
    page.wait_for_selector(SETTLED)
    press(page, "More")
    press(page, "Delete")
    page.get_by_text("was deleted.").first.wait_for()
    assert [entry.model_id for entry in registry.models(shared.home)] == ["shipped"]
    press(page, "Undo")
    page.get_by_text("mine-v1 restored").first.wait_for()
    assert [entry.model_id for entry in registry.models(shared.home)] == ["mine-v1", "shipped"]


def test_a_report_is_made_opened_and_deleted_and_comes_back(shared, browse):
    page = browse()
    page.goto(f"{shared.server.url}/reports")
    page.get_by_role("combobox", name="Runs").first.fill("seed")
    page.get_by_role("option", name="seed 1").first.click()
    page.keyboard.press("Escape")
    page.wait_for_url("**run=**")
    press(page, "Make report")
    page.get_by_text("was trained").first.wait_for()
    (report,) = kept.all_reports(shared.home)
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Open", exact=True).first.click()
    opened = popup.value
    opened.get_by_role("heading", name="seed 1").first.wait_for()
    assert opened.url.endswith(report.name)
    assert opened.locator("nav a").count() > 5
    opened.locator(".chart svg.marks").nth(4).wait_for(state="attached")  # drawn, under the console's own headers
    opened.close()
    press(page, "Delete")
    page.get_by_text("was deleted.").first.wait_for()
    assert kept.all_reports(shared.home) == []
    press(page, "Undo")
    page.get_by_text("seed 1 restored").first.wait_for()
    assert kept.all_reports(shared.home) == [report]


def test_a_study_is_started_by_its_form_seen_at_work_and_stopped(shared, browse):
    page = browse()
    page.goto(f"{shared.server.url}/search")
    page.get_by_role("combobox", name="Base settings").click()
    page.get_by_role("option", name="quick", exact=True).first.click()
    page.wait_for_selector(SETTLED)
    for label, value in (("Trials", "3"), ("Steps per trial", "1024")):
        field = page.get_by_role("spinbutton", name=label, exact=True)
        field.fill(value)
        field.press("Enter")
    page.get_by_text("3 trials over 6 settings").first.wait_for()
    page.wait_for_selector(SETTLED)
    press(page, re.compile("Start$"))
    page.get_by_text("0 of 3").first.wait_for()
    page.wait_for_url("**study=**")
    (study,) = all_studies(shared.home)
    config = study.config()
    assert (config.n_trials, config.timesteps, study.base().name) == (3, 1024, "quick")
    page.get_by_role("link", name=re.compile("search")).first.wait_for()  # the first trial is a live run, in the sidebar as any
    press_until(page, page.get_by_role("button", name=re.compile("Stop$")).filter(visible=True).first, study.is_stop_wanted)
    page.get_by_text("Stopped", exact=True).first.wait_for(timeout=2000 * STOP_S)
    assert study.status()[0] is StudyStatus.STOPPED
    press(page, "Delete")
    press(page, "Delete the study")
    page.get_by_text("A study tries settings in many short runs").first.wait_for()
    assert list(all_studies(shared.home)) == []
