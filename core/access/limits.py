"""How much one person may do in a while: actions per minute and uploaded bytes per hour. Kept in memory, for this server's life."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

MAX_PEOPLE = 10_000  # whose use is remembered; the ones longest idle go first


class Limit:
    """At most ``most`` units per person within ``window_s`` seconds; ``clock``: monotonic seconds."""

    def __init__(self, window_s: float, clock: Callable[[], float]) -> None:
        self.window_s = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self._used: dict[str, deque[tuple[float, float]]] = {}

    def wait_s(self, person: str, amount: float, most: float) -> float:
        """Take ``amount`` units, and return 0; or take nothing, and return the seconds until they may be had (infinite: never)."""
        if amount > most:
            return float("inf")
        with self._lock:
            now = self._clock()
            used = self._used.pop(person, deque())
            self._used[person] = used  # last: the one that is idle for the shortest time
            while len(self._used) > MAX_PEOPLE:
                self._used.pop(next(iter(self._used)))
            while used and used[0][0] <= now - self.window_s:
                used.popleft()
            over = sum(units for _, units in used) + amount - most
            if over <= 0:
                used.append((now, amount))
                return 0.0
            for ts, units in used:
                over -= units
                if over <= 0:
                    return ts + self.window_s - now
            return self.window_s  # out of reach: what is used covers what is over
