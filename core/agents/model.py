"""A trained agent, ready to choose: from a run, a checkpoint folder, or a model folder (ONNX).

Nothing is unpickled: weights come from safe formats, and their checksums are checked first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.config.config import RunConfig
from core.environment.episode import Actor, EnvSpec, Episode, PreparedLogo
from core.search.outcome_model import Outcomes
from core.search.policy_search import PolicySearch
from core.search.searchers import Searcher, seed_of
from core.tracing.outcome import Outcome, Weights
from core.tracing.params import Params


class PolicyEpisode:
    """The policy alone, deterministically: as many conversions as its episodes have."""

    def __init__(self, logo: PreparedLogo, spec: EnvSpec, policy: Actor) -> None:
        self._episode = Episode(logo, spec)
        self._policy = policy
        self._action = np.zeros(0, np.float32)

    def ask(self) -> Params | None:
        if self._episode.is_done:
            return None
        self._action = self._policy.actions(self._episode.observation()[None])[0]
        return self._episode.params_of(self._action)

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None:
        self._episode.record(self._action, params, outcome)


@dataclass(frozen=True)
class Model:
    """``deviation``: the policy's spread of each action, shape (10,); ``outcomes`` None where none was learned."""

    name: str
    config: RunConfig
    spec: EnvSpec
    policy: Actor
    deviation: NDArray[np.float64]
    outcomes: Outcomes | None

    def choice(self, logo: PreparedLogo) -> Searcher:
        """The policy's own conversions alone."""
        return PolicyEpisode(logo, self.spec, self.policy)

    def search(self, logo: PreparedLogo, weights: Weights | None = None, seed: int = 0) -> Searcher:
        """The policy's choice, then a search that learns from each conversion."""
        observation = Episode(logo, self.spec).observation()
        centre = self.policy.actions(observation[None])[0]
        return PolicySearch(
            self.spec.actions,
            logo.picture_observation,
            centre,
            self.deviation,
            self.outcomes,
            weights or Weights(),
            seed_of(logo, seed),
        )
