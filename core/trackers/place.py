"""How far a run's log was handed to a tracker: one small file per target in the run's folder, so that repeating does nothing twice.

Guarantee: it is written after the sink has kept what it says, and read with the log's bytes before it, so a log that was replaced and a
kill at any moment are noticed. It names no secret: a target is known by a digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from core.errors import TrackerError
from core.files import write_aside
from core.locks import held
from core.runs.run_dir import RunDir
from core.runs.small_files import Text, read_or_none

TAIL_BYTES = 64


@dataclass(frozen=True)
class Place:
    """``offset``: bytes of the log that were handed on; ``tail``: the last of them, in hex; ``max_step``: the highest of the readings
    handed on, -1 for none; ``attempt``: the log's last so far; ``status``: told at the end."""

    offset: Annotated[int, Field(ge=0)] = 0
    tail: Annotated[str, Field(pattern=r"^([0-9a-f]{2}){0,64}$")] = ""
    state: dict[str, Any] | None = None
    max_step: int = -1
    attempt: int = 0
    n_readings: int = 0
    status: Text = ""


def place_file(run: RunDir, sink: str, target: str) -> Path:
    """Where the place of a target is kept."""
    return run.trackers / f"{sink}-{hashlib.sha256(target.encode()).hexdigest()[:12]}.json"


def read_place(path: Path) -> Place:
    """The place; a missing or damaged file is the log's beginning, from where nothing is lost and nothing doubled."""
    found = read_or_none(path, Place) or Place()
    return found if len(found.tail) // 2 <= found.offset else Place()


def write_place(path: Path, place: Place, run: RunDir) -> None:
    write_aside(path, json.dumps({"v": 1} | asdict(place)).encode(), within=run.path)


@contextmanager
def locked(path: Path, patience_s: float) -> Iterator[None]:
    """Held by the one process that writes to a target; the system lets go of it however that ends.

    Raises:
        TrackerError: another process writes to it.
    """
    path.parent.mkdir(exist_ok=True)
    refusal = TrackerError(f"another process is writing {path.stem}; wait until it is done, then try again")
    with held(path.with_suffix(".lock"), refusal, patience_s):
        yield
