"""A rollout that a stop left open: its steps so far as plain arrays, and an agent that goes on within it. Needs torch.

Guarantee: an open rollout that is put back and completed gives the same update, to the last digit, as one that nothing interrupted.
"""

from __future__ import annotations

import io
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from core.agents.sealed import MB, check_unpacked, damage_of
from core.config.config import RunConfig
from core.environment.spec import env_spec
from core.errors import CheckpointError, DamagedFileError
from core.runs.run_dir import ROLLOUT_FILE
from core.tracing.params import N_PARAMS

MAX_ROLLOUT_BYTES = 250 * MB  # the default of 512 steps is below 1 MB
Rows = dict[str, NDArray[np.float32]]  # each of shape (n_steps, n_envs, ...)


class OpenBuffer(RolloutBuffer):
    """stable-baselines3's buffer; the next reset puts back the steps that it was given to keep."""

    _kept: Rows | None = None

    @property
    def n_kept(self) -> int:
        """Steps of each environment that the next reset puts back."""
        return len(self._kept["rewards"]) if self._kept is not None else 0

    def keep(self, rows: Rows) -> None:
        """Have the next reset put these back, as :meth:`rows` gave them."""
        self._kept = rows

    def rows(self) -> Rows:
        """The steps so far."""
        return {name: getattr(self, name)[: self.pos] for name in _shapes(0, 0)}

    def reset(self) -> None:
        super().reset()
        kept, self._kept = self._kept, None
        for name, values in (kept or {}).items():
            getattr(self, name)[: len(values)] = values
            self.pos = len(values)
        self.full = self.pos == self.buffer_size


class ResumablePPO(PPO):
    """PPO whose rollout may be ended by a callback and gone on with: the step that ended it counts too."""

    rollout_buffer: OpenBuffer
    is_rollout_open = False  # whether a callback ended the last rollout

    def collect_rollouts(self, env: VecEnv, callback: BaseCallback, rollout_buffer: RolloutBuffer, n_rollout_steps: int) -> bool:
        buffer = cast(OpenBuffer, rollout_buffer)
        n_left = n_rollout_steps - buffer.n_kept
        self.is_rollout_open = False
        if not n_left:
            return self._complete(callback, buffer)
        is_complete = super().collect_rollouts(env, callback, buffer, n_left)
        if not is_complete:
            self._take_last_step(callback.locals, buffer)
            self.is_rollout_open = True
        return is_complete

    def _complete(self, callback: BaseCallback, buffer: OpenBuffer) -> bool:
        """What follows the last step of a rollout, where the stop came with that step."""
        buffer.reset()
        callback.on_rollout_start()
        with torch.no_grad():
            values = self.policy.predict_values(obs_as_tensor(cast(NDArray[np.float32], self._last_obs), self.device))
        buffer.compute_returns_and_advantage(last_values=values, dones=cast(NDArray[np.bool_], self._last_episode_starts))
        callback.on_rollout_end()
        return True

    def _take_last_step(self, step: dict[str, Any], buffer: OpenBuffer) -> None:
        """What stable-baselines3 leaves out of the step after which a callback ends the rollout."""
        self._update_info_buffer(step["infos"], step["dones"])
        buffer.add(
            cast(NDArray[np.float32], self._last_obs), step["actions"], step["rewards"],
            cast(NDArray[np.bool_], self._last_episode_starts), step["values"], step["log_probs"],
        )  # fmt: skip
        self._last_obs, self._last_episode_starts = step["new_obs"], step["dones"]


def pack_open_rollout(agent: PPO) -> bytes | None:
    """The agent's open rollout as a file; None where it has none.

    Raises:
        CheckpointError: it is larger than what is read back.
    """
    if not isinstance(agent, ResumablePPO) or not agent.is_rollout_open:
        return None
    rows = agent.rollout_buffer.rows()
    n_bytes = sum(values.nbytes for values in rows.values())
    if n_bytes > MAX_ROLLOUT_BYTES - MB:
        raise CheckpointError(f"the open rollout takes {n_bytes // MB} MB; at most {MAX_ROLLOUT_BYTES // MB} are kept")
    packed = io.BytesIO()
    np.savez(packed, **rows)  # type: ignore[arg-type]
    return packed.getvalue()


def unpack_open_rollout(data: bytes, config: RunConfig) -> Rows:
    """What :func:`pack_open_rollout` gave, for a run of this config.

    Raises:
        DamagedFileError: it holds anything else.
    """
    check_unpacked(ROLLOUT_FILE, data)
    with damage_of(ROLLOUT_FILE), np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        rows = {name: np.asarray(arrays[name]) for name in arrays.files}
    n_steps = len(rows["rewards"]) if "rewards" in rows and rows["rewards"].ndim else 0
    shapes = {name: (n_steps, config.n_envs, *shape) for name, shape in _shapes(env_spec(config).n_observation, N_PARAMS).items()}
    if not 1 <= n_steps <= config.ppo.n_steps or {name: values.shape for name, values in rows.items()} != shapes:
        raise DamagedFileError(f"{ROLLOUT_FILE} is damaged: it is no rollout of {config.n_envs} environments and this agent")
    if not all(values.dtype == np.float32 and bool(np.isfinite(values).all()) for values in rows.values()):
        raise DamagedFileError(f"{ROLLOUT_FILE} is damaged: it holds what is not finite")
    return rows


def _shapes(n_observation: int, n_action: int) -> dict[str, tuple[int, ...]]:
    """What a step of one environment leaves in the buffer, by name; the rest is computed when the rollout is complete."""
    of_one: tuple[int, ...] = ()
    return {
        "observations": (n_observation,), "actions": (n_action,),
        "rewards": of_one, "episode_starts": of_one, "values": of_one, "log_probs": of_one,
    }  # fmt: skip
