"""The Gymnasium environment: choose the parameters for a logo drawn at random.

Observation (float32, clipped to [-3, 3]):

| index | meaning | range |
| --- | --- | --- |
| 0-23 | picture features (core/tracing/features.py), scaled | about [-1, 1] |
| 24-93 | estimated regions at each colour precision (core/tracing/regions.py), scaled | about [-1, 2] |
| 94-96 | ln structure, colour and edge error of VTracer's defaults on it, scaled | about [-1, 1.4] |
| 97 | ln bytes of the defaults' SVG / 4 - 2.25 | about [-1, 1.5] |
| 98 | log2 paths of the defaults' SVG / 8 | [0, 2] |
| 99-130 | only with max_steps > 1: share of steps left, best and last gain, failure, last and best action, outcomes | [-3, 3] |

Action: Box(-1, 1, (10,)), one number per parameter, 0 = ``EnvSpec.centre``. Reward: improvement of the episode's best
gain. Start: a logo of the stage's categories. End: terminated after ``max_steps`` conversions, or when a conversion
kills its worker; never truncated.
Guarantee: the same seed and actions give the same episodes to the bit (with a speed weight of 0).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from core.environment.episode import EnvSpec, Episode, PreparedLogo
from core.tracing.outcome import Outcome, Weights
from core.tracing.params import N_PARAMS, Params


class Measure(Protocol):
    """Traces logo ``index`` with ``params`` and measures the result."""

    def __call__(self, index: int, params: Params) -> Outcome: ...


class Logos(Protocol):
    """Prepared logos by index: a list, or something that prepares them on demand."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> PreparedLogo: ...


class TraceEnv(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """See the table in the module's docstring."""

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, logos: Logos, measure: Measure, spec: EnvSpec) -> None:
        if not len(logos):
            raise ValueError("an environment needs at least one logo")
        self.logos = logos
        self.env_spec = spec
        self._measure = measure
        self.action_space = gym.spaces.Box(-1.0, 1.0, (N_PARAMS,), np.float32)
        self.observation_space = gym.spaces.Box(-3.0, 3.0, (spec.n_observation,), np.float32)
        self._eligible = np.arange(len(logos))
        self._earlier, self._earlier_share = self._eligible[:0], 0.0
        self.index = 0
        self.episode: Episode

    def set_eligible(
        self, indices: NDArray[np.int64], earlier: NDArray[np.int64] = np.zeros(0, np.int64), earlier_share: float = 0.0
    ) -> None:
        """Draw from these logos from the next reset on, and for a share of the episodes from ``earlier`` ones."""
        self._eligible = np.asarray(indices)
        self._earlier, self._earlier_share = np.asarray(earlier), earlier_share if len(earlier) else 0.0

    def has_choice(self, quarantined: set[int]) -> bool:
        """Whether any logo that is not in quarantine is left to draw."""
        return any(int(i) not in quarantined for i in self._eligible)  # an earlier one is drawn again as long as it takes

    def reseed(self, seed: int) -> None:
        """Restart the random numbers, without a reset."""
        super().reset(seed=seed)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        super().reset(seed=seed)
        self.draw()
        return self.begin(), {"logo": self.logos[self.index].name}

    def step(self, action: NDArray[np.float32]) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        params = self.episode.params_of(action)
        outcome = self._measure(self.index, params)
        reward, terms = self.episode.record(action, params, outcome)
        # No CPU seconds here: the same seed and action must give the same info.
        info = {"logo": self.episode.logo.name, "params": params.as_dict(), "terms": terms, "ssim": outcome.ssim, "bytes": outcome.n_bytes}
        return self.episode.observation(), reward, self.episode.is_done, False, info

    def draw(self) -> int:
        """The first half of a reset: choose the next logo."""
        is_earlier = self._earlier_share > 0 and self.np_random.random() < self._earlier_share
        places = self._earlier if is_earlier else self._eligible
        self.index = int(places[self.np_random.integers(len(places))])
        return self.index

    def begin(self) -> NDArray[np.float32]:
        """The second half: begin an episode on the logo that was drawn; returns its first observation."""
        self.episode = Episode(self.logos[self.index], self.env_spec)
        return self.episode.observation()

    def dump(self) -> dict[str, Any]:
        """Everything that decides what comes next, as plain data."""
        return {
            "rng": self.np_random.bit_generator.state,
            "index": self.index,
            "weights": list(self.episode.spec.weights.values),
            "tries": self.episode.dump(),
        }

    def restore(self, state: dict[str, Any]) -> NDArray[np.float32]:
        """Go back to a dumped state; returns the observation there."""
        self.np_random.bit_generator.state = state["rng"]
        self.index = int(state["index"])
        now, then = self.env_spec, Weights(*state["weights"])
        self.env_spec = replace(now, weights=then) if then != now.weights else now  # begun in an earlier stage, perhaps
        self.begin()
        self.env_spec = now
        self.episode.restore(state["tries"])
        return self.episode.observation()
