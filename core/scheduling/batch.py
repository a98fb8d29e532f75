"""Batches of pictures optimized in the background: one folder and one process per batch, and a result that outlives the
server.

``<home>/batches/<id>/`` holds the pictures in ``in/``, the SVGs and optimized.csv in ``out/``, ``request.json``,
``process.json``, ``progress.json`` while it is working and ``result.json`` when it is done. The process is ``python -m core
optimize``, so the page and the command line give the same results.
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
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from core.errors import DamagedFileError, RunError
from core.files import open_file, read_text, write_aside
from core.logos.pictures import FORMATS
from core.logos.uploads import unpack
from core.machine import Process
from core.paths import HOME_VARIABLE, PROJECT
from core.runs.small_files import read, read_or_none

MAX_RESULT_BYTES = 200_000_000  # a batch of many thousand pictures


class BatchStatus(StrEnum):
    WORKING = "WORKING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class Request:
    """The options of a batch; see ``python -m core optimize --help``."""

    model: str = "default"
    budget: Annotated[int, Field(ge=1, le=10_000)] = 10
    prefer: str = ""
    max_side: Annotated[int, Field(ge=16, le=8192)] = 1024


@dataclass(frozen=True)
class Launched:
    """The process of a batch."""

    process: Process


@dataclass(frozen=True)
class Progress:
    """``left_s``: estimated seconds left, None while unknown."""

    what: str = "getting ready"
    n_done: Annotated[int, Field(ge=0)] = 0
    n_all: Annotated[int, Field(ge=0)] = 0
    left_s: Annotated[float, Field(ge=0, le=1e9)] | None = None


class _Row(BaseModel):
    """What ``optimize --json`` says of one picture, as far as it must be there."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)
    file: str
    svg: str
    gain: float
    ssim: float
    ssim_default: float
    bytes: int
    bytes_default: int
    n_conversions: int
    is_default: bool
    made_by: str = "agent"  # of batches before there was another way
    visual_gain: float | None = None


class _Left(BaseModel):
    file: str
    reason: str


class _Result(BaseModel):
    """What ``optimize --json`` says in the end."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)
    results: list[_Row]
    skipped: list[_Left]
    n_done: int
    mean_gain: float | None
    mean_visual_gain: float | None = None
    bytes: int
    bytes_default: int


@dataclass(frozen=True)
class Batch:
    """A batch and its folder."""

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
        """What was asked for; the defaults where that can't be read."""
        return read_or_none(self.path / "request.json", Request) or Request()

    def problem_with_files(self) -> str:
        """What is wrong with the batch's own files, and what to do; "" for a healthy one."""
        try:
            if read(self.path / "request.json", Request) is None:
                return f"{self.batch_id} is no batch: it has no request.json; move it out of the folder batches, or delete it"
            read(self.path / "process.json", Launched)
        except DamagedFileError as error:
            return f"{error}; delete the batch and start it again"
        return ""

    def result(self) -> dict[str, Any] | None:
        """The output of ``optimize --json``; None until it is done."""
        try:
            lines = (read_text(self.path / "result.json", MAX_RESULT_BYTES) or "").strip().splitlines()
            return _Result.model_validate_json(lines[-1]).model_dump() if lines else None
        except (DamagedFileError, ValueError):
            return None

    def status(self) -> BatchStatus:
        """Derived from the process and the result, like the status of a run."""
        process = self._process()
        if process is not None and process.is_alive():
            return BatchStatus.WORKING
        if self.result() is not None:
            return BatchStatus.DONE
        return BatchStatus.CANCELLED if (self.path / "cancelled").exists() else BatchStatus.FAILED

    def progress(self) -> Progress:
        return read_or_none(self.path / "progress.json", Progress) or Progress()

    def problem(self) -> str:
        """The last line of its log, which says why it failed."""
        try:
            with open_file(self.path / "optimize.log") as file:
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1].removeprefix("error: ") if lines else ""

    def cancel(self) -> None:
        """Kill its process; what was written is kept."""
        (self.path / "cancelled").touch()
        process = self._process()
        if process is not None:
            process.send(signal.SIGKILL)

    def delete(self) -> None:
        self.cancel()
        shutil.rmtree(self.path, ignore_errors=True)

    def archive(self) -> bytes:
        """A zip file of all SVGs and the CSV."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for path in self.out.rglob("*") if path.is_file()):
                archive.write(path, path.relative_to(self.out).as_posix())
        return buffer.getvalue()

    def _process(self) -> Process | None:
        found = read_or_none(self.path / "process.json", Launched)
        return found.process if found else None


def start(home: Path, files: Sequence[tuple[str, bytes]], request: Request) -> Batch:
    """Create a batch of pictures (zips are unpacked) and start its process.

    Raises:
        RunError: there is no picture, or more than a batch may hold.
    """
    pictures = list(unpack(files))
    if not pictures:
        raise RunError(
            f"there is no picture among these files; accepted are {', '.join(sorted(set(FORMATS.values())))}, and zip files of them"
        )
    batch = _claim(home)
    batch.pictures.mkdir()
    for name, data in pictures:
        (batch.pictures / name).write_bytes(data)
    _launch(batch, home, request)
    return batch


def again(home: Path, before: Batch, request: Request) -> Batch:
    """Process the same pictures again with other options."""
    batch = _claim(home)
    shutil.copytree(before.pictures, batch.pictures)
    _launch(batch, home, request)
    return batch


def all_batches(home: Path) -> list[Batch]:
    """All batches, newest first."""
    try:
        return [Batch(path) for path in sorted((home / "batches").iterdir(), reverse=True) if path.is_dir()]
    except OSError:  # none was made yet, or it is no folder
        return []


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
    raise RunError(f"no free name for a batch in {folder}: {stamp} and its numbered variants are taken")


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
