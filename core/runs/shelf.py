"""What a list of runs needs of each, without reading its config or its log each time: thousands of runs cost a few looks at the disk each.

What is known of a run is kept until its folder changes: every small file is written aside and renamed, so a folder's time tells. A run that
moves is looked at each time. Guarantee: a run whose files are damaged is listed all the same, by its id.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

import yaml

from core.files import open_file
from core.runs.records import read_parent, read_trial
from core.runs.rounds import BY_TURNS, COARSE_S, known_runs
from core.runs.run_dir import CONFIG_FILE, RunDir
from core.runs.small_files import Label, Parent, read_or_none
from core.runs.status import RunState, run_state
from core.runs.trash import is_archived

T = TypeVar("T")
KEPT = 20_000  # runs of which something is remembered
_MAX_CONFIG_BYTES = 200_000
_OWN = ("name", "note", "seed")  # what runs of a group may differ in
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._,()+-]*")  # what YAML takes as it stands, and is most of it


@dataclass(frozen=True)
class RunFacts:
    """``group``: the same for runs that differ in nothing but name, note and seed; empty where the config can't be read."""

    run: RunDir
    name: str
    note: str
    tags: tuple[str, ...]
    seed: int | None
    group: str
    study: str
    parent: Parent | None
    is_archived: bool
    logos_path: str = ""  # as the config has it
    has_curriculum: bool = False

    @cached_property
    def run_id(self) -> str:
        return self.run.run_id


class Newest(Generic[T]):
    """The newest of what was read of each of :data:`KEPT` runs, with when its files had changed then: a live run's change all the time."""

    def __init__(self) -> None:
        self._found: OrderedDict[Path, tuple[tuple[int, ...], T]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._found)

    def of(self, path: Path, stamp: tuple[int, ...]) -> T | None:
        """What was read at this ``stamp``; None where nothing was."""
        with self._lock:
            found = self._found.get(path)
            if found is None or found[0] != stamp:
                return None
            self._found.move_to_end(path)
            return found[1]

    def put(self, path: Path, stamp: tuple[int, ...], value: T) -> T:
        with self._lock:
            self._found[path] = (stamp, value)
            self._found.move_to_end(path)
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
        return value


_facts: Newest[RunFacts] = Newest()
_states: Newest[RunState] = Newest()  # of those that do not move


def facts_of(run: RunDir) -> RunFacts:
    """What is known of a run; never raises."""
    return _facts_at(run, _times(run))


def known_state(run: RunDir) -> RunState:
    """As :func:`core.runs.status.run_state`, without looking into a run again that has ended and has not changed since."""
    return _state_at(run, _times(run))


def look(run: RunDir) -> tuple[RunFacts, RunState]:
    """Both at once, at the cost of one."""
    times = _times(run)
    return _facts_at(run, times), _state_at(run, times)


def _facts_at(run: RunDir, times: tuple[int, int]) -> RunFacts:
    found = _facts.of(run.path, times)
    return found if found is not None else _facts.put(run.path, times, _read_facts(run))


def _state_at(run: RunDir, times: tuple[int, int]) -> RunState:
    stamp = (*times, *_size(run.events_file))
    found = _states.of(run.path, stamp)
    if found is not None:
        return found
    state = run_state(run)
    return state if state.status.is_moving else _states.put(run.path, stamp, state)


@dataclass(frozen=True)
class Seen:
    """A run as it was last looked at."""

    facts: RunFacts
    state: RunState


@dataclass
class _Shelf:
    seen: dict[str, Seen] = field(default_factory=dict)
    folder_ns: dict[str, int] = field(default_factory=dict)  # when each folder had changed
    moving: set[str] = field(default_factory=set)
    turn: list[str] = field(default_factory=list)


_shelves: dict[Path, _Shelf] = {}
_lock = threading.Lock()


