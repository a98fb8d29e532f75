"""Films made in the background: ``<home>/films/<id>/`` holds the film and the files of every job (core/scheduling/job.py).

The process is ``python -m core film``, so the page and the command line make the same films.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.runs.run_dir import RunDir
from core.runs.small_files import read_or_none
from core.scheduling.job import Job, claim, folders

Ending = Literal[".mp4", ".webm", ".webp", ".gif"]


@dataclass(frozen=True)
class Request:
    """The options of a film; see ``python -m core film --help``. ``runs``: ids."""

    runs: list[str]
    logos: list[str]
    ending: Ending = ".mp4"
    seconds: Annotated[float, Field(ge=0.2, le=10)] = 1.0
    is_dark: bool = False


class _Result(BaseModel):
    """What ``film --json`` says in the end, as far as it must be there."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)
    bytes: int
    seconds: float
    evaluations: int
    evaluations_left_out: int
    width: int
    height: int
    runs: list[str]
    logos: list[str]
    problems: list[dict[str, Any]]


@dataclass(frozen=True)
class FilmJob(Job):
    """A film in the making, or made, and its folder."""

    kind: ClassVar[str] = "film"
    log_name: ClassVar[str] = "film.log"
    request_type: ClassVar[type[Any]] = Request

    @property
    def film_id(self) -> str:
        return self.path.name

    def request(self) -> Request | None:
        """What was asked for; None where that can't be read."""
        return read_or_none(self.path / "request.json", Request)

    def file(self) -> Path | None:
        """The film; None where it is not there."""
        request = self.request()
        path = self.path / f"film{request.ending}" if request else None
        return path if path is not None and path.is_file() else None

    def result(self) -> dict[str, Any] | None:
        try:
            return _Result.model_validate_json(self.last_line()).model_dump() if self.file() else None
        except ValueError:
            return None


def start(home: Path, request: Request) -> FilmJob:
    """Have a film made.

    Raises:
        RunError: no folder for it; OSError: the disk.
    """
    job = FilmJob(claim(home / "films"))
    arguments = ["film", *request.runs, f"--out={job.path / f'film{request.ending}'}", f"--seconds={request.seconds:g}"]
    arguments += [f"--logos={name}" for name in request.logos] + (["--dark"] if request.is_dark else [])
    job.launch(home, asdict(request), arguments)
    return job


def films_of(home: Path, run: RunDir) -> list[FilmJob]:
    """The films that a run is in, newest first."""
    found = ((job, job.request()) for job in map(FilmJob, folders(home / "films")))
    return [job for job, request in found if request is not None and run.run_id in request.runs]
