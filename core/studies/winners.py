"""What becomes of a study: its best trial trained with the full budget, kept as a preset, or a study continued in the background.

Guarantee: a full training is an ordinary run in the queue, of the trial's values and the base's own steps; a preset is a config that validates,
and never takes the place of one that ships.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

from core.config.config import RunConfig
from core.config.text import changed, presets, to_yaml, validate
from core.errors import ConfigError, StudyError
from core.files import write_aside
from core.machine import Process
from core.paths import HOME_VARIABLE, PRESETS, PROJECT, saved_presets
from core.runs.run_dir import RunDir
from core.scheduling import queue
from core.studies import analysis
from core.studies.space import config_of
from core.studies.storage import TrialRow, read_trials
from core.studies.study import StudyDir, StudyStatus

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


def chosen(study: StudyDir, number: int | None = None) -> TrialRow:
    """The trial of a number, or the best one.

    Raises:
        StudyError: there is none.
    """
    trials = read_trials(study)
    if number is not None:
        return analysis.by_number(trials, number, study)
    found = analysis.best(trials, study.config())
    if found is None:
        n = len(analysis.complete(trials))
        why = f"none of {n} complete trials meets the constraints" if n else "no trial is complete yet"
        raise StudyError(f"{study.study_id} has no best trial: {why}; name one with --trial")
    return found


def full_config(study: StudyDir, trial: TrialRow, settings: list[str] | None = None) -> RunConfig:
    """The config of a full training with a trial's values: steps and evaluations are the base's.

    Raises:
        ConfigError: a setting is not valid.
    """
    base = study.base()
    config, _ = config_of(base, study.config().space, trial.params)
    config.name = f"{study.name()} {trial.number} in full"[:80]
    config.note = f"Trial {trial.number} of the study {study.study_id}, with {config.total_timesteps:,} steps."
    return changed(config, settings or [])


def train_in_full(home: Path, study: StudyDir, trial: TrialRow, settings: list[str] | None = None) -> RunDir:
    """Queue a full training of a trial's values; raises as :func:`full_config`."""
    return queue.submit(home, full_config(study, trial, settings))


def keep_as_preset(home: Path, study: StudyDir, trial: TrialRow, name: str) -> Path:
    """Write a trial's full config as a preset of this home, replacing one of that name.

    Raises:
        ConfigError: the name is not allowed, or that of a preset that ships.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a preset can't be called {name!r}; use at most 40 letters, digits, dashes and underscores")
    shipped = presets().get(name)
    if shipped is not None and shipped.parent == PRESETS:
        raise ConfigError(f"{name!r} is a built-in preset; choose a name other than {', '.join(sorted(presets()))}")
    config = full_config(study, trial)
    config.name = name
    gain = trial.attrs.get("gain")
    told = f", validation gain {gain:+.3f} in the trial" if isinstance(gain, float) else ""
    config.note = f"Trial {trial.number} of the study {study.study_id}{told}."
    path = saved_presets(home) / f"{name}.yaml"
    write_aside(path, to_yaml(validate(config.model_dump(mode="json"))).encode())
    return path


def work_in_background(study: StudyDir) -> None:
    """Start a process that works on a study until its budget is used up; its output goes to ``search.log``.

    Raises:
        StudyError: one works on it already.
    """
    if study.status()[0] is StudyStatus.RUNNING:
        raise StudyError(f"{study.study_id} is RUNNING already")
    command = [sys.executable, "-m", "core", "search", "continue", str(study.path)]
    study.begin()
    with study.log_file.open("ab") as log:
        child = subprocess.Popen(
            command, cwd=PROJECT, env=os.environ | {HOME_VARIABLE: str(study.home)}, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    study.write_process(Process.of(child.pid))
    threading.Thread(target=child.wait, name=f"reaper-{child.pid}", daemon=True).start()
