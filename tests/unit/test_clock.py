"""The clock of a machine may be set, forward or back: what was measured and what comes after what stays as it was."""

import time

import pytest

from core.config.config import RunConfig
from core.machine import Process
from core.runs.event_types import AttemptStarted, WarningGiven
from core.runs.events import EventWriter, read_events
from core.runs.records import claim, moment, read_process, read_queue_entry, read_stop, write_process, write_queue_entry, write_stop
from core.runs.small_files import QueueEntry
from storage.ingest import catch_up
from storage.store import Store

DAY_S = 86_400.0


@pytest.fixture(params=[-DAY_S, DAY_S], ids=["back", "forward"])
def jump(request, monkeypatch):
    """Sets the clock by a day, whenever it is called."""
    real = time.time

    def set_clock():
        monkeypatch.setattr(time, "time", lambda: real() + request.param)

    return set_clock


def test_elapsed_times_survive(home, jump):
    run = claim(home, RunConfig())
    with EventWriter(run.events_file) as events:
        events.write(0, AttemptStarted(0, 100))
        jump()
        events.write(1, WarningGiven("a"))
    first, second = (event.ts for event in read_events(run.events_file))
    assert 0 <= second - first < 60
    with Store(None) as store:
        catch_up(store, home, {})
        assert 0 <= store.rows("SELECT minutes FROM current_events WHERE kind = 'warning'")[0][0] < 1


def test_what_is_done_later_counts_as_later(home, jump):
    run = claim(home, RunConfig())
    write_process(run, Process(2**30, 1.0))
    jump()
    write_stop(run)
    assert read_stop(run) > read_process(run).ts
    write_queue_entry(run, QueueEntry(1.0, made=moment(run)))
    assert read_queue_entry(run).made > read_stop(run)
    write_process(run, Process(2**30, 1.0), after=time.time() + 5)
    assert read_process(run).ts > max(read_stop(run), time.time() + 4)


def test_a_restart_waits_no_longer_than_it_was_to(jump):
    now = time.time()
    entry = QueueEntry(1.0, not_before=now + 10, made=now)
    assert entry.left_s(now) == pytest.approx(10)
    jump()
    assert entry.left_s(time.time()) == 0
