"""The runs that tell of a study beside its journal: those of its best trials, those of the config that trials change, full trainings of the best.

Guarantee: only runs that are there are named; a run whose config can't be read is none of them, and holds no other up.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from core.config.config import RunConfig
from core.errors import ConfigError
from core.runs.records import peek_config, read_trial
from core.runs.run_dir import RunDir, all_runs
from core.runs.seed_groups import settings_of
from core.studies import analysis
from core.studies.space import Dimension, params_of
from core.studies.storage import TrialRow
from core.studies.study import StudyConfig, StudyDir
from core.studies.winners import full_config

N_BEST = 10  # trials whose runs are looked at
MOST_LOOKED_AT = 300  # runs of the home, newest first, that may be trainings of the base or of the best trial
WITHOUT_EFFECT = (  # the same episodes and gains with any number of workers, wherever they run
    "n_workers",
    *(f"workers.{name}" for name in ("backend", "address", "cpus_per_worker", "placement", "node_resource")),
)


@dataclass(frozen=True)
class Related:
    """``trials``: {number: run} of the best trials and the base's. ``base_trial``: that with the base's own values; None without one.
    ``base``: runs of the base config that are no trials; ``full``: full trainings of the best trial; both newest first."""

    trials: dict[int, RunDir] = field(default_factory=dict)
    base_trial: TrialRow | None = None
    base: list[RunDir] = field(default_factory=list)
    full: list[RunDir] = field(default_factory=list)

    @property
    def runs(self) -> list[RunDir]:
        """Each once."""
        return list({run.run_id: run for run in (*self.trials.values(), *self.base, *self.full)}.values())


def related(study: StudyDir, config: StudyConfig, trials: Sequence[TrialRow]) -> Related:
    """What is there now.

    Raises:
        ConfigError: the study's base can't be read.
    """
    base, best = study.base(), analysis.best(trials, config)
    own = with_values_of(base, config.space, trials)
    numbers = [trial.number for trial in analysis.ranked(trials, config, N_BEST)]
    numbers += [trial.number for trial in (best, own) if trial is not None and trial.number not in numbers]
    found = Related({number: run for number in numbers if (run := study.run_of(number)).exists()}, own)
    wanted = [(_settings(base), found.base)]
    if best is not None:
        with suppress(ConfigError, LookupError):  # values that an older version allowed, settings that it had
            wanted.append((_settings(full_config(study, best)), found.full))
    for run in _candidates(study):
        try:
            settings = _settings(peek_config(run))
        except ConfigError:
            continue
        for config_settings, runs in wanted:
            if settings == config_settings:
                runs.append(run)
    return found


def with_values_of(base: RunConfig, space: dict[str, Dimension], trials: Sequence[TrialRow]) -> TrialRow | None:
    """The trial that drew the base's own values: of several the first complete one; None where none did, or a value is outside its range."""
    values = params_of(base, space)
    if len(values) < len(space):
        return None
    found = [trial for trial in trials if trial.params == values]
    return next((trial for trial in found if trial.state == "COMPLETE"), found[0] if found else None)


def _settings(config: RunConfig) -> dict[str, Any]:
    return {name: value for name, value in settings_of(config).items() if name not in WITHOUT_EFFECT}


def _candidates(study: StudyDir) -> list[RunDir]:
    """The newest runs of the home that are no trial of any study."""
    runs = sorted(all_runs(study.home), key=lambda run: run.run_id, reverse=True)
    found: list[RunDir] = []
    for run in runs:
        if len(found) == MOST_LOOKED_AT:
            break
        if not run.run_id.startswith(f"{study.study_id}-") and read_trial(run) is None:
            found.append(run)
    return found
