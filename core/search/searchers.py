"""Ways of spending conversions on one logo: a searcher is asked for parameters and told what came of them.

Guarantee: a searcher's proposals follow from its seed and what it was told alone, so that the same search on the same
logo goes the same way on every machine with the same packages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from core.environment.episode import PreparedLogo
from core.search.baselines import BASELINES
from core.tracing.outcome import Outcome
from core.tracing.params import HIGH, LOW, NAMES, SPECS, Params


class Searcher(Protocol):
    """Asked and told in turns. :meth:`ask` gives None when it has nothing more to try."""

    def ask(self) -> Params | None: ...

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None: ...


SearcherFactory = Callable[[PreparedLogo], Searcher]


def seed_of(logo: PreparedLogo, seed: int) -> int:
    """A seed of its own for each logo, from its pixels: no logo's search depends on which others are there."""
    return int.from_bytes(hashlib.sha256(f"{seed} {logo.digest}".encode()).digest()[:4], "little")


class Fixed:
    """One setting, tried once."""

    def __init__(self, params: Params) -> None:
        self._left: list[Params] = [params]

    def ask(self) -> Params | None:
        return self._left.pop() if self._left else None

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None:
        pass


class RandomSearch:
    """Every parameter uniform over its range."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def ask(self) -> Params:
        return Params.from_values(self._rng.uniform(LOW, HIGH))

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None:
        pass


class TPE:
    """Optuna's tree-structured Parzen estimator with its own settings, over the same ranges."""

    def __init__(self, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space: dict[str, Any] = {
            spec.name: optuna.distributions.IntDistribution(int(spec.low), int(spec.high))
            if spec.is_integer
            else optuna.distributions.FloatDistribution(spec.low, spec.high)
            for spec in SPECS
        }
        self._study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        self._trial: Any = None

    def ask(self) -> Params:
        self._trial = self._study.ask(self._space)
        return Params.from_values([float(self._trial.params[name]) for name in NAMES])

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None:
        self._study.tell(self._trial, gain)


def baseline(name: str) -> SearcherFactory:
    """A baseline of :data:`core.search.baselines.BASELINES`, tried once."""
    return lambda logo: Fixed(BASELINES[name].choose(logo.features))


def random_search(seed: int) -> SearcherFactory:
    return lambda logo: RandomSearch(seed_of(logo, seed))


def tpe(seed: int) -> SearcherFactory:
    return lambda logo: TPE(seed_of(logo, seed))
