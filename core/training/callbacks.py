"""What happens at each step of a training: episodes and metrics into the event log, stages, pauses, limits.

Public ``on_step`` is stable-baselines3's own bookkeeping, private ``_on_step`` is ours; returning False is the whole stop protocol. What happens between two
updates is in core/training/boundary.py. Needs torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from core.config.config import CurriculumConfig, RunConfig, StageConfig
from core.curriculum.curriculum import Curriculum, Decision
from core.environment.vec_env import COLUMN, PoolVecEnv
from core.logos.augment import is_variant
from core.logos.dataset import Logo
from core.machine import Meter, memory_mb
from core.runs.event_types import Continued, EpisodeEnded, Metrics, Paused, StageDecision, StageEnded, StageStarted
from core.runs.events import EventWriter
from core.runs.records import is_pause_wanted
from core.runs.run_dir import RunDir
from core.tracing.outcome import ENDS, TERM_NAMES, Weights
from core.tracing.params import NAMES
from core.training.checkpoint_state import TrainState
from core.training.heartbeat import HeartbeatWriter, StopFlag

_PARAMS = slice(COLUMN[NAMES[0]], COLUMN[NAMES[-1]] + 1)
HOLD_S = 0.2  # how often a paused run looks whether to go on
METER_S = 10.0  # between two looks at the machine
MEMORY_LEFT = 0.05  # share of the machine's memory at which a run stops rather than be killed


class EventLogWriter(KVWriter):
    """Writes stable-baselines3's metrics to the event log; skips values that are not numbers."""

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
        """Mean norm since the last call; None if there was no update."""
        mean = float(np.mean(self._norms)) if self._norms else None
        self._norms.clear()
        return mean


class RolloutMeans:
    """Means over a rollout of the values that its steps and episodes add."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        self._values.setdefault(name, []).append(value)

    def take(self) -> dict[str, float]:
        """The means since the last call."""
        found = {name: float(np.mean(values)) for name, values in self._values.items()}
        self._values.clear()
        return found

    def dump(self) -> dict[str, list[float]]:
        """What the open rollout has added so far, for a checkpoint; nothing between two rollouts."""
        return {name: list(values) for name, values in self._values.items()}

    def restore(self, dumped: dict[str, list[float]]) -> None:
        """Restore what :meth:`dump` returned."""
        self._values = {str(name): [float(value) for value in values] for name, values in dumped.items()}


class TrainerCallback(BaseCallback):
    """The base of our callbacks: once the run is over, they do nothing in the step that stable-baselines3 still takes."""

    def __init__(self, state: TrainState) -> None:
        super().__init__()
        self.state = state

    def _on_step(self) -> bool:
        return not self.state.is_over and self._act()

    def _act(self) -> bool:
        """What is done at each step; returns whether to go on."""
        return True


class CurriculumCallback(TrainerCallback):
    """Advances the curriculum with each episode, and has the environments draw the logos of its stage."""

    n_stages_ended = 0  # in this process

    def __init__(
        self,
        state: TrainState,
        events: EventWriter,
        envs: PoolVecEnv,
        logos: Sequence[Logo],
        n_train: int,
        curriculum: Curriculum,
        config: CurriculumConfig,
        step: Callable[[], int],
    ) -> None:
        """``logos``: those of the pool, the first ``n_train`` for training; ``step``: returns the current num_timesteps."""
        super().__init__(state)
        self._events, self._envs, self._logos, self._n_train = events, envs, logos, n_train
        self.curriculum, self._config, self._step = curriculum, config, step

    def _act(self) -> bool:
        return not self.curriculum.is_finished

    def set_eligible(self) -> None:
        """Let the environments draw from the stage's categories."""
        curriculum, stage = self.curriculum, self.curriculum.stage
        left = [i for i in range(self._n_train) if i not in self._envs.pool.quarantined]
        drawn = [i for i in left if self._is_drawn(i, stage)]
        before = curriculum.earlier_categories()
        earlier = [i for i in drawn if self._logos[i].category in before]
        new = [i for i in drawn if self._logos[i].category not in before]
        self._envs.set_eligible(
            np.array(new or drawn or left or range(self._n_train), dtype=np.int64),
            np.arange(self._n_train),
            np.array(earlier if new else [], dtype=np.int64),
            self._config.earlier_share,
        )
        own = {name: value for name in TERM_NAMES if (value := getattr(stage, name, None)) is not None}
        self._envs.set_weights(Weights(**(self._envs.weights.as_dict() | own)))

    def _is_drawn(self, i: int, stage: StageConfig) -> bool:
        logo = self._logos[i]
        fits = stage.max_side is None or max(logo.pixels.shape[:2]) <= stage.max_side
        return logo.category in stage.categories and fits and (stage.variants or not is_variant(logo))

    def act_on(self, decision: Decision | None) -> None:
        """Log a decision of the curriculum, and go on to the next stage if it ended one."""
        if decision is None:
            return
        record = StageEnded if decision.ends_stage else StageDecision
        told = record(decision.stage, decision.name, decision.kind, decision.why, decision.success_share, decision.n_episodes)
        self._events.write(self._step(), told)
        if decision.ends_stage:
            self.n_stages_ended += 1
            if not self.curriculum.is_finished:
                self.write_stage_start()
                self.set_eligible()

    def write_stage_start(self) -> None:
        stage = self.curriculum.stage
        told = StageStarted(stage=self.curriculum.index, gain_needed=stage.gain_needed(), **stage.model_dump(mode="json"))
        self._events.write(self._step(), told)


