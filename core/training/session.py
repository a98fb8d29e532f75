"""Puts the parts of one attempt together once the logos are loaded: agent, environments, curriculum, callbacks in their order; and what a
checkpoint holds of them. Guarantee: from what is dumped here, between two updates or behind any step, training resumes exactly.

Imports stable-baselines3 only when called, so that the command line starts without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from core.config.config import RunConfig
from core.config.text import load_config
from core.curriculum.curriculum import Curriculum
from core.environment.episode import EnvSpec
from core.health.doctor import Doctor
from core.health.interventions import Interventions
from core.machine import Meter
from core.runs.event_types import CheckpointSaved
from core.runs.events import EventWriter, Listener
from core.runs.run_dir import PARENT_CHECKPOINT, RunDir
from core.tracing.params import NAMES
from core.trackers.launch import Followers
from core.training.checkpoint_manager import CheckpointManager
from core.training.checkpoint_state import TrainState, versions
from core.training.data_loader import DataLoader
from core.training.disk_guard import DiskGuard
from core.training.evaluator import Evaluator
from core.training.heartbeat import HeartbeatWriter, StopFlag
from core.training.stage_manager import StageManager

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback, CallbackList

    from core.agents.ppo import Policy
    from core.agents.rollout import ResumablePPO
    from core.environment.vec_env import PoolVecEnv
    from core.training.boundary import EvaluationCallback, HealthCallback, MetricsCallback
    from core.training.callbacks import CurriculumCallback, EpisodeLog, RolloutMeans

METER_S = 10.0  # between two looks at the machine


@dataclass
class Extras:
    """What a caller may pass in addition to the run: more callbacks (after ours), listeners to the log, a stop flag of its own."""

    callbacks: Sequence[BaseCallback] = ()
    listeners: Sequence[Listener] = ()
    stop: StopFlag = field(default_factory=StopFlag)
    checkpoint_manager: type[CheckpointManager] = CheckpointManager
    episode_log: type[EpisodeLog] | None = None
    meter_s: float = METER_S


@dataclass(frozen=True)
class Context:
    """What every part of an attempt works with."""

    run: RunDir
    config: RunConfig
    spec: EnvSpec
    events: EventWriter
    heartbeat: HeartbeatWriter
    stop: StopFlag
    disk_guard: DiskGuard
    data: DataLoader
    evaluator: Evaluator
    checkpoints: CheckpointManager
    doctor: Doctor
    state: TrainState
    followers: Followers


class Session:
    """An attempt that can learn."""

    def __init__(self, context: Context, extras: Extras) -> None:
        from stable_baselines3.common.logger import Logger

        from core.agents.ppo import Policy, build_agent, wrap
        from core.environment.vec_env import PoolVecEnv
        from core.training.callbacks import CurriculumCallback, EventLogWriter, RolloutMeans

        c, config, data = context, context.config, context.data
        self.context, self.config, self.run, self.data, self.state = context, config, c.run, data, c.state
        self.vec_env: PoolVecEnv = PoolVecEnv(data.pool, data.logos, c.spec, config.n_envs, config.seed, config.ppo.group_size)
        self.agent: ResumablePPO = build_agent(config, wrap(config, self.vec_env))
        self.agent.set_logger(Logger(folder=None, output_formats=[EventLogWriter(c.events)]))
        self.policy: Policy = Policy(self.agent)
        self.curriculum = Curriculum(config.curriculum)
        self.stage_callback: CurriculumCallback = CurriculumCallback(
            c.state, c.events, self.vec_env, data.pictures, data.n_train, self.curriculum, config.curriculum, self.step
        )
        self.stages = StageManager(c.run, c.events, self.stage_callback, data, c.spec, self.step)
        self.interventions = Interventions(config, c.events, self.agent, self.curriculum, c.run)
        self.means: RolloutMeans = RolloutMeans()
        self.metrics: MetricsCallback
        self.evaluation: EvaluationCallback
        self.health: HealthCallback
        self.callbacks: CallbackList = self._in_order(extras)

    def _in_order(self, extras: Extras) -> CallbackList:
        """In the order of what happens at a boundary between two updates, then of what happens at each step."""
        from stable_baselines3.common.callbacks import CallbackList

        from core.training import boundary
        from core.training.callbacks import ControlCallback, EpisodeLog, ResourceCallback

        episode_log = extras.episode_log or EpisodeLog

        c, state, means = self.context, self.state, self.means
        self.metrics = boundary.MetricsCallback(state, self.vec_env, self.stages, means, c.heartbeat)
        self.evaluation = boundary.EvaluationCallback(
            state, self.config, c.evaluator, self.policy, self.interventions, c.heartbeat, self.save
        )
        self.health = boundary.HealthCallback(state, c.doctor, self.interventions, c.events)
        return CallbackList(
            [
                self.metrics,
                boundary.StageCallback(state, self.stages, self.policy),
                self.evaluation,
                self.health,
                boundary.FollowersCallback(state, c.followers),
                boundary.CheckpointCallback(state, self.config, c.checkpoints, self.save),
                episode_log(state, c.events, self.vec_env, self.data.pictures, self.stage_callback, means),
                self.stage_callback,
                ControlCallback(state, c.run, c.events, c.heartbeat, c.stop),
                ResourceCallback(state, self.config, c.events, c.stop, Meter(c.run.path), extras.meter_s),
                *extras.callbacks,
            ]
        )

    def step(self) -> int:
        """The current num_timesteps."""
        return int(self.agent.num_timesteps)

    def save(self, name: str) -> None:
        """Write a checkpoint of that name, with an event for all but the last one."""
        c = self.context
        c.disk_guard.keep(lambda: self.vec_env.experience.write(c.run.experience_file))
        c.checkpoints.save(name, self.agent, self.dump())
        if name != "last":
            c.events.write(self.step(), CheckpointSaved(name, self.state.last_gain))
            c.events.sync()

    def restore(self, restored: dict[str, Any], is_fork: bool, is_newest: bool) -> None:
        """Restore what a checkpoint held besides the agent; ``is_newest``: whether it is the newest one of the run."""
        if is_fork:
            self._restore_as_fork(restored)
        else:
            self._restore(restored, is_newest)

    def dump(self) -> dict[str, Any]:
        """Everything that a checkpoint holds besides the agent."""
        is_begun = self.agent._last_obs is not None
        return {
            "trainer": {
                "curriculum": self.curriculum.dump(),
                "stages": self.stages.dump(),
                "treatment": self.interventions.dump(),
                "rollout_means": self.means.dump(),
                **self.state.dump(),
            },
            "environments": self.vec_env.dump() if is_begun else None,
            "n_experience": self.vec_env.experience.n_written,
            "logos_digest": self.data.digest,
            "aside": self.data.quarantined(),
            "param_names": list(NAMES),
            "versions": versions(),
            "total_timesteps": self.config.total_timesteps,
        }

    def _restore(self, restored: dict[str, Any], is_newest: bool) -> None:
        """Restore what :meth:`dump` returned; ``is_newest``: whether it is the newest checkpoint of the run."""
        trainer = restored["trainer"]
        self.curriculum.restore(trainer["curriculum"])
        self.stages.restore(trainer.get("stages", {}), is_newest=is_newest)
        self.interventions.restore(trainer.get("treatment", {}))
        self.means.restore(trainer.get("rollout_means", {}))
        self.vec_env.experience.n_written = int(restored.get("n_experience", 0))
        self.state.restore(trainer)

    def _restore_as_fork(self, restored: dict[str, Any]) -> None:
        """A fork takes over networks, optimiser, normaliser, step and episode count, and the stage where the stages are the same; its
        environments restart."""
        before = load_config(self.run.checkpoints / PARENT_CHECKPOINT / "config.yaml")
        trainer = restored["trainer"]
        if before.curriculum == self.config.curriculum:
            self.curriculum.restore(trainer["curriculum"])
            self.stages.restore(trainer.get("stages", {}), is_same_run=False)
        self.state.n_episodes = int(trainer["n_episodes"])
        self.state.last_periodic = self.agent.num_timesteps

    def put_environments_back(self, restored: dict[str, Any]) -> None:
        """Restore the environments in the middle of their episodes, what the agent saw last, and the rollout that a stop left open."""
        from stable_baselines3.common.vec_env import VecNormalize

        agent, vec_env = self.agent, self.vec_env
        vec_env.reset()
        observations = vec_env.restore(restored["environments"])
        env = agent.get_env()
        if isinstance(env, VecNormalize):
            env.old_obs = observations
            observations = env.normalize_obs(observations)  # type: ignore[assignment]
        agent._last_obs = observations
        starts = restored["agent"]["episode_starts"]
        agent._last_episode_starts = np.array(starts, dtype=bool) if starts is not None else np.ones(vec_env.num_envs, dtype=bool)
        agent.ep_info_buffer = deque(restored["agent"]["ep_info"], maxlen=agent._stats_window_size)
        agent.ep_success_buffer = deque(maxlen=agent._stats_window_size)
        if restored["rollout"] is not None:
            agent.rollout_buffer.keep(restored["rollout"])

    def close_rollout(self) -> None:
        """Drop the open rollout: what ended it ended the run."""
        self.agent.is_rollout_open = False
        self.means.take()
