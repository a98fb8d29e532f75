"""Weights & Biases: one run there per run here, under the same id.

Offline, its file can't be gone on with, so it is rewritten from the log whenever there is more; what is left is always one whole run
for ``wandb sync``. Online, the server says how many rows it has, and those are left out. Guarantee: a row per reading, with ``step`` as its
axis; nothing is sent of this machine but the run's readings, name, note and settings. Needs the package wandb.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import TrackerError
from core.trackers.packages import need
from core.trackers.sink import About, Reading, State, whole

KEY = "WANDB_API_KEY"
_OWN_FOLDER = re.compile(r"offline-run-[\w-]+")  # as wandb names what it writes
_FAILED = ("FAILED", "INTERRUPTED")


class WandbSink:
    """Writes below ``folder``, or sends where ``is_online``."""

    def __init__(self, folder: Path, project: str, is_online: bool) -> None:
        self._folder, self._project, self._is_online = folder, project, is_online
        self._run: Any = None
        self._generation = 1
        self._n_rows = self._n_there = 0

    def open(self, about: About, state: State | None) -> bool:
        if self._is_online and not os.environ.get(KEY):
            raise TrackerError(
                f"Weights & Biases online needs a key: set {KEY} in the environment or in .streamlit/secrets.toml, or use offline"
            )
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        self._wandb = need("wandb")
        self._about = about
        self._generation = whole((state or {}).get("generation"), 1)
        self._forget(str((state or {}).get("folder", "")))
        self._begin()
        return False

    def start_over(self) -> None:
        """Rows can't be taken back there: what replaces them is another run, and the one before says so by its name."""
        before = self._run.dir
        if self._is_online:
            self._run.name = f"{self._about.name} (replaced)"
        self._run.finish()
        if not self._is_online:
            self._forget(Path(before).parent.name)
        else:
            self._generation += 1
        self._begin()

    def write(self, readings: Sequence[Reading]) -> None:
        for reading in readings:
            self._n_rows += 1
            if self._n_rows > self._n_there:
                self._run.log({"step": reading.step, "_timestamp": reading.ts, **reading.values})

    def flush(self) -> State:
        return {"folder": Path(self._run.dir).parent.name, "generation": self._generation}

    def close(self, status: str) -> None:
        if status:
            self._run.summary["status"] = status
        self._run.finish(exit_code=1 if status in _FAILED else 0)
        self._wandb.teardown()  # ends the process that it has beside ours

    def _begin(self) -> None:
        about, self._n_rows = self._about, 0
        self._folder.mkdir(parents=True, exist_ok=True)
        wanted = about.run_id if self._generation == 1 else f"{about.run_id}-{self._generation}"
        self._run = self._wandb.init(
            project=self._project,
            id=wanted,
            name=about.name,
            notes=about.note or None,
            group=about.run_id,
            config=dict(about.settings),
            dir=str(self._folder),
            mode="online" if self._is_online else "offline",
            resume="allow" if self._is_online else None,
            settings=self._settings(),
        )
        self._n_there = int(self._run.step) if self._is_online else 0
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def _settings(self) -> Any:
        return self._wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            disable_code=True,
            save_code=False,
            symlink=False,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
        )

    def _forget(self, name: str) -> None:
        """Remove what an earlier export wrote offline; only a folder as wandb names them, and below ours."""
        folder = self._folder / "wandb" / name
        if not self._is_online and _OWN_FOLDER.fullmatch(name) and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
