"""Work in the background: one folder and one process per job, and a result that outlives the server.

The folder holds ``request.json``, ``process.json``, ``progress.json`` while it is working, ``result.json`` when it is done, and the process's
log. The process is a command of ``python -m core``, so the page and the command line give the same results. Guarantee: the status is derived
from the process and the result, so nothing is "working" that is not.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from core.errors import DamagedFileError, RunError
from core.files import open_file, read_text, write_aside
from core.machine import Process
from core.paths import HOME_VARIABLE, PROJECT
from core.runs.small_files import read, read_or_none

TRASH, KEPT_S = ".trash", 7 * 24 * 3600.0
MAX_RESULT_BYTES = 200_000_000  # a batch of many thousand pictures


class JobStatus(StrEnum):
    WORKING = "WORKING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True)
class Launched:
    """The process of a job."""

    process: Process


@dataclass(frozen=True)
class Progress:
    """``left_s``: estimated seconds left, None while unknown."""

    what: str = "getting ready"
    n_done: Annotated[int, Field(ge=0)] = 0
    n_all: Annotated[int, Field(ge=0)] = 0
    left_s: Annotated[float, Field(ge=0, le=1e9)] | None = None


@dataclass(frozen=True)
class Job:
    """A job and its folder. A kind of job says what it is called, how its log is, and how its request and its result are read."""

    path: Path
    kind: ClassVar[str]
    log_name: ClassVar[str]
    request_type: ClassVar[type[Any]]

    def result(self) -> dict[str, Any] | None:
        """What the command said in the end with ``--json``; None until then."""
        raise NotImplementedError

    def last_line(self) -> str:
        """The last line of ``result.json``; "" where there is none, or it can't be read."""
        try:
            lines = (read_text(self.path / "result.json", MAX_RESULT_BYTES) or "").strip().splitlines()
        except DamagedFileError:
            return ""
        return lines[-1] if lines else ""

    def problem_with_files(self) -> str:
        """What is wrong with the job's own files, and what to do; "" for a healthy one."""
        name = self.path.name
        try:
            if read(self.path / "request.json", self.request_type) is None:
                return f"{name} is not a {self.kind}: it has no request.json; move it out of {self.path.parent.name} or delete it"
            read(self.path / "process.json", Launched)
        except DamagedFileError as error:
            return f"{error}; delete the {self.kind} and start it again"
        return ""

    def status(self) -> JobStatus:
        """Derived from the process and the result, like the status of a run."""
        process = self._process()
        if process is not None and process.is_alive():
            return JobStatus.WORKING
        if self.result() is not None:
            return JobStatus.DONE
        return JobStatus.CANCELLED if (self.path / "cancelled").exists() else JobStatus.FAILED

    def progress(self) -> Progress:
        return read_or_none(self.path / "progress.json", Progress) or Progress()

    def problem(self) -> str:
        """The last line of its log, which says why it failed."""
        try:
            with open_file(self.path / self.log_name) as file:
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

    def discard(self) -> None:
        """Delete it so that it can be put back for a week; what was discarded longer ago is removed."""
        self.cancel()
        above = self.path.parent / TRASH
        above.mkdir(exist_ok=True)
        for old in above.iterdir():
            if time.time() - old.stat().st_mtime > KEPT_S:
                shutil.rmtree(old, ignore_errors=True)
        to = above / self.path.name
        shutil.rmtree(to, ignore_errors=True)
        self.path.rename(to)
        os.utime(to)

    def launch(self, home: Path, request: Mapping[str, Any], arguments: Sequence[str]) -> None:
        """Keep the request and start ``python -m core`` with ``arguments``, and with what a job's command is always given."""
        write_aside(self.path / "request.json", json.dumps({"v": 1} | dict(request)).encode())
        told = ["--progress-file", str(self.path / "progress.json"), "--json"]
        with (self.path / "result.json").open("wb") as result, (self.path / self.log_name).open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "core", *arguments, *told],
                cwd=PROJECT, env=os.environ | {HOME_VARIABLE: str(home)}, stdin=subprocess.DEVNULL, stdout=result, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        process = Process.of(child.pid)
        write_aside(self.path / "process.json", json.dumps({"v": 1, "pid": process.pid, "create_time": process.create_time}).encode())
        threading.Thread(target=child.wait, name=f"reaper-{child.pid}", daemon=True).start()

    def _process(self) -> Process | None:
        found = read_or_none(self.path / "process.json", Launched)
        return found.process if found else None


def claim(folder: Path) -> Path:
    """A new folder in ``folder``, named by the time.

    Raises:
        RunError: a thousand were made within this second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for n in range(1, 1000):
        path = folder / (stamp if n == 1 else f"{stamp}-{n}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise RunError(f"no free name in {folder}: {stamp} and its numbered variants are taken")


def discarded(folder: Path) -> list[str]:
    """The names of the discarded jobs of ``folder`` that can be put back, the last one first."""
    found = []
    for path in folders(folder / TRASH):
        with contextlib.suppress(OSError):  # put back in this moment
            found.append((path.stat().st_mtime, path.name))
    return [name for ts, name in sorted(found, reverse=True) if time.time() - ts <= KEPT_S]


def restore(folder: Path, name: str) -> None:
    """Put a discarded job of ``folder`` back.

    Raises:
        RunError: it is not among them, or its name is taken.
    """
    source, to = folder / TRASH / Path(name).name, folder / Path(name).name
    if not source.is_dir():
        raise RunError(f"{name} is not among what was deleted; it may have been removed for good after a week")
    if to.exists():
        raise RunError(f"{to} exists; move it away first")
    source.rename(to)


def folders(folder: Path) -> list[Path]:
    """The folders of all jobs of a kind, newest first."""
    try:
        return [path for path in sorted(folder.iterdir(), reverse=True) if path.is_dir() and not path.name.startswith(".")]
    except OSError:  # none was made yet, or it is no folder
        return []
