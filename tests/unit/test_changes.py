"""What a page asks for between its drawings."""

import time

import pytest

from core.access.roles import LOCAL, Person, Role
from core.bench.made_up import finished_runs
from core.bench.ui import alive, go_on
from core.config.config import RunConfig
from core.notifications.notices import mark_read
from core.runs.event_types import AttemptStarted, WarningGiven
from core.runs.events import EventWriter
from core.runs.records import claim
from pages.server import changes
from storage.ingest import read_new
from storage.store import Store


@pytest.fixture
def store():
    with Store(None) as opened:
        yield opened


def test_a_version_changes_with_the_log_and_with_the_status_and_with_nothing_else(home, store, monkeypatch):
    monkeypatch.setattr(changes.time, "time", lambda: 0.0)
    other, run = finished_runs(home, 1)[0], claim(home, RunConfig(name="live"))
    offsets = {}

    def take_in() -> None:
        for one in (other, run):
            read_new(store, one.run_id, one.events_file, offsets)

    go_on(run, 0)
    take_in()
    with alive(run):
        first = changes.version(store, [run])
        assert changes.version(store, [run]) == first
        go_on(other, 9)
        take_in()
        assert changes.version(store, [run]) == first
        go_on(run, 1)
        take_in()
        second = changes.version(store, [run])
        assert second != first
    run.heartbeat_file.unlink()
    assert changes.version(store, [run]) != second


def test_the_frame_changes_with_runs_and_notices_and_roles_and_not_with_episodes(home, store):
    run, offsets = claim(home, RunConfig(name="live")), {}

    def told(who: Person = LOCAL, problem: str = "") -> str:
        read_new(store, run.run_id, run.events_file, offsets)
        return changes.version_of_frame(home, store, problem, who)

    go_on(run, 0)
    nothing_live = told()
    with alive(run):
        live = told()
        go_on(run, 1)
        assert told() == live
        others = (
            told(Person("a", Role.ADMIN)),
            told(Person("b", Role.ADMIN)),
            told(Person("b", Role.VIEWER)),
            told(problem="the disk is full"),
        )
        assert len({nothing_live, live, *others}) == 6
        with EventWriter(run.events_file) as events:
            events.write(1, AttemptStarted(0, 100))
            events.write(1, WarningGiven("the disk is nearly full"))
        warned = told()
        mark_read(home, time.time())
        assert len({live, warned, told()}) == 3


def test_time_passes_for_live_runs_alone(home, store, monkeypatch):
    ended, run = finished_runs(home, 1)[0], claim(home, RunConfig(name="live"))
    with alive(run):
        told = []
        for now in (0.0, changes.TICK_S):
            monkeypatch.setattr(changes.time, "time", lambda now=now: now)
            told.append([changes.version(store, [one]) for one in (ended, run)])
    assert told[0][0] == told[1][0]
    assert told[0][1] != told[1][1]
