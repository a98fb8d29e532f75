"""A trained agent, ready to choose: from a run, a checkpoint folder, or a model folder (ONNX).

Nothing is unpickled: weights come from safe formats, and their checksums are checked first.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.config.config import RunConfig
from core.environment.episode import Actor, EnvSpec, Episode, PreparedLogo
from core.search.outcome_model import Outcomes
from core.search.policy_search import PolicySearch
from core.search.searchers import Searcher, seed_of
from core.tracing.outcome import Outcome, Weights
from core.tracing.params import DEFAULTS, Params


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

    def fingerprint(self) -> str:
        """What tells this model from another: a hash of its config and of what it answers."""
        found = hashlib.sha256(self.config.model_dump_json(exclude={"name", "n_workers", "workers"}).encode())
        observations = np.outer([0.0, 0.3, -0.5], np.ones(self.spec.n_observation)).astype(np.float32)
        answers = [self.policy.actions(observations), self.deviation]
        if self.outcomes is not None:
            answers.append(self.outcomes.predict(observations[1], DEFAULTS.values()[None]))
        for answer in answers:  # not to the last bit, which the number of threads may change
            found.update(np.round(np.asarray(answer, dtype=np.float64), 4).tobytes())
        return found.hexdigest()[:16]

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