class EpisodeLog(TrainerCallback):
    """Writes an event per episode, and passes it on to the curriculum."""

    def __init__(
        self,
        state: TrainState,
        events: EventWriter,
        envs: PoolVecEnv,
        logos: Sequence[Logo],
        stages: CurriculumCallback,
        means: RolloutMeans,
    ) -> None:
        super().__init__(state)
        self._events, self._envs, self._logos, self._stages, self._means = events, envs, logos, stages, means

    def _act(self) -> bool:
        records = self._envs.records
        self._means.add("trace/clipped_actions", float((np.abs(self.locals["actions"]) > 1).mean()))
        for row in np.flatnonzero(records[:, COLUMN["done"]]):
            self._log(int(row), records[row])
        return True

    def _log(self, env: int, row: Any) -> None:
        told = self._event(env, row)
        self._events.write(self.num_timesteps, told)
        self._add(told)
        self._stages.act_on(self._stages.curriculum.record(told.success))

    def _event(self, env: int, row: Any) -> EpisodeEnded:
        self.state.n_episodes += 1
        curriculum, logo = self._stages.curriculum, self._logos[int(row[COLUMN["logo"]])]
        ssim, gain, failure = float(row[COLUMN["ssim"]]), float(row[COLUMN["headline_gain"]]), ENDS[int(row[COLUMN["failure"]])]
        return EpisodeEnded(
            episode=self.state.n_episodes,
            env=env,
            logo=logo.name,
            category=logo.category,
            stage=curriculum.stage.name,
            training_gain=float(row[COLUMN["training_gain"]]),
            headline_gain=gain,
            terms={name: float(row[COLUMN[name]]) for name in TERM_NAMES},
            length=int(row[COLUMN["length"]]),
            end_reason=failure or "max_steps",
            ssim=ssim,
            colour=float(row[COLUMN["colour"]]),
            edge=float(row[COLUMN["edge"]]),
            nodes=int(row[COLUMN["nodes"]]),
            bytes=int(row[COLUMN["bytes"]]),
            paths=int(row[COLUMN["paths"]]),
            cpu_s=round(float(row[COLUMN["cpu_s"]]), 6),
            success=failure is None and curriculum.is_success(ssim, gain),
            params=[float(v) for v in row[_PARAMS]],
        )

    def _add(self, told: EpisodeEnded) -> None:
        for name, value in told.terms.items():
            self._means.add(f"reward/{name}", value)
        for name, value in (
            ("ssim", told.ssim),
            ("colour", told.colour),
            ("edge", told.edge),
            ("gain", told.headline_gain),
            ("bytes", float(told.bytes)),
            ("cpu_s", told.cpu_s),
            ("failed_share", float(told.end_reason != "max_steps")),
        ):
            self._means.add(f"trace/{name}", value)


class ControlCallback(TrainerCallback):
    """Waits while a pause is requested, and ends the training when it is to stop."""

    def __init__(self, state: TrainState, run: RunDir, events: EventWriter, heartbeat: HeartbeatWriter, stop: StopFlag) -> None:
        super().__init__(state)
        self._run, self._events, self._heartbeat, self._stop = run, events, heartbeat, stop

    def _on_rollout_start(self) -> None:
        is_begun = self.model.rollout_buffer.pos > 0  # type: ignore[attr-defined]  # before a stop: nobody knows how long it took
        self.state.rollout_started = 0.0 if is_begun else time.monotonic()  # behind all that happens between two updates

    def _act(self) -> bool:
        if is_pause_wanted(self._run) and not self._stop:
            self._events.write(self.num_timesteps, Paused())
            with self._heartbeat.busy_with("paused", is_paused=True):
                while is_pause_wanted(self._run) and not self._stop.wait(HOLD_S):
                    pass
            self._events.write(self.num_timesteps, Continued())
            self.state.rollout_started = 0.0  # that is no slowness of this rollout's
        return not self._stop


class ResourceCallback(TrainerCallback):
    """Measures the run's resources, and stops it before the machine runs out of memory."""

    def __init__(self, state: TrainState, config: RunConfig, events: EventWriter, stop: StopFlag, meter: Meter, every_s: float) -> None:
        super().__init__(state)
        self._limit = config.workers.run_memory_mb
        self._events, self._stop, self._meter, self._every_s = events, stop, meter, every_s
        self._measured = 0.0  # monotonic seconds

    def _act(self) -> bool:
        now = time.monotonic()
        if now - self._measured > self._every_s:
            self._measured = now
            self._look_at_memory()
        return not self._stop

    def _look_at_memory(self) -> None:
        figures = self._meter.read()
        self._events.write(self.num_timesteps, Metrics(figures))
        limit, used, free = self._limit, figures["system/memory_mb"], figures["system/memory_free_mb"]
        total, _ = memory_mb()
        if limit and used > limit:
            self._stop.reason = f"at its memory limit: {used:.0f} of {limit:.0f} MB (workers.run_memory_mb)"
        elif not limit and free < MEMORY_LEFT * total:
            self._stop.reason = f"the machine is out of memory: {free:.0f} of {total:.0f} MB are left, and this run uses {used:.0f} MB"
