"""What happens between two updates, in the order in which the session lists these callbacks: metrics, stages, evaluation, health,
checkpoints.

Only there, so that a checkpoint is always a state from which training goes on exactly. Needs torch.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from core.config.config import RunConfig
from core.environment.episode import Actor
from core.environment.vec_env import PoolVecEnv
from core.errors import TrainingError
from core.health.doctor import Doctor
from core.health.interventions import Interventions
from core.runs.event_types import AlertRaised
from core.runs.events import EventWriter
from core.statistics import verdict
from core.trackers.launch import Followers
from core.training.callbacks import GradientNorm, RolloutMeans, TrainerCallback
from core.training.checkpoint_manager import CheckpointManager
from core.training.checkpoint_state import TrainState
from core.training.evaluator import Evaluator
from core.training.heartbeat import HeartbeatWriter
from core.training.stage_manager import StageManager

log = logging.getLogger("tracewright")


class BoundaryCallback(TrainerCallback):
    """Override :meth:`_on_boundary`; where it returns False the run is over, and callbacks listed after it do nothing."""

    _updates_seen = 0

    def _init_callback(self) -> None:
        self._updates_seen = self.model._n_updates

    @property
    def has_new_update(self) -> bool:
        """Whether there was an update since the last boundary."""
        return int(self.model._n_updates) > self._updates_seen

    def _on_rollout_start(self) -> None:
        """Called before the first rollout and after every update."""
        if not self.has_new_update:
            return
        self._updates_seen = int(self.model._n_updates)
        if not self.state.is_over and not self._on_boundary():
            self.state.is_over = True

    def _on_boundary(self) -> bool:
        raise NotImplementedError


class MetricsCallback(BoundaryCallback):
    """Writes the metrics of each rollout and update to the log as soon as they are known: stable-baselines3 itself would write an update's
    one rollout later, and the last one's never."""

    def __init__(self, state: TrainState, envs: PoolVecEnv, stages: StageManager, means: RolloutMeans, heartbeat: HeartbeatWriter) -> None:
        super().__init__(state)
        self._envs, self._curriculum, self._means, self._heartbeat = envs, stages.curriculum, means, heartbeat
        self._gradient: GradientNorm | None = None
        self._update_started = 0.0

    def _init_callback(self) -> None:
        super()._init_callback()
        if self._gradient is None:
            self._gradient = GradientNorm(self.model.policy, self.model.policy.optimizer)

    def _on_boundary(self) -> bool:
        self.logger.record("time/update_s", time.monotonic() - self._update_started)
        self._flush()
        self._heartbeat.step = self.model.num_timesteps
        self._heartbeat.nodes = self._envs.pool.by_node()
        return True

    def _on_rollout_end(self) -> None:
        self._update_started = now = time.monotonic()
        if self.state.rollout_started:
            n_steps = self._envs.num_envs * self.model.n_steps  # type: ignore[attr-defined]
            self.logger.record("time/step_rate", n_steps / max(now - self.state.rollout_started, 1e-6))
        for key, value in self._means.take().items():
            self.logger.record(key, value)
        hit_rate = self._envs.pool.cache.take_hit_rate()
        if hit_rate is not None:
            self.logger.record("trace/cache_hit_rate", hit_rate)
        self.logger.record("trace/workers_lost", self._envs.pool.n_lost)
        if self._curriculum.is_enabled:
            self.logger.record("curriculum/stage", self._curriculum.index)
            self.logger.record("curriculum/success_share", self._curriculum.success_share)
            self.logger.record("curriculum/episodes_in_stage", self._curriculum.n_episodes)

    def finish(self) -> bool:
        """Write what the last update recorded, which no rollout follows; returns whether there was such an update."""
        has_begun = self._gradient is not None
        if not has_begun or not self.has_new_update:
            return False
        self._flush()
        return True

    def _flush(self) -> None:
        norm = self._gradient.take() if self._gradient else None
        if norm is not None:
            self.logger.record("train/grad_norm", norm)
        self.logger.dump(self.model.num_timesteps)

    def drop_update(self) -> None:
        """Forget what a failed update had collected."""
        self._means.take()
        if self._gradient is not None:
            self._gradient.take()