def look_all(home: Path) -> dict[str, Seen]:
    """Every run of a home by its id, the newest first; the same object as before where nothing has changed, and not to be written to.

    Costs one look at the folder of each run that ended; what was written into its config or log by hand is found by turns.
    """
    runs = known_runs(home)
    with _lock:
        shelf = _shelves.setdefault(home, _Shelf())
        if not shelf.turn:
            shelf.turn = list(runs)
        turn, shelf.turn = set(shelf.turn[:BY_TURNS]), shelf.turn[BY_TURNS:]
        now_ns, changed = time.time_ns(), {}
        for run_id, run in runs.items():
            folder_ns = _time(f"{home}/{run_id}")
            if shelf.folder_ns.get(run_id) == folder_ns and run_id not in shelf.moving and run_id not in turn:
                continue
            found = Seen(*look(run))
            if found != shelf.seen.get(run_id):
                changed[run_id] = found
            shelf.folder_ns[run_id] = folder_ns if abs(now_ns - folder_ns) > COARSE_S * 1e9 else -1
        if changed or shelf.seen.keys() != runs.keys():
            known = {**shelf.seen, **changed}
            shelf.seen = {run_id: known[run_id] for run_id in reversed(runs)}
            shelf.folder_ns = {run_id: shelf.folder_ns[run_id] for run_id in runs}
            shelf.moving = {run_id for run_id, one in shelf.seen.items() if one.state.status.is_moving}
        return shelf.seen


def warm(home: Path, is_over: Callable[[], bool]) -> None:
    """Look at every run of a home once, so that the first list of them comes at once; ends early where ``is_over``."""
    for run in known_runs(home).values():
        if is_over():
            return
        look(run)


def _times(run: RunDir) -> tuple[int, int]:
    """When the folder and the config changed, in ns; 0 where there is none."""
    return _time(str(run.path)), _time(f"{run.path}/{CONFIG_FILE}")


def _time(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except (OSError, ValueError):
        return 0


def _size(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _read_facts(run: RunDir) -> RunFacts:
    text, label = _config_text(run), read_or_none(run.label_file, Label) or Label()
    trial, parent = read_trial(run), read_parent(run)
    told = {}
    for key in _OWN:
        told[key], text = _taken_out(text, key)
    origin = f"{parent.run_id} {parent.checkpoint} {parent.step}" if parent else ""
    return RunFacts(
        run=run,
        name=label.name or _scalar(told["name"]) or run.run_id,
        note=label.note or _scalar(told["note"]),
        tags=tuple(label.tags),
        seed=int(seed) if (seed := _scalar(told["seed"])).isdigit() else None,
        group=hashlib.sha256(f"{origin}\n{text}".encode()).hexdigest()[:16] if text.strip() else "",
        study=trial.study if trial else "",
        parent=parent,
        is_archived=is_archived(run),
        logos_path=_within(_taken_out(text, "logos")[0], "path"),
        has_curriculum=_within(_taken_out(text, "curriculum")[0], "enabled").lower() == "true",
    )


def _within(block: str, key: str) -> str:
    """A value of a block of a config, as text."""
    if (found := re.search(rf"^[ ]+{key}:[ ]*(.*)$", block, re.MULTILINE)) is not None and _PLAIN.fullmatch(found[1].strip()):
        return found[1].strip()
    with suppress(yaml.YAMLError, ValueError, RecursionError):
        values = yaml.safe_load(block)
        return str(values.get(key, "")) if isinstance(values, dict) else ""
    return ""


def _taken_out(text: str, key: str) -> tuple[str, str]:
    """(the value of a setting at the top of a config, the config without it)."""
    start = 0 if text.startswith(f"{key}:") else text.find(f"\n{key}:") + 1
    if not text.startswith(f"{key}:", start):
        return "", text
    end = text.find("\n", start) + 1 or len(text)
    while text.startswith((" ", "\t"), end):  # it goes on
        end = text.find("\n", end) + 1 or len(text)
    return text[start + len(key) + 1 : end], text[:start] + text[end:]


def _config_text(run: RunDir) -> str:
    with suppress(OSError, ValueError), open_file(run.config_file) as file:
        return str(file.read(_MAX_CONFIG_BYTES).decode(errors="replace"))
    return ""


def _scalar(text: str) -> str:
    """What a value of YAML says, as text."""
    text = text.strip()
    if not text or _PLAIN.fullmatch(text):
        return text
    with suppress(yaml.YAMLError, ValueError, RecursionError):
        value = yaml.safe_load(text)
        return "" if value is None or isinstance(value, list | dict) else str(value)
    return ""
