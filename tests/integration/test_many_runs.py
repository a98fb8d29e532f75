"""Seeds, costs and importance on the page Compare; a series of trainings by one command."""

from __future__ import annotations

import json

import pytest

from core.config.text import to_yaml
from core.runs.run_dir import all_runs
from core.runs.status import Status, run_state
from storage import sensitivity
from tests.support.command_line import core
from tests.support.pages import caught_up, texts
from tests.support.runs import BY_VTRACER_ALONE, tiny_config
from tests.support.series import write_series_run


def test_seeds_are_one_curve_and_one_row_on_compare(visit, console, recorded):
    runs = [recorded(name=f"seed {seed}", seed=seed) for seed in (1, 2)]
    runs += [recorded(name="other rate", seed=1, ppo={"learning_rate": 1e-2})]
    for run in runs:
        caught_up(console, run)
    ids = [run.run_id for run in runs]
    groups, _ = sensitivity.evaluated_groups(console.store, runs)
    figures = sensitivity.group_figures(console.store, groups)
    page = visit("compare", run=ids, fold="true")
    assert not page.exception
    assert page.toggle(key="fold").value
    page = visit("compare", run=ids, tab="Seeds")
    assert not page.exception
    assert list(page.dataframe[0].value["iqm"]) == list(figures["iqm"])
    assert "too few for an interval to be trusted" in texts(page)
    page = visit("compare", run=ids, tab="Efficiency")
    assert not page.exception
    found = sensitivity.efficiency(console.store, ids).table
    assert sorted(page.dataframe[0].value["final_gain"]) == sorted(found["final_gain"])
    page = visit("compare", run=ids, tab="Importance")
    assert not page.exception
    assert "3 comparable runs" in texts(page)


def test_runs_without_a_second_seed_are_told_how_to_get_some(visit, console, recorded):
    runs = [recorded(name=f"rate {rate}", ppo={"learning_rate": rate}) for rate in (1e-3, 1e-2)]
    for run in runs:
        caught_up(console, run)
    page = visit("compare", run=[run.run_id for run in runs], tab="Seeds")
    assert "No two of these runs differ only in their seed" in texts(page)
    assert not [toggle for toggle in page.toggle if toggle.key == "fold"]


def test_the_importance_is_over_all_runs_of_the_console(visit, console):
    for i, rate in enumerate((1e-3, 1e-2) * 3):
        run = write_series_run(
            console.home, [0.0, 100 * rate + i / 1000], by_logo=(0.0,), seed=i, name=f"r{i}", ppo={"learning_rate": rate}
        )
        caught_up(console, run)
    page = visit("compare", tab="Importance")
    assert not page.exception
    row = page.dataframe[0].value.iloc[0]
    assert (row["setting"], row["best"], row["n_best"]) == ("ppo.learning_rate", "0.01", 3)
    assert "Based on 6 runs for 1 setting, this is only a hint" in texts(page)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_schedules_are_trained_and_compared_by_one_command_and_not_trained_twice(home, logo_folder, tmp_path):
    file = tmp_path / "one.yaml"
    short = tiny_config(logo_folder, name="one", total_timesteps=64, pipeline=BY_VTRACER_ALONE, outcome={"members": 0})
    file.write_text(to_yaml(short))
    arguments = ("runs", "schedules", "--config", str(file), "--seeds", "1,2", "--vary", "ppo.lr_schedule=constant,cosine", "--json")
    done = core(*arguments, home=home)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found["status"].values()) == {"COMPLETED"}
    assert {row["group"]: row["n_seeds"] for row in found["groups"]} == {"one · constant": 2, "one · cosine": 2}
    assert len(found["efficiency"]) == 4
    assert [run_state(run).status for run in all_runs(home)] == [Status.COMPLETED] * 4
    again = core(*arguments, home=home)
    assert json.loads(again.stdout.splitlines()[-1]) == found
    assert len(list(all_runs(home))) == 4
