"""The queue: order, cores and memory, restarts, and what happens when its server is killed."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from core.config.installation import Settings, check_settings, read_settings, write_settings
from core.errors import ConfigError, RunError
from core.machine import Process
from core.runs.event_types import AttemptStarted, Ended
from core.runs.events import EventWriter
from core.runs.records import (
    read_config,
    read_queue_entry,
    read_scheduler_state,
    write_heartbeat,
    write_process,
    write_queue_entry,
    write_stop,
)
from core.runs.run_dir import RunDir, all_runs, unlisted
from core.runs.small_files import Heartbeat, QueueEntry
from core.runs.status import Status, run_state
from core.scheduling import local, queue, scheduler
from core.scheduling.scheduler import Scheduler
from tests.support.runs import tiny_config


def order(home) -> list[str]:
    return [read_config(run).name for run, _ in queue.waiting(home)]


def named(folder, name, **changes):
    return tiny_config(folder, name=name, **({"n_workers": 1, "total_timesteps": 64} | changes))


def test_the_queue_has_an_order_that_can_be_changed(home, logo_folder):
    runs = {name: queue.submit(home, named(logo_folder, name)) for name in "abcd"}
    assert order(home) == list("abcd")
    queue.move(runs["c"], "first")
    assert order(home) == list("cabd")
    queue.move(runs["a"], "down")
    assert order(home) == list("cbad")
    queue.move(runs["d"], "up")
    assert order(home) == list("cbda")
    queue.move(runs["c"], "last")
    assert order(home) == list("bdac")
    queue.prioritise(runs["a"], 5)
    assert order(home) == list("abdc")
    queue.move(runs["b"], "up")
    assert order(home) == list("badc")
    queue.cancel(runs["d"])
    assert order(home) == list("bac")
    assert run_state(runs["d"]).status is Status.STOPPED
    with pytest.raises(RunError, match="is not in the queue"):
        queue.cancel(runs["d"])
    with pytest.raises(RunError, match="is not in the queue"):
        queue.move(runs["d"], "first")
    queue.resume(runs["d"])
    assert order(home) == list("bacd")


def test_without_a_scheduler_a_waiting_run_says_so(home, logo_folder):
    run = queue.submit(home, named(logo_folder, "a"))
    state = run_state(run)
    assert state.status is Status.QUEUED
    assert "no console or 'python -m core runs serve'" in state.reason


class Launches:
    """Stands for the launcher: this process is every run's trainer."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def __call__(self, run: RunDir, checkpoint: str, cause: str) -> None:
        self.started.append(read_config(run).name)
        write_process(run, Process.of(os.getpid()))


@pytest.fixture
def launches():
    return Launches()


def test_runs_start_in_order_and_never_over_the_cores(home, logo_folder, launches):
    write_settings(home, Settings.model_validate({"queue": {"cores": 3}}))
    for name, n in (("one", 1), ("two", 2), ("three", 3), ("small", 1)):
        queue.submit(home, named(logo_folder, name, n_workers=n))
    s = Scheduler(home, launches)
    s.tick()
    s.tick()
    assert launches.started == ["one", "two"]
    reasons = [run_state(run).reason for run, _ in queue.waiting(home)]
    assert reasons[0].startswith("waiting for 3 free cores: 3 of 3 are used by ")
    assert reasons[1].startswith("waiting behind ")  # it would fit when "one" ends, but must not pass
    s.release()
    assert read_scheduler_state(home) is not None


def test_a_run_larger_than_the_machine_runs_alone(home, logo_folder, launches):
    write_settings(home, Settings.model_validate({"queue": {"cores": 2}}))
    queue.submit(home, named(logo_folder, "huge", n_workers=64))
    queue.submit(home, named(logo_folder, "next"))
    s = Scheduler(home, launches)
    s.tick()
    s.release()
    assert launches.started == ["huge"]


def test_a_run_waits_for_memory(home, logo_folder, launches, monkeypatch):
    monkeypatch.setattr(scheduler, "memory_mb", lambda: (2000.0, 700.0))
    write_settings(home, Settings.model_validate({"queue": {"cores": 8}}))
    queue.submit(home, named(logo_folder, "a"))
    b = queue.submit(home, named(logo_folder, "b"))
    s = Scheduler(home, launches)
    s.tick()
    s.release()
    assert launches.started == ["a"]
    assert "waiting for memory: needs about" in run_state(b).reason


def test_only_one_of_two_schedulers_acts_and_the_other_takes_over(home, logo_folder, launches):
    queue.submit(home, named(logo_folder, "a"))
    first, second = Scheduler(home, launches), Scheduler(home, launches)
    assert first.acts()
    assert second.tick() == []
    first.release()
    assert len(second.tick()) == 1
    second.release()


