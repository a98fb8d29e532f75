"""Sends the alerts and milestones of all runs to the addresses in the settings.

Notices are read from the event logs, so nothing is lost when the sending process is killed; its offsets, its outbox and
what was sent are kept in ``notifications.json``. Guarantees: sending never touches a training; the same cause of the
same run is sent once per pause, not on each event; a failing target is retried with growing delays, then reported.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field

from core.config.installation import SEVERITIES, NotifySettings, Settings, read_settings
from core.errors import ConfigError, DamagedFileError
from core.files import set_aside, write_aside
from core.notifications.addresses import send
from core.notifications.notices import KINDS, Notice, notice_of
from core.runs.events import NewLines, read_new_lines
from core.runs.rounds import Rounds, known_runs
from core.runs.run_dir import RunDir, all_runs
from core.runs.small_files import Seconds, read
from core.runs.status import Status, overview

log = logging.getLogger("tracewright.alerts")
STATE_FILE = "notifications.json"
POLL_S = 2.0
RETRY_S, MAX_TRIES = 30.0, 7  # doubles with each try: about half an hour in all
SUMMARY_S = {"hourly": 3600.0, "daily": 86_400.0, "weekly": 604_800.0}


@dataclass
class OutboxMessage:
    """A message on its way to one address."""

    url: str
    title: str
    text: str
    not_before: Seconds
    n_tries: Annotated[int, Field(ge=0, le=MAX_TRIES)] = 0


@dataclass
class _Failure:
    ts: Seconds
    title: str
    problem: str


@dataclass
class _State:
    """What is kept of a notifier."""

    offsets: dict[str, Annotated[int, Field(ge=0)]]
    outbox: list[OutboxMessage]
    sent: dict[str, Seconds]
    last_summary: Seconds
    failures: list[_Failure]


class Notifier:
    """A context manager that runs the sending thread. ``is_mine``: whether this process is the one that sends, if several
    share a home; ``deliver``: sends (url, title, text) and returns what went wrong; ``listener``: is told of every notice, also where
    nobody is to be notified, at least once."""

    def __init__(
        self,
        home: Path,
        is_mine: Callable[[], bool],
        deliver: Callable[[str, str, str], str] = send,
        listener: Callable[[Notice], None] = lambda notice: None,
    ) -> None:
        self.home, self._is_mine, self._deliver, self._listener = home, is_mine, deliver, listener
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="notifier", daemon=True)
        self._offsets: dict[str, int] | None = None
        self._rounds = Rounds(home)
        self._outbox: list[OutboxMessage] = []
        self._sent: dict[str, float] = {}  # {run and cause: Unix time in s}
        self._last_summary = 0.0
        self.failures: list[dict[str, Any]] = []  # messages given up on

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
            except Exception:  # a broken log or a full disk must not end the thread; the next tick tries again
                log.exception("notifications failed; trying again in %g s", POLL_S)
            self._stop.wait(POLL_S)

    def tick(self, now: float | None = None) -> None:
        """Read the new events of all logs, queue what is to be sent, and send what is due."""
        now = time.time() if now is None else now
        if self._offsets is None:
            self._load(now)
        try:
            settings = read_settings(self.home)
        except ConfigError as error:
            log.warning("%s", error)
            settings = Settings()
        is_changed = self._read(settings.notify, now)
        is_changed |= self._summarise(settings.notify, now)
        if is_changed:
            self._save()
        if self._send(now):
            self._save()

    def _read(self, settings: NotifySettings, now: float) -> bool:
        assert self._offsets is not None
        is_changed = False
        for run in self._rounds.due():
            at = self._offsets.get(run.run_id, 0)
            self._rounds.done_with(run.run_id)
            for new in _readable(run, at):
                self._offsets[run.run_id] = new.offset
                is_changed = True
                for event in new.events(KINDS):
                    notice = notice_of(run.run_id, event)
                    if notice is None:
                        continue
                    self._listener(notice)
                    if settings.urls and _is_wanted(notice, settings):
                        self._note(notice, settings, now)
        return is_changed

    def _note(self, notice: Notice, settings: NotifySettings, now: float) -> None:
        key = f"{notice.run_id} {notice.cause}"
        if 0 <= now - self._sent.get(key, -math.inf) < settings.pause_minutes * 60:
            return
        self._sent[key] = now
        title = f"{notice.title}: {notice.run_id}"
        self._outbox += [OutboxMessage(url, title, f"{notice.text}\nstep {notice.step:,}", now) for url in settings.urls]

    def _summarise(self, settings: NotifySettings, now: float) -> bool:
        every = SUMMARY_S.get(settings.summaries)
        if every is None or not settings.urls or 0 <= now - self._last_summary < every:
            return False
        self._last_summary = now
        title = f"Tracewright: {settings.summaries} summary"
        self._outbox += [OutboxMessage(url, title, summary(self.home), now) for url in settings.urls]
        return True

    def _send(self, now: float) -> bool:
        due = [message for message in self._outbox if message.not_before <= now]
        for message in due:
            problem = self._deliver(message.url, message.title, message.text)
            if not problem:
                self._outbox.remove(message)
                continue
            message.n_tries += 1
            message.not_before = now + RETRY_S * 2 ** (message.n_tries - 1)
            log.warning("notification not sent (try %d of %d): %s", message.n_tries, MAX_TRIES, problem)
            if message.n_tries >= MAX_TRIES:
                self._outbox.remove(message)
                self.failures = [*self.failures[-19:], {"ts": now, "title": message.title, "problem": problem}]
        return bool(due)

    def _load(self, now: float) -> None:
        """Continue where an earlier process stopped; on a home without saved state, start with events from now on."""
        state = None
        try:
            state = read(self.home / STATE_FILE, _State)
        except DamagedFileError as error:
            log.warning("%s; it was saved as %s, and notifications start with new events", error, set_aside(self.home / STATE_FILE))
        if state is not None:
            self._offsets, self._outbox, self._sent = dict(state.offsets), list(state.outbox), dict(state.sent)
            self._last_summary, self.failures = state.last_summary, [asdict(failure) for failure in state.failures]
        else:
            self._offsets = {run.run_id: _size(run) for run in all_runs(self.home)}
            self._last_summary = now
            self._save()

    def _save(self) -> None:
        assert self._offsets is not None
        alive = known_runs(self.home)
        self._offsets = {key: value for key, value in self._offsets.items() if key in alive}
        week = max(self._sent.values(), default=0.0) - SUMMARY_S["weekly"]
        self._sent = {key: value for key, value in self._sent.items() if value > week}
        state = {
            "v": 1,
            "offsets": self._offsets,
            "outbox": [asdict(message) for message in self._outbox],
            "sent": self._sent,
            "last_summary": self._last_summary,
            "failures": self.failures,
        }
        write_aside(self.home / STATE_FILE, json.dumps(state).encode(), mode=0o600)  # addresses contain passwords

    @property
    def n_waiting(self) -> int:
        """Number of messages still to be sent."""
        return len(self._outbox)


def _is_wanted(notice: Notice, settings: NotifySettings) -> bool:
    if notice.is_milestone and settings.milestones:
        return True
    return SEVERITIES.index(notice.severity) >= SEVERITIES.index(settings.at_least)


def _size(run: RunDir) -> int:
    try:
        return run.events_file.stat().st_size
    except OSError:
        return 0


def _new_lines(run: RunDir, at: int) -> Iterator[NewLines]:
    """What was appended since; of a log that was cut, or of another run of that name, only what comes from now on."""
    while True:
        new = read_new_lines(run.events_file, at)
        if new.was_replaced:
            yield NewLines(b"", _size(run))
            return
        if new.data:
            yield new
            at = new.offset
        if not new.has_more:
            return


def _readable(run: RunDir, at: int) -> Iterator[NewLines]:
    """As :func:`_new_lines`; a log that can't be read holds nobody, and is named where the runs are listed."""
    with contextlib.suppress(OSError):
        yield from _new_lines(run, at)


def summary(home: Path) -> str:
    """A summary of all runs as text."""
    rows = [overview(run) for run in all_runs(home)]
    counts = {status.value: sum(row["status"] == status for row in rows) for status in Status}
    head = ", ".join(f"{n} {status.lower()}" for status, n in counts.items() if n) or "no runs yet"
    lines = [
        f"{row['run_id']}: {row['status'].lower()}, step {row['step']:,}"
        + (f" of {row['total_timesteps']:,}" if row["total_timesteps"] else "")
        + (f", best gain {row['best_gain']:+.3f}" if row["best_gain"] is not None else "")
        for row in rows[-20:][::-1]
    ]
    return "\n".join([head, *lines])
