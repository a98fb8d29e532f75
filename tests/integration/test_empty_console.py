"""Pages of a console without runs: what each says, the form, the settings."""

import pytest
from streamlit.testing.v1 import AppTest

from core.config.installation import read_settings
from core.logos import sets
from core.logos.dataset import load_logos
from tests.support.pages import PAGES, texts
from tests.support.paths import ROOT


@pytest.mark.parametrize(("name", "title"), PAGES.items())
def test_a_page_without_runs_names_the_next_click(visit, name, title):
    page = visit(name)
    assert not page.exception
    assert page.title[0].value == ("Welcome" if name == "runs" else title)
    if name in ("runs", "live", "gallery", "compare"):
        assert "Start the quick run" in [b.label for b in page.button]


def test_the_first_visit_may_be_a_deep_link(console):
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).switch_page("pages/live.py").run()
    assert page.title[0].value == "Live"
    assert not page.exception


def test_the_form_says_what_is_wrong_and_does_not_start(visit):
    page = visit("new_run")
    assert not page.button(key="start").disabled
    page.number_input(key="set.preset.quick.ppo.batch_size").set_value(100).run()
    assert r"*Rollout steps per environment* \* *Environments* = 512 is not a multiple of *Batch size* = 100; try 500 or 600" in texts(page)
    assert page.button(key="start").disabled
    page.number_input(key="set.preset.quick.ppo.batch_size").set_value(64).run()
    assert not page.button(key="start").disabled
    assert "--set ppo.batch_size=64" in page.code[0].value
    page.number_input(key="set.preset.quick.ppo.learning_rate").set_value(7.0).run()
    assert "*Learning rate* = 7.0 is not allowed" in texts(page)
    assert r"\(0, 1\]" in texts(page)


def test_the_form_names_a_folder_that_is_missing(visit):
    page = visit("new_run")
    page.text_input(key="set.preset.quick.logos.path").set_value("nowhere").run()
    assert "is not a folder" in texts(page)
    assert page.button(key="start").disabled


def test_settings_are_saved_checked_and_tried(visit, console):
    page = visit("settings")
    page.text_area(key="set.urls").set_value("json://127.0.0.1:9/none").run()
    page.number_input(key="set.settings.queue.cores").set_value(2).run()
    next(b for b in page.button if b.label == "Save").click().run()
    saved = read_settings(console.home)
    assert saved.queue.cores == 2
    assert saved.notify.urls == ["json://127.0.0.1:9/none"]
    page = visit("settings")
    next(b for b in page.button if b.label == "Send a test message").click().run()
    assert "did not accept the message" in texts(page)
    page.number_input(key="set.settings.queue.cores").set_value(-3).run()
    assert "queue.cores = -3 is not allowed" in texts(page).replace("\\", "")
    assert next(b for b in page.button if b.label == "Save").disabled
    assert read_settings(console.home) == saved


def test_the_logos_page_shows_a_set_and_moves_a_logo(visit, console, logo_folder):
    files = [(path.name, path.read_bytes()) for path in sorted(logo_folder.rglob("*.png"))]
    files.append(("broken.png", b"nonsense"))
    folder = sets.add_pictures(console.home, "mine", files).folder
    page = visit("logos", set=str(folder))
    assert not page.exception
    metrics = {m.label: m.value for m in page.metric}
    assert metrics["Logos"] == "12"
    name = page.selectbox(key="logo").value
    now = next(logo.category for logo in load_logos(str(folder)).logos if logo.name == name)
    other = "text" if now != "text" else "simple"
    page.segmented_control(key=f"label.category.{name}").set_value(other).run()
    assert next(logo.category for logo in load_logos(str(folder)).logos if logo.name == name) == other
    for tab in ("Features", "Look alike", "Skipped", "Make a set"):
        assert not visit("logos", set=str(folder), tab=tab).exception
    page = visit("logos", path=str(console.home / "nowhere"))
    assert not page.exception
    assert "is not a folder" in texts(page)


def test_the_workbench_has_something_to_try_before_any_run(visit, console):
    page = visit("workbench", sample="gradient-003")
    assert not page.exception
    metrics = {m.label: m.value for m in page.metric}
    assert metrics["Gain"] == "+0.000"  # it starts from VTracer's defaults
    page.slider(key="bench.color_precision").set_value(5).run()
    assert not page.exception
    assert {m.label: m.value for m in page.metric}["Gain"] != "+0.000"
