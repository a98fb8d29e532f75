"""One episode as plain state: what was tried, its results, what the policy sees, what a step is worth.

Pure: no tracing, no random numbers, no Gymnasium. The environment and the evaluation share it, so that what is
trained is what is evaluated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.tracing.features import N_FEATURES, Features, feature_vector
from core.tracing.outcome import ERROR_FLOORS, HEADLINE, LOST, Gain, Outcome, Weights, gain
from core.tracing.params import N_PARAMS, ActionMap, Params

N_OUTCOME = 4  # figures of an outcome
N_PICTURE = N_FEATURES + N_OUTCOME + 1  # features and the defaults' outcome
N_MEMORY = (
    4 + 2 * N_PARAMS + 2 * N_OUTCOME
)  # share of steps left, best gain, last gain and failure; both actions; last outcome, best outcome
_GAIN_CLIP = 3.0


@dataclass(frozen=True)
class EnvSpec:
    """What defines an environment apart from its logos. ``fixed``: names of parameters that stay at the centre."""

    max_steps: int
    centre: Params | None
    weights: Weights
    fixed: tuple[str, ...] = ()

    @cached_property
    def actions(self) -> ActionMap:
        return ActionMap(self.centre, self.fixed)

    @property
    def n_observation(self) -> int:
        return N_PICTURE + (N_MEMORY if self.max_steps > 1 else 0)


@dataclass(frozen=True)
class PreparedLogo:
    """What is known of a logo before anything is tried on it."""

    name: str
    category: str
    digest: str
    features: Features
    defaults: Outcome
    default_svg: str = field(default="", repr=False)

    @cached_property
    def picture_observation(self) -> NDArray[np.float32]:
        """Features and the defaults' outcome, scaled; shape (N_PICTURE,)."""
        outcome = [*outcome_features(self.defaults), math.log2(max(self.defaults.n_paths, 1)) / 8]
        return np.clip(np.concatenate([feature_vector(self.features), np.array(outcome, dtype=np.float32)]), -3, 3)


def outcome_features(outcome: Outcome) -> list[float]:
    """ln of the three errors and of the bytes, scaled to about [-1, 1]; shape (N_OUTCOME,)."""
    structure, colour, edge = ERROR_FLOORS
    return [
        math.log(1 - min(outcome.ssim, 1.0) + structure) / 4 + 1,
        math.log(outcome.colour + colour) / 4,
        math.log(outcome.edge + edge) / 4 + 0.75,
        math.log(max(outcome.n_bytes, 1)) / 4 - 2.25,
    ]


@dataclass(frozen=True)
class Try:
    """One conversion of an episode."""

    action: NDArray[np.float32]
    params: Params
    outcome: Outcome
    terms: Gain  # under the training weights
    headline_gain: float

    @property
    def training_gain(self) -> float:
        return self.terms.total


class Episode:
    """An episode on one logo."""

    def __init__(self, logo: PreparedLogo, spec: EnvSpec) -> None:
        self.logo = logo
        self.spec = spec
        self.tries: list[Try] = []
        self.best: Try | None = None
        self._actions = spec.actions
        self._picture = logo.picture_observation

    @property
    def is_done(self) -> bool:
        return len(self.tries) >= self.spec.max_steps or self.is_lost

    @property
    def is_lost(self) -> bool:
        """Whether the last conversion killed its worker: the episode ends there, as failed."""
        return bool(self.tries) and self.tries[-1].outcome.failure in LOST

    @property
    def end(self) -> str | None:
        """Why it failed: the last conversion's failure if that was lost, else the best one's; None if it did not fail."""
        last = self.tries[-1] if self.is_lost else self.best
        return last.outcome.failure if last is not None else None

    def params_of(self, action: NDArray[np.floating[Any]]) -> Params:
        return self._actions.to_params(action)

    def record(self, action: NDArray[np.floating[Any]], params: Params, outcome: Outcome) -> tuple[float, Gain]:
        """Record the outcome of a step; returns its reward and the gain's terms.

        The reward is the improvement of the best gain so far (of the first step, the gain), so the return is the
        best gain of the episode.
        """
        terms = gain(outcome, self.logo.defaults, self.spec.weights)
        headline = gain(outcome, self.logo.defaults, HEADLINE).total
        tried = Try(np.asarray(action, dtype=np.float32).clip(-1, 1), params, outcome, terms, headline)
        reward = tried.training_gain if self.best is None else max(tried.training_gain - self.best.training_gain, 0.0)
        if self.best is None or tried.training_gain > self.best.training_gain:
            self.best = tried
        self.tries.append(tried)
        return reward, terms

    def observation(self) -> NDArray[np.float32]:
        """Shape (spec.n_observation,), float32, in [-3, 3]."""
        if self.spec.max_steps == 1:
            return self._picture.copy()
        memory = np.zeros(N_MEMORY, dtype=np.float32)
        memory[0] = 1 - len(self.tries) / self.spec.max_steps
        if self.tries and self.best is not None:
            last = self.tries[-1]
            memory[1] = np.clip(self.best.training_gain, -_GAIN_CLIP, _GAIN_CLIP)
            memory[2] = np.clip(last.training_gain, -_GAIN_CLIP, _GAIN_CLIP)
            memory[3] = float(last.outcome.failure is not None)
            memory[4 : 4 + N_PARAMS] = last.action
            memory[4 + N_PARAMS : 4 + 2 * N_PARAMS] = self.best.action
            memory[-2 * N_OUTCOME : -N_OUTCOME] = outcome_features(last.outcome)
            memory[-N_OUTCOME:] = outcome_features(self.best.outcome)
        return np.concatenate([self._picture, np.clip(memory, -3, 3)])

    def dump(self) -> list[dict[str, Any]]:
        """The conversions as plain data, for a checkpoint."""
        return [{"action": t.action.tolist(), "params": t.params.as_dict(), "outcome": t.outcome.as_dict()} for t in self.tries]

    def restore(self, tries: list[dict[str, Any]]) -> None:
        """Restore dumped conversions."""
        for t in tries:
            self.record(np.array(t["action"], dtype=np.float32), Params(**t["params"]), Outcome(**t["outcome"]))


class Actor(Protocol):
    """Chooses actions, shape (n, 10), for observations, shape (n, n_observation)."""

    def actions(self, observations: NDArray[np.float32]) -> NDArray[np.float32]: ...
