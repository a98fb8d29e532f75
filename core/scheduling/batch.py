"""Pictures that are optimized in the background: one folder a batch, one process, a result that outlives the server.

``<home>/batches/<id>/``: ``in/`` the pictures, ``out/`` the SVGs and optimized.csv, ``request.json``, ``process.json``,
``progress.json`` while it works and ``result.json`` when it is done. It is ``python -m core optimize`` that works, so
the page and the command line give the same.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from core.errors import RunError
from core.files import write_aside
from core.logos.uploads import unpack
from core.machine import Process
from core.paths import HOME_VARIABLE, PROJECT


class BatchStatus(StrEnum):
    WORKING = "WORKING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class Request:
    """What was asked for; see ``python -m core optimize --help``."""

    model: str = "default"
    budget: int = 10
    prefer: str = ""
    max_side: int = 1024


@dataclass(frozen=True)
class Progress:
    """``left_s``: estimated seconds, None before anything is known."""

    what: str = "getting ready"
    n_done: int = 0
    n_all: int = 0
    left_s: float | None = None


@dataclass(frozen=True)
class Batch:
    """One folder."""

    path: Path

    @property
    def batch_id(self) -> str:
        return self.path.name

    @property
    def pictures(self) -> Path:
        return self.path / "in"

    @property
    def out(self) -> Path:
        return self.path / "out"

    def request(self) -> Request:
        return Request(**{key: value for key, value in _read(self.path / "request.json").items() if key != "v"})

    def result(self) -> dict[str, Any] | None:
        """What ``optimize --json`` said; None before it is done."""
        try:
            lines = (self.path / "result.json").read_text(encoding="utf-8").strip().splitlines()
            found = json.loads(lines[-1])
            return found if isinstance(found, dict) else None
        except (OSError, ValueError, IndexError):
            return None

    def status(self) -> BatchStatus:
        """Derived from the process and the result, as a run's is."""
        process = self._process()
        if process is not None and process.is_alive():
            return BatchStatus.WORKING
        if self.result() is not None:
            return BatchStatus.DONE
        return BatchStatus.CANCELLED if (self.path / "cancelled").exists() else BatchStatus.FAILED

    def progress(self) -> Progress:
        try:
            return Progress(**_read(self.path / "progress.json"))
        except TypeError:
            return Progress()

    def problem(self) -> str:
        """The last line that it wrote: why it failed."""
        try:
            lines = (self.path / "optimize.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1].removeprefix("error: ") if lines else ""

    def cancel(self) -> None:
        """End it; what was written stays."""
        (self.path / "cancelled").touch()
        process = self._process()
        if process is not None:
            process.send(signal.SIGKILL)

    def delete(self) -> None:
        self.cancel()
        shutil.rmtree(self.path, ignore_errors=True)

    def archive(self) -> bytes:
        """All SVGs and the CSV as a zip."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(self.out.glob("*")):
                archive.write(path, path.name)
        return buffer.getvalue()

    def _process(self) -> Process | None:
        raw = _read(self.path / "process.json")
        try:
            return Process(int(raw["pid"]), float(raw["create_time"]))
        except (KeyError, TypeError, ValueError):
            return None


def start(home: Path, files: Sequence[tuple[str, bytes]], request: Request) -> Batch:
    """Make a batch of pictures (zips are unpacked) and begin to work on it.

    Raises:
        RunError: no picture, or more than a batch may hold.
    """
    pictures = list(unpack(files))
    if not pictures:
        raise RunError("there is no picture among these files; taken are PNG, JPEG, WebP, GIF, BMP, SVG, and zips of them")
    batch = _claim(home)
    batch.pictures.mkdir()
    for name, data in pictures:
        (batch.pictures / name).write_bytes(data)
    _launch(batch, home, request)
    return batch


def again(home: Path, before: Batch, request: Request) -> Batch:
    """The same pictures once more, asked for otherwise."""
    batch = _claim(home)
    shutil.copytree(before.pictures, batch.pictures)
    _launch(batch, home, request)
    return batch


def all_batches(home: Path) -> list[Batch]:
    """The newest first."""
    folder = home / "batches"
    return [Batch(path) for path in sorted(folder.iterdir(), reverse=True) if path.is_dir()] if folder.is_dir() else []


def _claim(home: Path) -> Batch:
    folder = home / "batches"
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for n in range(1, 1000):
        batch = Batch(folder / (stamp if n == 1 else f"{stamp}-{n}"))
        try:
            batch.path.mkdir()
        except FileExistsError:
            continue
        return batch
    raise RunError(f"no free name beside {stamp} in {folder}")


def _launch(batch: Batch, home: Path, request: Request) -> None:
    write_aside(batch.path / "request.json", json.dumps({"v": 1} | asdict(request)).encode())
    arguments = [str(batch.pictures), "--out", str(batch.out), "--model", request.model, "--budget", str(request.budget)]
    arguments += ["--max-side", str(request.max_side), "--progress-file", str(batch.path / "progress.json"), "--json"]
    arguments += ["--prefer", request.prefer] if request.prefer else []
    with (batch.path / "result.json").open("wb") as result, (batch.path / "optimize.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "core", "optimize", *arguments],
            cwd=PROJECT, env=_environment(home), stdin=subprocess.DEVNULL, stdout=result, stderr=log, start_new_session=True,
        )  # fmt: skip
    process = Process.of(child.pid)
    write_aside(batch.path / "process.json", json.dumps({"v": 1, "pid": process.pid, "create_time": process.create_time}).encode())
    threading.Thread(target=child.wait, name=f"reaper-{child.pid}", daemon=True).start()


def _environment(home: Path) -> dict[str, str]:
    return os.environ | {HOME_VARIABLE: str(home)}


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}
