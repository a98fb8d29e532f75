"""Which runs of a home are worth a look: so that thousands that ended cost next to nothing, while none that goes on is missed.

A home's time of change tells which folders it holds; a run's folder and log tell whether anything happened in it, since all but the log is
written aside and renamed. Whoever gives a run work says so (:func:`announce`); what comes in any other way, such as a copy of files into an
old run, is found by turns. Guarantee: nothing here is believed for longer than :data:`SURE_S` or one turn through all runs.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.runs.run_dir import EVENTS_FILE, RunDir, folders_in, has_run

CHANGED_FILE = "runs.changed"  # its time of change: when a run was last given work
SURE_S = 30.0  # for how long a list of folders holds at most, whatever its time of change says
COARSE_S = 0.1  # two changes within so long may have one time
HOT_S = 30.0  # for so long after a change a run is compared at each tick
BY_TURNS = 300  # of the other runs, compared at each tick
Stamp = tuple[int, int, int, int]  # times of change of a run's folder and of its log in ns, the log's size and inode


def announce(home: Path) -> None:
    """Say that a run of this home was given work."""
    with suppress(OSError):  # on a full or read-only disk it is found by turns
        (home / CHANGED_FILE).touch()


@dataclass
class _Listing:
    """``others``: folders that hold no run yet."""

    runs: dict[str, RunDir] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    changed_ns: int = -1
    read_ts: float = 0.0


_listings: dict[Path, _Listing] = {}
_lock = threading.Lock()


def known_runs(home: Path) -> dict[str, RunDir]:
    """{run id: run} as :func:`core.runs.run_dir.all_runs`, at the cost of one look at the home where no folder came or went.

    The same object as before where nothing has changed; not to be written to.
    """
    with _lock:
        listing = _listings.setdefault(home, _Listing())
        changed_ns, now = _time(str(home)), time.time()
        is_known = listing.changed_ns == changed_ns and 0 <= now - listing.read_ts < SURE_S
        if not is_known or now - changed_ns / 1e9 < COARSE_S:
            _read(home, listing, is_known)
            listing.changed_ns = changed_ns
            listing.read_ts = listing.read_ts if is_known else now
        elif found := {name: RunDir(home / name) for name in listing.others if has_run(f"{home}/{name}")}:
            listing.others = [name for name in listing.others if name not in found]
            listing.runs = dict(sorted((listing.runs | found).items()))
        return listing.runs


def _read(home: Path, listing: _Listing, is_sure: bool) -> None:
    """``is_sure``: whether what was a run a moment ago need not be looked into."""
    runs: dict[str, RunDir] = {}
    others: list[str] = []
    for name in folders_in(home):
        known = listing.runs.get(name)
        if (known is not None and is_sure) or has_run(f"{home}/{name}"):
            runs[name] = known or RunDir(home / name)
        else:
            others.append(name)
    listing.others = others
    if list(runs) != list(listing.runs):
        listing.runs = runs


def _time(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return 0


def stamp_of(path: str) -> Stamp:
    """What changes with whatever happens in a run's folder; ``path``: of the folder."""
    try:
        log = os.stat(f"{path}/{EVENTS_FILE}")
    except (OSError, ValueError):
        return _time(path), 0, 0, 0
    return _time(path), log.st_mtime_ns, log.st_size, log.st_ino


class Rounds:
    """The runs that one thread looks after. ``clock``: seconds since 1970."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.time) -> None:
        self.home, self._clock = home, clock
        self.runs: dict[str, RunDir] = {}  # all that there were at the last :meth:`due`
        self._open: set[str] = set()  # those that are looked at each time
        self._asked: dict[str, Stamp] = {}  # those that were due last, as they were then
        self._done: dict[str, Stamp] = {}  # those that are done with, as they were then
        self._hot: dict[str, float] = {}  # those of them that changed a moment ago, and when that was seen
        self._turn: list[str] = []
        self._announced_ns = -1

    def due(self, looks_at_all: bool = False) -> list[RunDir]:
        """The runs that are new, not done with, or have changed since, in the order of their names."""
        announced_ns = _time(f"{self.home}/{CHANGED_FILE}")
        looks_at_all |= announced_ns != self._announced_ns
        self._announced_ns = announced_ns
        runs = known_runs(self.home)
        if runs is not self.runs:
            for gone in self.runs.keys() - runs.keys():
                self.forget(gone)
            self.runs, self._open = runs, runs.keys() - self._done.keys()
        compared = set(self._done) if looks_at_all else self._to_compare()
        self._asked = {}
        for run_id in sorted(self._open | compared):
            stamp = stamp_of(f"{self.home}/{run_id}")
            if run_id in self._open or stamp != self._done.get(run_id):
                self._asked[run_id] = stamp
        self._open |= self._asked.keys()
        return [runs[run_id] for run_id in self._asked]

    def _to_compare(self) -> set[str]:
        now = self._clock()
        self._hot = {run_id: seen for run_id, seen in self._hot.items() if 0 <= now - seen < HOT_S}
        if not self._turn:
            self._turn = list(self._done)
        by_turns, self._turn = self._turn[:BY_TURNS], self._turn[BY_TURNS:]
        return {run_id for run_id in (*self._hot, *by_turns) if run_id in self._done}

    def done_with(self, run_id: str) -> None:
        """A run that was due needs no look until something happens in it."""
        stamp, now = self._asked[run_id], self._clock()
        since = now - max(stamp[:2]) / 1e9
        if abs(since) < COARSE_S:
            return  # what comes now may have the same time
        if since < HOT_S:
            self._hot[run_id] = now
        self._done[run_id] = stamp
        self._open.discard(run_id)

    def forget(self, run_id: str) -> None:
        """Look at a run again, where it is still there."""
        self._done.pop(run_id, None)
        self._hot.pop(run_id, None)
        self._asked.pop(run_id, None)
        if run_id in self.runs:
            self._open.add(run_id)
