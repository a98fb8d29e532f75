"""Which runs are worth a look: a run that ended is left alone, and none that goes on is missed."""

import os
from pathlib import Path

import pytest

from core.runs import rounds
from core.runs.records import delete_run, write_queue_entry
from core.runs.rounds import HOT_S, Rounds, known_runs
from core.runs.run_dir import RunDir, all_runs
from core.runs.small_files import QueueEntry

OLD_S = 1_000_000


def make(home: Path, name: str, is_old: bool = True) -> RunDir:
    run = RunDir(home / name)
    run.path.mkdir(parents=True)
    run.config_file.touch()
    run.events_file.touch()
    if is_old:
        grow_old(run)
    return run


def grow_old(run: RunDir) -> None:
    for path in (run.events_file, run.path):
        os.utime(path, (OLD_S, OLD_S))


def names(runs) -> list[str]:
    return [run.run_id for run in runs]


@pytest.fixture
def two(tmp_path) -> list[RunDir]:
    return [make(tmp_path, "a"), make(tmp_path, "b")]


def done(found: Rounds) -> Rounds:
    for run in found.due():
        found.done_with(run.run_id)
    return found


def test_what_is_done_with_is_due_again_once_anything_happens_in_it(tmp_path, two):
    found = done(Rounds(tmp_path))
    assert found.due() == []
    with two[0].events_file.open("ab") as log:
        log.write(b"x")
    assert names(found.due()) == ["a"]
    assert names(found.due()) == ["a"]  # it is not done with
    grow_old(two[0])
    done(found)
    (two[1].path / "ticket.json").touch()
    assert names(found.due()) == ["b"]


def test_a_change_within_the_time_that_a_disk_can_tell_apart_is_not_lost(tmp_path):
    run = make(tmp_path, "a", is_old=False)
    changed_s = run.events_file.stat().st_mtime
    found = Rounds(tmp_path, clock=lambda: changed_s + rounds.COARSE_S / 2)
    assert names(done(found).due()) == ["a"]


def test_runs_come_go_and_come_back(tmp_path, two):
    found = done(Rounds(tmp_path))
    two[0].path.rename(tmp_path / ".away")
    assert found.due() == []
    assert names(known_runs(tmp_path).values()) == names(all_runs(tmp_path)) == ["b"]
    (tmp_path / ".away").rename(two[0].path)
    assert names(found.due()) == ["a"]
    delete_run(two[1])
    assert names(done(found).runs.values()) == ["a"]
    (tmp_path / "c").mkdir()
    assert names(known_runs(tmp_path).values()) == ["a"]
    (tmp_path / "c" / "config.yaml").touch()  # a folder becomes a run without a change of the home
    assert names(known_runs(tmp_path).values()) == names(all_runs(tmp_path)) == ["a", "c"]


def test_the_same_list_is_given_while_no_folder_comes_or_goes(tmp_path, two):
    os.utime(tmp_path, (OLD_S, OLD_S))
    first = known_runs(tmp_path)
    assert known_runs(tmp_path) is first
    (tmp_path / "some file").touch()
    assert known_runs(tmp_path) is first


def test_old_runs_are_compared_by_turns_and_all_at_once_where_one_was_given_work(tmp_path, two, monkeypatch):
    monkeypatch.setattr(rounds, "BY_TURNS", 1)
    now = [2.0 * OLD_S]
    found = done(Rounds(tmp_path, clock=lambda: now[0]))
    for run in two:
        (run.path / "label.json").touch()
    assert len(found.due()) == 1
    assert names(found.due()) == ["a", "b"]
    for run in two:
        grow_old(run)
    done(found)
    now[0] += HOT_S + 1
    write_queue_entry(two[0], QueueEntry(1.0))
    assert names(found.due()) == ["a"]
    for run in two:
        grow_old(run)
    done(found)
    (two[0].path / "x").touch()
    (two[1].path / "x").touch()
    assert names(found.due(looks_at_all=True)) == ["a", "b"]


def test_ten_thousand_old_runs_cost_a_tick_next_to_nothing(tmp_path, monkeypatch):
    """The system is asked about the home, the marker and a few runs, not about all of them."""
    for n in range(3000):
        make(tmp_path, f"run{n:05d}")
    found = done(Rounds(tmp_path))
    os.utime(tmp_path, (OLD_S, OLD_S))
    found.due()
    asked = []
    stat = os.stat
    monkeypatch.setattr(rounds.os, "stat", lambda path: asked.append(path) or stat(path))
    assert found.due() == []
    assert len(asked) <= 2 * rounds.BY_TURNS + 20
