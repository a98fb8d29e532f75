"""Runs that are trained once per session and copied for each test that looks at one.

A training of a few seconds is the dearest thing that a test can ask for, and most only read what it left. A recording is known by
its config; it is made by whoever asks first, under a lock, so that the processes of pytest-xdist share one. A test gets a copy of
its own and may do with it what it likes; only the logos that it was trained on are shared, and must not be written to.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from core.config.config import RunConfig
from core.runs.run_dir import RunDir, all_runs
from tests.support.logos import write_logos
from tests.support.runs import tiny_config

Recorder = Callable[..., RunDir]


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this session share."""
    base = factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "recorded"
    folder.mkdir(exist_ok=True)
    return folder


class Recordings:
    """The session's recorded runs, below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logos = folder / "logos of mine"
        with FileLock(folder / "logos.lock"):  # another process of this session may be at it
            if not self.logos.is_dir():
                made = write_logos(folder / "logos in the making")
                made.rename(self.logos)

    def original(self, config: RunConfig) -> RunDir:
        """The recording of a config, made now if it is the first to be asked for; not to be written to."""
        from core.runs.records import claim
        from core.training.trainer import train

        key = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]
        home = self.folder / key
        with FileLock(self.folder / f"{key}.lock"):
            done = self.folder / f"{key}.done"
            if not done.exists():
                shutil.rmtree(home, ignore_errors=True)
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv("TRACEWRIGHT_HOME", str(home))
                    train(claim(home, config))
                done.touch()
        (run,) = all_runs(home)
        return run

    def copy(self, home: Path, config: RunConfig) -> RunDir:
        """A run of one's own in ``home``, as if it had been trained there."""
        original = self.original(config)
        home.mkdir(parents=True, exist_ok=True)
        for n in range(1, 100):
            path = home / (original.run_id if n == 1 else f"{original.run_id}-{n}")
            if not path.exists():
                making = home / f".{path.name}"  # a console that follows this home sees the run when it is whole
                shutil.copytree(original.path, making)
                making.rename(path)
                return RunDir(path)
        raise AssertionError(f"{home} holds 99 copies of {original.run_id}")

    def tiny(self, home: Path, **changes: Any) -> RunDir:
        """A copy of the tiny run with ``changes``, on the shared logos."""
        return self.copy(home, tiny_config(self.logos, **changes))
