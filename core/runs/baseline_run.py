"""The baseline run of a home: the one that every other run is held against, and the labels that people give runs.

Kept in ``<home>/baseline.json``. Guarantee: a baseline that was deleted since, or a file that is damaged, is no baseline rather than an
error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from core.errors import ConfigError
from core.files import remove, write_aside
from core.runs.records import read_label, read_tags, write_label
from core.runs.run_dir import RunDir
from core.runs.small_files import Baseline, read_or_none

BASELINE_FILE = "baseline.json"
MAX_TAGS, MAX_TAG, MAX_NOTE = 12, 40, 2000  # tags of a run, characters of a tag and of a note


def read(home: Path) -> str | None:
    """The id of the baseline run; None where there is none."""
    found = read_or_none(home / BASELINE_FILE, Baseline)
    return found.run_id if found is not None and RunDir(home / Path(found.run_id).name).path.is_dir() else None


def choose(home: Path, run_id: str | None) -> None:
    """Hold every run against this one; None for against none."""
    if run_id is None:
        remove(home / BASELINE_FILE)
    else:
        write_aside(home / BASELINE_FILE, json.dumps({"v": 1, "run_id": run_id}).encode())


def write_note(run: RunDir, note: str) -> None:
    """Replace a run's note."""
    write_label(run, read_label(run).get("name", ""), note.strip()[:MAX_NOTE])


def write_tags(run: RunDir, tags: Sequence[str]) -> tuple[str, ...]:
    """Replace a run's tags; returns them as kept.

    Raises:
        ConfigError: too many, or one that is too long.
    """
    kept = tuple(dict.fromkeys(text for tag in tags if (text := re.sub(r"\s+", " ", tag).strip())))
    if too_long := [tag for tag in kept if len(tag) > MAX_TAG or "," in tag]:
        raise ConfigError(f"the tag {too_long[0][:60]!r} can't be used; a tag has at most {MAX_TAG} characters and no comma")
    if len(kept) > MAX_TAGS:
        raise ConfigError(f"{len(kept)} tags are too many; a run has at most {MAX_TAGS}: remove some")
    label = read_label(run)
    write_label(run, label.get("name", ""), label.get("note", ""), kept)
    return kept


def change_tags(run: RunDir, add: Sequence[str] = (), remove_: Sequence[str] = ()) -> tuple[str, ...]:
    """Add tags to a run and take others away; raises as :func:`write_tags`."""
    return write_tags(run, [*(tag for tag in read_tags(run) if tag not in remove_), *add])