def test_a_ticket_of_a_run_that_was_started_already_is_dropped(home, logo_folder, launches):
    """As when the scheduler was killed between starting a run and removing its queue entry."""
    run = queue.submit(home, named(logo_folder, "a"))
    write_process(run, Process.of(os.getpid()))
    s = Scheduler(home, launches)
    s.tick()
    s.release()
    assert launches.started == []
    assert read_queue_entry(run) is None


def test_a_run_that_is_resumed_while_its_last_attempt_is_closing_keeps_its_place(home, logo_folder, launches):
    run = local.claim(home, named(logo_folder, "a"))
    write_process(run, Process.of(os.getpid()))
    with EventWriter(run.events_file) as events:
        events.write(0, Ended(status="STOPPED", reason="asked to"))
    queue.resume(run)
    s = Scheduler(home, launches)
    s.tick()
    assert launches.started == []
    assert run_state(run).reason == "waiting for its previous attempt to end"
    gone = run.path / "process.json"
    gone.unlink()
    s.tick()
    s.release()
    assert launches.started == ["a"]


def died(run: RunDir, step: int = 0) -> None:
    """Leave a run as a killed trainer leaves it."""
    with EventWriter(run.events_file) as events:
        events.write(step, AttemptStarted(from_step=0, total_timesteps=0))
    gone = Process(2**22 - 1, 1.0)
    write_heartbeat(run, Heartbeat(gone, time.time(), step, "training"))


def test_a_run_that_dies_is_restarted_so_often_and_no_oftener(home, logo_folder, launches):
    config = named(logo_folder, "a", recovery={"enabled": True, "max_restarts": 2, "backoff_s": 0})
    run = local.claim(home, config)
    s = Scheduler(home, lambda run, checkpoint, cause: launches.started.append(cause))
    for step in (64, 64, 64, 64):
        died(run, step)
        s.tick()
        s.tick()
    assert launches.started == [f"automatic restart {n} of 2 (the trainer died)" for n in (1, 2)]
    assert "2 automatic restarts made no progress" in run_state(run).reason
    died(run, 128)  # somebody resumed it, and it got further before it died again
    s.tick()
    assert launches.started[-1] == "automatic restart 1 of 2 (the trainer died)"
    s.release()


@pytest.mark.parametrize("name", ["my run (copy)", "läuft", "-x", ".hidden", "a" * 101])
def test_a_run_whose_folder_can_not_be_an_id_is_told_of(home, logo_folder, name):
    run = local.claim(home, named(logo_folder, "a"))
    assert unlisted(home) == []
    shutil.copytree(run.path, home / name)
    (home / "no run of ours!").mkdir()
    (line,) = unlisted(home)
    assert repr(name) in line
    assert "rename it" in line
    assert [found.run_id for found in all_runs(home)] == [run.run_id]


def test_the_copy_of_a_live_run_has_no_trainer_of_its_own(home, logo_folder, launches):
    """A console once took the original's heartbeat in the copy for one that had stopped, and killed its trainer."""
    run = local.claim(home, named(logo_folder, "a", recovery={"enabled": True, "backoff_s": 0}))
    with EventWriter(run.events_file) as events:
        events.write(0, AttemptStarted(from_step=0, total_timesteps=0))
    write_heartbeat(run, Heartbeat(Process.of(os.getpid()), time.time(), 5, "training"))
    write_process(run, Process.of(os.getpid()))
    copy = RunDir(home / "20260101-000000-copy")
    shutil.copytree(run.path, copy.path)
    assert run_state(run).status is Status.RUNNING
    assert run_state(copy).status is Status.INTERRUPTED
    assert "a copy of a run" in run_state(copy).reason
    assert not local.trainers(copy)
    s = Scheduler(home, lambda run, checkpoint, cause: launches.started.append(run.run_id))
    for _ in range(3):
        s.tick()
    assert launches.started == []  # nobody asked for the copy to be trained
    moved = RunDir(home / "20260101-000000-moved")
    run.path.rename(moved.path)
    assert run_state(moved).status is Status.RUNNING


def test_a_run_that_died_before_its_first_event_reached_the_disk_is_restarted(home, logo_folder, launches):
    run = local.claim(home, named(logo_folder, "a", recovery={"enabled": True, "backoff_s": 0}))
    died(run)
    run.events_file.write_bytes(b"")
    assert run_state(run).status is Status.INTERRUPTED
    s = Scheduler(home, launches)
    s.tick()
    s.release()
    assert launches.started == ["a"]


@pytest.mark.parametrize("how", ["off", "by hand", "long ago", "cancelled"])
def test_a_run_that_is_to_stay_dead_is_not_restarted(home, logo_folder, launches, how):
    recovery = {"enabled": how != "off", "backoff_s": 60 if how == "cancelled" else 0}
    run = local.claim(home, named(logo_folder, "a", recovery=recovery))
    died(run)
    if how == "by hand":
        write_stop(run)
    s = Scheduler(home, launches)
    if how == "long ago":
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scheduler, "RECOVER_WITHIN_S", -1)
            s.tick()
    s.tick() if how != "long ago" else None
    if how == "cancelled":
        assert "automatic restart 1 of 3 (the trainer died), in " in run_state(run).reason
        queue.cancel(run)
        s.tick()
    s.release()
    assert launches.started == []
    assert run_state(run).status is Status.INTERRUPTED


