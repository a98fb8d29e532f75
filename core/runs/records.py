"""What the small files of a run's folder say; core/runs/run_dir.py reads and writes them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from core.machine import Process


@dataclass(frozen=True)
class Heartbeat:
    """What the trainer says of itself every two seconds."""

    process: Process
    ts: float
    step: int
    phase: str
    is_paused: bool = False


@dataclass(frozen=True)
class Ticket:
    """A place in the queue: the wish that a run be started, or gone on with from ``checkpoint``.

    Runs of a higher ``priority`` come first, then those of a lower ``order``. Not before ``not_before`` (seconds since
    1970); ``cause`` says why a restart was wanted, empty for a wish of the user's; ``made``: when it was wished for.
    """

    order: float
    priority: int = 0
    checkpoint: str = ""
    not_before: float = 0.0
    cause: str = ""
    made: float = field(default_factory=time.time)

    @property
    def rank(self) -> tuple[int, float]:
        return -self.priority, self.order


@dataclass(frozen=True)
class Recovery:
    """Automatic restarts in a row, and how far the run was at the last of them."""

    n_restarts: int
    step: int


@dataclass(frozen=True)
class Parent:
    """Where a run was forked from."""

    run_id: str
    checkpoint: str
    step: int


@dataclass(frozen=True)
class Spawned:
    """The process that a launcher started, and when by the wall clock (a process's own start time is too coarse to
    be ordered against events)."""

    process: Process
    ts: float


@dataclass(frozen=True)
class Board:
    """What the scheduler of a home says: its process, and why each queued run waits."""

    process: Process
    reasons: dict[str, str]
