"""The worker pool as stable-baselines3's VecEnv."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from core.learning.workers import COLUMN, WorkerPool
from core.tracing.params import N_PARAMS


class PoolVecEnv(VecEnv):
    """All environments of a pool, stepped at once. ``pool.records`` has each step's details."""

    def __init__(self, pool: WorkerPool, seed: int) -> None:
        self.pool = pool
        self._seed_of_run = seed
        self._returns = np.zeros(pool.n_envs)
        observation = gym.spaces.Box(-3.0, 3.0, (pool.spec.n_observation,), np.float32)
        super().__init__(pool.n_envs, observation, gym.spaces.Box(-1.0, 1.0, (N_PARAMS,), np.float32))

    def reset(self) -> NDArray[np.float32]:
        self.pool.reset(self._seed_of_run)
        self._returns[:] = 0
        return self.pool.observations.copy()

    def step_async(self, actions: NDArray[np.float32]) -> None:
        self.pool.step_async(actions)

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:  # type: ignore[override]
        self.pool.step_wait()
        records = self.pool.records
        rewards = records[:, COLUMN["reward"]].astype(np.float32)
        dones = records[:, COLUMN["done"]] > 0
        self._returns += rewards
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(dones):
            infos[i] = {"episode": {"r": float(self._returns[i]), "l": int(records[i, COLUMN["length"]])}}
            self._returns[i] = 0
        return self.pool.observations.copy(), rewards, dones, infos

    def dump(self) -> dict[str, Any]:
        """The environments' states, for a checkpoint."""
        return {"environments": self.pool.dump(), "returns": self._returns.tolist()}

    def restore(self, state: dict[str, Any]) -> NDArray[np.float32]:
        self.pool.restore(state["environments"])
        self._returns[:] = state["returns"]
        return self.pool.observations.copy()

    def close(self) -> None:
        self.pool.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        if attr_name == "render_mode":
            return [None] * self.num_envs
        raise AttributeError(f"the environments live in worker processes; {attr_name} can't be read")

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        raise AttributeError(f"the environments live in worker processes; {attr_name} can't be set")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        raise AttributeError(f"the environments live in worker processes; {method_name} can't be called")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        return [seed] * self.num_envs  # the environments are seeded by reset(), each by its number
