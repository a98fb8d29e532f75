"""The models that were registered: ``<home>/models/<name>-v<version>/``, which of them is the default, and what can be undone.

A registered model is whole without its run: ``model.json`` (a :class:`ModelRecord`), ``evaluated.json`` (its gain on each logo),
``policy.onnx``, ``outcomes.onnx``, ``preprocess.json``, and the file of stable-baselines3. ``default.json`` names the one that "default" means;
without it that is the one that ships. Imports no torch. Guarantee: a folder with a model.json is whole; a deleted one can be put back.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from core.errors import DamagedFileError, RunError
from core.files import read_json, remove, write_aside
from core.paths import MODELS
from core.runs.small_files import Text, read

DEFAULT, SHIPPED = "default", "shipped"  # what the model that is used is called, and the id of the one that ships
SHIPPED_FOLDER = MODELS / "default"
KEPT_S = 7 * 24 * 3600.0
RECORD_FILE, EVALUATED_FILE, DEFAULT_FILE, SB3_FILE = "model.json", "evaluated.json", "default.json", "stable_baselines3.zip"
_TRASH = ".trash"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
_ID = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,59})-v(?P<version>[1-9][0-9]{0,5})")
Real = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**15)]


@dataclass(frozen=True)
class Interval:
    """A mean over ``n`` logos with its 95% interval."""

    mean: Real
    low: Real
    high: Real
    n: Count = 0


@dataclass(frozen=True)
class ModelRecord:
    """What is known of a registered model.

    ``source``: the run, or the folder, that it came from; ``step``: of the checkpoint; ``evaluated_step``: of the evaluation that the figures
    are of; gains are headline gains on validation logos; ``data_digest``: of the logos that it was trained on; ``made``: seconds since 1970.
    """

    name: Text
    version: Annotated[int, Field(ge=1, le=999_999)]
    made: Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]
    source: Text = ""
    is_run: bool = False
    checkpoint: Text = ""
    step: Count = 0
    evaluated_step: Count | None = None
    gain: Interval | None = None
    by_category: dict[str, Interval] = field(default_factory=dict)
    over_single: Interval | None = None
    data: Text = ""
    data_digest: Text = ""
    n_logos: Count = 0
    note: Text = ""

    @property
    def model_id(self) -> str:
        return f"{self.name}-v{self.version}"


@dataclass(frozen=True)
class Evaluated:
    """One logo of the evaluation that a model's figures are of."""

    digest: Text
    logo: Text
    category: Text
    gain: Real
    ssim: Real
    bytes: Count


@dataclass(frozen=True)
class Entry:
    """A model in the list. ``record``: None of the one that ships, and where it is damaged; ``problem``: how, and what to do."""

    model_id: str
    path: Path
    record: ModelRecord | None = None
    is_default: bool = False
    problem: str = ""

    @property
    def is_shipped(self) -> bool:
        return self.path == SHIPPED_FOLDER

    def as_dict(self) -> dict[str, Any]:
        about = asdict(self.record) if self.record is not None else {}
        return {"model": self.model_id, "path": str(self.path), "is_default": self.is_default, "problem": self.problem} | about


def folder_of(home: Path) -> Path:
    return home / "models"


def default_id(home: Path) -> str:
    """The id of the promoted model; that of the one that ships where none is.

    Raises:
        RunError: what says which is damaged.
    """
    path = folder_of(home) / DEFAULT_FILE
    try:
        told = read_json(path)
    except DamagedFileError as error:
        raise RunError(f"{error}; promote a model again, or delete {path} to use the built-in model") from error
    if told is None:
        return SHIPPED
    named = told.get("model")
    if not isinstance(named, str) or not _ID.fullmatch(named):
        raise RunError(f"{path} names no model; promote a model again, or delete the file to use the built-in model")
    return named


