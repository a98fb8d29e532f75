"""Sign-ins that were ended by a sign-out, over restarts of the server: ``signed_out.json`` of the home, digests and times alone.

Guarantee: a sign-in that was ended stays ended. Where the file can't be read, nobody knows which ones were, so all that are older than that
moment are: people sign in again.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from core.errors import DamagedFileError
from core.files import read_json, write_aside

FILE = "signed_out.json"
KEPT_S = 31 * 24 * 3600.0  # longer than any sign-in may last (access.session_hours)
MAX_KEPT = 10_000


class SignOuts:
    """Those of one home. ``clock``: Unix seconds. Any thread may call it."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.time) -> None:
        self.home = home
        self._clock = clock
        self._lock = threading.Lock()
        self._ended: dict[str, float] = {}  # {digest: when}, oldest first
        self._all_before = 0.0
        try:
            found = read_json(home / FILE) or {}
            self._ended = {str(mark): float(ts) for mark, ts in found.get("ended", {}).items()}
            before = float(found.get("all_before", 0.0))
            self._all_before = before if 0 <= before <= clock() else clock()
        except (DamagedFileError, AttributeError, TypeError, ValueError, OverflowError):
            self._all_before = clock()

    def end(self, mark: str) -> None:
        """A sign-in is over, from now on.

        Raises:
            OSError: it can't be written; until the server ends it is over all the same.
        """
        with self._lock:
            now = self._clock()
            self._ended = {mark_: ts for mark_, ts in self._ended.items() if ts > now - KEPT_S and mark_ != mark} | {mark: now}
            while len(self._ended) > MAX_KEPT:
                self._ended.pop(next(iter(self._ended)))
            told = {"v": 1, "all_before": self._all_before, "ended": self._ended}
            write_aside(self.home / FILE, json.dumps(told).encode())

    def has_ended(self, mark: str, issued: object) -> bool:
        """Whether a sign-in is over; ``issued``: when it was made, in Unix seconds, as the provider says."""
        return mark in self._ended or (self._all_before > 0 and not (isinstance(issued, int | float) and issued > self._all_before))
