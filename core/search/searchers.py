"""Ways of spending conversions on one logo: a searcher is asked for parameters and told what came of them.

Guarantee: a searcher's proposals depend only on its seed and on what it was told, so that the same search on the same
logo proposes the same on every machine with the same packages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from core.environment.episode import PreparedLogo
from core.search.baselines import BASELINES
from core.search.fitted import shipped
from core.tracing.outcome import Outcome
from core.tracing.params import BEST_SINGLE, HIGH, LOW, NAMES, SPECS, Params


class Searcher(Protocol):
    """Asked and told in turn. :meth:`ask` returns None when there is nothing more to try."""

    def ask(self) -> Params | None: ...

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None: ...


SearcherFactory = Callable[[PreparedLogo], Searcher]


def seed_of(logo: PreparedLogo, seed: int) -> int:
    """A seed of its own for each logo, from its pixels: no logo's search depends on which others are there."""
    return int.from_bytes(hashlib.sha256(f"{seed} {logo.digest}".encode()).digest()[:4], "little")


class RandomSearch:
    """Every parameter uniform over its range."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def ask(self) -> Params:
        return Params.from_values(self._rng.uniform(LOW, HIGH))

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None:
        pass


class OptunaSearch:
    """One of Optuna's samplers over the same ranges, told of every conversion. ``start``: tried first."""

    def __init__(self, sampler: Any, start: Params | None = None) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space: dict[str, Any] = {
            spec.name: optuna.distributions.IntDistribution(int(spec.low), int(spec.high))
            if spec.is_integer
            else optuna.distributions.FloatDistribution(spec.low, spec.high)
            for spec in SPECS
        }
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        if start is not None:
            self._study.enqueue_trial(
                {spec.name: int(v) if spec.is_integer else v for spec, v in zip(SPECS, start.as_tuple(), strict=True)}
            )
        self._trial: Any = None

    def ask(self) -> Params:
        self._trial = self._study.ask(self._space)
        return Params.from_values([float(self._trial.params[name]) for name in NAMES])

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None:
        self.report(gain)

    def report(self, worth: float) -> None:
        """Report what the last setting asked for is worth."""
        self._study.tell(self._trial, worth)

    def add(self, params: Params, worth: float) -> None:
        """Add a setting that was tried elsewhere."""
        import optuna

        values = {spec.name: int(v) if spec.is_integer else v for spec, v in zip(SPECS, params.as_tuple(), strict=True)}
        self._study.add_trial(optuna.trial.create_trial(params=values, distributions=self._space, value=worth))


def tpe_search(seed: int, start: Params | None = None) -> OptunaSearch:
    """Optuna's tree-structured Parzen estimator with its own settings."""
    import optuna

    return OptunaSearch(optuna.samplers.TPESampler(seed=seed), start)


def gp_search(seed: int, start: Params | None = None) -> OptunaSearch:
    """Optuna's Gaussian process (Matern 5/2, log expected improvement), after one random conversion per two parameters."""
    import optuna

    return OptunaSearch(optuna.samplers.GPSampler(seed=seed, n_startup_trials=len(SPECS) // 2), start)


class Listed:
    """A list of given settings, one after the other."""

    def __init__(self, settings: Sequence[Params]) -> None:
        self._left = list(reversed(settings))

    def ask(self) -> Params | None:
        return self._left.pop() if self._left else None

    def tell(self, params: Params, outcome: Outcome, gain: float) -> None:
        pass


def baseline(name: str) -> SearcherFactory:
    """A baseline of :data:`core.search.baselines.BASELINES`, tried once."""
    return lambda logo: Listed([BASELINES[name].choose(logo.features)])


@dataclass(frozen=True)
class Search:
    """A way of spending conversions on a logo that learns nothing from other logos' conversions; ``make``: for a seed, a searcher per logo."""

    name: str
    label: str
    make: Callable[[int], SearcherFactory]


# A new one is a row here: the command line and evaluations follow. All but the cold ones start at the best single setting.
SEARCHES: dict[str, Search] = {
    search.name: search
    for search in (
        Search("random", "random search", lambda seed: lambda logo: RandomSearch(seed_of(logo, seed))),
        Search("tpe", "TPE from the best single setting", lambda seed: lambda logo: tpe_search(seed_of(logo, seed), BEST_SINGLE)),
        Search("tpe_cold", "TPE, started cold", lambda seed: lambda logo: tpe_search(seed_of(logo, seed))),
        Search(
            "gp", "Gaussian process from the best single setting", lambda seed: lambda logo: gp_search(seed_of(logo, seed), BEST_SINGLE)
        ),
        Search("portfolio", "portfolio of settings", lambda seed: lambda logo: Listed(shipped())),
    )
}