def default_folder(home: Path) -> Path:
    """The folder of the model that "default" means: the promoted one, else the one that ships.

    Raises:
        RunError: the promoted one is gone, or what names it is damaged: another one in its place would be used unnoticed.
    """
    named = default_id(home)
    if named == SHIPPED:
        return SHIPPED_FOLDER
    folder = folder_of(home) / named
    if not (folder / RECORD_FILE).is_file():
        raise RunError(f"the default model {named} is no longer registered; promote another model or {SHIPPED}")
    return folder


def find(name: str, home: Path) -> Entry:
    """A model by its id, or its name for the newest version; "default" is the promoted one, else the one that ships.

    Raises:
        RunError: there is none; the text lists the newest that exist.
    """
    if name == DEFAULT:
        name = default_id(home)
    entries = models(home)
    for entry in entries:
        if name == entry.model_id:
            return entry
    versions = [entry for entry in entries if entry.record is not None and entry.record.name == name]
    if versions:
        return versions[0]
    known = ", ".join(entry.model_id for entry in entries[:4])
    raise RunError(f"no model {name!r} in {folder_of(home)}; there are {known}")


def registered_folder(name: str, home: Path) -> Path | None:
    """The folder of a registered model, or of the one that ships, by its id; None where it is no such id, or not there."""
    if name == SHIPPED:
        return SHIPPED_FOLDER
    folder = folder_of(home) / name
    return folder if _ID.fullmatch(name) and (folder / RECORD_FILE).is_file() else None


def models(home: Path) -> list[Entry]:
    """Every registered model, the newest first, then the one that ships. A damaged one is listed with its reason."""
    try:
        default, problem = default_id(home), ""
    except RunError as error:
        default, problem = "", str(error)
    found = [_entry(path, default) for path in _folders(folder_of(home))]
    found.sort(key=lambda entry: (entry.record is None, -(entry.record.made if entry.record else 0), entry.model_id))
    return [*found, Entry(SHIPPED, SHIPPED_FOLDER, None, default == SHIPPED, problem)]


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if _ID.fullmatch(path.name) and path.is_dir())
    except OSError:  # nothing was registered yet, or it is no folder
        return []


def _entry(path: Path, default: str = "") -> Entry:
    try:
        record = read(path / RECORD_FILE, ModelRecord)
        problem = "" if record is not None else f"{path} has no {RECORD_FILE}; delete it, or register the model again"
    except DamagedFileError as error:
        record, problem = None, f"{path.name}: {error}; delete the model and register it again"
    if record is not None and record.model_id != path.name:
        record = replace(record, name=str(_ID.fullmatch(path.name)["name"]), version=int(_ID.fullmatch(path.name)["version"]))  # type: ignore[index]
    return Entry(path.name, path, record, path.name == default, problem)


def evaluated(entry: Entry) -> list[Evaluated]:
    """The gain of a model on each logo of its evaluation; empty where nothing is known of that.

    Raises:
        DamagedFileError: what says it is damaged.
    """
    told = read_json(entry.path / EVALUATED_FILE)
    if told is None:
        return []
    try:
        return TypeAdapter(list[Evaluated]).validate_python(told.get("logos"))
    except ValidationError as error:
        first = error.errors()[0]
        raise DamagedFileError(f"{entry.path / EVALUATED_FILE}: {first['msg'].lower()}; register the model again") from error


def checked_name(name: str) -> str:
    """A name that a model may have.

    Raises:
        RunError: it may not.
    """
    if not _NAME.fullmatch(name) or _ID.fullmatch(name) or name in (DEFAULT, SHIPPED):
        raise RunError(
            f"a model can't be called {name!r}; use at most 60 letters, digits, dots, dashes and underscores, no version at the end, and not {DEFAULT} or {SHIPPED}"
        )
    return name


