"""The page Search without a browser: its form, a study's tabs, and what its buttons do."""

from __future__ import annotations

import json
import os

import pytest

from core.config.config import RunConfig
from core.config.text import presets
from core.machine import Process
from core.runs.records import read_config, write_trial
from core.runs.run_dir import all_runs
from core.runs.small_files import Trial
from core.scheduling import queue
from core.studies import analysis, winners
from core.studies.storage import read_trials
from core.studies.study import StudyStatus, all_studies, create
from pages.views import study_charts
from tests.support.pages import texts
from tests.support.runs import tiny_config
from tests.support.studies import made_up, study_config


@pytest.fixture
def launched(monkeypatch):
    """Which studies were given to a process; none is started."""
    found: list[str] = []
    monkeypatch.setattr(winners, "work_in_background", lambda study: found.append(study.study_id))
    return found


def titles(page) -> list[str]:
    return [e.value.strip("*") for e in page.markdown if e.value.startswith("**") and e.value.endswith("**")]


def metric(page, label: str) -> str:
    return next(m.value for m in page.metric if m.label == label)


def test_a_first_visit_shows_the_form_and_starts_a_study(visit, console, launched):
    page = visit("search")
    assert not page.exception
    assert "A study tries settings in many short runs" in texts(page)
    page.number_input(key="study.n_trials").set_value(7).run()
    page.selectbox(key="study.pruner").set_value("hyperband").run()
    assert "7 trials" in texts(page)
    page.button(key="start").click().run()
    assert not page.exception
    (study,) = all_studies(console.home)
    assert launched == [study.study_id]
    config = study.config()
    assert (config.n_trials, config.pruner, config.timesteps) == (7, "hyperband", 8192)
    assert list(config.space) == [
        "ppo.learning_rate", "ppo.n_epochs", "ppo.batch_size", "ppo.clip_range", "ppo.ent_coef", "ppo.log_std_init",
    ]  # fmt: skip
    assert config.space["ppo.batch_size"].choices == [32, 64, 128, 256, 512]
    assert study.base().name == "recommended"


def test_the_form_says_what_is_wrong_and_does_not_start(visit, launched):
    page = visit("search")
    page.multiselect(key="study.objectives").set_value(["gain", "bytes"]).run()
    assert "with several objectives no trial can be pruned" in texts(page)
    assert page.button(key="start").disabled
    page.selectbox(key="study.pruner").set_value("none").run()
    assert not page.button(key="start").disabled
    page.number_input(key="study.n_trials").set_value(0).run()
    assert "n_trials = 0 is not allowed" in texts(page).replace("\\", "")
    assert page.button(key="start").disabled


def test_a_study_is_made_of_its_yaml_too(visit, console, launched):
    page = visit("search")
    page.toggle(key="study.yaml").set_value(True).run()
    area = next(iter(page.text_area))
    assert "learning_rate: {low: 0.0001, high: 0.01, log: true}" in area.value
    area.set_value(area.value.replace("high: 0.01, log", "high: 0.5, log") + "set: {n_workers: 1}\n").run()
    page.button(key="start").click().run()
    (study,) = all_studies(console.home)
    assert study.config().space["ppo.learning_rate"].high == 0.5
    assert study.base().n_workers == 1
    page = visit("search")
    page = visit("search", study=study.study_id)
    assert not page.exception


def test_broken_yaml_is_one_clear_line(visit, launched):
    page = visit("search")
    page.toggle(key="study.yaml").set_value(True).run()
    for text, told in (
        ("a: [", "is not valid YAML"),
        ("sampler: luck", "sampler = 'luck' is not allowed"),
        ("config: elsewhere", "is not a preset"),
    ):
        next(iter(page.text_area)).set_value(text).run()
        assert told in texts(page)
        assert page.button(key="start").disabled
        assert not page.exception


@pytest.mark.parametrize(
    ("tab", "charts"),
    [
        ("Progress", ["History", "Gain at each evaluation"]),
        ("Settings", ["Importance", "All settings together", "ppo.activation", "ppo.learning_rate and ppo.n_epochs"]),
        ("Trials", ["Timeline"]),
    ],
)
def test_the_tabs_of_a_study_draw_their_charts(visit, console, tab, charts):
    study = made_up(console.home, 40, max_worse_share=0.2)
    page = visit("search", study=study.study_id, tab=tab)
    assert not page.exception
    assert set(charts) <= set(titles(page))
    assert metric(page, "Trials") == "39 of 20"
    if tab == "Settings":
        page = visit("search", study=study.study_id, tab=tab, importance="both", x="ppo.net_arch_pi", y="ppo.activation")
        assert not page.exception
        assert "ppo.net_arch_pi and ppo.activation" in titles(page)


@pytest.mark.parametrize("objectives", [["gain", "minutes"], ["gain", "minutes", "bytes"]])
@pytest.mark.parametrize("tab", ["Progress", "Settings", "Trade-off", "Trials", "About"])
def test_several_objectives_have_a_front_to_choose_on(visit, console, objectives, tab):
    study = made_up(console.home, 30, objectives=objectives, pruner="none")
    page = visit("search", study=study.study_id, tab=tab, objective="minutes")
    assert not page.exception
    if tab == "Trade-off":
        assert "Trade-off" in titles(page)
        assert "on the Pareto front" in texts(page)


