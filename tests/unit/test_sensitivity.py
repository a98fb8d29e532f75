"""Seeds as groups, what trainings cost, which settings mattered: over made-up runs, in the index and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.cli.app import app
from core.config.config import RunConfig
from core.config.text import load_config, to_yaml
from core.errors import ConfigError
from core.runs.records import peek_config, read_queue_entry, write_label, write_parent
from core.runs.run_dir import RunDir, all_runs
from core.runs.seed_groups import group_runs
from core.runs.small_files import Parent
from core.scheduling.series import LR_SCHEDULES, series_configs, submit_missing
from core.statistics import interquartile_mean, probability_of_improvement
from storage import queries, sensitivity
from storage.ingest import catch_up
from storage.store import Store
from tests.support.logos import write_logos
from tests.support.runs import tiny_config
from tests.support.series import write_series_run

LOGOS = (-0.1, 0.0, 0.1)


@pytest.fixture
def two_groups(home) -> list[RunDir]:
    """Four seeds of a linear schedule that gain more than four of a constant one; the last gains are 0.35, 0.45, ... and 0.1, 0.2, ..."""
    made = []
    for schedule, above in (("constant", 0.0), ("linear", 0.25)):
        for seed in range(1, 5):
            final = above + seed / 10
            name = f"tiny · {schedule} · seed {seed}"
            ppo = {"lr_schedule": schedule}
            made.append(write_series_run(home, [0.0, final / 2, final], by_logo=LOGOS, name=name, seed=seed, ppo=ppo))
    return made


@pytest.fixture
def store(home):
    with Store(None) as opened:
        yield opened


def run_app(*arguments: str, capsys, code: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        app(list(arguments))
    out, err = capsys.readouterr()
    assert ended.value.code == code, err
    return out if code == 0 else err


def told(*arguments: str, capsys) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_app(*arguments, "--json", capsys=capsys).splitlines()[-1])
    return found


# Groups


def test_runs_that_differ_in_seed_name_and_note_alone_are_one_group(home, two_groups):
    write_label(two_groups[0], "renamed", "with a note")
    other_data = write_series_run(home, [0.1, 0.2], digest="other", name="tiny · linear · seed 9", seed=9, ppo={"lr_schedule": "linear"})
    fork = write_series_run(home, [0.0, 0.3, 0.7], name="a fork", seed=9, ppo={"lr_schedule": "linear"})
    write_parent(fork, Parent(two_groups[0].run_id, "last", 32))
    broken = write_series_run(home, [0.0, 0.1], name="broken")
    broken.config_file.write_text("ppo: [")
    digests = {run.run_id: "d" for run in all_runs(home)} | {other_data.run_id: "other"}
    groups, left_out = group_runs(all_runs(home), digests)
    assert sorted(len(group.runs) for group in groups) == [1, 1, 4, 4]
    assert {len(group.runs) for group in groups if other_data.run_id in group.runs or fork.run_id in group.runs} == {1}
    assert list(left_out) == [broken.run_id]
    assert [group.seeds for group in groups if len(group.runs) == 4] == [(1, 2, 3, 4)] * 2
    assert len({group.label for group in groups}) == len(groups)


def test_a_group_is_called_what_its_runs_have_in_common(home, two_groups):
    assert [group.label for group in group_runs(two_groups)[0]] == ["tiny · constant", "tiny · linear"]
    for run in two_groups:
        write_label(run, "a name")
    assert [group.label for group in group_runs(two_groups)[0]] == ["a name · lr_schedule constant", "a name · lr_schedule linear"]


def test_few_seeds_are_warned_of(two_groups):
    for n, wanted in ((1, "a single seed has no interval"), (2, "2 seeds: too few"), (3, "")):
        (group,), _ = group_runs(two_groups[:n])
        assert group.warning.startswith(wanted)
        assert bool(group.warning) == bool(wanted)


def test_the_figures_of_groups_are_those_of_their_runs_last_gains(home, store, two_groups):
    catch_up(store, home, {})
    groups, left_out = sensitivity.evaluated_groups(store, two_groups)
    assert not left_out
    figures = sensitivity.group_figures(store, groups).set_index("group")
    assert list(figures.index) == ["tiny · linear", "tiny · constant"]  # the best first
    assert figures["iqm"].to_list() == pytest.approx([0.5, 0.25])  # of four the middle two
    assert figures["lowest"].to_list() == pytest.approx([0.35, 0.1])
    assert figures["n_seeds"].to_list() == [4, 4]
    assert (figures["low"] < figures["iqm"]).all()
    assert (figures["high"] > figures["iqm"]).all()
    by_hand = [seed / 10 + more for seed in range(1, 5) for more in LOGOS]
    assert figures.loc["tiny · constant", "logo_iqm"] == pytest.approx(interquartile_mean(np.array(by_hand)))
    pairs = sensitivity.improvements(store, groups)
    assert list(pairs["better"]) == ["tiny · linear"]
    scores = [np.array([[above + seed / 10 + more for more in LOGOS] for seed in range(1, 5)]) for above in (0.25, 0.0)]
    assert pairs["probability"].iloc[0] == pytest.approx(probability_of_improvement(*scores).value)
    assert pairs["verdict"].iloc[0] == "better"


def test_a_run_without_an_evaluation_is_named_and_left_out(home, store, two_groups):
    catch_up(store, home, {})
    new = write_series_run(home, [float("nan")], name="tiny · linear · seed 5", seed=5, ppo={"lr_schedule": "linear"})
    groups, left_out = sensitivity.evaluated_groups(store, [*two_groups, new])
    assert left_out == {new.run_id: "not evaluated yet"}
    assert all(new.run_id not in group.runs for group in groups)
    assert sensitivity.group_figures(store, []).empty
    assert sensitivity.improvements(store, groups[:1]).empty


def test_of_many_groups_the_best_alone_is_held_against_the_others(home, store):
    runs = [write_series_run(home, [0.0, n / 10], by_logo=LOGOS, name=f"g{n}", ppo={"n_epochs": n + 1}) for n in range(10)]
    catch_up(store, home, {})
    groups, _ = sensitivity.evaluated_groups(store, runs)
    assert len(sensitivity.improvements(store, groups[:8])) == 28
    found = sensitivity.improvements(store, groups)
    assert list(found["better"]) == ["g9"] * 9
    assert set(found["verdict"]) == {"a single seed on one side: no interval"}


@pytest.mark.parametrize("axis", ["step", "minutes", "episode"])
def test_curves_of_seeds_fold_to_one_with_its_interval(home, store, two_groups, axis):
    catch_up(store, home, {})
    groups, _ = sensitivity.evaluated_groups(store, two_groups)
    found = sensitivity.gain_bands(store, groups, axis)
    assert set(found["group"]) == {"tiny · constant", "tiny · linear"}
    last = found.groupby("group").last()
    if axis != "minutes":  # each run's clock is its own
        assert last["value"].to_dict() == pytest.approx({"tiny · constant": 0.25, "tiny · linear": 0.5})
        assert len(found) == 6
    assert (found["n_runs"] == 4).all()
    assert ((found["low"] <= found["value"] + 1e-12) & (found["value"] <= found["high"] + 1e-12)).all()


def test_a_folded_curve_goes_as_far_as_all_its_seeds_have_come():
    group = group_of("a", "b")
    curves = pd.DataFrame({"run_id": ["a"] * 3 + ["b"] * 2, "x": [0.0, 10, 20, 0, 10], "y": [0.0, 1, 2, 2, 3]})
    found = sensitivity.bands(curves, [group], "y")
    assert found["x"].to_list() == [0.0, 10.0]
    assert found["value"].to_list() == [1.0, 2.0]
    between = sensitivity.bands(curves.replace({"x": {10: 5}}), [group], "y")
    assert between["x"].max() == 5
    assert sensitivity.bands(curves[curves["run_id"] == "a"], [group], "y").empty  # b has no point yet


def group_of(*runs: str) -> sensitivity.SeedGroup:
    return sensitivity.SeedGroup("g", runs, tuple(range(len(runs))), RunConfig())


# Efficiency


def test_what_a_training_cost_is_counted(home, store):
    short = write_series_run(home, [0.0, 0.5], name="short")
    long = write_series_run(home, [0.0, 0.1, 0.95, 1.0], name="long")
    catch_up(store, home, {})
    found = sensitivity.efficiency(store, [short.run_id, long.run_id, "unknown"])
    table = found.table.set_index("run_id")
    assert list(table.index) == [short.run_id, long.run_id]
    assert found.at_steps == 32  # as many as the shorter one had
    assert table["gain_at_steps"].to_list() == [0.5, 0.1]
    assert table["conversions"].to_list() == [2, 6]  # two per episode
    assert table["steps"].to_list() == [32, 96]
    assert table["steps_to_95"].to_list() == [32, 64]
    assert table["final_gain"].to_list() == [0.5, 1.0]
    minutes = queries.minutes_of(store, [long.run_id])[long.run_id]
    assert table.loc[long.run_id, "conversions_per_s"] == pytest.approx(6 / (60 * minutes))


def test_what_never_rose_did_so_at_no_step(home, store):
    run = write_series_run(home, [0.5, 0.3], name="sinks")
    catch_up(store, home, {})
    assert sensitivity.efficiency(store, [run.run_id]).table["steps_to_95"].isna().all()


def test_no_run_makes_an_empty_table(store):
    found = sensitivity.efficiency(store, [])
    assert found.table.empty
    assert list(found.table) == sensitivity.EFFICIENCY_COLUMNS


# Importance


def write_many(home: Path) -> list[RunDir]:
    made = []
    for i, (rate, epochs) in enumerate((r, e) for r in (1e-3, 1e-2) for e in (2, 4) for _ in range(3)):
        gain = (0.5 if rate == 1e-2 else 0.2) + 0.001 * (i % 3)
        made.append(
            write_series_run(home, [0.0, gain], seed=i, name=f"r{i}", n_workers=1 + i % 2, ppo={"learning_rate": rate, "n_epochs": epochs})
        )
    return made


def test_the_importance_is_over_comparable_runs_alone(home, store):
    made = write_many(home)
    other = write_series_run(home, [0.0, 0.9], digest="other logos", name="elsewhere", ppo={"learning_rate": 0.5})
    longer = write_series_run(home, [0.0, 0.9, 0.9], name="longer", ppo={"learning_rate": 0.5})
    unfinished = write_series_run(home, [0.0, 0.9], name="unfinished", ppo={"learning_rate": 0.5})
    unfinished.config_file.write_text(to_yaml(peek_config(unfinished).model_copy(update={"total_timesteps": 3200})))
    old = write_series_run(home, [0.0, 0.9], name="old", version=1, ppo={"learning_rate": 0.5})
    catch_up(store, home, {})
    found = sensitivity.sensitivity(store, list(all_runs(home)))
    assert found.runs == sorted((run.run_id for run in made), key=found.runs.index)
    assert len(found.runs) == 12
    assert [row.setting for row in found.rows] == ["ppo.learning_rate", "ppo.n_epochs"]  # the workers have no effect on a gain
    assert found.rows[0].explained > 0.95
    assert found.rows[0].best == "0.01"
    assert set(found.left_out) == {other.run_id, longer.run_id, unfinished.run_id, old.run_id}
    assert "up to step 32 of 3,200 only" in found.left_out[unfinished.run_id]
    assert "another measure" in found.left_out[old.run_id]
    assert "Based on 12 runs for 2 settings" in found.warning
    with pytest.raises(ConfigError, match="1 comparable runs"):
        sensitivity.sensitivity(store, list(all_runs(home)), other.run_id)
    with pytest.raises(ConfigError, match="can't be compared: evaluated up to step"):
        sensitivity.sensitivity(store, list(all_runs(home)), unfinished.run_id)


# Series


def test_a_series_is_every_value_with_every_seed_under_names_of_their_own():
    configs = series_configs(tiny_config("builtin", name="n" * 80), LR_SCHEDULES, "1,2, 3")
    assert [(c.ppo.lr_schedule, c.seed) for c in configs] == [(s, n) for s in ("constant", "linear", "cosine") for n in (1, 2, 3)]
    assert len({c.name for c in configs}) == 9
    assert configs[0].name.endswith(" · constant · seed 1")
    (other,) = series_configs(tiny_config("builtin"), "ppo.n_epochs=3", "4")
    assert other.name == "tiny · n_epochs 3 · seed 4"


@pytest.mark.parametrize(
    ("vary", "seeds", "text"),
    [
        ("ppo.lr_schedule", "1", "is not a setting with its values"),
        ("ppo.lr_schedule=steps", "1", "lr_schedule = 'steps' is not allowed"),
        ("ppo.none=1", "1", "unknown setting"),
        (LR_SCHEDULES, "1,x", "are not comma-separated whole numbers"),
        (LR_SCHEDULES, "-1", "seed = -1 is not allowed"),
        (LR_SCHEDULES, ",".join(map(str, range(100))), "at most 200"),
    ],
)
def test_a_series_that_cannot_be_is_refused(vary, seeds, text):
    with pytest.raises(ConfigError, match=text):
        series_configs(tiny_config("builtin"), vary, seeds)


def test_a_series_trains_nothing_twice(home):
    config = tiny_config("builtin")
    wanted = series_configs(config, LR_SCHEDULES, "1,2")
    there = write_series_run(home, [0.0, 0.1, 0.2, 0.3], seed=2, name="made before", ppo={"lr_schedule": "linear"})
    first = submit_missing(home, wanted)
    assert [run.run_id == there.run_id for run in first] == [c.seed == 2 and c.ppo.lr_schedule == "linear" for c in wanted]
    assert sum(read_queue_entry(run) is not None for run in all_runs(home)) == 5
    assert [run.run_id for run in submit_missing(home, wanted)] == [run.run_id for run in first]
    assert len(list(all_runs(home))) == 6


# The command line


def test_groups_on_the_command_line(home, two_groups, capsys, tmp_path):
    alone = write_series_run(home, [0.0, 0.1], name="alone")
    found = told("runs", "groups", "--out", str(tmp_path / "out" / "groups.csv"), capsys=capsys)
    assert [(row["group"], row["iqm"]) for row in found["groups"]] == [
        ("tiny · linear", pytest.approx(0.5)),
        ("tiny · constant", pytest.approx(0.25)),
    ]
    assert found["improvements"][0]["better"] == "tiny · linear"
    assert pd.read_csv(tmp_path / "out" / "groups.csv")["iqm"].to_list() == pytest.approx([0.5, 0.25])
    text = run_app("runs", "groups", capsys=capsys)
    assert "tiny · linear over tiny · constant: 94%" in text
    assert "one config with fewer than 2 seeds is not shown" in text
    named = told("runs", "groups", alone.run_id, capsys=capsys)
    assert named["groups"][0]["low"] is None
    assert named["groups"][0]["warning"] == "a single seed has no interval"
    assert "no run 'nothing'" in run_app("runs", "groups", "nothing", capsys=capsys, code=2)


def test_efficiency_on_the_command_line(two_groups, capsys):
    found = told("runs", "efficiency", capsys=capsys)
    assert {row["run_id"]: row["final_gain"] for row in found["runs"]}[two_groups[0].run_id] == 0.1
    assert found["at_steps"] == 64
    assert two_groups[0].run_id[:40] in run_app("runs", "efficiency", capsys=capsys)


def test_importance_on_the_command_line(home, capsys):
    made = write_many(home)
    found = told("runs", "importance", capsys=capsys)
    assert found["n_runs"] == 12
    assert found["settings"][0]["setting"] == "ppo.learning_rate"
    assert "Based on 12 runs for 2 settings" in found["warning"]
    text = run_app("runs", "importance", "--like", made[0].run_id, capsys=capsys)
    assert "best: 0.01" in text
    assert "3 comparable runs" in run_app("runs", "importance", *(run.run_id for run in made[:3]), capsys=capsys, code=2)


def test_a_log_that_cannot_be_read_holds_no_other_up(home, two_groups, capsys):
    two_groups[0].events_file.unlink()
    two_groups[0].events_file.mkdir()
    found = told("runs", "groups", capsys=capsys)
    assert [row["n_seeds"] for row in found["groups"]] == [4, 3]


def test_schedules_are_queued_without_waiting_and_shown_as_far_as_they_are(home, tmp_path, capsys):
    folder = write_logos(tmp_path / "logos")
    config = tmp_path / "one.yaml"
    config.write_text(to_yaml(tiny_config(folder, name="one")))
    arguments = ("runs", "schedules", "--config", str(config), "--seeds", "1,2", "--no-wait")
    found = told(*arguments, capsys=capsys)
    assert list(found["status"].values()) == ["QUEUED"] * 6
    assert found["groups"] == []
    assert told(*arguments, capsys=capsys)["status"] == found["status"]
    assert {peek_config(run).ppo.lr_schedule for run in all_runs(home)} == {"constant", "linear", "cosine"}
    assert load_config(config).seed not in (None, 2)
    assert "is not allowed" in run_app(*arguments, "--set", "ppo.gamma=3", capsys=capsys, code=2)
