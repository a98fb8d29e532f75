"""Deleted runs until they are gone for good, and archived ones: what can be undone.

A deleted run is moved to ``<home>/.trash``; :func:`empty` frees its disk space. An archived run stays where it is and is
left out of lists; a file ``archived`` in its folder says so.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from core.errors import RunError
from core.files import remove
from core.runs.records import drop_queue_entry
from core.runs.run_dir import RunDir
from core.runs.status import check_idle

KEPT_S = 7 * 24 * 3600.0
ARCHIVED_FILE = "archived"


def _folder(home: Path) -> Path:
    return home / ".trash"


def discard(run: RunDir) -> None:
    """Take a run out of everything; it can be put back.

    Raises:
        RunError: it is live, or deleted already: what can be put back stays.
    """
    if not run.path.is_dir():
        raise RunError(f"{run.run_id} is gone; it was deleted already")
    check_idle(run)
    drop_queue_entry(run)
    folder = _folder(run.path.parent)
    folder.mkdir(exist_ok=True)
    to = folder / run.run_id
    if to.exists():
        shutil.rmtree(to)
    run.path.rename(to)
    os.utime(to)


def discarded(home: Path) -> list[RunDir]:
    """The deleted runs that can be put back, the one deleted last first."""
    folder = _folder(home)
    found = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return [RunDir(path) for path in sorted(found, key=lambda path: discarded_ts(RunDir(path)), reverse=True)]


def discarded_ts(run: RunDir) -> float:
    """When a deleted run was deleted, in seconds since 1970; 0 where it is gone for good."""
    try:
        return run.path.stat().st_mtime
    except OSError:
        return 0.0


def restore(home: Path, run_id: str) -> RunDir:
    """Put a deleted run back; raises :class:`RunError` where that can't be."""
    source, to = _folder(home) / Path(run_id).name, home / Path(run_id).name
    if not source.is_dir():
        raise RunError(f"{run_id} is not among the deleted runs; it may have been deleted for good")
    if to.exists():
        raise RunError(f"{to} exists; move it away first")
    source.rename(to)
    return RunDir(to)


def empty(home: Path, older_than_s: float = 0.0) -> int:
    """Remove deleted runs for good; returns how many."""
    before = time.time() - older_than_s
    gone = [run for run in discarded(home) if discarded_ts(run) <= before]
    for run in gone:
        shutil.rmtree(run.path, ignore_errors=True)
    return len(gone)


def archive(run: RunDir, is_archived: bool = True) -> None:
    """Leave a run out of lists, or take it in again."""
    if is_archived:
        (run.path / ARCHIVED_FILE).touch()
    else:
        remove(run.path / ARCHIVED_FILE)


def is_archived(run: RunDir) -> bool:
    return (run.path / ARCHIVED_FILE).exists()
