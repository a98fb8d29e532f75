"""The small JSON files of a run's folder as typed records: one reader, which turns whatever may be wrong into one error.

A file that is not there is None. One that is damaged raises :class:`core.errors.DamagedFileError`; who needs the rest of the run reads
with :func:`read_or_none`, and :func:`damage` says what is wrong and what to do, for lists in which the run stands.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from core.errors import DamagedFileError
from core.files import open_file, read_json
from core.machine import Process
from core.runs.run_dir import PARENT_FILE, PRUNING_FILE, QUEUE_ENTRY_FILE, RECOVERY_FILE, STOP_FILE, TRIAL_FILE, RunDir

Seconds = Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]  # since 1970
Inode = Annotated[int, Field(ge=0, lt=2**64)]
Step = Annotated[int, Field(ge=-1, le=10**15)]
Text = Annotated[str, Field(max_length=10_000)]
Machine = Annotated[str, Field(max_length=64)]  # core.machine.identity of whoever wrote the file; "" in files of before
T = TypeVar("T")
MAX_FIND = 400  # characters of what a saved view looks for


@dataclass(frozen=True)
class Heartbeat:
    """What the trainer says of itself every two seconds."""

    process: Process
    ts: Seconds
    step: Step
    phase: Text
    is_paused: bool = False
    folder: Inode = 0  # of the run that it was written for; a copied folder's is another one; 0 in files of before
    machine: Machine = ""
    nodes: dict[Text, Annotated[int, Field(ge=0)]] = field(default_factory=dict)  # workers by node of a cluster


@dataclass(frozen=True)
class QueueEntry:
    """A place in the queue: the wish that a run be started, or gone on with from ``checkpoint``.

    Runs of a higher ``priority`` come first, then those of a lower ``order``. Not before ``not_before`` (seconds since
    1970); ``cause`` says why a restart was wanted, empty for a wish of the user's; ``made``: when it was wished for.
    """

    order: Annotated[float, Field(allow_inf_nan=False)]
    priority: Annotated[int, Field(ge=-(10**9), le=10**9)] = 0
    checkpoint: Text = ""
    not_before: Seconds = 0.0
    cause: Text = ""
    made: Seconds = field(default_factory=time.time)
    folder: Inode = field(default=0, compare=False)  # as in a heartbeat
    machine: Machine = field(default="", compare=False)

    @property
    def rank(self) -> tuple[int, float]:
        return -self.priority, self.order

    def left_s(self, now: float) -> float:
        """Seconds that it must still wait; none where the clock was set back behind the wish, which could be for long."""
        return self.not_before - now if self.made <= now < self.not_before else 0.0


@dataclass(frozen=True)
class Recovery:
    """Automatic restarts in a row, and how far the run was at the last of them."""

    n_restarts: Annotated[int, Field(ge=0, le=10**9)]
    step: Step


@dataclass(frozen=True)
class Parent:
    """Where a run was forked from."""

    run_id: Text
    checkpoint: Text
    step: Step


@dataclass(frozen=True)
class Trial:
    """Which trial of which study a run is. ``number`` from 0."""

    study: Text
    number: Annotated[int, Field(ge=0, le=10**9)]


@dataclass(frozen=True)
class Pruning:
    """A study gave the run up: it ends as PRUNED."""

    ts: Seconds
    reason: Text


@dataclass(frozen=True)
class Spawned:
    """The process that a launcher started, and when by the wall clock (a process's own start time is too coarse to
    be ordered against events)."""

    process: Process
    ts: Seconds
    folder: Inode = 0  # as in a heartbeat
    machine: Machine = ""


@dataclass(frozen=True)
class Label:
    """Name and note as last edited, None where never edited; tags in the order in which they were given."""

    name: Text | None = None
    note: Text | None = None
    tags: list[Annotated[str, Field(max_length=40)]] = field(default_factory=list)


@dataclass(frozen=True)
class Baseline:
    """The run of a home that the others are held against."""

    run_id: Text


@dataclass(frozen=True)
class RunTable:
    """How the list of runs was last looked at: its columns, order, grouping, and whether finished runs are left out."""

    columns: list[Annotated[str, Field(max_length=40)]]
    sort: Annotated[str, Field(max_length=40)] = ""
    group: Annotated[str, Field(max_length=40)] = ""
    hides_finished: bool = False


@dataclass(frozen=True)
class SavedView:
    """A way to look at the list of runs, under a name that a person gave it. ``find``: the text that is looked for."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    table: RunTable
    find: Annotated[str, Field(max_length=MAX_FIND)] = ""


@dataclass(frozen=True)
class SavedViews:
    """All of them."""

    views: Annotated[list[SavedView], Field(max_length=1000)]


@dataclass(frozen=True)
class Moment:
    """When something was last done: when the user asked the run to stop, or read the alerts."""

    ts: Seconds


@dataclass(frozen=True)
class SchedulerState:
    """What the scheduler of a home says: its process, and why each queued run waits."""

    process: Process
    reasons: dict[str, str]


@cache
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)


def read(path: Path, kind: type[T]) -> T | None:
    """The record in a file; None where there is none. A process's two fields may stand beside the others.

    Raises:
        DamagedFileError: the file can't be read, or has a value that is not allowed.
    """
    raw = read_json(path)
    if raw is None:
        return None
    data: dict[str, Any] = {"process": {key: raw[key] for key in ("pid", "create_time") if key in raw}} | raw
    try:
        return _adapter(kind).validate_python(data)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        value = "" if first["type"] == "missing" else f" = {str(first['input'])[:60]!r}"
        raise DamagedFileError(f"{path.name}: {where}{value}: {first['msg'].lower()}") from error


def read_or_none(path: Path, kind: type[T]) -> T | None:
    """As :func:`read`, and None for a damaged file too."""
    try:
        return read(path, kind)
    except DamagedFileError:
        return None


def damage(run: RunDir) -> Iterator[str]:
    """For each small file of a run that is damaged: what is wrong, and what to do."""
    files: list[tuple[Path, type[Any], str]] = [
        (run.heartbeat_file, Heartbeat, "delete it; a live trainer writes it again"),
        (run.process_file, Spawned, "delete it; it only records which process was started"),
        (run.label_file, Label, "give the run a name again"),
        (run.path / QUEUE_ENTRY_FILE, QueueEntry, "delete it, then start or resume the run again"),
        (run.path / STOP_FILE, Moment, "delete it; stop the run again if needed"),
        (run.path / RECOVERY_FILE, Recovery, "delete it; automatic restarts are then counted from zero"),
        (run.path / PARENT_FILE, Parent, "delete it; the run is then shown without its parent"),
        (run.path / TRIAL_FILE, Trial, "delete it; the run is then shown without its study"),
        (run.path / PRUNING_FILE, Pruning, "delete it; the run then ends as stopped rather than pruned"),
    ]
    for path, kind, advice in files:
        try:
            read(path, kind)
        except DamagedFileError as error:
            yield f"{error}; {advice}"
    try:
        if os.path.lexists(run.events_file):
            open_file(run.events_file).close()
    except OSError as error:
        yield f"{run.events_file.name} can't be read: {error.strerror}; events read earlier are shown"
