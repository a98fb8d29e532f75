"""Works on a study: draws trials, queues them as runs, reports what they reach, prunes, tells Optuna how they ended.

One process at a time (a lock). It keeps nothing that is not on disk: a trial is drawn into the journal, then its run is claimed under a name that
follows from its number, then queued; what a run says is read from its log. Guarantee: killed at any moment, the next process goes on where
this one was; no trial that ended is lost or done again, and none runs twice.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import ConfigError, RunError, StudyError
from core.machine import Process
from core.paths import program
from core.runs.event_types import EvaluationEnded
from core.runs.events import read_new_lines
from core.runs.records import read_process, read_queue_entry, read_trial, write_config, write_pruning, write_trial
from core.runs.run_dir import RunDir
from core.runs.small_files import Trial as TrialRecord
from core.runs.status import RunState, Status, run_state
from core.scheduling import local, queue
from core.studies.results import Result, result_of
from core.studies.samplers import make_pruner, make_sampler, trial_config
from core.studies.space import config_of, distributions, params_of
from core.studies.storage import open_storage, repair, study_lock
from core.studies.study import OBJECTIVES, StudyConfig, StudyDir, StudyStatus

if TYPE_CHECKING:
    from optuna import Study, Trial

log = logging.getLogger("tracewright.search")
POLL_S = 0.5
DEAD_S = 8.0  # a run that died may be started again within this; after it, it counts as failed
STOP_S = 90.0  # that live trials take at most to keep their checkpoints
SPENT_EVERY_S = 5.0
MAX_FAILURES = 5  # trials in a row that fail before the study gives up
WORSE = "looks worse"  # the constraint's name
Report = Callable[[str, int, int], None]  # what, done, all


@dataclass
class _Live:
    """A trial that is under way, and how far its log was read."""

    trial: Trial
    run: RunDir
    offset: int = 0
    died: float = 0.0  # monotonic, when it was first seen dead
    is_pruned: bool = False


class Runner:
    """One process's work on a study. ``is_stopping``: asked now and then whether to stop; ``report``: told how far it is."""

    def __init__(
        self, study: StudyDir, is_stopping: Callable[[], bool] = lambda: False, report: Report = lambda *_: None, poll_s: float = POLL_S
    ) -> None:
        self.study, self._is_stopping, self._report, self._poll_s = study, is_stopping, report, poll_s
        self.config: StudyConfig = study.config()
        self.base = study.base()
        self.live: list[_Live] = []
        self._spent = study.spent_s()
        self._written = self._ticked = time.monotonic()
        self._optuna: Study

    def run(self) -> tuple[StudyStatus, str]:
        """Work until the budget is used up, or until it is asked to stop; returns how it ended, which the folder says too.

        Raises:
            StudyError: another process works on it, or its journal can't be read.
        """
        with study_lock(self.study):
            self.study.begin()
            self.study.write_process(Process.of(os.getpid()))
            try:
                status, reason = self._work()
            except (StudyError, ConfigError) as error:
                self.study.write_ended(StudyStatus.FAILED, str(error))
                raise
            finally:
                self.study.write_spent(self._spent)
                self.study.drop_process()
            self.study.write_ended(status, reason)
        return status, reason

    def _work(self) -> tuple[StudyStatus, str]:
        n_cut = repair(self.study.journal)
        if n_cut:
            log.warning("%s: a torn last line of %d bytes was cut off its journal", self.study.study_id, n_cut)
        self._open()
        self._adopt()
        while True:
            self._clock()
            self._follow()
            if self._is_stopping() or self.study.is_stop_wanted():
                return self._stop()
            n_finished, n_failed = self._counts()
            self._report(f"search {self.config.name or self.study.study_id}", n_finished, self.config.n_trials or 0)
            if n_failed >= MAX_FAILURES and not self.live:
                return StudyStatus.FAILED, f"{n_failed} trials in a row failed; the last: {self._last_failure()}"
            over = self._is_over(n_finished)
            if over and not self.live:
                return StudyStatus.COMPLETED, over
            if not over and n_failed < MAX_FAILURES and len(self.live) < self.config.parallel:
                self._draw()
            time.sleep(self._poll_s)

    def _open(self) -> None:
        import optuna

        config, storage = self.config, open_storage(self.study)
        directions: list[Any] = [OBJECTIVES[name][0] for name in config.objectives]
        self._optuna = optuna.create_study(
            storage=storage, study_name=self.study.study_id, directions=directions, load_if_exists=True,
            sampler=make_sampler(config, 0), pruner=make_pruner(config, self.base),
        )  # fmt: skip
        if self._optuna.metric_names is None:
            self._optuna.set_metric_names(list(config.objectives))
        if config.try_base and not self._optuna.get_trials(deepcopy=False):
            self._optuna.enqueue_trial(params_of(self.base, config.space))

    def _trials(self, *states: str) -> list[Any]:
        return [trial for trial in self._optuna.get_trials(deepcopy=False) if not states or trial.state.name in states]

    def _counts(self) -> tuple[int, int]:
        """(finished trials, failed ones in a row at the end)."""
        finished = sorted(self._trials("COMPLETE", "PRUNED", "FAIL"), key=lambda trial: trial.datetime_complete.timestamp())
        n_failed = next((i for i, trial in enumerate(reversed(finished)) if trial.state.name != "FAIL"), len(finished))
        return len(finished), n_failed

    def _last_failure(self) -> str:
        failed = max(self._trials("FAIL"), key=lambda trial: trial.datetime_complete)
        return str(failed.user_attrs.get("reason", "")) or "no reason was told"

    def _is_over(self, n_finished: int) -> str:
        """Why no further trial begins; "" where one does."""
        n_all = n_finished + len(self.live)
        if self.config.n_trials is not None and n_all >= self.config.n_trials:
            return f"all {self.config.n_trials} trials are done"
        if self.config.hours is not None and self._spent >= self.config.hours * 3600:
            return f"its time limit of {self.config.hours:g} hours is reached"
        return ""

    def _clock(self) -> None:
        now = time.monotonic()
        self._spent += min(now - self._ticked, 60.0)  # a machine that slept did not search
        self._ticked = now
        if now - self._written > SPENT_EVERY_S:
            self._written = now
            with suppress(OSError):  # on a full disk the next one says it
                self.study.write_spent(self._spent)

    # Trials

    def _adopt(self) -> None:
        """Go on with what the process before left: trials that were drawn, with or without a run."""
        import optuna

        for frozen in self._trials("RUNNING"):
            self._optuna.sampler = make_sampler(self.config, frozen.number)
            trial = optuna.trial.Trial(self._optuna, frozen._trial_id)
            for name, distribution in distributions(self.config.space, self.base).items():
                trial._suggest(name, distribution)  # what was drawn stays; what was not is drawn now
            live = self._begin(trial)
            if live is not None and run_state(live.run).status.can_resume:
                with suppress(RunError):
                    queue.resume(live.run)

    def _draw(self) -> None:
        self._optuna.sampler = make_sampler(self.config, len(self._trials()))
        self._begin(self._optuna.ask(fixed_distributions=distributions(self.config.space, self.base)))

    def _begin(self, trial: Trial) -> _Live | None:
        """Claim the trial's run and queue it, as far as that is not done; None where its values can't be trained."""
        run = self.study.run_of(trial.number)
        try:
            config, fitted = config_of(trial_config(self.config, self.base), self.config.space, trial.params)
        except ConfigError as error:
            self._fail(trial, f"its values are not a valid combination: {str(error).splitlines()[0]}")
            return None
        config.name = f"{self.config.name or self.study.study_id} {trial.number}"[:80]
        if trial.user_attrs.get("run") != run.run_id:
            trial.set_user_attr("run", run.run_id)
            if fitted:
                trial.set_user_attr("fitted", fitted)
        run.path.mkdir(exist_ok=True)
        if read_trial(run) is None:
            write_trial(run, TrialRecord(self.study.study_id, trial.number))
        if not run.exists():
            write_config(run, config)
        # In this order: a scheduler writes the process before it takes the queue entry away
        if read_queue_entry(run) is None and read_process(run) is None and not run.events_file.exists():
            queue.resume(run)
        live = _Live(trial, run, is_pruned=run_state(run).status is Status.PRUNED)
        self.live.append(live)
        return live

    def _follow(self) -> None:
        for live in list(self.live):
            try:
                self._look(live)
            except OSError as error:  # of one trial, which must not hold the others; the next look tries again
                log.warning("trial %d can't be supervised: %s", live.trial.number, error)

    def _look(self, live: _Live) -> None:
        state = run_state(live.run)  # before its log is read: what an ended run said is all there then
        is_new = self._read(live)
        if not live.run.exists():
            self._finish(live, RunState(Status.FAILED, "its run was deleted"))
        elif state.status.is_moving:
            live.died = 0.0
            if is_new and state.status.is_live and not live.is_pruned and live.trial.should_prune():
                self._prune(live)
        elif state.status.has_died and not self._is_dead_for_good(live):
            return
        else:
            self._finish(live, state)

    def _is_dead_for_good(self, live: _Live) -> bool:
        live.died = live.died or time.monotonic()
        return time.monotonic() - live.died > DEAD_S

    def _read(self, live: _Live) -> bool:
        """Report the evaluations that are new; returns whether there was one."""
        is_new, has_more = False, True
        is_reported = self.config.objectives == ["gain"]
        while has_more:
            new = read_new_lines(live.run.events_file, live.offset)
            live.offset, has_more = new.offset, new.has_more
            for event in new.events([EvaluationEnded.kind]):
                if isinstance(event.data, EvaluationEnded) and math.isfinite(event.data.gain) and is_reported:
                    if event.step not in self._frozen(live.trial).intermediate_values:
                        live.trial.report(event.data.gain, event.step)
                    is_new = True
        return is_new

    def _frozen(self, trial: Trial) -> Any:
        return self._optuna._storage.get_trial(trial._trial_id)

    def _prune(self, live: _Live) -> None:
        frozen = self._frozen(live.trial)
        step = frozen.last_step
        reason = f"pruned at step {step:,}: gain {frozen.intermediate_values[step]:+.3f} is behind other trials ({self.config.pruner})"
        write_pruning(live.run, reason)
        live.is_pruned = True
        with suppress(RunError):  # it ended meanwhile
            local.stop(live.run)

    def _finish(self, live: _Live, state: RunState) -> None:
        """Tell Optuna how a run ended, with what it came to."""
        found = result_of(live.run) if live.run.exists() else None
        status = state.status
        self.live.remove(live)
        if found is None or status in (Status.FAILED, Status.INTERRUPTED, Status.UNKNOWN):
            self._fail(live.trial, state.reason or f"its run is {status.value}")
            return
        self._note(live.trial, found, state.reason)
        values = [found.value(name) for name in self.config.objectives]
        if status is Status.COMPLETED and all(math.isfinite(value) for value in values):
            self._optuna.tell(live.trial, values)
        elif self.config.objectives == ["gain"]:  # pruned, or stopped by hand: it counts with the gain it had
            self._tell_state(live.trial, "PRUNED")
        else:
            self._tell_state(live.trial, "FAIL")

    def _note(self, trial: Trial, found: Result, reason: str) -> None:
        told: dict[str, Any] = {"gain": found.gain, "step": found.step, "bytes": found.n_bytes, "minutes": found.minutes}
        told |= {"share_worse": found.share_worse, "reason": reason}
        for name, value in told.items():
            if not isinstance(value, float) or math.isfinite(value):
                trial.set_user_attr(name, value)
        if self.config.max_worse_share is not None and WORSE not in trial.constraints:
            trial.set_constraint(WORSE, found.share_worse - self.config.max_worse_share)

    def _fail(self, trial: Trial, reason: str) -> None:
        log.warning("trial %d failed: %s", trial.number, reason)
        trial.set_user_attr("reason", reason[:500])
        self._tell_state(trial, "FAIL")

    def _tell_state(self, trial: Trial, state: str) -> None:
        from optuna.trial import TrialState

        self._optuna.tell(trial, state=TrialState[state])

    def _stop(self) -> tuple[StudyStatus, str]:
        """Have the live trials keep a checkpoint and end; they stay open, to go on when the study is continued."""
        self._report(f"stopping {len(self.live)} trials", 0, 0)
        deadline = time.monotonic() + STOP_S
        while True:
            moving = [live.run for live in self.live if run_state(live.run).status.is_moving]
            if not moving or time.monotonic() > deadline:
                break
            for run in moving:  # each time: one that is just leaving the queue may have no trainer yet that could be asked
                with suppress(RunError, OSError):
                    if read_queue_entry(run) is not None:
                        queue.cancel(run)
                    elif local.kill_in_s(run) is None:
                        local.stop(run)
            time.sleep(self._poll_s)
        return StudyStatus.STOPPED, f"asked to stop; continue it with: {program()} search continue {self.study.study_id}"
