"""A study and its folder: what it searches, how, and how it stands.

``<home>/studies/<id>/`` holds ``study.yaml`` (what is searched), ``base.yaml`` (the config that trials change), ``journal.log`` (Optuna's storage),
``search.log`` and a few small files of its process. Guarantee: status is derived from these and the process, so that nothing is "running"
that is not. Trials are runs of the home, named ``<id>-<number>``.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from core.config.config import RunConfig
from core.config.fields import Section, setting
from core.config.text import apply_settings, config_file, load_config, located, modernised, presets, problems, read_yaml, to_yaml, validate
from core.errors import ConfigError, StudyError
from core.files import remove, write_aside
from core.machine import Process
from core.runs.records import read_config
from core.runs.run_dir import RunDir, find_run
from core.runs.small_files import Moment, Seconds, Text, read_or_none
from core.studies.space import Dimension, resolve

FOLDER = "studies"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
MOST_TRIALS, MOST_HOURS = 100_000, 10_000.0
Objective = Literal["gain", "minutes", "bytes"]
OBJECTIVES: dict[str, tuple[str, str]] = {  # direction, and what it is
    "gain": ("maximize", "best validation gain"),
    "minutes": ("minimize", "minutes of training"),
    "bytes": ("minimize", "mean bytes of the SVGs of the best evaluation"),
}


class StudyConfig(Section):
    """What a study searches, and how."""

    version: Literal[1] = Field(1, description="Version of this format.")
    name: str = setting("", "Name shown in lists.", max_length=60)
    note: str = setting("", "Free-form notes.", max_length=2000)
    sampler: Literal["tpe", "random", "cmaes", "gp"] = setting(
        "tpe", "How values are sampled: TPE over all settings jointly, at random, CMA-ES, or a Gaussian process."
    )
    pruner: Literal["median", "hyperband", "none"] = setting(
        "median",
        "How trials are ended early, by their validation gain at each evaluation: median of the other trials at that step, or Hyperband.",
    )
    objectives: list[Objective] = setting(
        ["gain"], "Objectives: gain, minutes (of training), bytes; several give a Pareto front.", min_length=1
    )
    max_worse_share: float | None = setting(
        None, "Constraint: maximum share of validation logos whose result looks worse than with the defaults; null sets none.", ge=0, le=1
    )
    n_trials: int | None = setting(
        20, "Number of trials, including pruned and failed ones; null runs trials until the time limit.", ge=1, le=MOST_TRIALS
    )
    hours: float | None = setting(
        None, "Time limit in hours, after which no new trial starts; null sets no limit.", unit="hours", gt=0, le=MOST_HOURS
    )
    parallel: int = setting(1, "Trials at a time; above 1, set n_workers in the config, since 0 takes all cores.", ge=1, le=64)
    seed: int = setting(1, "Seed of the sampler.", ge=0, le=2**31 - 1)
    timesteps: int | None = setting(
        None, "Steps per trial; fewer than in the config give a quick look; null uses the config's.", unit="steps", ge=1, le=1_000_000_000
    )
    evaluations: int = setting(8, "Evaluations per trial, at each of which it may be pruned.", ge=1, le=1000)
    startup_trials: int = setting(5, "Number of random trials before pruning by the median and model-based sampling start.", ge=0, le=1000)
    warmup_share: float = setting(0.25, "Share of a trial's steps before it may be pruned by the median.", ge=0, le=1)
    reduction_factor: int = setting(3, "Hyperband: one in this many trials continues at each rung.", ge=2, le=10)
    try_base: bool = setting(True, "Start with the config's own values.")
    space: dict[str, Dimension] = Field(default_factory=dict, description="Settings to search, each with low and high, or choices.")

    @model_validator(mode="after")
    def _goes_together(self) -> StudyConfig:
        if self.n_trials is None and self.hours is None:
            raise ValueError("the study would never end: give n_trials or hours")
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError("an objective occurs twice")
        if len(self.objectives) > 1 and self.pruner != "none":
            raise ValueError(f"with several objectives no trial can be pruned; set pruner to none, not {self.pruner}")
        if self.pruner != "none" and self.objectives != ["gain"]:
            raise ValueError("pruning is by validation gain, which is not the objective; set pruner to none")
        if len(self.objectives) > 1 and self.sampler == "cmaes":
            raise ValueError("CMA-ES supports a single objective; use tpe, gp or random")
        return self


class StudyStatus(StrEnum):
    NEW = "NEW"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    INTERRUPTED = "INTERRUPTED"


@dataclass(frozen=True)
class _Launched:
    """The process that works on a study."""

    process: Process


@dataclass(frozen=True)
class Ended:
    """How the last process that worked on it ended."""

    status: Literal["COMPLETED", "STOPPED", "FAILED"]
    reason: Text = ""
    ts: Seconds = 0.0


@dataclass(frozen=True)
class _Spent:
    """Seconds that processes worked on the study, all together."""

    seconds: Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]


class StudyDir:
    """Paths and small files of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def study_id(self) -> str:
        return self.path.name

    @property
    def home(self) -> Path:
        return self.path.parent.parent

    @property
    def config_file(self) -> Path:
        return self.path / "study.yaml"

    @property
    def base_file(self) -> Path:
        return self.path / "base.yaml"

    @property
    def journal(self) -> Path:
        """Optuna's storage, which optuna-dashboard opens too."""
        return self.path / "journal.log"

    @property
    def log_file(self) -> Path:
        return self.path / "search.log"

    @property
    def lock_file(self) -> Path:
        return self.path / "search.lock"

    def run_of(self, number: int) -> RunDir:
        """The run of a trial, whether it is there or not."""
        return RunDir(self.home / f"{self.study_id}-{number:04d}")

    def config(self) -> StudyConfig:
        """What is searched.

        Raises:
            ConfigError: the file is missing or not valid.
        """
        return validate_study(read_yaml(self.config_file), self.base())

    def base(self) -> RunConfig:
        """The config that trials change; raises as :meth:`config`."""
        return validate(read_yaml(self.base_file))

    def name(self) -> str:
        """As it is called; its id where that can't be read."""
        try:
            return self.config().name or self.study_id
        except ConfigError:
            return self.study_id

    def status(self) -> tuple[StudyStatus, str]:
        """How it stands, and why."""
        process = self.process()
        if process is not None and process.is_alive():
            return StudyStatus.RUNNING, "stopping" if self.is_stop_wanted() else ""
        ended = read_or_none(self.path / "ended.json", Ended)
        if ended is not None:
            return StudyStatus(ended.status), ended.reason
        if process is None:
            return StudyStatus.NEW, "not started yet"
        return StudyStatus.INTERRUPTED, "its process has died; continue it to resume without repeating finished trials"

    def process(self) -> Process | None:
        found = read_or_none(self.path / "process.json", _Launched)
        return found.process if found else None

    def write_process(self, process: Process) -> None:
        data = {"v": 1, "pid": process.pid, "create_time": process.create_time}
        write_aside(self.path / "process.json", json.dumps(data).encode(), within=self.path)

    def drop_process(self) -> None:
        """Its process is about to end by itself."""
        remove(self.path / "process.json")

    def write_ended(self, status: StudyStatus, reason: str) -> None:
        data = {"v": 1, "status": status.value, "reason": reason[:2000], "ts": time.time()}
        write_aside(self.path / "ended.json", json.dumps(data).encode(), within=self.path)

    def begin(self) -> None:
        """Forget how it ended before, and that it was to stop."""
        remove(self.path / "ended.json")
        remove(self.path / "stop.json")

    def want_stop(self) -> None:
        """Have its process stop, with the live trials at their last checkpoint.

        Raises:
            StudyError: no process works on it.
        """
        status, reason = self.status()
        if status is not StudyStatus.RUNNING:
            raise StudyError(f"{self.study_id} is {status.value}{f': {reason}' if reason else ''}; there is nothing to stop")
        write_aside(self.path / "stop.json", json.dumps({"v": 1, "ts": time.time()}).encode(), within=self.path)

    def is_stop_wanted(self) -> bool:
        return read_or_none(self.path / "stop.json", Moment) is not None

    def spent_s(self) -> float:
        """Seconds that processes worked on it, all together."""
        found = read_or_none(self.path / "spent.json", _Spent)
        return found.seconds if found else 0.0

    def write_spent(self, seconds: float) -> None:
        write_aside(self.path / "spent.json", json.dumps({"v": 1, "seconds": round(seconds, 1)}).encode(), within=self.path)

    def write_config(self, config: StudyConfig) -> None:
        write_aside(self.config_file, study_yaml(config).encode(), within=self.path)


