"""Made-up studies: trials written into a journal without a training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from core.config.config import RunConfig
from core.runs.events import Event
from core.studies.samplers import make_sampler
from core.studies.space import distributions
from core.studies.storage import open_storage
from core.studies.study import OBJECTIVES, StudyConfig, StudyDir, create, validate_study
from tests.support.runs import follow

SPACE = {
    "ppo.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "ppo.n_epochs": {"low": 2, "high": 10},
    "ppo.net_arch_pi": {"choices": [[8], [16, 16], [32]]},
    "ppo.activation": None,
}


def study_config(**changes: Any) -> StudyConfig:
    return validate_study({"name": "made up", "sampler": "random", "space": dict(SPACE)} | changes, RunConfig())


def made_up(home: Path, n: int = 24, n_steps: int = 4, **changes: Any) -> StudyDir:
    """A study of ``n`` trials by a formula: the learning rate counts most, every fourth trial is pruned, every tenth failed, the last one runs;
    with ``max_worse_share`` every fifth breaks it."""
    config = study_config(**changes)
    study = create(home, config, RunConfig(total_timesteps=1024))
    with mock.patch("optuna.storages.journal._file.os.fsync"):  # which is most of the time that thousands of lines take
        _fill(study, config, n, n_steps)
    return study


def _fill(study: StudyDir, config: StudyConfig, n: int, n_steps: int) -> None:
    from optuna import create_study
    from optuna.trial import TrialState

    directions = [OBJECTIVES[name][0] for name in config.objectives]
    found = create_study(storage=open_storage(study), study_name=study.study_id, directions=directions, sampler=make_sampler(config, 0))
    found.set_metric_names(list(config.objectives))
    for number in range(n):
        trial = found.ask(fixed_distributions=distributions(config.space, RunConfig()))
        trial.set_user_attr("run", study.run_of(number).run_id)
        if number == n - 1:
            break
        gain = 1 - 0.3 * abs(math.log10(trial.params["ppo.learning_rate"]) + 3) + 0.01 * trial.params["ppo.n_epochs"]
        figures = {
            "gain": gain,
            "minutes": 1.0 + trial.params["ppo.n_epochs"] / 10,
            "bytes": 4000.0 + 1000 * (trial.params["ppo.activation"] == "relu"),
        }
        is_pruned = number % 4 == 3 and len(directions) == 1
        if len(directions) == 1:
            for step in range(n_steps // (2 if is_pruned else 1)):
                trial.report(gain - 1 / (step + 1) - (5.0 if is_pruned else 0.0), step * 256)
        if number % 10 == 9:
            trial.set_user_attr("reason", "made to fail")
            found.tell(trial, state=TrialState.FAIL)
            continue
        for name, value in (figures | {"share_worse": 0.3 if number % 5 == 0 else 0.1, "step": 768}).items():
            trial.set_user_attr(name, value)
        if config.max_worse_share is not None:
            trial.set_constraint("looks worse", (0.3 if number % 5 == 0 else 0.1) - config.max_worse_share)
        if is_pruned:
            found.tell(trial, state=TrialState.PRUNED)
        else:
            found.tell(trial, [figures[name] for name in config.objectives])


def follow_first(study: StudyDir, wanted: Callable[[Event], bool]) -> None:
    """Wait until the first trial's run tells of what is wanted."""
    run, deadline = study.run_of(0), time.monotonic() + 120
    while not run.events_file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    follow(run, wanted, 120)
