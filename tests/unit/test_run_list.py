"""The list of runs: what is listed, in which order, what folds, and what it costs where there are thousands."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from core.config.config import RunConfig
from core.config.text import to_yaml
from core.errors import ConfigError
from core.notifications.notices import notice_of
from core.runs import baseline_run, shelf
from core.runs.event_types import Ended
from core.runs.events import Event, EventWriter
from core.runs.records import read_label, write_label, write_parent
from core.runs.run_dir import RunDir, all_runs
from core.runs.small_files import Parent
from core.runs.status import RunState, Status
from pages.views.runs.lines import Listed, folded, ordered, wanted
from pages.views.tables import names_of
from storage import queries
from storage.ingest import catch_up
from storage.store import Store


def make(home: Path, run_id: str, **settings: object) -> RunDir:
    run = RunDir(home / run_id)
    run.path.mkdir(parents=True)
    run.config_file.write_text(to_yaml(RunConfig.model_validate(settings)))
    return run


def listed(run: RunDir, status: Status = Status.COMPLETED, gain: float | None = None) -> Listed:
    return Listed(shelf.facts_of(run), RunState(status), shelf.facts_of(run).name, gain)


@pytest.fixture
def three(tmp_path) -> list[RunDir]:
    """Two seeds of one config, whose notes have several lines, and another config."""
    return [
        make(tmp_path, "20260101-000001-a", name="wide, seed 1", seed=1, note="two\nlines: yes\n  and more"),
        make(tmp_path, "20260101-000002-b", name="wide, seed 2", seed=2),
        make(tmp_path, "20260101-000003-c", name="narrow", seed=1, total_timesteps=512),
    ]


def test_facts_are_what_the_config_and_the_label_say(three):
    first = shelf.facts_of(three[0])
    assert (first.name, first.seed, first.note) == ("wide, seed 1", 1, "two\nlines: yes\n  and more")
    assert first.group == shelf.facts_of(three[1]).group != shelf.facts_of(three[2]).group
    write_label(three[0], "$x$ *b*: {{ }}", tags=["night"])
    assert shelf.facts_of(three[0]).name == "$x$ *b*: {{ }}"
    assert shelf.facts_of(three[0]).tags == ("night",)


@pytest.mark.parametrize("name", ["yes", "1e3", "a: b", "'quoted'", "null", "#1", "naïve ✓", "- x", "{{x}}", " spaced "])
def test_any_name_is_read_as_the_config_means_it(tmp_path, name):
    run = make(tmp_path, "20260101-000001-a", name=name, seed=7)
    assert shelf.facts_of(run).name == name
    assert shelf.facts_of(run).seed == 7


def test_a_run_without_a_readable_config_is_listed_by_its_id(tmp_path):
    run = make(tmp_path, "20260101-000001-a")
    run.config_file.write_bytes(b"\xff\xfe name: [")
    assert shelf.facts_of(run).name == "20260101-000001-a"
    run.config_file.unlink()
    run.config_file.mkdir()
    assert (shelf.facts_of(run).name, shelf.facts_of(run).group) == ("20260101-000001-a", "")


def test_a_state_is_looked_at_again_once_its_log_goes_on(tmp_path):
    run = make(tmp_path, "20260101-000001-a")
    assert shelf.known_state(run).status is Status.STOPPED
    with EventWriter(run.events_file) as log:
        log.write(1, Ended("COMPLETED", "all steps done", 0.1))
    assert shelf.known_state(run).status is Status.COMPLETED


def test_seeds_fold_where_the_first_of_them_stands_and_unfold(three):
    runs = ordered([listed(run) for run in three], "newest first")
    lines = folded(runs, "seeds")
    assert [(line.title, len(line.runs)) for line in lines] == [("", 1), ("wide", 2)]
    assert lines[1].told == "2 runs: 2 completed"
    unfolded = folded(runs, "seeds", [lines[1].key])
    assert [line.depth for line in unfolded] == [0, 0, 1, 1]
    assert len(folded(runs, "nothing")) == 3


def test_forks_fold_under_the_run_that_their_line_began_with(three):
    write_parent(three[1], Parent(three[0].run_id, "best", 512))
    write_parent(three[2], Parent(three[1].run_id, "last", 512))
    (line,) = folded([listed(run) for run in three], "forks")
    assert line.title == "wide, seed 1 and its forks"
    write_parent(three[0], Parent(three[2].run_id, "last", 1))  # a circle, which no fork makes, ends
    assert sum(len(line.runs) for line in folded([listed(run) for run in three], "forks")) >= 3


def test_the_order_puts_what_has_no_figure_last(three):
    runs = [listed(three[0], gain=0.1), listed(three[1]), listed(three[2], Status.FAILED, gain=0.3)]
    assert [run.gain for run in ordered(runs, "best gain")] == [0.3, 0.1, None]
    assert ordered(runs, "status")[0].state.status is Status.FAILED
    assert [run.run_id for run in ordered(runs, "oldest first")] == [run.run_id for run in three]


def test_finding_looks_at_names_notes_tags_and_states_and_finds_trials(three):
    baseline_run.write_tags(three[0], ["night"])
    runs = [listed(three[0]), listed(three[1], Status.RUNNING), listed(three[2])]
    trial = replace(runs[2], facts=replace(runs[2].facts, study="study"))
    found = [wanted([*runs[:2], trial], text, False, False, False) for text in ("#night", "running", "lines: yes", "study", "")]
    assert [[run.run_id[-1] for run in some] for some in found] == [["a"], ["b"], ["a"], ["c"], ["a", "b"]]
    assert [run.run_id[-1] for run in wanted(runs, "", True, False, False)] == ["b"]


def test_the_baseline_is_a_run_that_is_there(tmp_path, three):
    assert baseline_run.read(tmp_path) is None
    baseline_run.choose(tmp_path, three[0].run_id)
    assert baseline_run.read(tmp_path) == three[0].run_id
    three[0].path.rename(tmp_path / ".gone")
    assert baseline_run.read(tmp_path) is None
    (tmp_path / baseline_run.BASELINE_FILE).write_text("[]")
    assert baseline_run.read(tmp_path) is None


def test_a_note_a_name_and_tags_leave_each_other_alone(three):
    run = three[0]
    write_label(run, "mine")
    baseline_run.write_note(run, "a note")
    assert baseline_run.change_tags(run, ["night", " two  words ", "night"]) == ("night", "two words")
    assert baseline_run.change_tags(run, remove_=["night"]) == ("two words",)
    write_label(run, "yours", "a note")
    assert (read_label(run), shelf.facts_of(run).tags) == ({"name": "yours", "note": "a note"}, ("two words",))
    for tags in (["x" * 41], ["a,b"], [str(n) for n in range(13)]):
        with pytest.raises(ConfigError):
            baseline_run.write_tags(run, tags)


def test_a_run_ends_with_its_last_whole_rollout():
    config = RunConfig(total_timesteps=1000, n_envs=128, ppo={"n_steps": 4, "batch_size": 64})  # type: ignore[arg-type]
    assert config.planned_steps() == 1024
    assert config.planned_steps(1000) == 1000
    assert config.planned_steps(600) == 1112


def test_a_stop_by_hand_is_no_warning():
    told = [
        notice_of("run", Event(1, 1, 0.0, 5, Ended("STOPPED", reason, None)))
        for reason in ("asked to stop (SIGTERM); resumes from last", "stopped by the doctor: KL")
    ]
    assert [notice.severity for notice in told if notice] == ["info", "warning"]


def test_a_run_that_changes_all_the_time_is_remembered_once(tmp_path):
    run = make(tmp_path, "20260101-000001-a")
    before = len(shelf._facts), len(shelf._states)
    for n in range(20):
        os.utime(run.path, ns=(n, 10**9 * n))
        shelf.look(run)
    assert (len(shelf._facts), len(shelf._states)) == (before[0] + 1, before[1] + 1)


def test_thousands_of_runs_are_named_apart_and_listed_from_what_is_remembered(tmp_path, monkeypatch):
    text = to_yaml(RunConfig(name="same"))
    for n in range(2000):
        folder = tmp_path / f"20260101-000000-same-{n:04d}"
        folder.mkdir()
        (folder / "config.yaml").write_text(text)
    runs = list(all_runs(tmp_path))
    assert len(set(names_of(runs).values())) == 2000
    for run in runs:
        shelf.known_state(run)
    monkeypatch.setattr(shelf, "_read_facts", None)  # no file is read twice
    monkeypatch.setattr(shelf, "run_state", None)
    lines = folded(ordered([listed(run) for run in runs], "name"), "seeds")
    for run in runs:
        shelf.known_state(run)
    assert (len(lines), len(lines[0].runs)) == (1, 2000)


def test_figures_of_all_runs_need_no_look_at_their_episodes(tmp_path):
    """A list of thousands of runs would otherwise count all their episodes each time that it is drawn."""
    run = make(tmp_path, "20260101-000001-a")
    lines = [
        {"seq": 1, "ts": 10.0, "step": 0, "kind": "attempt_started", "data": {"from_step": 0, "total_timesteps": 64}},
        {"seq": 2, "ts": 70.0, "step": 64, "kind": "evaluation", "data": {"gain": 0.25, "gain_low": 0.1, "gain_high": 0.4}},
    ]
    run.events_file.write_text("".join(json.dumps({"v": 2, "attempt": 1} | line) + "\n" for line in lines))
    with Store(None) as store:
        catch_up(store, tmp_path, {})
        assert queries.run_figures(store).to_dict("records") == [{"run_id": run.run_id, "best_gain": 0.25, "minutes": 1.0}]
        plan = store.rows(f"EXPLAIN {queries.RUN_FIGURES}")
        assert "episodes" not in str(plan)
        assert queries.last_checkpoint_step(store, run.run_id) == 0
