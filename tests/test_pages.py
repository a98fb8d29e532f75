"""Each page with no runs, a live run and an ended run; the form; the buttons."""

import json
import shutil
import time

import pytest
from conftest import ROOT, tiny_config
from streamlit.testing.v1 import AppTest

from core.learning.trainer import train
from core.runs.launchers import local
from core.runs.run_dir import RunDir, all_runs, claim
from core.runs.status import Status, run_state
from pages.views import charts, svg, tables
from pages.views.shell import SECTIONS
from storage import queries

PAGES = {name: title for section in SECTIONS.values() for name, title in section.items()}


def caught_up(console, run, timeout=30.0):
    """Wait until the ingest has read all that is in the run's log."""
    deadline = time.monotonic() + timeout
    while console.store.offsets().get(run.run_id, -1) < run.events_file.stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def texts(page: AppTest) -> str:
    found = [
        e.value for kind in ("markdown", "caption", "info", "warning", "error", "success", "subheader", "title") for e in page.get(kind)
    ]
    return "\n".join(str(value) for value in found)


@pytest.fixture
def ended(console, logo_folder):
    run = claim(console.home, tiny_config(logo_folder, curriculum={"enabled": True, "window": 8, "min_episodes": 20}))
    train(run)
    caught_up(console, run)
    return run


@pytest.fixture
def live(console, logo_folder):
    run = local.start(console.home, tiny_config(logo_folder, total_timesteps=500_000))
    deadline = time.monotonic() + 60
    while not queries.counts(console.store, run.run_id)["metrics"]:
        assert time.monotonic() < deadline, run.log_tail()
        time.sleep(0.05)
    yield run
    if not run_state(run).status.is_finished:
        local.stop(run, force=True)
    while run_state(run).status is Status.RUNNING:
        time.sleep(0.05)


@pytest.mark.parametrize(("name", "title"), PAGES.items())
def test_a_page_without_runs_names_the_next_click(visit, name, title):
    page = visit(name)
    assert not page.exception
    assert page.title[0].value == title
    if name != "new_run":
        assert "Start the quick run" in [b.label for b in page.button]


@pytest.mark.parametrize(("name", "title"), PAGES.items())
def test_a_page_with_an_ended_run(visit, ended, name, title):
    page = visit(name, run=ended.run_id)
    assert not page.exception
    assert page.title[0].value == title
    if name in ("live", "gallery"):
        assert page.selectbox(key="run").value == ended.run_id
        assert not page.error


def test_a_link_names_a_run_by_its_id_whatever_it_is_called(visit, console, ended):
    """Three runs of one name; none but the newest is the default."""
    for suffix in ("older", "newer"):
        shutil.copytree(ended.path, console.home / f"custom-{suffix}")
        caught_up(console, RunDir(console.home / f"custom-{suffix}"))
    for name in ("live", "gallery"):
        for run_id in (ended.run_id, "custom-older", "custom-newer"):
            page = visit(name, run=run_id)
            assert not page.exception
            assert page.selectbox(key="run").value == run_id
        page.selectbox(key="run").set_value(ended.run_id).run()
        assert page.selectbox(key="run").value == ended.run_id
        assert page.query_params["run"] in (ended.run_id, [ended.run_id])
    page = visit("gallery", run=ended.run_id, at="32", logo=sorted(queries_logos(ended))[-1])
    assert page.selectbox(key="at").value == "32"
    assert page.selectbox(key="logo").value == sorted(queries_logos(ended))[-1]
    page = visit("live", run=ended.run_id, **{"with": "custom-older"})
    assert page.multiselect(key="with").value == ["custom-older"]


@pytest.mark.parametrize(("name", "title"), PAGES.items())
def test_a_page_with_a_live_run(visit, live, name, title):
    page = visit(name)
    assert not page.exception
    assert page.title[0].value == title
    if name in ("runs", "live"):
        assert "Stop" in [b.label for b in page.button]


def test_the_first_visit_may_be_a_deep_link(console):
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30).switch_page("pages/live.py").run()
    assert page.title[0].value == "Live"
    assert not page.exception


def test_live_draws_curves_heatmap_and_exports(visit, ended):
    charts = {}
    for tab in ("Success", "Parameters", "Rewards", "Losses", "Events and log", "Export"):
        page = visit("live", run=ended.run_id, tab=tab)
        assert not page.exception
        charts[tab] = len(page.get("vega_lite_chart")) - 3  # stages, gain and reward stand above the tabs
    assert charts.pop("Losses") in range(9, 13)  # failures and lost workers have a chart where there were any
    assert charts == {"Success": 2, "Parameters": 2, "Rewards": 2, "Events and log": 0, "Export": 0}
    page = visit("live", run=ended.run_id, tab="Parameters")
    assert {"Best validation gain", "Episodes"} <= {m.label for m in page.metric}
    page.segmented_control(key="x").set_value("minutes").run()
    assert not page.exception
    page.selectbox(key="param").set_value("layer_difference").run()
    page.segmented_control(key="by").set_value("gain").run()
    assert not page.exception


def test_live_with_a_run_that_does_not_exist_says_so(visit, ended):
    page = visit("live", run="20000101-000000-gone")
    assert "There is no run 20000101-000000-gone" in texts(page)
    assert not page.exception


def test_stop_from_the_page_ends_the_run(visit, live):
    page = visit("live", run=live.run_id)
    page.button(key="stop").click().run()
    deadline = time.monotonic() + 60
    while not run_state(live).status.is_finished:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run_state(live).status is Status.STOPPED
    assert "Resume" in [b.label for b in visit("live", run=live.run_id).button]


