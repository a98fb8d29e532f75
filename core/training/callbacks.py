"""What happens beside learning: episodes and metrics into the event log, stages, evaluations, checkpoints.

Public ``on_step`` keeps the books, private ``_on_step`` is ours; returning False is the whole stop protocol. A
boundary is the moment between two updates: all of evaluation, checkpoint and stopping early happens there, so that a
checkpoint is always a state from which training goes on exactly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from core.config.config import CurriculumConfig, StageConfig
from core.curriculum.curriculum import Curriculum, Decision
from core.environment.vec_env import COLUMN, PoolVecEnv
from core.logos.augment import is_variant
from core.logos.dataset import Logo
from core.runs.event_types import EpisodeEnded, Metrics, StageDecision, StageEnded, StageStarted
from core.runs.events import EventWriter
from core.tracing.outcome import ENDS, TERM_NAMES, Weights
from core.tracing.params import NAMES

_PARAMS = slice(COLUMN[NAMES[0]], COLUMN[NAMES[-1]] + 1)


class EventLogWriter(KVWriter):
    """Stable-baselines3's metrics into the event log; skips what is no finite-or-NaN number."""

    def __init__(self, events: EventWriter) -> None:
        self._events = events

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        values = {
            key: float(value)
            for key, value in sorted(key_values.items())
            if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        }
        if values:
            self._events.write(step, Metrics(values))

    def close(self) -> None:
        pass


