"""The trials of a study: Optuna's journal, opened to be written by the one process that works on it, or read by anybody.

Optuna's own reading of a journal takes seconds for many trials, so lists and charts read it here, straight into rows; a test holds both
readings equal. Guarantees: a writer that was killed in the middle of a line leaves a journal that the next one goes on with, whole but for
that line; no lock outlives its process.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from filelock import FileLock

from core.errors import StudyError
from core.files import open_file
from core.locks import held
from core.paths import program
from core.studies.study import StudyDir

if TYPE_CHECKING:
    from optuna import Study
    from optuna.storages import JournalStorage

STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")  # by Optuna's numbers
_CONSTRAINT = "constraints:"
_NUMBERS = ("gain", "step", "minutes", "bytes", "share_worse")  # what is noted of a trial
_TEXTS = ("run", "reason")


@dataclass
class TrialRow:
    """One trial. ``values``: of the objectives, in their order; ``intermediate``: validation gain by step; ``constraints``: met at 0 or below;
    ``started`` and ``ended`` in seconds since 1970; ``attrs``: what was noted of it."""

    number: int
    state: str = "RUNNING"
    values: list[float] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    intermediate: dict[int, float] = field(default_factory=dict)
    constraints: dict[str, float] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def is_feasible(self) -> bool:
        """Whether it meets all constraints; one of which nothing was measured does."""
        return all(value <= 0 for value in self.constraints.values())

    @property
    def is_finished(self) -> bool:
        return self.state not in ("RUNNING", "WAITING")


def read_trials(study: StudyDir) -> list[TrialRow]:
    """Every trial of a study, in order; empty before the first.

    Raises:
        StudyError: the journal is there and can't be read, with the line.
    """
    try:
        stat = study.journal.stat()
    except OSError:
        return []
    return _read(study.journal, study.study_id, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=4)
def _read(path: Path, name: str, _mtime_ns: int, _size: int, _inode: int) -> list[TrialRow]:
    """By the state of the file, since a page asks for it again and again."""
    reader = _Reader(name)
    n = 0
    try:
        with open_file(path) as file:
            for line in file:
                n += 1
                if line.endswith(b"\n"):  # a torn last line waits
                    reader.apply(_parsed(line))
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        told = getattr(error, "strerror", None) or f"line {n} is not a journal entry ({type(error).__name__})"
        raise StudyError(f"{name}: {path.name} can't be read: {told}; restore a copy of it or delete the study (its runs stay)") from error
    return reader.rows


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        return dict(orjson.loads(line))
    except orjson.JSONDecodeError:  # NaN and Infinity, which Python's own writer allows
        return dict(json.loads(line))


class _Reader:
    """Replays a journal's operations, as :class:`optuna.storages.JournalStorage` does."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._n_studies = 0
        self._own: int | None = None
        self._names: list[str] = []
        self._by_id: list[TrialRow | None] = []
        self.rows: list[TrialRow] = []

    def apply(self, log: dict[str, Any]) -> None:
        code = log["op_code"]
        if code == 0:
            if log["study_name"] not in self._names:
                self._names.append(log["study_name"])
                if log["study_name"] == self._name:
                    self._own = self._n_studies
                self._n_studies += 1
        elif code == 4:
            self._create(log)
        elif code in (5, 6, 7, 8, 9):
            row = self._by_id[log["trial_id"]] if log["trial_id"] < len(self._by_id) else None
            if row is not None and not row.is_finished:
                _CHANGES[code](row, log)

    def _create(self, log: dict[str, Any]) -> None:
        if log["study_id"] >= self._n_studies:
            return
        if log["study_id"] != self._own:
            self._by_id.append(None)
            return
        row = TrialRow(len(self.rows), STATES[log.get("state", 0)], started=_moment(log.get("datetime_start")))
        row.ended = _moment(log.get("datetime_complete"))
        for key, value in (log.get("params") or {}).items():
            row.params[key] = _external(value, log["distributions"][key])
        values = log.get("values") or ([log["value"]] if log.get("value") is not None else [])
        row.values = [float(value) for value in values]
        row.intermediate = {_whole(step): float(value) for step, value in (log.get("intermediate_values") or {}).items()}
        _attr(row, {"user_attr": log.get("user_attrs") or {}})
        for key, value in (log.get("system_attrs") or {}).items():
            _note(row, key, value)
        self._by_id.append(row)
        self.rows.append(row)


