"""One training run, from its folder to its last event. The only writer of the run's log.

Guarantees: whatever ends a run (done, a signal, an error), the log says so with the reason, unless the process was
killed; and after every update there is a checkpoint from which training goes on exactly.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.config.config import RunConfig
from core.curriculum.curriculum import Curriculum
from core.environment.experience import experience_of, read_experience
from core.environment.spec import env_spec
from core.errors import RunError, TrainingError
from core.health.doctor import Doctor
from core.health.interventions import Interventions
from core.machine import Meter, Process, memory_mb
from core.runs.event_types import AlertRaised, AttemptStarted, CheckpointSaved, Continued, Ended, Metrics, Paused, WarningGiven
from core.runs.events import EventWriter, read_backwards, read_events
from core.runs.records import is_pause_wanted, read_config, read_parent, training_lock
from core.runs.requirements import check_preflight
from core.runs.run_dir import PARENT_CHECKPOINT, RunDir
from core.runs.status import Status
from core.search.outcome_model import MIN_CONVERSIONS, fit
from core.tracing.params import NAMES
from core.training.checkpoint_manager import CheckpointManager, find_start
from core.training.data_loader import DataLoader
from core.training.disk_guard import DiskGuard
from core.training.evaluator import Evaluator
from core.training.heartbeat import HeartbeatWriter, StopFlag
from core.training.stage_manager import StageManager

log = logging.getLogger("tracewright")
HOLD_S = 0.2  # how often a paused run looks whether to go on
METER_S = 10.0  # between two looks at the machine
MEMORY_LEFT = 0.05  # share of the machine's memory at which a run stops rather than be killed
_PACKAGES = ("torch", "stable-baselines3", "gymnasium", "vtracer", "numpy", "thorvg-python", "opencv-python-headless")


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    status: Status
    reason: str
    gain: float | None


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _PACKAGES}


def _import_learning() -> None:
    import torch

    import core.agents.checkpoint  # noqa: F401

    torch.optim.Adam([torch.zeros(1)])  # the first optimiser imports for another second


def train(run: RunDir, resume: bool = False, checkpoint: str = "", cause: str = "", after_attempt: int | None = None) -> Ending:
    """Run a training in this process until it ends.

    ``checkpoint``: go on from this one rather than the last; ``cause``: why it was started again, for the log;
    ``after_attempt``: the last attempt that whoever started this knew of.

    Raises:
        RunError: another trainer has the run, or had it since.
    """
    cv2.setNumThreads(1)  # the loading threads and the workers have the cores
    stop = StopFlag()
    with training_lock(run):
        last = next(read_backwards(run.events_file), None)
        if after_attempt is not None and last is not None and last.attempt > after_attempt:
            raise RunError(f"{run.run_id} was started by another process meanwhile (attempt {last.attempt})")
        config = read_config(run)
        check_preflight(config, run.path.parent)
        with EventWriter(run.events_file) as events, HeartbeatWriter(run) as heartbeat, stop.listening():
            disk_guard = DiskGuard(heartbeat, stop)
            events.on_error = disk_guard.wait
            trainer = Trainer(run, config, events, heartbeat, stop, disk_guard)
            try:
                ending = trainer.run_to_end(resume, checkpoint, cause)
            except Exception as error:
                reason = str(error) or type(error).__name__
                events.write(heartbeat.step, Ended(Status.FAILED, reason[:500], error=type(error).__name__))
                events.sync()
                raise
            events.write(heartbeat.step, Ended(ending.status, ending.reason, ending.gain, trainer.best_gain))
            events.sync()
    log.info("%s: %s", ending.status, ending.reason)
    return ending


class Trainer:
    """The parts of one attempt."""

    def __init__(
        self, run: RunDir, config: RunConfig, events: EventWriter, heartbeat: HeartbeatWriter, stop: StopFlag, disk_guard: DiskGuard
    ) -> None:
        self.run, self.config, self.events, self.heartbeat, self.stop, self.disk_guard = run, config, events, heartbeat, stop, disk_guard
        self.spec = env_spec(config)
        self.data = DataLoader(run, config, self.spec, events, heartbeat, disk_guard)
        self.evaluator = Evaluator(run, config, self.spec, events, self.data, disk_guard)
        self.checkpoints = CheckpointManager(run, config, events, disk_guard)
        self.doctor = Doctor(config)
        self.best_gain: float | None = None
        self.last_gain: float | None = None
        self._meter = Meter(run.path)
        self._measured = 0.0
        self._n_without_best = 0
        self._end_reason = ""
        self._last_evaluated = -1
        self._last_periodic = 0

    def run_to_end(self, resume: bool, checkpoint: str, cause: str) -> Ending:
        learning = threading.Thread(target=_import_learning, name="import", daemon=True)
        learning.start()  # three seconds of imports, while the logos load and the workers prepare them
        parent = read_parent(self.run)
        folder, restored, notes = find_start(self.run, checkpoint) if resume or parent is not None else (None, None, [])
        is_fork = folder is not None and folder.name == PARENT_CHECKPOINT
        from_step = int(restored["step"]) if restored else 0
        self.heartbeat.step = from_step
        self._write_start(from_step, folder, cause)
        self._note(notes, folder, restored)
        if resume:
            self.doctor.replay(event for event in read_events(self.run.events_file) if event.step <= from_step)
        self.events.listen(self.doctor.observe)
        if folder is not None and not is_fork:
            folder = self.checkpoints.adopt(folder)
        kept = restored if restored and not is_fork else {}
        self.data.open(str(kept.get("logos_digest") or ""), list(kept.get("aside", [])))
        try:
            learning.join()
            return self._learn(folder, restored, is_fork, is_newest=checkpoint in ("", "last"))
        finally:
            self.data.pool.close()

    def _write_start(self, from_step: int, folder: Path | None, cause: str) -> None:
        process, parent = Process.of(os.getpid()), read_parent(self.run)
        told = AttemptStarted(
            from_step=from_step,
            total_timesteps=self.config.total_timesteps,
            pid=process.pid,
            create_time=process.create_time,
            from_checkpoint=folder.name if folder else None,
            cause=cause,
            parent=asdict(parent) if parent else None,
            host=platform.node(),
            python=platform.python_version(),
            versions=_versions(),
            seed=self.config.seed,
        )
        self.events.write(from_step, told)

    def _note(self, notes: list[str], folder: Path | None, restored: dict[str, Any] | None) -> None:
        """Say what is not as one would expect: damaged checkpoints, other versions than before."""
        if notes and folder is not None:
            notes = [f"{'; '.join(notes)}. The run goes on from {folder.name} instead"]
        before, now = (restored or {}).get("versions") or {}, _versions()
        changed = [f"{name} {before[name]} to {now[name]}" for name in now if name in before and before[name] != now[name]]
        if changed:
            notes.append(f"packages changed since the checkpoint: {', '.join(changed)}; it may not go on to the bit as it would have")
        for text in notes:
            log.warning("%s", text)
            self.events.write(self.heartbeat.step, WarningGiven(text))

    def _learn(self, folder: Path | None, restored: dict[str, Any] | None, is_fork: bool, is_newest: bool) -> Ending:
        import torch
        from stable_baselines3.common.logger import Logger

        from core.agents.checkpoint import load_weights, restore_rng
        from core.agents.ppo import Policy, build_agent, wrap
        from core.environment.vec_env import PoolVecEnv
        from core.training.callbacks import EpisodeRecorder, EventLogWriter

        torch.set_num_threads(1)  # so small a network is fastest on one; the workers have the cores
        data = self.data
        self.vec_env = PoolVecEnv(data.pool, data.logos, self.spec, self.config.n_envs, self.config.seed)
        self.agent = build_agent(self.config, wrap(self.config, self.vec_env))
        self.agent.set_logger(Logger(folder=None, output_formats=[EventLogWriter(self.events)]))
        self.policy = Policy(self.agent)
        self.curriculum = Curriculum(self.config.curriculum)
        self.recorder = EpisodeRecorder(
            self.events, self.vec_env, data.pictures, self.curriculum, self.config.curriculum, self._on_boundary, self._on_step
        )
        self.recorder.n_train = data.n_train
        self.stages = StageManager(
            self.run, self.events, self.curriculum, self.recorder, data.pool, data.logos, self.spec, data.pictures,
            data.evaluated, data.n_train,
        )  # fmt: skip
        self.interventions = Interventions(self.config, self.events, self.agent, self.curriculum, self.run)
        if restored is not None and folder is not None:
            load_weights(folder, self.agent, restored)
            self.recorder.updates_seen = self.agent._n_updates
            self._restore_as_fork(restored) if is_fork else self._restore(restored, is_newest)
        self.recorder.set_eligible()
        is_new = restored is None or is_fork
        if is_new:
            self._evaluate()
            self.data.phase("measuring the baselines")
            self.evaluator.write_references(self.heartbeat.step)
        elif restored is not None:
            restore_rng(restored["rng"])
        self.heartbeat.phase = "training"
        if not self.stop and self.agent.num_timesteps < self.config.total_timesteps and not self.curriculum.is_finished:
            self.recorder.num_timesteps = self.agent.num_timesteps
            if is_new:
                self.recorder.write_stage_start()
                self.stages.on_start(self.policy)
            elif restored is not None:
                self._put_environments_back(restored)
            self._learn_on()
        return self._finish()

    def _learn_on(self) -> None:
        """Train until the end, or until something ends it; go on where an update broke the networks and they could be
        put back."""
        while True:
            # With the counter kept, learn() adds what is given here to it: the horizon of the schedules stays.
            remaining = self.config.total_timesteps - self.agent.num_timesteps
            try:
                self.agent.learn(remaining, callback=self.recorder, reset_num_timesteps=False, progress_bar=False)
                return
            except ValueError:  # torch's, of a distribution whose parameters are no numbers
                if self.interventions.is_finite():
                    raise
                self.recorder.drop_update()
                self.doctor.note_not_finite(self.agent.num_timesteps)
                if not self._treat():
                    return

    def _restore_as_fork(self, restored: dict[str, Any]) -> None:
        """A fork takes over networks, optimiser, normaliser, step and episode count, and the stage where the stages
        are the same; its environments begin anew."""
        from core.config.text import load_config

        before = load_config(self.run.checkpoints / PARENT_CHECKPOINT / "config.yaml")
        trainer = restored["trainer"]
        if before.curriculum == self.config.curriculum:
            self.curriculum.restore(trainer["curriculum"])
            self.stages.restore(trainer.get("stages", {}), is_same_run=False)
        self.recorder.n_episodes = int(trainer["n_episodes"])
        self._last_periodic = self.agent.num_timesteps

    def _restore(self, restored: dict[str, Any], is_newest: bool) -> None:
        trainer = restored["trainer"]
        self.curriculum.restore(trainer["curriculum"])
        self.stages.restore(trainer.get("stages", {}), is_newest=is_newest)
        self.interventions.restore(trainer.get("treatment", {}))
        self.vec_env.experience.n_written = int(restored.get("n_experience", 0))
        self.recorder.n_episodes = int(trainer["n_episodes"])
        self.best_gain, self.last_gain = trainer["best_gain"], trainer["last_gain"]
        self._n_without_best = int(trainer["n_without_best"])
        self._last_evaluated, self._last_periodic = int(trainer["last_evaluated"]), int(trainer["last_periodic"])

    def _put_environments_back(self, restored: dict[str, Any]) -> None:
        from stable_baselines3.common.vec_env import VecNormalize

        self.vec_env.reset()
        observations = self.vec_env.restore(restored["environments"])
        env = self.agent.get_env()
        if isinstance(env, VecNormalize):
            env.old_obs = observations
            observations = env.normalize_obs(observations)  # type: ignore[assignment]
        self.agent._last_obs = observations
        starts = restored["agent"]["episode_starts"]
        self.agent._last_episode_starts = np.array(starts, dtype=bool) if starts is not None else np.ones(self.config.n_envs, dtype=bool)
        window = self.agent._stats_window_size
        self.agent.ep_info_buffer = deque(restored["agent"]["ep_info"], maxlen=window)
        self.agent.ep_success_buffer = deque(maxlen=window)

    def _on_step(self) -> bool:
        """After each step of the environments: hold while a pause is wanted, look at the memory. Returns whether to go
        on."""
        if is_pause_wanted(self.run) and not self.stop:
            self.events.write(self.agent.num_timesteps, Paused())
            with self.heartbeat.busy_with("paused", is_paused=True):
                while is_pause_wanted(self.run) and not self.stop.wait(HOLD_S):
                    pass
            self.events.write(self.agent.num_timesteps, Continued())
            self.recorder.on_hold()
        now = time.monotonic()
        if now - self._measured > METER_S:
            self._measured = now
            self._look_at_memory()
        return not self.stop

    def _look_at_memory(self) -> None:
        figures = self._meter.read()
        self.events.write(self.agent.num_timesteps, Metrics(figures))
        limit, used, free = self.config.workers.run_memory_mb, figures["system/memory_mb"], figures["system/memory_free_mb"]
        total, _ = memory_mb()
        if limit and used > limit:
            self.stop.reason = f"at its memory limit: {used:.0f} of {limit:.0f} MB (workers.run_memory_mb)"
        elif not limit and free < MEMORY_LEFT * total:
            self.stop.reason = f"the machine is out of memory: {free:.0f} of {total:.0f} MB are left, this run takes {used:.0f} MB"

    def _treat(self) -> bool:
        """Tell what the doctor found, and act on it as far as the run allows. Returns whether to go on."""
        for finding in self.doctor.take():
            log.warning("step %d: %s; %s", finding.step, finding.title, finding.evidence)
            self.events.write(finding.step, AlertRaised(**finding.as_dict()))
            self._end_reason = self.interventions.act_on(finding) or self._end_reason
        if not self.interventions.is_finite() and not self.interventions.has_stopped:
            raise TrainingError(
                f"the networks are no numbers any more since step {self.agent.num_timesteps}; the last checkpoint is whole: fork it with a "
                "smaller ppo.learning_rate, or set health.on_instability to roll_back"
            )
        return not self._end_reason

    def _on_boundary(self) -> bool:
        """Between two updates. Returns whether to go on."""
        step = self.agent.num_timesteps
        self.heartbeat.step = step
        self.stages.on_boundary(self.policy)
        if step - max(self._last_evaluated, 0) >= self.config.evaluation.every_steps and self.interventions.is_finite():
            self._evaluate()
        goes_on = self._treat()
        if self.interventions.has_stopped and not self.interventions.is_finite():
            return False
        self._save("last")
        if step - self._last_periodic >= self.config.checkpoint.every_steps:
            self._last_periodic = step
            self._save(f"step-{step:010d}")
            self.checkpoints.prune()
        if self.config.early_stop.enabled and self._n_without_best >= self.config.early_stop.patience:
            self._end_reason = f"stopped early: {self._n_without_best} evaluations without a new best"
            return False
        return goes_on

    def _evaluate(self) -> None:
        step = self.agent.num_timesteps
        with self.heartbeat.busy_with("evaluating"):
            gain, is_best = self.evaluator.evaluate(step, self.policy, self.best_gain)
        is_better_enough = self.best_gain is None or gain > self.best_gain + self.config.early_stop.min_improvement
        self._n_without_best = 0 if is_better_enough else self._n_without_best + 1
        self._last_evaluated, self.last_gain = step, gain
        if is_best:
            self.best_gain = gain
            self._save("best")

    def _learn_outcomes(self) -> None:
        """Fit the outcome model and put it beside the policies that are kept."""
        config, n = self.config.outcome, self.vec_env.experience.n_written
        rows = read_experience(self.run.experience_file, n)
        if not config.members or len(rows) < MIN_CONVERSIONS:
            return
        from core.agents.checkpoint import add_outcome_model

        self.data.phase(f"learning the outcomes of {len(rows)} conversions")
        experience = experience_of(rows, self.data.logos, self.data.pool)
        outcomes = fit(experience, self.config.seed, config.members, config.units, config.epochs)
        for name in ("last", "best"):
            if (self.run.checkpoints / name).is_dir():
                add_outcome_model(self.run.checkpoints / name, outcomes)

    def _save(self, name: str) -> None:
        trainer = {
            "curriculum": self.curriculum.dump(),
            "stages": self.stages.dump(),
            "treatment": self.interventions.dump(),
            "n_episodes": self.recorder.n_episodes,
            "best_gain": self.best_gain,
            "last_gain": self.last_gain,
            "n_without_best": self._n_without_best,
            "last_evaluated": self._last_evaluated,
            "last_periodic": self._last_periodic,
        }
        is_begun = self.agent._last_obs is not None
        self.disk_guard.keep(lambda: self.vec_env.experience.write(self.run.experience_file))
        extra = {
            "trainer": trainer,
            "environments": self.vec_env.dump() if is_begun else None,
            "n_experience": self.vec_env.experience.n_written,
            "logos_digest": self.data.digest,
            "aside": self.data.quarantined(),
            "param_names": list(NAMES),
            "versions": _versions(),
            "total_timesteps": self.config.total_timesteps,
        }
        self.checkpoints.save(name, self.agent, extra)
        if name != "last":
            self.events.write(self.agent.num_timesteps, CheckpointSaved(name, self.last_gain))
            self.events.sync()

    def _finish(self) -> Ending:
        step = self.agent.num_timesteps
        is_update_new = self.agent._n_updates > self.recorder.updates_seen
        if is_update_new:  # learn() ends with an update that no rollout follows
            self.recorder.flush()
        self.heartbeat.step = step
        if self.stop:
            kept = self.run.last_checkpoint()
            return Ending(Status.STOPPED, f"{self.stop.reason}; resumes from {kept.name if kept else 'the start'}", self.last_gain)
        if self.interventions.has_stopped:
            return Ending(Status.STOPPED, self._end_reason, self.last_gain)
        if self._last_evaluated < step and self.interventions.is_finite():
            self._evaluate()
        self._treat()
        self.stages.on_end(self.policy)
        self._save("last")
        self._learn_outcomes()
        reason = self._end_reason or ("the last stage ended" if self.curriculum.is_finished else "all steps done")
        return Ending(Status.COMPLETED, reason, self.last_gain)
