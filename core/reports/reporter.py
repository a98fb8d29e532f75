"""Makes reports by itself: when a run, a stage or a study ends, and once a day and a week of all runs.

It is told of notices by the notifier and writes down at once what they call for, so nothing is lost when its process is killed; each
report is made by a process of its own (``python -m core report``) at a low priority. Guarantees: a training and the console never wait
for a report; the same event gives one report; what fails twice is left out with a line in the log.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Self

import psutil
from pydantic import Field

from core.config.installation import ReportSettings, Settings, read_settings
from core.errors import ConfigError, DamagedFileError
from core.files import set_aside, write_aside
from core.notifications.notices import Notice
from core.paths import HOME_VARIABLE, PROJECT
from core.reports import kept
from core.runs.event_types import Ended, StageEnded
from core.runs.records import read_trial
from core.runs.run_dir import RunDir, all_runs, is_run_id
from core.runs.small_files import Seconds, Text, read

log = logging.getLogger("tracewright.reports")
STATE_FILE = "waiting.json"
POLL_S = 2.0
SETTLE_S = 10.0  # from an event to its report: the trainer closes its files meanwhile
TIME_LIMIT_S, MAX_TRIES, MOST_WAITING = 900.0, 2, 200
PERIOD_S = {"day": 86_400.0, "week": 604_800.0}
ARGUMENTS = ("-m", "core", "report")
TRIGGER_OF: dict[str, kept.Trigger] = {Ended.kind: "end", StageEnded.kind: "stage"}  # {kind of event: which report it calls for}


@dataclass
class Wanted:
    """A report that is to be made. ``run_id`` is empty for a summary of all runs, and for a study."""

    run_id: Text
    trigger: kept.Trigger
    event_ts: Seconds
    not_before: Seconds
    n_tries: Annotated[int, Field(ge=0)] = 0
    study: Text = ""


@dataclass
class _State:
    wanted: list[Wanted] = field(default_factory=list)
    last: dict[str, Seconds] = field(default_factory=dict)  # {period: when its summary was last made}


Make = Callable[[Wanted, Path, threading.Event], str]


def arguments(wanted: Wanted) -> list[str]:
    """Of the command that makes a report and keeps it."""
    what = ["--period", wanted.trigger] if wanted.trigger in PERIOD_S else ["--study", wanted.study] if wanted.study else [wanted.run_id]
    return [*what, "--keep", "--trigger", wanted.trigger, "--event-ts", repr(wanted.event_ts), "--json"]


def make_in_a_process(wanted: Wanted, home: Path, stop: threading.Event) -> str:
    """Make a report in a process of its own; returns what went wrong, or ""."""
    environment = os.environ | {HOME_VARIABLE: str(home)}
    command = [sys.executable, *ARGUMENTS, *arguments(wanted)]
    with subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as child:
        _lower(child.pid)
        deadline = time.monotonic() + TIME_LIMIT_S
        while True:
            try:
                _, said = child.communicate(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                if stop.is_set() or time.monotonic() > deadline:
                    child.kill()
                    return "stopped" if stop.is_set() else f"it took more than {TIME_LIMIT_S:.0f} s"
    lines = said.decode(errors="replace").strip().splitlines()
    return "" if child.returncode == 0 else (lines[-1][:300] if lines else f"exit code {child.returncode}")


def make_of_study(study_id: str, home: Path, stop: threading.Event, make: Make = make_in_a_process) -> str:
    """Make the report of a study that ended, where the settings ask for one; returns what went wrong, or "". The process that worked on the
    study calls it, and waits: it has nothing else to do."""
    try:
        settings = read_settings(home).reports
    except ConfigError as error:
        log.warning("%s", error)
        settings = Settings().reports
    if not settings.at_end:
        return ""
    now = time.time()
    problem = make(Wanted("", "end", now, now, study=study_id), home, stop)
    if not problem:
        kept.thin_out(home, settings.keep)
    return problem


def _lower(pid: int) -> None:
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process(pid).nice(15)


class Reporter:
    """A context manager that runs the thread. ``is_mine``: whether this process is the one that acts, if several share a home."""

    def __init__(self, home: Path, is_mine: Callable[[], bool], make: Make = make_in_a_process) -> None:
        self.home, self._is_mine, self._make = home, is_mine, make
        self._stop = threading.Event()
        self._lock = threading.Lock()  # of the state: the notifier's thread adds to it
        self._thread = threading.Thread(target=self._work, name="reporter", daemon=True)
        self._state: _State | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                if self._is_mine():
                    self.tick()
            except Exception:  # a full disk or a broken file must not end the thread; the next tick tries again
                log.exception("reports failed; trying again in %g s", POLL_S)
            self._stop.wait(POLL_S)

    @property
    def n_waiting(self) -> int:
        """Reports that are still to be made."""
        with self._lock:
            return len(self._loaded().wanted)

    def note(self, notice: Notice) -> None:
        """What an event calls for is written down before the next one is looked at."""
        settings = self._settings()
        trigger = _trigger(notice, settings)
        if trigger is None or self._is_of_a_study(notice.run_id):
            return
        with self._lock:
            state = self._loaded()
            if any((w.run_id, w.trigger, w.event_ts) == (notice.run_id, trigger, notice.ts) for w in state.wanted):
                return
            state.wanted = [*state.wanted, Wanted(notice.run_id, trigger, notice.ts, time.time() + SETTLE_S)][-MOST_WAITING:]
            self._save(state)

    def _is_of_a_study(self, run_id: str) -> bool:
        """Trials get no reports of their own: their study has one, and there may be thousands."""
        return is_run_id(run_id) and read_trial(RunDir(self.home / run_id)) is not None

    def tick(self, now: float | None = None) -> None:
        """Note the summaries that are due, and make the first report that is."""
        now, settings = time.time() if now is None else now, self._settings()
        with self._lock:
            state = self._loaded()
            self._note_summaries(state, settings, now)
            due = next((wanted for wanted in state.wanted if wanted.not_before <= now or wanted.not_before > now + 86_400), None)
        if due is None:
            return
        problem = self._made(due)
        if problem == "stopped":
            return  # it waits for the next process
        with self._lock:
            due.n_tries += 1
            if problem and due.n_tries < MAX_TRIES:
                due.not_before = now + 60 * due.n_tries
            else:
                self._loaded().wanted.remove(due)
            self._save(self._loaded())
        if problem:
            log.warning("no report %s of %s: %s", kept.TRIGGERS[due.trigger], due.run_id or "all runs", problem)
        else:
            kept.thin_out(self.home, settings.keep)
            kept.purge(self.home)

    def _note_summaries(self, state: _State, settings: ReportSettings, now: float) -> None:
        """A period begins when this is first asked; a summary is made as it ends, if anything is there to tell."""
        is_changed = False
        for period, seconds in PERIOD_S.items():
            if period not in state.last or not 0 <= now - state.last[period] < 4 * seconds:
                state.last[period], is_changed = now, True
            elif now - state.last[period] >= seconds:
                state.last[period], is_changed = now, True
                if settings.summaries in (f"{'daily' if period == 'day' else 'weekly'}", "both"):
                    state.wanted.append(Wanted("", "day" if period == "day" else "week", now, now))
        if is_changed:
            self._save(state)

    def _made(self, wanted: Wanted) -> str:
        """Make it, unless it is there already or its run is gone; returns what went wrong, or ""."""
        runs = {run.run_id for run in all_runs(self.home)}
        if (wanted.run_id and wanted.run_id not in runs) or not runs:
            return ""
        if wanted.run_id and (wanted.run_id, wanted.trigger, wanted.event_ts) in kept.by_event(self.home):
            return ""
        return self._make(wanted, self.home, self._stop)

    def _settings(self) -> ReportSettings:
        try:
            return read_settings(self.home).reports
        except ConfigError as error:
            log.warning("%s", error)
            return Settings().reports

    def _loaded(self) -> _State:
        if self._state is None:
            path = kept.folder_of(self.home) / STATE_FILE
            try:
                self._state = read(path, _State) or _State()
            except DamagedFileError as error:
                log.warning("%s; it was saved as %s, and the reports queued in it will not be made", error, set_aside(path).name)
                self._state = _State()
        return self._state

    def _save(self, state: _State) -> None:
        told = {"v": 1, "wanted": [asdict(wanted) for wanted in state.wanted], "last": state.last}
        write_aside(kept.folder_of(self.home) / STATE_FILE, json.dumps(told).encode())


def _trigger(notice: Notice, settings: ReportSettings) -> kept.Trigger | None:
    """Which report a notice calls for; None for most, and for what a search gave up early."""
    trigger = TRIGGER_OF.get(notice.kind)
    if trigger == "end" and (not settings.at_end or notice.title.endswith("pruned")):
        return None
    return trigger if trigger != "stage" or settings.at_stages else None
