"""What a list of runs needs of each, without reading its config or its log each time: thousands of runs cost a few looks at the disk each.

What is known of a run is kept until its folder changes: every small file is written aside and renamed, so a folder's time tells. A run that
moves is looked at each time. Guarantee: a run whose files are damaged is listed all the same, by its id.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from core.files import open_file
from core.runs.records import read_parent, read_trial
from core.runs.run_dir import RunDir, all_runs
from core.runs.small_files import Label, Parent, read_or_none
from core.runs.status import RunState, run_state
from core.runs.trash import is_archived

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

    @property
    def run_id(self) -> str:
        return self.run.run_id


def facts_of(run: RunDir) -> RunFacts:
    """What is known of a run; never raises."""
    return _facts(run.path, *_times(run))


def known_state(run: RunDir) -> RunState:
    """As :func:`core.runs.status.run_state`, without looking into a run again that has ended and has not changed since."""
    state = _state(run.path, *_times(run), *_size(run.events_file))
    return run_state(run) if state.status.is_moving else state


def look(run: RunDir) -> tuple[RunFacts, RunState]:
    """Both at once, at the cost of one."""
    times = _times(run)
    state = _state(run.path, *times, *_size(run.events_file))
    return _facts(run.path, *times), run_state(run) if state.status.is_moving else state


def warm(home: Path, is_over: Callable[[], bool]) -> None:
    """Look at every run of a home once, so that the first list of them comes at once; ends early where ``is_over``."""
    for run in all_runs(home):
        if is_over():
            return
        look(run)


def _times(run: RunDir) -> tuple[int, int]:
    """When the folder and the config changed, in ns; 0 where there is none."""
    return _time(run.path), _time(run.config_file)


def _time(path: Path) -> int:
    try:
        return os.stat(str(path)).st_mtime_ns
    except (OSError, ValueError):
        return 0


def _size(path: Path) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return 0, 0
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=KEPT)
def _state(path: Path, folder_ns: int, config_ns: int, log_ns: int, log_bytes: int) -> RunState:
    return run_state(RunDir(path))


@lru_cache(maxsize=KEPT)
def _facts(path: Path, folder_ns: int, config_ns: int) -> RunFacts:
    run = RunDir(path)
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
    )


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