def add(home: Path, record: ModelRecord, fill: Callable[[Path], object]) -> Entry:
    """Register a model: its files are written aside by ``fill``, its version is the next of its name.

    Raises:
        RunError: a name that it can't have.
    """
    checked_name(record.name)
    folder = folder_of(home)
    aside = folder / f".{record.name}.{os.getpid()}.{time.monotonic_ns()}"
    aside.mkdir(parents=True)
    try:
        fill(aside)
        while True:
            made = replace(record, version=_next_version(folder, record.name))
            _write_record(aside, made)
            try:
                aside.rename(folder / made.model_id)
            except OSError:  # another process took the version meanwhile
                if not (folder / made.model_id).exists():
                    raise
                continue
            return _entry(folder / made.model_id)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _next_version(folder: Path, name: str) -> int:
    """One more than any that is there, or that was deleted and may come back."""
    known = [_ID.fullmatch(path.name) for path in (*_folders(folder), *_folders(folder / _TRASH))]
    return 1 + max((int(found["version"]) for found in known if found and found["name"] == name), default=0)


def _write_record(folder: Path, record: ModelRecord) -> None:
    write_aside(folder / RECORD_FILE, (json.dumps(asdict(record), indent=1, ensure_ascii=False) + "\n").encode(), within=folder)


def annotate(entry: Entry, note: str) -> Entry:
    """Write a note to a model.

    Raises:
        RunError: it is the one that ships, or damaged.
    """
    if entry.record is None:
        raise RunError(entry.problem or "the built-in model can't have a note; register it under your own name first")
    record = replace(entry.record, note=note.strip()[:10_000])
    _write_record(entry.path, record)
    return replace(entry, record=record)


def promote(home: Path, entry: Entry) -> None:
    """Have "default" mean this model.

    Raises:
        RunError: it is damaged, or gone.
    """
    if entry.is_shipped:
        remove(folder_of(home) / DEFAULT_FILE)
        return
    if entry.problem:
        raise RunError(entry.problem)
    _check_there(entry)
    write_aside(folder_of(home) / DEFAULT_FILE, (json.dumps({"model": entry.model_id}) + "\n").encode())


def discard(home: Path, entry: Entry) -> None:
    """Take a model out of the list; it can be put back.

    Raises:
        RunError: it is the default, or the one that ships, or deleted already: what can be put back stays.
    """
    if entry.is_shipped:
        raise RunError("the built-in model can't be deleted")
    _check_there(entry)
    if _is_default_now(home, entry):  # another may have been promoted since the list was read
        raise RunError(f"{entry.model_id} is the default model; promote another model first, then delete it")
    to = folder_of(home) / _TRASH / entry.model_id
    to.parent.mkdir(exist_ok=True)
    if to.exists():
        shutil.rmtree(to)
    entry.path.rename(to)
    os.utime(to)


def _is_default_now(home: Path, entry: Entry) -> bool:
    try:
        return default_id(home) == entry.model_id
    except RunError:  # what says which is damaged: the list says so
        return False


def _check_there(entry: Entry) -> None:
    if not entry.path.is_dir():
        raise RunError(f"{entry.model_id} is gone; it was deleted already")


def discarded(home: Path) -> list[Entry]:
    """The deleted models that can be put back, the one deleted last first."""
    found = _folders(folder_of(home) / _TRASH)
    return [_entry(path) for path in sorted(found, key=_discarded_ts, reverse=True)]


def _discarded_ts(path: Path) -> float:
    """When a model was deleted, in seconds since 1970; 0 where it was put back since."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def restore(home: Path, model_id: str) -> Entry:
    """Put a deleted model back; raises :class:`RunError` where that can't be."""
    source, to = folder_of(home) / _TRASH / Path(model_id).name, folder_of(home) / Path(model_id).name
    if not _ID.fullmatch(model_id) or not source.is_dir():
        raise RunError(f"{model_id} is not among the deleted models; it may have been deleted for good")
    if to.exists():
        raise RunError(f"{to} exists; move it away first")
    source.rename(to)
    return _entry(to)


def empty(home: Path, older_than_s: float = 0.0) -> int:
    """Remove deleted models for good; returns how many."""
    before = time.time() - older_than_s
    gone = [entry.path for entry in discarded(home) if _discarded_ts(entry.path) <= before]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    return len(gone)