def test_rename_and_delete_from_the_table(visit, ended):
    page = visit("runs")
    page.text_input(key=f"name.{ended.run_id}").set_value("My best").run()
    assert ended.read_label()["name"] == "My best"
    assert page.button(key=f"delete.{ended.run_id}").disabled
    page.checkbox(key=f"sure.{ended.run_id}").check().run()
    page.button(key=f"delete.{ended.run_id}").click().run()
    assert not ended.path.exists()
    assert not page.exception


def test_a_run_whose_config_is_broken_does_not_break_the_table(visit, ended, console):
    broken = console.home / "20260101-000000-broken"
    broken.mkdir()
    (broken / "config.yaml").write_text("ppo: {gamma: 7}")
    page = visit("runs")
    assert not page.exception
    assert "ppo.gamma = 7 is not allowed" in texts(page)
    assert not visit("live", run=broken.name).exception


def test_the_gallery_sorts_filters_and_walks(visit, ended):
    page = visit("gallery", run=ended.run_id)
    logos = page.selectbox(key="logo").options
    assert len(logos) == len(queries_logos(ended))
    first = page.selectbox(key="logo").value
    page.button(key="next").click().run()
    assert page.selectbox(key="logo").value != first
    page.selectbox(key="sort").set_value("name").run()
    assert list(page.selectbox(key="logo").options) == sorted(page.selectbox(key="logo").options)
    page.text_input(key="logo_find").set_value("no such logo").run()
    assert "No logo matches" in texts(page)
    assert not page.exception


def queries_logos(run):
    events = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    return {e["data"]["logo"] for e in events if e["kind"] == "evaluated"}


def test_a_gallery_whose_files_are_gone_says_so(visit, ended):
    for path in ended.path.rglob("*.svg"):
        path.unlink()
    page = visit("gallery", run=ended.run_id)
    assert "its file is gone" in texts(page)
    assert not page.exception


def test_the_form_says_what_is_wrong_and_does_not_start(visit):
    page = visit("new_run")
    assert not page.button(key="start").disabled
    page.number_input(key="set.preset.quick.ppo.batch_size").set_value(100).run()
    assert "ppo.n_steps * n_envs = 512 is no multiple of ppo.batch_size = 100; try 500 or 600" in texts(page)
    assert page.button(key="start").disabled
    page.number_input(key="set.preset.quick.ppo.batch_size").set_value(64).run()
    assert not page.button(key="start").disabled
    assert "--set ppo.batch_size=64" in page.code[0].value
    page.number_input(key="set.preset.quick.ppo.learning_rate").set_value(7.0).run()
    assert "ppo.learning_rate = 7.0 is not allowed" in texts(page)
    assert "(0, 1]" in texts(page)


def test_the_form_names_a_folder_that_is_missing(visit):
    page = visit("new_run")
    page.text_input(key="set.preset.quick.logos.path").set_value("nowhere").run()
    assert "is no folder" in texts(page)
    assert page.button(key="start").disabled


def test_every_preset_and_a_clone_fill_the_form(visit, ended):
    for name in ("quick", "recommended", "ppo_training"):
        page = visit("new_run", preset=name)
        assert not page.exception
        assert not page.button(key="start").disabled
        assert f"configs/{name}.yaml" in page.code[0].value
    page = visit("new_run", clone=ended.run_id)
    assert "A copy of" in texts(page)
    assert page.number_input(key=f"set.clone.{ended.run_id}.total_timesteps").value == 96


def test_start_from_the_form_starts_a_run(visit, console, logo_folder):
    page = visit("new_run")
    page.text_input(key="set.preset.quick.logos.path").set_value(str(logo_folder)).run()
    page.number_input(key="set.preset.quick.total_timesteps").set_value(1024).run()
    page.button(key="start").click().run()
    (run,) = all_runs(console.home)
    assert run.read_config().logos.path == str(logo_folder)
    local.stop(run, force=True)
    while run_state(run).status is Status.RUNNING:
        time.sleep(0.05)


def test_a_run_from_the_command_line_appears_by_itself(visit, console, logo_folder):
    assert "Start the quick run" in [b.label for b in visit("runs").button]
    run = claim(console.home, tiny_config(logo_folder, total_timesteps=32))
    train(run)
    caught_up(console, run)
    page = visit("runs")
    assert "Completed" in texts(page)
    assert f"name.{run.run_id}" in {field.key for field in page.text_input}


def test_smoothing_is_debiased():
    import pandas as pd

    series = pd.DataFrame({"run_id": "r", "name": "n", "x": range(5), "mean": [10.0] * 5})
    assert charts.smooth(series, 0.9)["smooth"].to_list() == pytest.approx([10.0] * 5)


def test_colours_of_runs_stay_when_others_are_shown():
    everyone = ["a", "b", "c"]
    assert charts.run_colours(["c"], everyone)["c"] == charts.run_colours(["a", "c"], everyone)["c"]


def test_an_svg_reaches_a_page_only_inside_a_data_url():
    url = svg.svg_url(b"<svg onload='x'><script>alert(1)</script></svg>")
    assert url.startswith("data:image/svg+xml;base64,")
    assert "script" not in url
    assert "innerHTML" not in svg.SLIDER_JS


@pytest.mark.parametrize(("minutes", "text"), [(0.5, "30 s"), (3.5, "3 min 30 s"), (125, "2 h 05 min")])
def test_durations_read_well(minutes, text):
    assert tables.duration_text(minutes) == text


def test_a_chart_of_one_point_has_an_axis_of_some_length():
    import pandas as pd

    one = pd.DataFrame({"run_id": ["r"], "step": [0], "gain": [0.1], "gain_low": [0.0], "gain_high": [0.2], "share_better": [0.5]})
    drawn = charts.evaluation_line(one, {"r": "#000000"}, "step", {}).to_dict()
    assert drawn["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0.0, 1.0]
