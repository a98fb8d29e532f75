"""All environments of a run as stable-baselines3's VecEnv: their state is kept here, their conversions go to the pool.

Each environment has its own seed, so its episodes depend neither on the number of workers nor on which of them is
fast. A logo is prepared (features, VTracer's defaults) when an environment first draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from core.environment.env import TraceEnv
from core.environment.episode import EnvSpec
from core.environment.experience import ExperienceLog
from core.environment.preparation import Preparations
from core.errors import WorkerError
from core.runs.event_fields import check_term_names
from core.tracing.outcome import ENDS, LEARNED_TERMS, LOST, TERM_NAMES, TERMS, Outcome, Weights, gain
from core.tracing.params import N_PARAMS, NAMES, Params
from core.workers.pool import WorkerPool
from core.workers.worker import Job, JobResult

# What a step leaves behind of each environment, one row of float64: of the episode's best conversion so far, ``step_reward`` apart;
# ``failure`` is a place in ENDS
_OWN = ("logo", "done", "length", "step_reward")
_OF_BEST = ("ssim", "colour", "edge", "bytes", "paths", "nodes", "cpu_s", "failure", "headline_gain", "training_gain")
COLUMNS = (*_OWN, *TERM_NAMES, *_OF_BEST, *NAMES)
COLUMN = {name: i for i, name in enumerate(COLUMNS)}
check_term_names(TERM_NAMES, (*_OWN, *_OF_BEST, *NAMES))
_FIRST_PARAM = COLUMN[NAMES[0]]
UNWEIGHTED = Weights(**{term.name: float(term.is_learned) for term in TERMS})


def _elsewhere(index: int, params: Params) -> Outcome:
    raise AssertionError("the pool measures")


class PoolVecEnv(VecEnv):
    """``n_envs`` environments over the logos of ``preparations``. ``records`` has each step's details.

    ``group_size``: this many neighbours draw the same logos, as long as their episodes are equally long.
    """

    def __init__(self, pool: WorkerPool, preparations: Preparations, spec: EnvSpec, n_envs: int, seed: int, group_size: int = 1) -> None:
        self.pool = pool
        self.preparations = preparations
        self.envs = [TraceEnv(preparations, _elsewhere, spec) for _ in range(n_envs)]
        self.observations = np.zeros((n_envs, spec.n_observation), np.float32)
        self.records = np.zeros((n_envs, len(COLUMNS)))
        self._actions = np.zeros((n_envs, N_PARAMS), np.float32)
        self._chosen: list[Params] = []
        self._returns = np.zeros(n_envs)
        self.experience = ExperienceLog()
        self._seed_of_run = seed
        self._group_size = group_size
        self._spec = spec
        self._otherwise = np.arange(len(preparations), dtype=np.int64)
        self._expecting: dict[int, list[int]] = {}  # environments that wait for a logo's preparation
        super().__init__(n_envs, self.envs[0].observation_space, gym.spaces.Box(-1.0, 1.0, (N_PARAMS,), np.float32))

    def set_eligible(
        self,
        indices: NDArray[np.int64],
        otherwise: NDArray[np.int64],
        earlier: NDArray[np.int64] = np.zeros(0, np.int64),
        earlier_share: float = 0.0,
    ) -> None:
        """Draw from these logos from each environment's next episode on, and for a share of them from ``earlier`` ones;
        from ``otherwise`` if all were quarantined."""
        self._otherwise = otherwise
        for env in self.envs:
            env.set_eligible(indices, earlier, earlier_share)

    @property
    def weights(self) -> Weights:
        """The reward's weights for stages without their own."""
        return self._spec.weights

    def set_weights(self, weights: Weights) -> None:
        """Reward each environment's next episodes with these weights."""
        spec = self._spec if weights == self._spec.weights else replace(self._spec, weights=weights)
        for env in self.envs:
            env.env_spec = spec

    def reset(self) -> NDArray[np.float32]:
        for row, env in enumerate(self.envs):
            # An environment's seed depends on its number alone, or on its group's
            env.reseed(int(np.random.SeedSequence([self._seed_of_run, row // self._group_size]).generate_state(1)[0]))
            env.draw()
            self._begin(row)
        self._take_in()
        self._returns[:] = 0
        return self.observations.copy()

    def step_async(self, actions: NDArray[np.float32]) -> None:
        self._actions[...] = actions
        self._chosen = self._spec.actions.to_params_of_all(actions)
        # The longest first, so that no worker is left with a long one at the end of the step
        for row in sorted(range(self.num_envs), key=lambda row: -self.envs[row].episode.logo.defaults.cpu_s):
            self.pool.submit(row, Job(self.envs[row].index, self._chosen[row]), n_tries=1, is_lasting=False)

    def step_wait(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_], list[dict[str, Any]]]:
        self._take_in()
        self.experience.end_step()
        rewards = self.records[:, COLUMN["step_reward"]].astype(np.float32)
        dones = self.records[:, COLUMN["done"]] > 0
        self._returns += rewards
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(dones):
            infos[i] = {"episode": {"r": float(self._returns[i]), "l": int(self.records[i, COLUMN["length"]])}}
            self._returns[i] = 0
        return self.observations.copy(), rewards, dones, infos

    def _take_in(self) -> None:
        """Process results as they arrive, until all environments have stepped or begun."""
        for key, result in self.pool.results():
            if isinstance(key, int):
                self._finish(key, result)
            else:
                _, index = cast(tuple[str, int], key)
                self.preparations.take(index, result)
                if not self.preparations.is_ready(index):
                    self.pool.quarantine(index)
                for row in self._expecting.pop(index):
                    self._begin(row)

    def _finish(self, row: int, result: JobResult) -> None:
        env, episode = self.envs[row], self.envs[row].episode
        outcome = result.outcome
        reward, _ = episode.record(self._actions[row], self._chosen[row], outcome)
        if outcome.failure not in LOST:
            plain = gain(outcome, episode.logo.defaults, UNWEIGHTED)
            self.experience.add(row, env.index, self._chosen[row], [getattr(plain, name) for name in LEARNED_TERMS])
        best = episode.best
        assert best is not None
        self.records[row, :_FIRST_PARAM] = (
            env.index, episode.is_done, len(episode.tries), reward, *best.terms.values,
            best.outcome.ssim, best.outcome.colour, best.outcome.edge,
            best.outcome.n_bytes, best.outcome.n_paths, best.outcome.n_nodes, best.outcome.cpu_s,
            ENDS.index(episode.end), best.headline_gain, best.training_gain,
        )  # fmt: skip
        self.records[row, _FIRST_PARAM:] = best.params.as_tuple()
        if episode.is_done:
            env.draw()
            self._begin(row)
        else:
            self.observations[row] = episode.observation()

    def _begin(self, row: int) -> None:
        """Begin an episode on the logo drawn, now or once it is prepared. One that was quarantined is drawn again."""
        env, quarantined = self.envs[row], self.pool.quarantined
        if env.index in quarantined and not env.has_choice(quarantined):
            left = np.array([i for i in self._otherwise if i not in quarantined], dtype=np.int64)
            if not len(left):
                raise WorkerError(
                    f"no logo is left to train on: {len(quarantined)} were quarantined because each repeatedly killed its workers"
                )
            env.set_eligible(left)
        while env.index in quarantined:
            env.draw()
        if self.preparations.is_ready(env.index):
            self.observations[row] = env.begin()
            return
        first = env.index not in self._expecting
        self._expecting.setdefault(env.index, []).append(row)
        if first:
            self.pool.submit(("prepare", env.index), self.preparations.job(env.index))

    def dump(self) -> dict[str, Any]:
        """The environments' states, for a checkpoint."""
        return {"environments": [env.dump() for env in self.envs], "returns": self._returns.tolist()}

    def restore(self, state: dict[str, Any]) -> NDArray[np.float32]:
        """Go back to dumped states; returns the observations there."""
        wanted = [int(dumped["index"]) for dumped in state["environments"]]
        self.preparations.prepare(self.pool, sorted({i for i in wanted if not self.preparations.is_ready(i)}))
        for row, (env, dumped) in enumerate(zip(self.envs, state["environments"], strict=True)):
            self.observations[row] = env.restore(dumped)
        self._returns[:] = state["returns"]
        return self.observations.copy()

    def close(self) -> None:
        self.pool.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        if attr_name == "render_mode":
            return [None] * self.num_envs
        return [getattr(env, attr_name) for env in self._chosen_envs(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        for env in self._chosen_envs(indices):
            setattr(env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return [getattr(env, method_name)(*args, **kwargs) for env in self._chosen_envs(indices)]

    def _chosen_envs(self, indices: Any) -> list[TraceEnv]:
        return [self.envs[i] for i in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        return [seed] * self.num_envs  # the environments are seeded by reset(), each by its number
