"""A trained agent, ready to choose: from a run, a checkpoint folder, or a model folder (ONNX).

Nothing is unpickled: weights come from safe formats, and their checksums are looked at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.config.config import RunConfig
from core.environment.episode import Actor, EnvSpec, Episode, PreparedLogo
from core.errors import RunError
from core.paths import MODELS
from core.runs.events import read_backwards
from core.runs.run_dir import CHECKSUMS_FILE, find_run
from core.runs.status import Status
from core.search.outcome_model import Outcomes
from core.search.policy_search import PolicySearch
from core.search.searchers import Searcher, seed_of
from core.tracing.outcome import Outcome, Weights
from core.tracing.params import Params

DEFAULT_MODEL = "default"
SCATTER = 0.02  # of the validation gain from one evaluation to the next


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
    """``deviation``: the policy's spread of each action, shape (7,); ``outcomes`` None where none was learned."""

    name: str
    config: RunConfig
    spec: EnvSpec
    policy: Actor
    deviation: NDArray[np.float64]
    outcomes: Outcomes | None

    def choice(self, logo: PreparedLogo) -> Searcher:
        """The policy's own conversions and no more."""
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


def load_model(name: str, home: Path) -> Model:
    """``name``: "default" for the one that ships, a model or checkpoint folder, or a run (see :func:`find_checkpoint`).

    Raises:
        RunError: none of them is there.
        CheckpointError: it is damaged.
    """
    folder = MODELS / name if name == DEFAULT_MODEL else Path(name)
    if (folder / "preprocess.json").is_file():
        from core.learning.onnx_model import read_model

        return read_model(folder)
    from core.learning.agent import load_agent

    return load_agent(find_checkpoint(name, home))


def find_checkpoint(model: str, home: Path) -> Path:
    """A checkpoint folder as it is, or a run's: its last where it ended near its best, else its best.

    One evaluation scatters by more than what most "bests" are better by, and a learning rate that has come down leaves
    the steadier policy: among near equals the last one holds on other logos what it promised.

    Raises:
        RunError: neither is there.
    """
    folder = Path(model)
    if (folder / CHECKSUMS_FILE).is_file():
        return folder
    run = find_run(model, home)
    found = run.best_checkpoint()
    ended = next(read_backwards(run.events_file), None)
    if ended is not None and ended.kind == "ended" and ended.data.get("status") == Status.COMPLETED:
        gain, best = ended.data.get("gain"), ended.data.get("best_gain")
        if gain is not None and best is not None and gain >= best - SCATTER:
            found = run.last_checkpoint() or found
    if found is None:
        raise RunError(f"{run.run_id} has no checkpoint yet")
    return found
