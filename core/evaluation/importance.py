"""Which settings matter: how much of the spread of many runs' gains each setting explains.

Pure functions of a table of settings and gains, one row per run. Two figures side by side: the share of the variance that a setting explains
after those that explain more, less what chance would explain (omega squared of an analysis of variance, with a permutation test), and
PED-ANOVA's importance (Watanabe, Bansal and Hutter, 2023, by Optuna). Settings that always changed together can't be told apart and are one
row. Guarantee: the same table gives the same figures.
"""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.errors import ConfigError

LEAST_RUNS = 4
RUNS_PER_SETTING = 10  # below that many a ranking is a hint
MAX_LEVELS = 4  # values of a number that are looked at one by one; of more, quarters
PERMUTATIONS = 999
SIGNIFICANT = 0.05
_TINY = 1e-8  # of a column, that is none
_TOP_RUNS = 5  # that PED-ANOVA should see among the best


@dataclass(frozen=True)
class Importance:
    """One setting, or several that always changed together (``with_it``).

    ``explained``: share of the gains' variance beyond what the rows above explain, in [0, 1], None where too few runs are left to tell;
    ``p_value``: of a permutation test;
    ``ped_anova``: in [0, 1], all rows together 1; ``best``: the value with the highest mean gain, ``best_gain``, over ``n_best`` runs.
    """

    setting: str
    with_it: tuple[str, ...]
    explained: float | None
    p_value: float
    ped_anova: float
    n_values: int
    best: str
    best_gain: float
    n_best: int

    @property
    def name(self) -> str:
        return " + ".join([self.setting, *self.with_it])

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def importances(settings: pd.DataFrame, gains: NDArray[np.float64]) -> list[Importance]:
    """The settings that differ between runs, the one that explains most first.

    ``settings``: one row per run, one column per setting; ``gains``: shape (n_runs,), finite.

    Raises:
        ConfigError: fewer than four runs, or nothing differs between them.
    """
    if len(settings) < LEAST_RUNS:
        raise ConfigError(
            f"{len(settings)} comparable runs; importance needs at least {LEAST_RUNS}, ideally {RUNS_PER_SETTING} per setting"
        )
    coded = {name: _codes(settings[name]) for name in settings}
    varied = {name: codes for name, codes in coded.items() if codes.max() > 0}
    if not varied:
        raise ConfigError(f"the {len(settings)} comparable runs differ only in their seeds; vary a setting first")
    rows: dict[bytes, list[str]] = {}
    for name, codes in varied.items():
        rows.setdefault(codes.tobytes(), []).append(name)
    together = {names[0]: tuple(names[1:]) for names in rows.values()}
    ped = _ped_anova(settings[list(together)], gains)
    levels = {name: _levels(settings[name]) for name in together}
    found = []
    for name, explained, p_value in _in_turn({name: belongs for name, (belongs, _) in levels.items()}, gains):
        best = _best(*levels[name], gains)
        n_values = int(varied[name].max()) + 1
        found.append(Importance(name, together[name], explained, p_value, ped[name], n_values, *best))
    return found


def warning(n_runs: int, n_settings: int) -> str:
    """A caution about a ranking by so few runs; empty if there are enough."""
    if n_runs >= RUNS_PER_SETTING * n_settings:
        return ""
    return (
        f"Based on {n_runs} runs for {n_settings} setting{'s' if n_settings > 1 else ''}, this is only a hint. "
        f"A reliable ranking needs about {RUNS_PER_SETTING} runs per setting."
    )


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value, default=str)


def _codes(values: pd.Series) -> NDArray[np.int64]:
    """Each value by the place of its first run: two settings that split the runs alike have the same codes."""
    return pd.factorize(values.map(_text))[0].astype(np.int64)


def _is_number(values: pd.Series) -> bool:
    return all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values)


