"""Follows a run's event log and hands its readings to one sink, live or afterwards.

Guarantees: what reaches the sink is what the CSV export holds, so what a resumed attempt did again is there once; the place in the log is
kept behind what the sink has kept, so repeating an export, or going on after a kill, adds nothing twice. Runs in a process of its own
beside a training (core/trackers/launch.py), and never writes to the log.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from core.errors import TrackerError
from core.runs.event_types import AttemptStarted
from core.runs.events import Event, NewLines, read_events, read_new_lines
from core.runs.run_dir import RunDir
from core.runs.status import run_state
from core.trackers.credentials import masked
from core.trackers.place import TAIL_BYTES, Place, read_place, write_place
from core.trackers.sink import KINDS, About, Reading, Sink, reading_of

POLL_S = 2.0
Told = Callable[[int, int], None]  # bytes of the log that were handed on, of how many


class Follower:
    """One run on its way to one sink. ``file``: where its place is kept."""

    def __init__(self, run: RunDir, sink: Sink, file: Path, about: About) -> None:
        self._run, self._sink, self._file, self._about = run, sink, file, about
        self._is_open = False
        self._starts: dict[int, float] = {}  # {attempt: the last step of those before it that counts}
        self.place = read_place(file)

    def catch_up(self, told: Told = lambda done, size: None) -> int:
        """Hand on all whole lines that are new; returns the number of readings.

        Raises:
            TrackerError: the sink refused; what it said, without secrets. Its place stays where it was.
        """
        try:
            return self._catch_up(told)
        except Exception as error:  # of whatever package the sink stands on
            raise _told(error) from error

    def close(self, status: str) -> None:
        """Let the sink finish; ``status``: of the run that is over, else empty. Raises as :meth:`catch_up`."""
        try:
            if not self._is_open and status and self.place.offset and status != self.place.status:
                self._open()
                self._catch_up(lambda done, size: None)
            if self._is_open:
                self._sink.close(status)
                self._is_open = False
                self._keep(replace(self.place, status=status))
        except Exception as error:
            raise _told(error) from error

    def _keep(self, place: Place) -> None:
        self.place = place
        write_place(self._file, place, self._run)

    def _catch_up(self, told: Told) -> int:
        n_readings = 0
        while True:
            new = read_new_lines(self._run.events_file, self.place.offset, bytes.fromhex(self.place.tail))
            if new.was_replaced:
                self._open()
                self._start_over()
                n_readings = 0
            elif not new.data:
                return n_readings
            elif self._open():
                n_new = self._hand_on(new)
                n_readings = n_readings + n_new if self.place.offset else 0
                told(self.place.offset, self._run.events_file.stat().st_size)
                if not new.has_more and self.place.offset:
                    return n_readings

    def _open(self) -> bool:
        """Make the sink ready; returns whether it goes on at the place as it was."""
        if self._is_open:
            return True
        place = self.place
        goes_on = self._sink.open(self._about, place.state)
        self._is_open = True
        for event in read_events(self._run.events_file, (AttemptStarted.kind,)):
            self._note_start(event)
        if not goes_on:
            self.place = Place()
        elif place.max_step > min((limit for attempt, limit in self._starts.items() if attempt > place.attempt), default=math.inf):
            self._start_over()
        return self.place.offset == place.offset

    def _start_over(self) -> None:
        self._sink.start_over()
        self.place = Place()

    def _note_start(self, event: Event) -> float:
        """The last step of the attempts before that still counts."""
        from_step = event.data.from_step if isinstance(event.data, AttemptStarted) else 0
        self._starts[event.attempt] = from_step or -1
        return self._starts[event.attempt]

    def _is_current(self, event: Event) -> bool:
        return all(event.step <= limit for attempt, limit in self._starts.items() if attempt > event.attempt)

    def _hand_on(self, new: NewLines) -> int:
        """Hand on the readings of new lines and keep the place; where an attempt in them replaces what was handed on, start over."""
        readings: list[Reading] = []
        max_step, last = self.place.max_step, self.place.attempt
        for event in new.events((*KINDS, AttemptStarted.kind)):
            last = max(last, event.attempt)
            if isinstance(event.data, AttemptStarted):
                is_known = event.attempt in self._starts
                if max_step > self._note_start(event) and not is_known:
                    self._start_over()
                    return 0
            elif self._is_current(event) and (reading := reading_of(event)) is not None:
                readings.append(reading)
                max_step = max(max_step, reading.step)
        self._sink.write(readings)
        state = self._sink.flush()
        tail = (bytes.fromhex(self.place.tail) + new.data)[-TAIL_BYTES:].hex()
        self._keep(Place(new.offset, tail, state, max_step, last, self.place.n_readings + len(readings)))
        return len(readings)


def _told(error: Exception) -> TrackerError:
    """One line of whatever went wrong, without secrets."""
    text = masked(" ".join(str(error).split()))[:400]
    return TrackerError(text if isinstance(error, TrackerError) else f"{type(error).__name__}: {text}")


def follow(follower: Follower, run: RunDir, wait: Callable[[float], bool], told: Told = lambda done, size: None) -> int:
    """Hand readings on as they come, until the run is over or ``wait`` (given seconds) says so; returns their number."""
    n_readings = 0
    while True:
        is_over = run_state(run).status.is_finished  # first: what was written before it was over is then read
        n_readings += follower.catch_up(told)
        if is_over or wait(POLL_S):
            return n_readings
