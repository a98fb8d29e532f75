"""The folders of pictures that the console's pages may read, so that a link to a page shows no other pictures of this machine.

They are the home and its sets, those that runs of this machine were given, and what ``pages.folders`` of the settings lists. A run that was
copied in names no folder: whoever made it would choose what is shown here. The command line reads whatever its user may read.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.config.installation import read_settings
from core.errors import ConfigError, LogosError
from core.logos.dataset import BUILTIN
from core.logos.sets import all_sets
from core.runs import shelf
from core.runs.records import is_ours, read_queue_entry
from core.runs.run_dir import RunDir


def folders_of_runs(home: Path) -> list[str]:
    """What runs of this machine were trained on, and is there; each once, as their settings have it."""
    found: dict[str, None] = {}
    for seen in reversed(shelf.look_all(home).values()):
        path = seen.facts.logos_path
        if path not in ("", BUILTIN) and path not in found and os.path.isdir(path) and _was_started_here(seen.facts.run):
            found[path] = None
    return list(found)


def check_readable(path: str, home: Path) -> None:
    """Refuse a folder that pages may not read, whether or not it is there; links and ".." are followed first.

    Raises:
        LogosError: with what is allowed.
    """
    if path == BUILTIN:
        return
    try:
        wanted = Path(path).resolve()
        whole = [home, *map(Path, _listed(home)), *map(Path, all_sets(home))]
        allowed = any(wanted.is_relative_to(each.resolve()) for each in whole)
        allowed = allowed or any(wanted == Path(each).resolve() for each in folders_of_runs(home))
    except (OSError, ValueError, RuntimeError):  # a name that no file system takes, or links in a circle
        allowed = False
    if not allowed:
        raise LogosError(
            f"{path[:200]!r} is not among the folders that pages may read: the sets, folders of runs that were started here, and those "
            "under pages.folders on the Settings page; list it there, or use the command logos check"
        )


def _listed(home: Path) -> list[str]:
    """The operator's own; none from settings that can't be read."""
    try:
        return read_settings(home).pages.folders
    except ConfigError:
        return []


def _was_started_here(run: RunDir) -> bool:
    return is_ours(run) or read_queue_entry(run) is not None
