"""A run's checkpoints: which are written, which are deleted, and from which it resumes.

Guarantees: once there is a complete checkpoint there always is one, even if the process dies while writing; a full
disk makes the run wait, not fail; the run's folder stays within its budget as far as deleting checkpoints and old SVGs
allows.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.config.config import RunConfig
from core.errors import CheckpointError, RunError
from core.machine import folder_mb
from core.runs.event_types import WarningGiven
from core.runs.events import EventWriter
from core.runs.run_dir import PARENT_CHECKPOINT, PREVIOUS, ROLLOUT_FILE, RunDir
from core.training.disk_guard import DiskGuard

if TYPE_CHECKING:
    from stable_baselines3 import PPO

log = logging.getLogger("tracewright")


def find_start(run: RunDir, wanted: str = "") -> tuple[Path | None, dict[str, Any] | None, list[str]]:
    """(folder, state, what was wrong with others) of the checkpoint to resume from: the newest complete one, or the one
    that was asked for; None if the run has none.

    Raises:
        CheckpointError: the one asked for, or all, are damaged.
        RunError: there is none of that name.
    """
    from core.agents.checkpoint import read_checkpoint

    names = run.checkpoint_names()
    if wanted and wanted not in names:
        raise RunError(f"{run.run_id} has no checkpoint {wanted!r}; it has {', '.join(names) or 'none'}")
    notes: list[str] = []
    has_unbegun = False
    for name in [wanted] if wanted else names:
        try:
            _, state = read_checkpoint(run.checkpoints / name)
        except CheckpointError as error:
            notes.append(str(error).removeprefix(f"{run.checkpoints}/"))
            continue
        if state.get("environments") is None and name != PARENT_CHECKPOINT:
            has_unbegun = True  # of before the first step: there is nothing to go on with yet
            continue
        return run.checkpoints / name, state, notes
    if wanted and not notes and PARENT_CHECKPOINT in names:
        return find_start(run, PARENT_CHECKPOINT)
    if notes and not (has_unbegun and all(ROLLOUT_FILE in note for note in notes)):  # of the first rollout, which is begun again
        raise CheckpointError(f"{run.run_id}: no checkpoint can be used: {'; '.join(notes)}; clone it as a new run")
    return None, None, notes


class CheckpointManager:
    """Writes and deletes the checkpoints of one run."""

    def __init__(self, run: RunDir, config: RunConfig, events: EventWriter, disk_guard: DiskGuard) -> None:
        self._run, self._config, self._events, self._disk_guard = run, config, events, disk_guard
        self._is_over_told = False

    def save(self, name: str, agent: PPO, extra: dict[str, Any]) -> None:
        """Write a checkpoint; the one that was ``last`` is kept as ``previous``."""
        from core.agents.checkpoint import save_checkpoint

        old = PREVIOUS if name == "last" else ""
        self._disk_guard.keep(lambda: save_checkpoint(self._run.checkpoints / name, agent, self._config, extra, old))

    def adopt(self, folder: Path) -> Path:
        """Make a checkpoint the last one, so that the run resumes from there whatever happens next; returns it."""
        from core.agents.checkpoint import copy_checkpoint

        last = self._run.checkpoints / "last"
        if folder != last:
            old = PREVIOUS if folder.name != PREVIOUS else ""
            self._disk_guard.keep(lambda: copy_checkpoint(folder, last, old))
        return last

    def prune(self) -> None:
        """Delete periodic checkpoints that are not to be kept, and more if the run exceeds its disk budget."""
        c = self._config.checkpoint
        periodic = sorted(self._run.checkpoints.glob("step-*"))
        for folder in periodic[: -c.keep]:
            if not self._is_lasting(folder):
                shutil.rmtree(folder, ignore_errors=True)
        used = folder_mb(self._run.path)
        if used <= c.disk_budget_mb:
            self._is_over_told = False
            return
        before = used
        for folder in [*sorted(self._run.checkpoints.glob("step-*")), *self._old_evaluations()]:
            used -= folder_mb(folder)
            shutil.rmtree(folder, ignore_errors=True)
            if used <= c.disk_budget_mb:
                break
        if not self._is_over_told:
            self._is_over_told = used > c.disk_budget_mb
            left = "; nothing more can be deleted" if used > c.disk_budget_mb else ""
            text = f"the run used {before:.0f} MB of its budget of {c.disk_budget_mb:g} MB: old checkpoints and SVGs were deleted{left}"
            log.warning("%s", text)
            self._events.write(0, WarningGiven(text))

    def _is_lasting(self, folder: Path) -> bool:
        every = self._config.checkpoint.keep_every
        n = round(int(folder.name.removeprefix("step-")) / self._config.checkpoint.every_steps)
        return every > 0 and n % every == 0

    def _old_evaluations(self) -> list[Path]:
        """Folders of SVGs from the second to the last but one; the first and the last are kept for comparison."""
        return sorted((self._run.path / "evaluations").glob("*"))[1:-1]
