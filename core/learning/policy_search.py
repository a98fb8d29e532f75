"""``policy_search``: the policy's choice first, then the best use of the conversions that are left.

What is known before the first conversion comes from the agent: where its policy points, and what its outcome model
expects. What the conversions on this logo add is learned by a Gaussian process over the outcome model's errors: where
the model was too hopeful, nearby parameters lose credit too, and what no model can tell (how outlines happen to fall)
stays as chance. Each next conversion is the candidate of highest expected improvement. Without an outcome model it is
a local search around the best so far. Anytime: the best so far can be taken after every conversion.
Source: Jones et al., "Efficient global optimization of expensive black-box functions", 1998.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.learning.outcome_model import OutcomeModel
from core.tracing.outcome import Outcome, Weights
from core.tracing.params import N_PARAMS, ActionMap, Params

N_CANDIDATES = 512
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Kernel:
    """How the errors of an outcome model hang together; fitted by marginal likelihood on training logos.

    ``level``: deviation of what all parameters of a logo share; ``smooth``: of what fades with distance, over
    ``lengths`` in units of the action; ``chance``: of what is each conversion's own.
    """

    level: float = 0.05
    smooth: float = 0.12
    chance: float = 0.06
    lengths: tuple[float, ...] = (0.35, 0.5, 0.5, 0.7, 0.8, 0.5, 1.0)

    def between(self, a: Array, b: Array) -> Array:
        """Covariances without chance of actions of shape (n, 7) and (m, 7): (n, m)."""
        scale = np.array(self.lengths)
        squared = (((a[:, None] - b[None]) / scale) ** 2).sum(axis=2)
        return self.level**2 + self.smooth**2 * np.exp(-np.sqrt(squared + 1e-12))


class PolicySearch:
    """See the module. ``centre`` and ``deviation``: the policy's mean action and its spread, shape (7,)."""

    def __init__(
        self,
        actions: ActionMap,
        observation: NDArray[np.float32],
        centre: NDArray[np.float32],
        deviation: Array,
        outcomes: OutcomeModel | None,
        weights: Weights,
        seed: int,
        kernel: Kernel = Kernel(),
    ) -> None:
        self._actions, self._observation, self._outcomes, self._weights, self._kernel = actions, observation, outcomes, weights, kernel
        self._centre = np.asarray(centre, dtype=np.float64)
        self._deviation = np.asarray(deviation, dtype=np.float64)
        self._rng = np.random.default_rng(seed)
        self._tried: dict[Params, float] = {}
        self._at = np.zeros((0, N_PARAMS))  # actions of what was tried
        self._errors = np.zeros(0)  # what came of it less what was expected
        self._best: tuple[float, Array] | None = None

    def ask(self) -> Params:
        if self._best is None:
            return self._actions.to_params(self._centre)
        for _ in range(8):
            candidates = self._candidates() if self._outcomes is not None else self._neighbours(1)
            chosen = self._most_promising(candidates) if self._outcomes is not None else candidates
            for action in chosen:
                params = self._actions.to_params(action)
                if params not in self._tried:
                    return params
        return self._actions.to_params(self._rng.uniform(-1, 1, N_PARAMS))

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None:
        action = np.asarray(self._actions.to_action(params), dtype=np.float64)
        self._tried[params] = gain
        if self._outcomes is not None:
            expected = float(self._expected(action[None])[0][0])
            self._at = np.concatenate([self._at, action[None]])
            self._errors = np.append(self._errors, np.clip(gain - expected, -1.0, 1.0))
        if self._best is None or gain > self._best[0]:
            self._best = (gain, action)

    def _neighbours(self, n: int) -> Array:
        """The best so far with a random half of the parameters moved by the policy's own deviation."""
        assert self._best is not None
        moved = self._rng.random((n, N_PARAMS)) < 0.5
        return np.clip(self._best[1] + moved * self._rng.normal(0, 1, (n, N_PARAMS)) * self._deviation, -1, 1)

    def _candidates(self) -> Array:
        """Around the policy's choice, around the best so far, and anywhere in the two colour parameters."""
        n = N_CANDIDATES // 4
        wide = self._centre + self._rng.normal(0, 1.5, (2 * n, N_PARAMS)) * self._deviation
        wide[:n, :2] = self._rng.uniform(-1, 1, (n, 2))
        return np.concatenate([np.clip(wide, -1, 1), self._neighbours(2 * n)])

    def _expected(self, actions: Array) -> tuple[Array, Array]:
        """Mean and deviation over the outcome model's members, each shape (n,)."""
        assert self._outcomes is not None
        params = np.stack([p.values() for p in self._actions.to_params_of_all(actions)])
        gains = self._outcomes.gains(self._observation, params, self._weights).astype(np.float64)
        return gains.mean(axis=0), gains.std(axis=0)

    def _most_promising(self, candidates: Array) -> Array:
        """The candidates in the order of their expected improvement, the highest first."""
        assert self._best is not None
        kernel = self._kernel
        expected, spread = self._expected(candidates)
        known = kernel.between(self._at, self._at) + kernel.chance**2 * np.eye(len(self._at))
        across = kernel.between(candidates, self._at)
        solved = np.linalg.solve(known, np.concatenate([self._errors[:, None], across.T], axis=1))
        mean = expected + across @ solved[:, 0]
        variance = kernel.level**2 + kernel.smooth**2 + kernel.chance**2 - (across * solved[:, 1:].T).sum(axis=1)
        deviation = np.sqrt(np.maximum(variance, kernel.chance**2) + 0.25 * spread**2)
        z = (mean - self._best[0]) / deviation
        cumulative = 0.5 * (1 + np.array([math.erf(value / math.sqrt(2)) for value in z]))
        improvement = deviation * (z * cumulative + np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))
        return candidates[np.argsort(-improvement, kind="stable")[:16]]
