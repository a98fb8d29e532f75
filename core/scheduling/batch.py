"""Batches of pictures optimized in the background: one folder and one process per batch, and a result that outlives the
server.

``<home>/batches/<id>/`` holds the pictures in ``in/``, the SVGs and optimized.csv in ``out/``, and the files of every job
(core/scheduling/job.py). The process is ``python -m core optimize``, so the page and the command line give the same results.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.config.workers import WorkersConfig, workers_on
from core.errors import ConfigError, RunError
from core.files import write_aside
from core.logos.pictures import FORMATS
from core.logos.uploads import Given, Intake, take_in
from core.names import printable
from core.paths import how_to_install
from core.runs.small_files import read_or_none
from core.scheduling.job import Job, JobStatus, claim, folders
from core.staging import staging
from core.tracing.params import NAMES

BatchStatus = JobStatus
_INTAKE, _STAGING = "intake.json", ".taking-"


@dataclass(frozen=True)
class Request:
    """The options of a batch; see ``python -m core optimize --help``."""

    model: str = "default"
    budget: Annotated[int, Field(ge=1, le=10_000)] = 10
    prefer: str = ""
    max_side: Annotated[int, Field(ge=16, le=8192)] = 1024
    max_colours: Annotated[int, Field(ge=0, le=256)] = 0
    merge: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0.0
    brand: Annotated[str, Field(max_length=4000)] = ""
    background: str = "keep"
    cluster: Annotated[str, Field(max_length=200)] = ""  # address of a Ray cluster to convert on; empty uses this machine


_Path = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
_Size = Annotated[int, Field(ge=0, le=2**53)]


class _Row(BaseModel):
    """What ``optimize --json`` says of one picture, as far as it must be there."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)
    file: _Path
    svg: _Path
    gain: float
    ssim: float
    ssim_default: float
    bytes: _Size
    bytes_default: _Size
    n_conversions: _Size
    is_default: bool
    made_by: str = "agent"  # of batches before there was another way
    visual_gain: float | None = None
    kind: str = ""
    remark: str = ""
    colour: float | None = None
    colour_default: float | None = None
    edge: float | None = None
    edge_default: float | None = None
    nodes: _Size | None = None
    nodes_default: _Size | None = None
    trace_size: _Size | None = None
    file_bytes: _Size | None = None

    @model_validator(mode="after")
    def _parameters_are_numbers(self) -> Self:
        for name in NAMES:
            value = (self.model_extra or {}).get(name, 0.0)
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} is {str(value)[:80]!r}, not a number")
        return self


class _Left(BaseModel):
    file: str
    reason: str


class _Result(BaseModel):
    """What ``optimize --json`` says in the end; each of its rows is read by itself."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)
    results: list[Any]
    skipped: list[_Left]
    n_done: int
    mean_gain: float | None
    mean_visual_gain: float | None = None
    bytes: _Size
    bytes_default: _Size
    n_nodes_lost: _Size = 0


def _name_in(row: object) -> str:
    """What a row that is damaged calls its picture, where that can be read."""
    name = row.get("file") if isinstance(row, dict) else None
    return printable(Path(name).name)[:200] if isinstance(name, str) else ""


def _why(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'row'}: {first['msg']}"


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
    def alternatives(self) -> Path:
        return self.path / "alternatives"

    @property
    def out(self) -> Path:
        return self.path / "out"

    def request(self) -> Request:
        """What was asked for; the defaults where that can't be read."""
        return read_or_none(self.path / "request.json", Request) or Request()

    def result(self) -> dict[str, Any] | None:
        """The output of ``optimize --json``; None until it is done. A picture whose row is damaged is among the skipped, with the reason."""
        try:
            told = _Result.model_validate_json(self.last_line()).model_dump()
        except ValueError:
            return None
        rows, told["results"] = told["results"], []
        for n, row in enumerate(rows, 1):
            try:
                told["results"].append(_Row.model_validate(row).model_dump())
            except ValidationError as error:
                told["skipped"].append(
                    {"file": _name_in(row) or f"picture {n}", "reason": f"its row in result.json is damaged: {_why(error)}"}
                )
        return told

    def intake(self) -> Intake:
        """What became of the files that were given; empty for a batch of before that was kept."""
        return read_or_none(self.path / _INTAKE, Intake) or Intake()


def batches_folder(home: Path) -> Path:
    return home / "batches"


def start(home: Path, files: Iterable[Given], request: Request) -> Batch:
    """Create a batch of pictures (zips are unpacked) and start its process; what is refused is in its :meth:`Batch.intake`.

    Raises:
        RunError: there is no picture; nothing of the files is kept then.
        ConfigError: the request can't be done here; the files are not looked at.
    """
    _check(request)
    with staging(batches_folder(home), _STAGING) as staged:
        intake = take_in(files, staged)
        if not intake.taken:
            why = intake.reasons() or f"supported are {', '.join(sorted(set(FORMATS.values())))}, and ZIP files of them"
            raise RunError(f"these files contain no pictures ({why})")
        batch = Batch(claim(batches_folder(home)))
        try:
            os.rename(staged, batch.pictures)
            write_aside(batch.path / _INTAKE, json.dumps(asdict(intake)).encode())
            _launch(batch, home, request)
        except OSError:
            batch.delete()
            raise
    return batch


def again(home: Path, before: Batch, request: Request) -> Batch:
    """Process the same pictures again with other options.

    Raises:
        ConfigError: the request can't be done here.
    """
    _check(request)
    batch = Batch(claim(batches_folder(home)))
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
    return [Batch(path) for path in folders(batches_folder(home))]


def _check(request: Request) -> None:
    """Refuse a cluster that can't be used from here."""
    if not request.cluster:
        return
    if find_spec("ray") is None:
        raise ConfigError(
            f"Ray is not installed, so nothing can be converted on {request.cluster}; to use a cluster: {how_to_install('ray')}"
        )
    workers_on(WorkersConfig(), request.cluster)


def _launch(batch: Batch, home: Path, request: Request) -> None:
    arguments = [str(batch.pictures), "--out", str(batch.out), "--model", request.model, "--budget", str(request.budget)]
    arguments += ["--max-side", str(request.max_side)] + (["--prefer", request.prefer] if request.prefer else [])
    arguments += ["--max-colours", str(request.max_colours), "--merge", str(request.merge), "--background", request.background]
    arguments += [*(["--brand", request.brand] if request.brand else []), "--alternatives", str(batch.alternatives)]
    arguments += ["--ray", request.cluster] if request.cluster else []
    batch.launch(home, asdict(request), ["optimize", *arguments])