def _param(row: TrialRow, log: dict[str, Any]) -> None:
    row.params[_text(log["param_name"])] = _external(log["param_value_internal"], log["distribution"])


def _state(row: TrialRow, log: dict[str, Any]) -> None:
    row.state = STATES[log["state"]]
    if row.state == "RUNNING":
        row.started = _moment(log.get("datetime_start"))
    if row.is_finished:
        row.ended = _moment(log.get("datetime_complete"))
    if log.get("values") is not None:
        row.values = [float(value) for value in log["values"]]


def _step(row: TrialRow, log: dict[str, Any]) -> None:
    value = log["intermediate_value"]
    row.intermediate[_whole(log["step"])] = float("nan") if value is None else float(value)


def _attr(row: TrialRow, log: dict[str, Any]) -> None:
    for key, value in log["user_attr"].items():
        if key in _NUMBERS and value is not None:
            row.attrs[key] = _whole(value) if key == "step" else float(value)
        else:
            row.attrs[key] = _text(value) if key in _TEXTS else value


def _system(row: TrialRow, log: dict[str, Any]) -> None:
    for key, value in log["system_attr"].items():
        _note(row, key, value)


def _note(row: TrialRow, key: str, value: Any) -> None:
    if key.startswith(_CONSTRAINT):
        row.constraints[key.removeprefix(_CONSTRAINT)] = float(value)


_CHANGES = {5: _param, 6: _state, 7: _step, 8: _attr, 9: _system}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _whole(value: Any) -> int:
    """A count of steps; also from JSON's keys, which are texts."""
    found = int(value)
    if not 0 <= found < 2**63:
        raise ValueError(f"{value!r} is no number of steps")
    return found


@lru_cache(maxsize=1000)
def _choices(distribution: str) -> tuple[str, list[Any]]:
    told = json.loads(distribution)
    return str(told["name"]), list(told["attributes"].get("choices", []))


def _external(value: float, distribution: str) -> Any:
    name, choices = _choices(distribution)
    return choices[int(value)] if name == "CategoricalDistribution" else int(value) if name == "IntDistribution" else float(value)


def _moment(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def repair(path: Path) -> int:
    """Cut a torn last line off a journal; returns how many bytes that were. Only for who holds :func:`study_lock`."""
    try:
        with path.open("r+b") as file:
            data = file.read()
            end = data.rfind(b"\n") + 1
            file.truncate(end)
            return len(data) - end
    except FileNotFoundError:
        return 0


@contextmanager
def study_lock(study: StudyDir) -> Iterator[None]:
    """Held by the one process that works on a study.

    Raises:
        StudyError: another one does.
    """
    refusal = StudyError(f"another process is already working on {study.study_id}; stop it first: {program()} search stop {study.study_id}")
    with held(study.lock_file, refusal):
        yield


def open_storage(study: StudyDir) -> JournalStorage:
    """Optuna's storage of a study, to be written to.

    Raises:
        StudyError: the journal can't be read.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    lock: Any = FileLock(study.path / "journal.lock", fallback_to_soft=False)  # goes with its process, as Optuna's own locks do not
    try:
        return JournalStorage(JournalFileBackend(str(study.journal), lock_obj=lock))
    except (OSError, ValueError, KeyError) as error:
        raise StudyError(
            f"{study.study_id}: {study.journal.name} can't be read: {error}; restore a copy of it or delete the study"
        ) from error


def load_optuna(study: StudyDir) -> Study:
    """The study as Optuna's, to be read: for what its own functions compute.

    Raises:
        StudyError: there is no trial yet, or the journal can't be read.
    """
    import optuna

    if not study.journal.is_file():
        raise StudyError(f"{study.study_id} has no trial yet")
    try:
        return optuna.load_study(study_name=study.study_id, storage=open_storage(study))
    except KeyError as error:
        raise StudyError(f"{study.study_id}: {study.journal.name} contains no study of that name") from error
