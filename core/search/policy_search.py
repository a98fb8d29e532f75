"""``policy_search``: the policy's choice first, then the best use of the conversions that are left.

What is known before the first conversion comes from the agent: where its policy points, and what its outcome model
expects. What the conversions on this logo add is learned by a Gaussian process over the outcome model's errors: where
the model was too hopeful, nearby parameters lose credit too. Each next conversion is the candidate of highest expected
improvement. Without an outcome model it is a local search around the best so far. Anytime: the best so far can be
taken after every conversion.
Source: Jones et al., "Efficient global optimization of expensive black-box functions", 1998.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.search.outcome_model import Outcomes
from core.tracing.outcome import Outcome, Weights
from core.tracing.params import N_PARAMS, ActionMap, Params

N_CANDIDATES = 256  # looked at from the second conversion on
N_NEIGHBOURS = 32  # of the best so far, added for each conversion
_MAX_ERROR = 1.0  # a failed trace says no more than this about its neighbours
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Kernel:
    """How the errors of an outcome model are correlated, fitted by marginal likelihood on training logos.

    ``level``: deviation that all parameters of a logo share; ``rough``: that which fades with distance, over
    ``lengths`` in units of the action; ``chance``: that of each conversion alone.
    """

    level: float = 0.06
    rough: float = 0.25
    chance: float = 0.02
    lengths: tuple[float, ...] = (0.7, 5.0, 1.6, 17.0, 15.0, 1.3, 4.0, 3.0, 4.0, 1.0)

    @property
    def variance(self) -> float:
        return self.level**2 + self.rough**2 + self.chance**2

    def between(self, a: Array, b: Array) -> Array:
        """Covariances without chance of actions of shape (n, 10) and (m, 10): (n, m)."""
        scaled_a, scaled_b = a / np.array(self.lengths), b / np.array(self.lengths)
        squared = (scaled_a**2).sum(axis=1)[:, None] + (scaled_b**2).sum(axis=1) - 2 * scaled_a @ scaled_b.T
        return self.level**2 + self.rough**2 * np.exp(-np.sqrt(np.maximum(squared, 0.0)))


class PolicySearch:
    """See the module. ``centre`` and ``deviation``: the policy's mean action and its spread, shape (10,)."""

    def __init__(
        self,
        actions: ActionMap,
        observation: NDArray[np.float32],
        centre: NDArray[np.float32],
        deviation: Array,
        outcomes: Outcomes | None,
        weights: Weights,
        seed: int,
        kernel: Kernel = Kernel(),
    ) -> None:
        self._actions, self._observation, self._outcomes, self._weights, self._kernel = actions, observation, outcomes, weights, kernel
        self._centre = np.clip(np.asarray(centre, dtype=np.float64), -1, 1)
        self._deviation = np.asarray(deviation, dtype=np.float64)
        self._rng = np.random.default_rng(seed)
        self._tried: set[Params] = set()
        self._at = np.zeros((0, N_PARAMS))  # actions of what was tried
        self._errors = np.zeros(0)  # what came of it less what was expected
        self._candidates = np.zeros((0, N_PARAMS))
        self._expected = np.zeros(0)  # of each candidate
        self._best: tuple[float, Array] | None = None

    def ask(self) -> Params:
        if self._best is None:
            return self._actions.to_params(self._centre)
        if self._outcomes is not None:
            if not len(self._candidates):
                self._add(self._around(N_CANDIDATES))
            self._add(self._neighbours(N_NEIGHBOURS))
            ranked = self._candidates[np.argsort(-self._improvement(), kind="stable")]
        else:
            ranked = self._neighbours(N_NEIGHBOURS)
        for action in ranked:
            params = self._actions.to_params(action)
            if params not in self._tried:
                return params
        return self._actions.to_params(self._rng.uniform(-1, 1, N_PARAMS))

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None:
        action = np.asarray(self._actions.to_action(params), dtype=np.float64)
        self._tried.add(params)
        if self._outcomes is not None:
            error = gain - float(self._ask_model(action[None])[0])
            self._at = np.concatenate([self._at, action[None]])
            self._errors = np.append(self._errors, np.clip(error, -_MAX_ERROR, _MAX_ERROR))
        if self._best is None or gain > self._best[0]:
            self._best = (gain, action)

    def _neighbours(self, n: int) -> Array:
        """The best so far with a random half of the parameters moved by the policy's own deviation."""
        assert self._best is not None
        moved = self._rng.random((n, N_PARAMS)) < 0.5
        return np.clip(self._best[1] + moved * self._rng.normal(0, 1, (n, N_PARAMS)) * self._deviation, -1, 1)

    def _around(self, n: int) -> Array:
        """Around the policy's choice, and for half of them anywhere in the two colour parameters."""
        found = self._centre + self._rng.normal(0, 1.2, (n, N_PARAMS)) * self._deviation
        found[: n // 2, :2] = self._rng.uniform(-1, 1, (n // 2, 2))
        return np.clip(found, -1, 1)

    def _add(self, actions: Array) -> None:
        self._candidates = np.concatenate([self._candidates, actions])
        self._expected = np.concatenate([self._expected, self._ask_model(actions)])

    def _ask_model(self, actions: Array) -> Array:
        """The gain that the outcome model expects, shape (n,)."""
        assert self._outcomes is not None
        params = self._actions.to_values(actions)
        return self._outcomes.gains(self._observation, params, self._weights).mean(axis=0).astype(np.float64)

    def _improvement(self) -> Array:
        """Expected improvement of each candidate over the best so far."""
        assert self._best is not None
        kernel = self._kernel
        known = kernel.between(self._at, self._at) + kernel.chance**2 * np.eye(len(self._at))
        across = kernel.between(self._candidates, self._at)
        solved = np.linalg.solve(known, np.concatenate([self._errors[:, None], across.T], axis=1))
        mean = self._expected + across @ solved[:, 0]
        variance = kernel.variance - (across * solved[:, 1:].T).sum(axis=1)
        deviation = np.sqrt(np.maximum(variance, kernel.chance**2))
        z = (mean - self._best[0]) / deviation
        # The normal distribution by its logistic approximation (Page, 1977), within 0.0002
        below = 1 / (1 + np.exp(-np.clip(1.5976 * z + 0.070566 * z**3, -50, 50)))
        return deviation * (z * below + np.exp(-np.minimum(z**2, 100) / 2) / np.sqrt(2 * np.pi))