class GradientNorm:
    """The gradient's norm before clipping, mean over an update's minibatches."""

    def __init__(self, policy: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self._squares: list[float] = []
        self._norms: list[float] = []
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(self._add)  # type: ignore[no-untyped-call]
        optimizer.register_step_pre_hook(lambda *_: self._close())

    def _add(self, parameter: torch.Tensor) -> None:
        if parameter.grad is not None:
            self._squares.append(float(parameter.grad.square().sum()))

    def _close(self) -> None:
        self._norms.append(sum(self._squares) ** 0.5)
        self._squares.clear()

    def take(self) -> float | None:
        """Mean norm since the last call, None without any update."""
        mean = float(np.mean(self._norms)) if self._norms else None
        self._norms.clear()
        return mean


class EpisodeRecorder(BaseCallback):
    """Writes an event an episode, moves the curriculum on, and hands each boundary to the trainer."""

    def __init__(
        self,
        events: EventWriter,
        envs: PoolVecEnv,
        logos: Sequence[Logo],
        curriculum: Curriculum,
        config: CurriculumConfig,
        on_boundary: Callable[[], bool],
        goes_on: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._events, self._envs, self._logos, self._curriculum = events, envs, logos, curriculum
        self._curriculum_config = config
        self._on_boundary, self._goes_on = on_boundary, goes_on
        self.n_episodes = 0
        self.n_stages_ended = 0  # in this process
        self.is_ended_by_boundary = False
        self._gradient: GradientNorm | None = None
        self._sums: dict[str, list[float]] = {}
        self.updates_seen = 0
        self._update_started = self._rollout_started = 0.0

    def _init_callback(self) -> None:
        if self._gradient is None:
            self._gradient = GradientNorm(self.model.policy, self.model.policy.optimizer)
        self.updates_seen = self.model._n_updates

    def set_eligible(self) -> None:
        """Let the environments draw from the stage's categories."""
        curriculum, stage = self._curriculum, self._curriculum.stage
        left = [i for i in range(self.n_train) if i not in self._envs.pool.quarantined]
        drawn = [i for i in left if self._is_drawn(i, stage)]
        before = curriculum.earlier_categories()
        earlier = [i for i in drawn if self._logos[i].category in before]
        new = [i for i in drawn if self._logos[i].category not in before]
        self._envs.set_eligible(
            np.array(new or drawn or left or range(self.n_train), dtype=np.int64),
            np.arange(self.n_train),
            np.array(earlier if new else [], dtype=np.int64),
            self._curriculum_config.earlier_share,
        )
        weights = self._envs.weights
        quality = weights.quality if stage.quality is None else stage.quality
        self._envs.set_weights(Weights(quality, weights.size if stage.size is None else stage.size, weights.speed))

    def _is_drawn(self, i: int, stage: StageConfig) -> bool:
        logo = self._logos[i]
        fits = stage.max_side is None or max(logo.pixels.shape[:2]) <= stage.max_side
        return logo.category in stage.categories and fits and (stage.variants or not is_variant(logo))

    n_train = 0  # the first so many of the pool's logos are for training

    def _on_step(self) -> bool:
        if self.is_ended_by_boundary:
            return False
        records = self._envs.records
        is_beyond = float((np.abs(self.locals["actions"]) > 1).mean())
        self._sums.setdefault("trace/clipped_actions", []).append(is_beyond)
        for row in np.flatnonzero(records[:, COLUMN["done"]]):
            self._write_episode(int(row), records[row])
        return self._goes_on() and not self._curriculum.is_finished

    def on_hold(self) -> None:
        """The run was held for a while: that is no slowness of this rollout's."""
        self._rollout_started = 0.0

    def drop_update(self) -> None:
        """Forget what an update that failed had summed up."""
        self._sums.clear()
        if self._gradient is not None:
            self._gradient.take()

    def _write_episode(self, env: int, r: Any) -> None:
        self.n_episodes += 1
        curriculum, logo = self._curriculum, self._logos[int(r[COLUMN["logo"]])]
        ssim, gain, failure = float(r[COLUMN["ssim"]]), float(r[COLUMN["gain"]]), ENDS[int(r[COLUMN["failure"]])]
        is_success = failure is None and curriculum.is_success(ssim, gain)
        terms = {name: float(r[COLUMN[name]]) for name in TERM_NAMES}
        told = EpisodeEnded(
            episode=self.n_episodes,
            env=env,
            logo=logo.name,
            category=logo.category,
            stage=curriculum.stage.name,
            training_gain=float(r[COLUMN["trained_gain"]]),
            headline_gain=gain,
            terms=terms,
            length=int(r[COLUMN["length"]]),
            end_reason=failure or "max_steps",
            ssim=ssim,
            bytes=int(r[COLUMN["bytes"]]),
            paths=int(r[COLUMN["paths"]]),
            cpu_s=round(float(r[COLUMN["cpu_s"]]), 6),
            success=is_success,
            params=[round(float(v), 4) for v in r[_PARAMS]],
        )
        self._events.write(self.num_timesteps, told)
        for key, value in terms.items():
            self._sums.setdefault(f"reward/{key}", []).append(value)
        for key, value in (
            ("ssim", ssim),
            ("gain", gain),
            ("bytes", float(told.bytes)),
            ("cpu_s", told.cpu_s),
            ("failed_share", float(failure is not None)),
        ):
            self._sums.setdefault(f"trace/{key}", []).append(value)
        self.act_on(curriculum.record(is_success))

    def act_on(self, decision: Decision | None) -> None:
        """Into the log with a decision of the curriculum's, and on to the next stage where it ended one."""
        if decision is None:
            return
        record = StageEnded if decision.ends_stage else StageDecision
        told = record(decision.stage, decision.name, decision.kind, decision.why, decision.success_share, decision.n_episodes)
        self._events.write(self.num_timesteps, told)
        if decision.ends_stage:
            self.n_stages_ended += 1
            if not self._curriculum.is_finished:
                self.write_stage_start()
                self.set_eligible()

    def write_stage_start(self) -> None:
        stage = self._curriculum.stage
        told = StageStarted(stage=self._curriculum.index, gain_needed=stage.gain_needed(), **stage.model_dump(mode="json"))
        self._events.write(self.num_timesteps, told)

    def _on_rollout_start(self) -> None:
        """Called before the first rollout and after every update."""
        if self.model._n_updates > self.updates_seen:
            self.logger.record("time/update_s", time.monotonic() - self._update_started)
            self.flush()
            if not self._on_boundary():
                self.is_ended_by_boundary = True
        self._rollout_started = time.monotonic()

    def _on_rollout_end(self) -> None:
        self._update_started = now = time.monotonic()
        if self._rollout_started:
            n_steps = self._envs.num_envs * self.model.n_steps  # type: ignore[attr-defined]
            self.logger.record("time/step_rate", n_steps / max(now - self._rollout_started, 1e-6))
        for key, values in self._sums.items():
            self.logger.record(key, float(np.mean(values)))
        self._sums.clear()
        hit_rate = self._envs.pool.cache.take_hit_rate()
        if hit_rate is not None:
            self.logger.record("trace/cache_hit_rate", hit_rate)
        self.logger.record("trace/workers_lost", self._envs.pool.n_lost)
        if self._curriculum.is_enabled:
            self.logger.record("curriculum/stage", self._curriculum.index)
            self.logger.record("curriculum/success_share", self._curriculum.success_share)
            self.logger.record("curriculum/episodes_in_stage", self._curriculum.n_episodes)

    def flush(self) -> None:
        """Write what an update recorded now: stable-baselines3 itself would dump it one rollout later."""
        self.updates_seen = self.model._n_updates
        norm = self._gradient.take() if self._gradient else None
        if norm is not None:
            self.logger.record("train/grad_norm", norm)
        self.logger.dump(self.num_timesteps)