def test_a_run_that_is_cancelled_since_the_queue_was_read_does_not_start(home, logo_folder, launches, monkeypatch):
    run = queue.submit(home, named(logo_folder, "a"))
    s = Scheduler(home, launches)
    monkeypatch.setattr(s, "_obstacle", lambda *_: queue.cancel(run))  # what is asked just before
    s.tick()
    s.release()
    assert launches.started == []
    assert run_state(run).status is Status.STOPPED


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        ("OSError", True),
        ("WorkerError", True),
        ("ClusterError", True),
        ("ClusterRefusedError", False),
        ("LogosError", False),
        ("ConfigError", False),
    ],
)
def test_a_failed_run_is_restarted_where_that_may_help(home, logo_folder, error, is_retried):
    run = local.claim(home, named(logo_folder, "a", recovery={"enabled": True, "backoff_s": 0}))
    write_process(run, Process(2**22 - 1, 1.0))
    with EventWriter(run.events_file) as events:
        events.write(0, AttemptStarted(from_step=0, total_timesteps=0))
        events.write(0, Ended(status="FAILED", reason="it broke", error=error))
    causes: list[str] = []
    s = Scheduler(home, lambda run, checkpoint, cause: causes.append(cause))
    s.tick()
    s.release()
    assert causes == (["automatic restart 1 of 3 (it failed: it broke)"] if is_retried else [])


def test_settings_are_checked_and_kept_from_others(home):
    assert read_settings(home) == Settings()
    settings = check_settings({"notify": {"urls": ["json://localhost/x"], "summaries": "daily"}, "queue": {"cores": 4}})
    write_settings(home, settings)
    assert read_settings(home) == settings
    assert (home / "settings.yaml").stat().st_mode & 0o077 == 0
    for wrong, told in (({"queue": {"cores": -1}}, "queue.cores = -1 is not allowed"), ({"quue": {}}, "unknown setting")):
        with pytest.raises(ConfigError, match=told):
            check_settings(wrong)


def test_a_ticket_survives_its_file(home, logo_folder):
    run = queue.submit(home, named(logo_folder, "a"))
    ticket = QueueEntry(3.5, 2, "best", 7.0, "because")
    write_queue_entry(run, ticket)
    assert read_queue_entry(RunDir(run.path)) == ticket


def foreign(run: RunDir, *names: str) -> None:
    """As if the files had been written on another machine."""
    for name in names:
        told = json.loads((run.path / name).read_text())
        (run.path / name).write_text(json.dumps(told | {"machine": "0123456789abcdef"}))


def test_a_run_that_came_from_another_machine_starts_nothing_by_itself(home, logo_folder, launches):
    run = local.claim(home, named(logo_folder, "a", recovery={"enabled": True, "backoff_s": 0}))
    died(run, 64)
    write_process(run, Process(2**22 - 1, 1.0))
    foreign(run, "heartbeat.json", "process.json")
    assert run_state(run).status is Status.INTERRUPTED
    with Scheduling(home, launches) as s:
        for _ in range(3):
            s.tick()
        assert launches.started == []
        queue.resume(run)  # somebody asked for it
        s.tick()
        assert launches.started == ["a"]


def test_a_place_in_the_queue_that_was_copied_in_is_none(home, logo_folder, launches):
    run = queue.submit(home, named(logo_folder, "a"))
    copy = RunDir(home / "20260101-000000-copy")
    shutil.copytree(run.path, copy.path)
    assert [found.run_id for found, _ in queue.waiting(home)] == [run.run_id]
    assert run_state(copy).reason == "not started yet"
    foreign(run, "ticket.json")
    assert queue.waiting(home) == []
    with Scheduling(home, launches) as s:
        s.tick()
    assert launches.started == []


def test_a_completed_run_whose_log_is_deleted_is_not_trained_again(home, logo_folder, launches):
    run = local.claim(home, named(logo_folder, "a", recovery={"enabled": True, "backoff_s": 0}))
    died(run, 96)
    with EventWriter(run.events_file) as events:
        events.write(96, Ended(status="COMPLETED", reason="all steps done"))
    run.events_file.unlink()
    with Scheduling(home, launches) as s:
        s.tick()
        s.tick()
    assert launches.started == []
    assert queue.waiting(home) == []


class Scheduling:
    """A scheduler that is ticked by hand, and lets go of its lock."""

    def __init__(self, home: Path, launches: Any) -> None:
        self._scheduler = Scheduler(home, launches)

    def __enter__(self) -> Scheduler:
        return self._scheduler

    def __exit__(self, *_: object) -> None:
        self._scheduler.release()