def validate_study(data: dict[str, Any], base: RunConfig) -> StudyConfig:
    """A study from plain data, with every dimension's range filled in.

    Raises:
        ConfigError: with one line per problem.
    """
    space = data.get("space")
    if isinstance(space, list):
        space = dict.fromkeys(str(name) for name in space)
    if space is not None and not isinstance(space, dict):
        raise ConfigError(f"space must list settings, or map them to ranges, not {type(space).__name__}")
    try:
        return StudyConfig.model_validate(data | {"space": resolve(space, base)})
    except ValidationError as error:
        raise ConfigError("\n".join(text for _, text in problems(error, StudyConfig))) from error


def study_yaml(config: StudyConfig) -> str:
    """The study as YAML, with each setting's help as a comment."""
    lines = []
    for name, info in StudyConfig.model_fields.items():
        value = getattr(config, name)
        if name == "space":
            value = {key: _plain(dimension) for key, dimension in config.space.items()}
        text = yaml.safe_dump(
            {name: value}, sort_keys=False, allow_unicode=True, default_flow_style=None if name == "space" else False, width=160
        )
        lines.append(f"# {info.description}\n{text}")
    return "".join(lines)


def _plain(dimension: BaseModel) -> dict[str, Any]:
    return {key: value for key, value in dimension.model_dump(mode="json").items() if value is not None and value is not False}