def test_a_trial_can_be_chosen_after_a_point_of_the_front_was(visit, console, monkeypatch):
    study = made_up(console.home, 30, objectives=["gain", "minutes"], pruner="none")
    other, picked = (trial.number for trial in analysis.ranked(read_trials(study), study.config(), 2))
    monkeypatch.setattr(
        study_charts, study_charts.trade_off.__name__, lambda _: picked
    )  # the chart tells it again whenever the page is drawn
    page = visit("search", study=study.study_id, tab="Trade-off")
    assert page.selectbox(key="trial").value == str(picked)
    page.selectbox(key="trial").set_value(str(other)).run()
    assert not page.exception
    assert page.selectbox(key="trial").value == str(other)


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_a_study_that_has_hardly_begun_says_what_it_waits_for(visit, console, n):
    study = made_up(console.home, n) if n else create(console.home, study_config(), RunConfig())
    for tab in ("Progress", "Settings", "Trials", "About"):
        page = visit("search", study=study.study_id, tab=tab)
        assert not page.exception
    assert "you can train it in full" in texts(page) or n > 1


def test_the_best_is_trained_and_kept(visit, console, launched, monkeypatch):
    monkeypatch.setattr(console.scheduler, "_launch", lambda *_: None)  # that it is queued is enough here
    study = made_up(console.home, 24)
    page = visit("search", study=study.study_id)
    best = page.selectbox(key="trial").value
    page.button(key="train").click().run()
    (run,) = all_runs(console.home)
    row = read_trials(study)[int(best)]
    assert read_config(run).ppo.learning_rate == row.params["ppo.learning_rate"]
    page.text_input(key="preset.name").set_value("tuned").run()
    page.button(key="preset.keep").click().run()
    assert "tuned" in presets()
    page = visit("new_run", preset="tuned")
    assert not page.exception
    assert f"Trial {best} of the study" in texts(page)
    assert not page.button(key="start").disabled


def test_a_study_is_continued_with_more_trials_stopped_and_deleted(visit, console, launched):
    study = made_up(console.home, 24)
    page = visit("search", study=study.study_id)
    page.number_input(key="more.trials").set_value(90).run()
    page.button(key="continue").click().run()
    assert launched == [study.study_id]
    assert study.config().n_trials == 90
    study.write_process(Process.of(os.getpid()))
    page = visit("search", study=study.study_id)
    page.button(key="stop").click().run()
    assert study.is_stop_wanted()
    study.drop_process()
    study.write_ended(StudyStatus.STOPPED, "asked to stop")
    page = visit("search", study=study.study_id)
    assert "Asked to stop" in texts(page)
    page.button(key=f"delete.{study.study_id}").click().run()
    assert not page.exception
    assert not list(all_studies(console.home))


def test_a_damaged_study_hides_nothing_else(visit, console):
    whole, broken = made_up(console.home, 6), made_up(console.home, 6)
    broken.config_file.write_text("sampler: luck\n")
    page = visit("search", study=broken.study_id)
    assert "can't be shown" in texts(page)
    assert not page.exception
    broken.config_file.write_bytes(whole.config_file.read_bytes())
    broken.journal.write_text("{broken\n{}\n")
    page = visit("search", study=broken.study_id)
    assert "journal.log can't be read".replace("_", "") in texts(page).replace("\\", "")
    page = visit("search", study=whole.study_id)
    assert "History" in titles(page)


def test_a_preset_that_is_broken_does_not_take_the_form_away(visit, console):
    study = made_up(console.home, 24)
    path = winners.keep_as_preset(console.home, study, winners.chosen(study), "tuned")
    path.write_text("ppo: {gamma: 7}")
    for name in ("new_run", "search"):
        page = visit(name, preset="tuned")
        assert not page.exception
    page = visit("new_run", preset="tuned")
    assert "The preset tuned can't be used" in texts(page)


def test_trials_stand_in_the_list_of_runs_below_their_study(visit, console, logo_folder):
    for number in range(3):
        run = queue.submit(console.home, tiny_config(logo_folder, name=f"trial {number}"))
        queue.cancel(run)
        write_trial(run, Trial("my-study", number))
    own = queue.submit(console.home, tiny_config(logo_folder, name="my own"))
    queue.cancel(own)
    page = visit("runs")
    assert not page.exception
    assert "3 trials of 1 study" in [e.label for e in page.expander]
    assert "3 stopped" in texts(page)
    listed = [e.key for e in page.text_input if str(e.key).startswith("name.")]
    assert listed == [f"name.{own.run_id}"]
    page.toggle(key="trials").set_value(True).run()
    assert len([e for e in page.text_input if str(e.key).startswith("name.")]) == 4
    page.toggle(key="trials").set_value(False).run()
    page.text_input(key="find").set_value("my-study").run()
    assert len([e for e in page.text_input if str(e.key).startswith("name.")]) == 3


def test_what_the_page_downloads_is_a_study_that_can_be_run(visit, console, home, tmp_path):
    from core.studies.study import load_study, study_yaml

    page = visit("search")
    assert page.button(key="start")
    file = tmp_path / "study.yaml"
    file.write_text(f"config: quick\n{study_yaml(study_config())}")
    config, _ = load_study(file, home)
    assert config == study_config()
    assert json.loads(json.dumps(config.model_dump(mode="json")))["space"]