def _levels(values: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    """(level of each run, name of each level): the values themselves, or quarters of many numbers."""
    codes = _codes(values)
    if not _is_number(values) or codes.max() < MAX_LEVELS:
        names: dict[int, str] = {}
        for code, value in zip(codes, values, strict=True):
            names.setdefault(int(code), _text(value))
        return codes, list(names.values())
    numbers = values.to_numpy(dtype=float)
    quarters = np.searchsorted(np.quantile(numbers, [0.25, 0.5, 0.75]), numbers, side="left")
    _, places = np.unique(quarters, return_inverse=True)
    bounds = [(numbers[places == k].min(), numbers[places == k].max()) for k in range(places.max() + 1)]
    return places, [f"{low:g} to {high:g}" if high > low else f"{low:g}" for low, high in bounds]


def _best(levels: NDArray[np.int64], labels: list[str], gains: NDArray[np.float64]) -> tuple[str, float, int]:
    """(the level with the highest mean gain, that gain, its runs)."""
    means = [float(gains[levels == k].mean()) for k in range(len(labels))]
    best = int(np.argmax(means))
    return labels[best], means[best], int((levels == best).sum())


def _in_turn(levels: dict[str, NDArray[np.int64]], gains: NDArray[np.float64]) -> list[tuple[str, float | None, float]]:
    """(setting, omega squared, p), each time the one that explains most of what those before it left; the gains are taken for sums of effects.

    The p is that of the sum of squares under permutations of what is left. Once no run is left to tell by, the rest explain None.
    """
    left = gains - gains.mean() if np.ptp(gains) > 0 else np.zeros_like(gains)
    known = np.full((len(gains), 1), len(gains) ** -0.5)  # orthonormal columns of what is explained so far
    total = float(left @ left)
    waiting, found = dict(levels), []
    while waiting:
        added = {name: _beyond(known, codes) for name, codes in waiting.items()}
        shares = {name: _omega_squared(left, basis, total, len(gains) - known.shape[1]) for name, basis in added.items()}
        name = max(shares, key=lambda key: (-1.0 if (share := shares[key]) is None else share, float(((left @ added[key]) ** 2).sum())))
        found.append((name, shares[name], _p_value(left, added[name]) if shares[name] is not None and total > 0 else 1.0))
        if shares[name] is not None:
            known = np.hstack([known, added[name]])
            left = left - added[name] @ (added[name].T @ left)
        waiting.pop(name)
    return found


def _beyond(known: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Orthonormal columns of what a setting's levels can say beyond ``known``."""
    belongs = np.eye(int(codes.max()) + 1)[codes]
    new = belongs - known @ (known.T @ belongs)
    columns, sizes, _ = np.linalg.svd(new, full_matrices=False)
    return columns[:, sizes > _TINY * len(codes) ** 0.5]


def _omega_squared(left: NDArray[np.float64], basis: NDArray[np.float64], total: float, n_free: int) -> float | None:
    df = basis.shape[1]
    if df == 0 or n_free - df <= 0:
        return None
    between = float(((left @ basis) ** 2).sum())
    within = max(float(left @ left) - between, 0.0) / (n_free - df)
    return max(0.0, (between - df * within) / (total + within)) if total > 0 else 0.0


def _p_value(left: NDArray[np.float64], basis: NDArray[np.float64]) -> float:
    between = float(((left @ basis) ** 2).sum())
    shuffled = np.random.default_rng(0).permuted(np.tile(left, (PERMUTATIONS, 1)), axis=1)
    by_chance = ((shuffled @ basis) ** 2).sum(axis=1)
    return (1 + int((by_chance >= between * (1 - 1e-9)).sum())) / (1 + PERMUTATIONS)


def _ped_anova(settings: pd.DataFrame, gains: NDArray[np.float64]) -> dict[str, float]:
    """Optuna's PED-ANOVA of reaching the best gains: those of five runs at least, a tenth of many."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    is_number = {name: _is_number(settings[name]) for name in settings}
    space: dict[str, Any] = {name: _distribution(settings[name], is_number[name]) for name in settings}
    study = optuna.create_study(direction="maximize")
    for place, gain in enumerate(gains):
        values = {name: settings[name].iloc[place] for name in settings}
        params = {name: _plain(value, space[name]) if is_number[name] else _text(value) for name, value in values.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=float(gain)))
    quantile = float(np.clip(_TOP_RUNS / len(gains), 0.1, 0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is experimental
        evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
        return {name: float(share) for name, share in optuna.importance.get_param_importances(study, evaluator=evaluator).items()}


def _distribution(values: pd.Series, is_number: bool) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not is_number:
        return CategoricalDistribution(list(dict.fromkeys(_text(value) for value in values)))
    low, high = min(values), max(values)
    is_log = low > 0 and high / low >= 10
    if all(isinstance(value, int | np.integer) for value in values):
        return IntDistribution(int(low), int(high), log=is_log)
    return FloatDistribution(float(low), float(high), log=is_log)


def _plain(value: Any, distribution: Any) -> int | float:
    return int(value) if type(distribution).__name__ == "IntDistribution" else float(value)
