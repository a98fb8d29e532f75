"""Buttons pressed twice, or in a tab that does not know yet what another one did; and what an address or a field may say: no page falls, and what
can be put back stays.
"""

import json
import time

import pytest
import streamlit as st

from core.agents.registration import register
from core.config.config import RunConfig
from core.config.fields import walk_fields
from core.errors import RunError
from core.logos import sets
from core.models import registry
from core.runs import trash
from core.runs.event_types import AlertRaised, AttemptStarted
from core.runs.events import EventWriter
from core.runs.run_dir import RunDir
from core.runs.small_files import RunTable
from pages.views import kept_form
from pages.views.access import acts
from pages.views.buttons import PRESS
from pages.views.runs import saved
from pages.views.study_form import _given
from tests.support.events import write_run
from tests.support.pages import caught_up, texts


def test_a_run_that_is_deleted_twice_can_be_put_back(home):
    run = write_run(home)
    trash.discard(run)
    with pytest.raises(RunError, match="deleted already"):
        trash.discard(run)
    trash.restore(home, run.run_id)
    assert run.events_file.is_file()


def test_a_model_that_is_deleted_twice_can_be_put_back_and_is_no_default(home):
    entry = register("shipped", home, "mine", "")
    registry.discard(home, entry)
    for late in (registry.discard, registry.promote):
        with pytest.raises(RunError, match="deleted already"):
            late(home, entry)
    restored = registry.restore(home, entry.model_id)
    registry.promote(home, restored)
    with pytest.raises(RunError, match="default model"):
        registry.discard(home, entry)  # which was not the default when the list was read
    assert registry.default_id(home) == entry.model_id


def test_a_view_with_a_long_search_is_read_again(home, visit):
    file = home / saved.VIEWS_FILE
    visit("runs")
    inner = saved.save.__wrapped__
    inner("short", file, RunTable(()), "a")
    inner("long", file, RunTable(()), "x" * 5000)
    views, problem = saved.read_views(file)
    assert (sorted(views), problem) == (["long", "short"], "")


@pytest.mark.parametrize(
    "error", [RunError("it is gone"), FileNotFoundError(2, "No such file or directory"), PermissionError(13, "Permission denied")]
)
def test_what_an_action_meets_is_one_line(error, home, visit):
    visit("runs")

    @acts("alerts.read")
    def fails():
        raise error

    fails()
    (told, _) = st.session_state.pop("toasts")[-1]
    assert "failed" in told
    assert str(error.args[-1]) in told


@pytest.mark.parametrize(
    "changed",
    [
        'n_envs="abc"', "total_timesteps=1e999", "total_timesteps=NaN", f"total_timesteps={10**30}", "ppo.net_arch_pi=5", "ppo.net_arch_pi=null",
        "curriculum.stages=5", "curriculum.stages=[1]", 'curriculum.stages=[{"name": 5}]', "env.centre=7", "ppo.learning_rate=[]", "seed={}", "note=5",
        'ppo.learning_rate="0.5"', f'n_envs="{"9" * 25}"', "ppo.net_arch_pi=[null]", "curriculum.stages=[null]",
    ],
)  # fmt: skip
def test_an_address_that_no_form_wrote_fells_no_form(changed, visit):
    page = visit("new_run", set=changed)
    assert not page.exception


def test_what_a_form_wrote_comes_back_even_out_of_range_or_empty():
    kept = [f"{name}={json.dumps(value)}" for name, value in {"n_envs": -1, "total_timesteps": None, "ppo.learning_rate": 0.5}.items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(st, "session_state", {"restored.x": kept})
        found = kept_form.restored("x", {"n_envs": 4, "total_timesteps": 9, "ppo": {"learning_rate": 0.1}})
    assert found == {"n_envs": -1, "total_timesteps": None, "ppo": {"learning_rate": 0.5}}


def test_an_emptied_cell_of_a_stage_costs_none_of_the_others():
    assert kept_form._has_its_shape(dict(walk_fields(RunConfig))["curriculum.stages"], [{"name": "a", "difficulty": None}])


@pytest.mark.parametrize("text", ["2024-13-45", "0x_", "[", "1, 2"])
def test_choices_of_a_study_are_read_whatever_they_look_like(text):
    assert "choices" in _given({"choices": text})


def test_more_runs_than_a_report_takes_are_one_line(console, home, visit):
    runs = [write_run(home, 2, f"run {i}") for i in range(41)]
    caught_up(console, runs[-1])
    page = visit("reports", run=[run.run_id for run in runs])
    assert not page.exception
    assert "at most 40 runs" in texts(page)
    assert isinstance(runs[0], RunDir)


def test_a_button_on_a_page_of_a_long_list_counts(console, home, visit):
    run = write_run(home, 2)
    with EventWriter(run.events_file) as log:
        log.write(2, AttemptStarted(from_step=2, total_timesteps=50, pid=1))
        for step in range(3, 50):
            log.write(step, AlertRaised(f"rule{step}", "warning", "No rise", step))
    caught_up(console, run)
    page = visit("alerts")
    assert len([e for e in page.markdown if e.value == "**No rise**"]) == 30  # of 47
    press = next(button for button in page.button if button.label == "Mark all as read")
    assert not press.disabled
    press.click().run()
    assert next(button for button in page.button if button.label == "Mark all as read").disabled


def test_a_press_on_one_set_deletes_no_other_that_is_chosen_meanwhile(console, home, visit):
    for name in ("a", "b"):
        sets.make_procedural(home, name, 1, 4)
    a, b = (str(home / "logos" / name) for name in ("a", "b"))
    page = visit("logos", set=a, tab="Make a set")
    page.checkbox(key=f"set.sure.{a}").check().run()
    page.session_state[PRESS] = (
        f"set.delete.{a}",
        "Logos",
        time.monotonic(),
    )  # as where the page was drawn again before it came to the button
    page.query_params["set"] = b
    page.run()
    assert not page.exception
    assert sorted(path.name for path in (home / "logos").iterdir()) == ["a", "b"]
    page.query_params["set"] = a
    page.run()
    page.checkbox(key=f"set.sure.{a}").check().run()
    page.button(key=f"set.delete.{a}").click().run()
    assert [path.name for path in (home / "logos").iterdir()] == ["b"]
