"""The event log: torn lines, attempts, golden old logs."""

import json
import math

from core.runs.event_types import Metrics, PhaseStarted, WarningGiven
from core.runs.events import EventWriter, parse, read_backwards, read_events, repair
from tests.support.paths import ASSETS

GOLDEN = ASSETS / "events_v1.jsonl"


def test_events_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as log:
        log.write(3, Metrics({"trace/gain": 0.5, "nan": math.nan}))
        log.write(4, WarningGiven('ü\n"'))
    event, warning = read_events(path)
    assert (event.seq, event.attempt, event.kind, event.step) == (1, 1, "metrics", 3)
    assert event.data.values["trace/gain"] == 0.5
    assert math.isnan(event.data.values["nan"])
    assert warning.data == WarningGiven('ü\n"')
    assert b'"nan":null' in path.read_bytes()


def test_each_line_is_one_json_object_with_the_agreed_keys(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as log:
        log.write(0, PhaseStarted(phase="x"))
    assert list(json.loads(path.read_text())) == ["v", "seq", "attempt", "ts", "kind", "step", "data"]


def test_a_torn_last_line_is_not_read_and_is_cut_by_the_next_writer(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as log:
        for i in range(3):
            log.write(i, PhaseStarted(phase=""))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"v":1,"seq":4,"att')
    assert [e.seq for e in read_events(path)] == [1, 2, 3]
    with EventWriter(path) as log:
        assert log.attempt == 2
        log.write(9, PhaseStarted(phase=""))
    kinds = [(e.seq, e.attempt, e.kind) for e in read_events(path)]
    assert kinds == [(1, 1, "phase"), (2, 1, "phase"), (3, 1, "phase"), (4, 2, "log_repaired"), (5, 2, "phase")]
    assert path.read_bytes().startswith(whole)


def test_a_log_that_is_one_torn_line_starts_anew(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"v":1')
    assert repair(path).n_cut == 6
    assert path.read_bytes() == b""


def test_reading_backwards_gives_the_reverse_whatever_the_block(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as log:
        for i in range(50):
            log.write(i, PhaseStarted(phase="x" * (i * 7)))
    forwards = [e.seq for e in read_events(path)]
    for block in (1, 7, 100, 4096):
        assert [e.seq for e in read_backwards(path, block)] == forwards[::-1]


def test_some_kinds_are_found_however_their_lines_are_laid_out(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as events:
        events.write(1, WarningGiven("a"))
        events.write(2, PhaseStarted("warning"))
    compact = path.read_text()
    path.write_text(compact + "".join(f"{json.dumps(json.loads(line), indent=None)}\n" for line in compact.splitlines()))
    assert [event.kind for event in read_events(path, ("warning",))] == ["warning", "warning"]


def test_a_line_that_is_no_event_is_passed_over():
    for line in (b"", b"{}", b"[1]", b"nonsense", b'{"v":1,"seq":"x","attempt":1,"ts":0,"kind":"a","step":0,"data":{}}'):
        assert parse(line) is None


def test_a_log_of_the_first_version_stays_readable():
    events = list(read_events(GOLDEN))
    assert [e.kind for e in events] == ["attempt_started", "episode", "metrics", "evaluated", "evaluation", "ended"]
    assert events[1].data.params[0] == 4.0