class StageCallback(BoundaryCallback):
    """Commands given by hand, and the evaluation of the stages."""

    def __init__(self, state: TrainState, stages: StageManager, policy: Actor) -> None:
        super().__init__(state)
        self._stages, self._policy = stages, policy

    def _on_boundary(self) -> bool:
        self._stages.on_boundary(self._policy)
        return True


class EvaluationCallback(BoundaryCallback):
    """The periodic evaluation, and the best checkpoint by it."""

    def __init__(
        self,
        state: TrainState,
        config: RunConfig,
        evaluator: Evaluator,
        policy: Actor,
        interventions: Interventions,
        heartbeat: HeartbeatWriter,
        save: Callable[[str], None],
    ) -> None:
        super().__init__(state)
        self._config, self._evaluator, self._policy, self._interventions = config, evaluator, policy, interventions
        self._heartbeat, self._save = heartbeat, save

    def _on_boundary(self) -> bool:
        step = self.model.num_timesteps
        is_due = step - max(self.state.last_evaluated, 0) >= self._config.evaluation.every_steps
        if is_due and self._interventions.is_finite():
            self.evaluate(step)
        return True

    def evaluate(self, step: int) -> None:
        """Evaluate now, and keep the checkpoint if it is the best."""
        state = self.state
        with self._heartbeat.busy_with("evaluating"):
            found = self._evaluator.evaluate(step, self._policy, state.best_gain)
        gain = found.gain
        is_better_enough = state.best_gain is None or gain > state.best_gain + self._config.early_stop.min_improvement
        state.n_without_best = 0 if is_better_enough else state.n_without_best + 1
        state.last_evaluated, state.last_gain = step, gain
        if found.is_best:
            state.best_gain, state.verdict = gain, verdict(found.over_single, found.over_single_low, found.over_single_high)
            self._save("best")


class FollowersCallback(BoundaryCallback):
    """Reports when a tracker receives no more of the run; this never ends a run."""

    def __init__(self, state: TrainState, followers: Followers) -> None:
        super().__init__(state)
        self._followers = followers

    def _on_boundary(self) -> bool:
        self._followers.look(self.model.num_timesteps)
        return True


class HealthCallback(BoundaryCallback):
    """Reports what the doctor found, and acts on it as far as the run allows."""

    def __init__(self, state: TrainState, doctor: Doctor, interventions: Interventions, events: EventWriter) -> None:
        super().__init__(state)
        self._doctor, self._interventions, self._events = doctor, interventions, events

    def _on_boundary(self) -> bool:
        self.look(self.model.num_timesteps)
        return not (self._interventions.has_stopped and not self._interventions.is_finite())

    def look(self, step: int) -> bool:
        """Take what was found since the last look; returns whether to go on.

        Raises:
            TrainingError: the networks hold numbers that are not finite, and no remedy is allowed.
        """
        for finding in self._doctor.take():
            log.warning("step %d: %s; %s", finding.step, finding.title, finding.evidence)
            self._events.write(finding.step, AlertRaised(**finding.as_dict()))
            self.state.end_reason = self._interventions.act_on(finding) or self.state.end_reason
        if not self._interventions.is_finite() and not self._interventions.has_stopped:
            raise TrainingError(
                f"the networks have contained NaN since step {step}; the last checkpoint is intact: fork it with a "
                "smaller ppo.learning_rate, or set health.on_instability to roll_back"
            )
        return not self.state.end_reason


class CheckpointCallback(BoundaryCallback):
    """The last checkpoint after every update, periodic ones beside it; ends the run if that was asked for."""

    def __init__(self, state: TrainState, config: RunConfig, checkpoints: CheckpointManager, save: Callable[[str], None]) -> None:
        super().__init__(state)
        self._config, self._checkpoints, self._save = config, checkpoints, save

    def _on_boundary(self) -> bool:
        step, state = self.model.num_timesteps, self.state
        self._save("last")
        if step - state.last_periodic >= self._config.checkpoint.every_steps:
            state.last_periodic = step
            self._save(f"step-{step:010d}")
            self._checkpoints.prune()
        if self._config.early_stop.enabled and state.n_without_best >= self._config.early_stop.patience:
            state.end_reason = f"stopped early: {state.n_without_best} evaluations without a new best"
        return not state.end_reason