def load_study(path: Path, home: Path, settings: list[str] | None = None) -> tuple[StudyConfig, RunConfig]:
    """A study's YAML file: its own settings, ``config`` (a preset's name, a YAML file beside it or from here, or a RUN) and ``set`` (a mapping
    or a list of ``a.b=value`` that change the config). ``settings``: more of these.

    Raises:
        ConfigError: the file, the config or a setting is not valid.
    """
    path = config_file(path)
    data = read_yaml(path)
    source, changes = data.pop("config", "recommended"), data.pop("set", None) or []
    if isinstance(changes, dict):
        changes = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    if not isinstance(changes, list) or not isinstance(source, str | dict):
        raise ConfigError(f"{path}: config is a preset, a file or a run; set is a mapping of settings")
    base = base_config(source, path.parent, home, [*map(str, changes), *(settings or [])])
    data.setdefault("name", path.stem)
    return validate_study(data, base), base


def base_config(source: str | dict[str, Any], folder: Path, home: Path, settings: list[str]) -> RunConfig:
    """What ``config`` of a study's file stands for; raises as :func:`load_study`."""
    if isinstance(source, dict):
        return modernised(validate(apply_settings(source, settings)))
    if source in presets():
        return load_config(presets()[source], settings)
    for candidate in (folder / source, Path(source)):
        if candidate.is_file():
            return load_config(candidate, settings)
    try:
        found = read_config(find_run(source, home))
    except ValueError as error:
        raise ConfigError(f"config: {source!r} is not a preset ({', '.join(presets())}), a file or a run") from error
    return modernised(validate(apply_settings(found.model_dump(mode="json"), settings)))


def create(home: Path, config: StudyConfig, base: RunConfig) -> StudyDir:
    """Make the folder of a new study, named by date and name."""
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    slug = re.sub(r"[^a-z0-9]+", "-", config.name.lower()).strip("-")[:30] or "study"
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for n in range(1, 10_000):
        study = StudyDir(folder / (f"{stamp}-{slug}" if n == 1 else f"{stamp}-{slug}-{n}"))
        try:
            study.path.mkdir()
        except FileExistsError:
            continue
        write_aside(study.base_file, to_yaml(located(base)).encode(), within=study.path)
        study.write_config(config)
        return study
    raise StudyError(f"no free name for {stamp}-{slug} in {folder}")


def delete(study: StudyDir) -> None:
    """Remove a study; the runs of its trials stay.

    Raises:
        StudyError: a process works on it.
    """
    if study.status()[0] is StudyStatus.RUNNING:
        raise StudyError(f"{study.study_id} is RUNNING; stop it first")
    aside = study.path.with_name(f".deleted-{study.study_id}-{secrets.token_hex(3)}")
    study.path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def all_studies(home: Path) -> Iterator[StudyDir]:
    """Every study of a home, newest first."""
    try:
        paths = sorted((home / FOLDER).iterdir(), reverse=True)
    except OSError:  # none was made yet, or it is no folder
        return
    yield from (StudyDir(path) for path in paths if _ID.fullmatch(path.name) and path.is_dir())


def find_study(name: str, home: Path) -> StudyDir:
    """A study by its id, its directory, or the beginning of an id or a name that only one has.

    Raises:
        StudyError: no such study, or several.
    """
    if _ID.fullmatch(name) and os.path.isdir(home / FOLDER / name):
        return StudyDir((home / FOLDER / name).resolve())
    if "\0" not in name and os.path.isfile(StudyDir(Path(name)).config_file):  # which takes names too long for any file as well
        return StudyDir(Path(name).resolve())
    known = list(all_studies(home))
    found = [study for study in known if name and (study.study_id.startswith(name) or study.name() == name)]
    if len(found) == 1:
        return found[0]
    hint = f"it may be {', '.join(study.study_id for study in found[:5])}" if found else (
        f"newest are {', '.join(study.study_id for study in known[:3])}" if known else "there are no studies yet"
    )  # fmt: skip
    raise StudyError(f"no study {name[:100]!r} in {home / FOLDER}; {hint}")
