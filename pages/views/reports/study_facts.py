"""What a report says of one study, read once: its journal, and what the runs of its best trials came to. It words and draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.config.config import RunConfig
from core.runs.run_dir import RunDir
from core.studies import analysis
from core.studies.related import Related, related
from core.studies.samplers import trial_config
from core.studies.storage import TrialRow, read_trials
from core.studies.study import StudyConfig, StudyDir, StudyStatus
from pages.views.reports.facts import Facts, readable
from pages.views.study_view import StudyView
from storage import run_comparison
from storage.run_comparison import PairedComparison
from storage.store import Store


@dataclass(frozen=True)
class StudyFacts:
    """A study as its report needs it. ``runs``: {run id: what its log says} of those that tell of it and can be read; ``left_out``: a line for
    each of the others."""

    store: Store
    study: StudyDir
    config: StudyConfig
    base: RunConfig
    trials: Sequence[TrialRow]
    related: Related
    runs: dict[str, Facts]
    left_out: list[str]

    @property
    def name(self) -> str:
        return self.config.name or self.study.study_id

    @property
    def best(self) -> TrialRow | None:
        return analysis.best(self.trials, self.config)

    @property
    def ranked(self) -> list[TrialRow]:
        """The best trials, the best first; those whose runs were looked for."""
        return analysis.ranked(self.trials, self.config, len(self.trials))

    @property
    def status(self) -> tuple[StudyStatus, str]:
        return self.study.status()

    @property
    def n_steps(self) -> int:
        """That a trial takes where it is not pruned."""
        return trial_config(self.config, self.base).total_timesteps

    def view(self, place: int = 0) -> StudyView:
        return StudyView(self.study, self.config, self.trials, place)

    def of_trial(self, trial: TrialRow | None) -> Facts | None:
        """What the run of a trial came to; None where it is gone, was never evaluated or is not looked at."""
        run = self.related.trials.get(trial.number) if trial is not None else None
        return self._evaluated([run])[0] if run is not None and self._evaluated([run]) else None

    @property
    def of_base(self) -> list[Facts]:
        """Runs of the base config that are no trials, newest first."""
        return self._evaluated(self.related.base)

    @property
    def in_full(self) -> list[Facts]:
        """Full trainings of the best trial, newest first."""
        return self._evaluated(self.related.full)

    def _evaluated(self, runs: Sequence[RunDir]) -> list[Facts]:
        found = [self.runs[run.run_id] for run in runs if run.run_id in self.runs]
        return [facts for facts in found if facts.best is not None]

    def compare(self, first: Facts, second: Facts) -> PairedComparison | None:
        """The second less the first, on the logos that both measured at their best evaluations; None without any."""
        return run_comparison.compare_pair(run_comparison.by_logo(self.store, first.run_id, second.run_id))


def runs_of(study: StudyDir) -> list[RunDir]:
    """The runs whose logs a study's report needs.

    Raises:
        ConfigError: its settings can't be read.
        StudyError: its journal can't be read.
    """
    return related(study, study.config(), read_trials(study)).runs


def read_study(store: Store, study: StudyDir) -> StudyFacts:
    """Raises as :func:`runs_of`, whose logs the store has read."""
    config, trials = study.config(), read_trials(study)
    beside = related(study, config, trials)
    found, left_out = readable(store, beside.runs)
    return StudyFacts(store, study, config, study.base(), trials, beside, {facts.run_id: facts for facts in found}, left_out)
