"""Batches of pictures optimized in the background: one folder and one process per batch, and a result that outlives the
server.

``<home>/batches/<id>/`` holds the pictures in ``in/``, the SVGs and optimized.csv in ``out/``, and the files of every job
(core/scheduling/job.py). The process is ``python -m core optimize``, so the page and the command line give the same results.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from core.errors import RunError, SvgError
from core.files import write_aside
from core.logos.pictures import FORMATS
from core.logos.uploads import Given, Intake, take_in
from core.runs.small_files import read_or_none
from core.scheduling.job import Job, JobStatus, claim, folders
from core.staging import staging
from core.tracing.allowed import checked

BatchStatus = JobStatus
_INTAKE, _STAGING = "intake.json", ".taking-"


@dataclass(frozen=True)
class Request:
    """The options of a batch; see ``python -m core optimize --help``."""

    model: str = "default"
    budget: Annotated[int, Field(ge=1, le=10_000)] = 10
    prefer: str = ""
    max_side: Annotated[int, Field(ge=16, le=8192)] = 1024


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
class Batch(Job):
    """A batch and its folder."""

    kind: ClassVar[str] = "batch"
    log_name: ClassVar[str] = "optimize.log"
    request_type: ClassVar[type[Any]] = Request

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

    def result(self) -> dict[str, Any] | None:
        """The output of ``optimize --json``; None until it is done."""
        try:
            return _Result.model_validate_json(self.last_line()).model_dump()
        except ValueError:
            return None

    def intake(self) -> Intake:
        """What became of the files that were given; empty for a batch of before that was kept."""
        return read_or_none(self.path / _INTAKE, Intake) or Intake()

    def archive(self) -> bytes:
        """A zip file of all SVGs and the CSV; of an SVG that is not one of ours it says why it is not there."""
        buffer, left_out = io.BytesIO(), []
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for path in self.out.rglob("*") if path.is_file() and not path.is_symlink()):
                name = path.relative_to(self.out).as_posix()
                try:
                    archive.writestr(name, checked(path.read_bytes()) if path.suffix == ".svg" else path.read_bytes())
                except (SvgError, OSError) as error:
                    left_out.append(f"{name}: {error}")
            if left_out:
                archive.writestr("left out.txt", "\n".join(left_out) + "\n")
        return buffer.getvalue()


def start(home: Path, files: Iterable[Given], request: Request) -> Batch:
    """Create a batch of pictures (zips are unpacked) and start its process; what is refused is in its :meth:`Batch.intake`.

    Raises:
        RunError: there is no picture; nothing of the files is kept then.
    """
    with staging(home / "batches", _STAGING) as staged:
        intake = take_in(files, staged)
        if not intake.taken:
            why = intake.reasons() or f"supported are {', '.join(sorted(set(FORMATS.values())))}, and ZIP files of them"
            raise RunError(f"these files contain no pictures ({why})")
        batch = Batch(claim(home / "batches"))
        try:
            os.rename(staged, batch.pictures)
            write_aside(batch.path / _INTAKE, json.dumps(asdict(intake)).encode())
            _launch(batch, home, request)
        except OSError:
            batch.delete()
            raise
    return batch


def again(home: Path, before: Batch, request: Request) -> Batch:
    """Process the same pictures again with other options."""
    batch = Batch(claim(home / "batches"))
    try:
        shutil.copytree(before.pictures, batch.pictures)
        if (before.path / _INTAKE).is_file():
            shutil.copy(before.path / _INTAKE, batch.path / _INTAKE)
    except OSError:
        batch.delete()
        raise
    _launch(batch, home, request)
    return batch


def all_batches(home: Path) -> list[Batch]:
    """All batches, newest first."""
    return [Batch(path) for path in folders(home / "batches")]


def _launch(batch: Batch, home: Path, request: Request) -> None:
    arguments = [str(batch.pictures), "--out", str(batch.out), "--model", request.model, "--budget", str(request.budget)]
    arguments += ["--max-side", str(request.max_side)] + (["--prefer", request.prefer] if request.prefer else [])
    batch.launch(home, asdict(request), ["optimize", *arguments])
