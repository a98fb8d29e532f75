"""What a study's trials say: best and front, history, importance, and the tables that its charts draw. Compute only; drawing is elsewhere.

Pure functions of the rows that core/studies/storage.py reads, but for :func:`importances`, which asks Optuna. Guarantee: a trial that was pruned,
failed or infeasible is never the best, and is marked in every table that holds it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import StudyError
from core.paths import how_to_install
from core.studies.space import Dimension, encoded
from core.studies.storage import TrialRow, load_optuna
from core.studies.study import OBJECTIVES, StudyConfig, StudyDir

Row = dict[str, Any]
Evaluator = Literal["ped-anova", "fanova"]
MOST_FOR_FANOVA = 2000  # trials; a forest of more takes minutes
GRID = 28  # cells of a contour to either side
_NEAR = 0.16  # of a dimension: how far a trial tells of its surroundings
_OUTSIDE = 0.05  # what the axes leave out of values below the rest


def signs(config: StudyConfig) -> list[float]:
    """1 for each objective that is maximized, -1 for the others."""
    return [1.0 if OBJECTIVES[name][0] == "maximize" else -1.0 for name in config.objectives]


def complete(trials: Sequence[TrialRow]) -> list[TrialRow]:
    """Those that ended as they should."""
    return [trial for trial in trials if trial.state == "COMPLETE" and trial.values and all(map(math.isfinite, trial.values))]


def best(trials: Sequence[TrialRow], config: StudyConfig) -> TrialRow | None:
    """The best trial by the first objective that meets the constraints; None where none does."""
    sign = signs(config)[0]
    return max((trial for trial in complete(trials) if trial.is_feasible), key=lambda trial: sign * trial.values[0], default=None)


def front(trials: Sequence[TrialRow], config: StudyConfig) -> list[TrialRow]:
    """The trials that meet the constraints and that none is better than in all objectives (Pareto), by number."""
    found = [trial for trial in complete(trials) if trial.is_feasible]
    if not found:
        return []
    losses = -np.array([trial.values for trial in found]) * np.array(signs(config))
    kept: list[int] = []
    for i in np.lexsort(losses.T[::-1]).tolist():  # whatever is better in all stands before
        others = losses[kept]
        if not (np.all(others <= losses[i], axis=1) & np.any(others < losses[i], axis=1)).any():
            kept.append(i)
    return [found[i] for i in sorted(kept)]


def ranked(trials: Sequence[TrialRow], config: StudyConfig, n: int) -> list[TrialRow]:
    """The first ``n`` trials that meet the constraints, the best first; of several objectives those of the front before the others."""
    sign, kept = signs(config)[0], {trial.number for trial in front(trials, config)}
    allowed = [trial for trial in complete(trials) if trial.is_feasible]
    return sorted(allowed, key=lambda trial: (trial.number not in kept, -sign * trial.values[0]))[:n]


def counts(trials: Sequence[TrialRow]) -> dict[str, int]:
    """{state: trials}, of states that there are."""
    return {state: n for state in ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING") if (n := sum(t.state == state for t in trials))}


def history(trials: Sequence[TrialRow], config: StudyConfig, place: int = 0) -> list[Row]:
    """Each finished trial with a value of the objective at ``place``: number, value, best so far (of complete ones that meet the constraints; None
    before there was one), state, is_feasible."""
    sign, so_far = signs(config)[place], math.nan
    found = []
    for trial in trials:
        value = value_of(trial, config, place)
        if value is None or not trial.is_finished:
            continue
        if trial.state == "COMPLETE" and trial.is_feasible and not sign * value <= sign * so_far:
            so_far = value
        row = {"number": trial.number, "value": value, "best": None if math.isnan(so_far) else so_far, "state": kind_of(trial)}
        found.append(row)
    return found


def value_of(trial: TrialRow, config: StudyConfig, place: int = 0) -> float | None:
    """A trial's value of an objective; of a pruned one what it had then, None where there is none."""
    if trial.state == "COMPLETE" and len(trial.values) > place and math.isfinite(trial.values[place]):
        return trial.values[place]
    noted = trial.attrs.get(config.objectives[place])
    return float(noted) if trial.state == "PRUNED" and isinstance(noted, int | float) else None


def kind_of(trial: TrialRow) -> str:
    """In a word: complete, pruned, failed, running, or "infeasible"."""
    if trial.state == "COMPLETE":
        return "complete" if trial.is_feasible else "infeasible"
    return {"PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}[trial.state]


def importances(study: StudyDir, config: StudyConfig, evaluator: Evaluator = "ped-anova", place: int = 0) -> dict[str, float]:
    """{setting: share of what matters for the objective at ``place``}, largest first; they sum to 1.

    PED-ANOVA (Watanabe et al., 2023) says what sets the best tenth of trials apart; fANOVA (Hutter et al., 2014) what explains the variance
    over all of them.

    Raises:
        StudyError: fewer than four trials ended as they should, or a package is missing.
    """
    from optuna import importance

    found = load_optuna(study)
    n = sum(trial.state.name == "COMPLETE" for trial in found.get_trials(deepcopy=False))
    if n < 4:
        raise StudyError(f"importance needs at least 4 complete trials; {study.study_id} has {n}")
    if evaluator == "fanova":
        if n > MOST_FOR_FANOVA:
            raise StudyError(f"fANOVA of {n:,} trials takes minutes; it is for at most {MOST_FOR_FANOVA:,}; see PED-ANOVA")
        try:
            import sklearn  # noqa: F401
        except ImportError as error:
            raise StudyError(f"fANOVA needs a package that is not installed: {how_to_install('search')}") from error
    method: Any = (
        importance.FanovaImportanceEvaluator(seed=config.seed) if evaluator == "fanova" else importance.PedAnovaImportanceEvaluator()
    )
    target = None
    if len(config.objectives) > 1:  # what is given for one of several is taken as to be minimized
        sign = -signs(config)[place]
        target = lambda trial: sign * float(trial.values[place])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shares = importance.get_param_importances(found, evaluator=method, target=target)
    return {name: float(share) for name, share in sorted(shares.items(), key=lambda pair: -pair[1])}


def unit_of(value: Any, dimension: Dimension) -> float:
    """Where a value stands in its dimension, in [0, 1]; of choices by their order."""
    if dimension.choices is not None:
        places = [encoded(choice) for choice in dimension.choices]
        return places.index(value) / max(len(places) - 1, 1) if value in places else 0.0
    low, high = float(dimension.low or 0), float(dimension.high or 0)
    share = math.log(float(value) / low) / math.log(high / low) if dimension.log else (float(value) - low) / (high - low)
    return min(max(share, 0.0), 1.0)


def parallel(trials: Sequence[TrialRow], config: StudyConfig, place: int = 0) -> list[Row]:
    """Lines over the settings: number, setting, unit (in [0, 1]), shown (the value in words), value (the objective's), state."""
    found = []
    for trial in trials:
        value = value_of(trial, config, place)
        if value is None:
            continue
        for name, dimension in config.space.items():
            if name in trial.params:
                drawn = trial.params[name]
                row = {"number": trial.number, "setting": name, "unit": unit_of(drawn, dimension), "shown": shown(drawn)}
                found.append(row | {"value": value, "state": kind_of(trial)})
    return found


def slices(trials: Sequence[TrialRow], config: StudyConfig, place: int = 0) -> list[Row]:
    """One row per trial and setting: number, setting, drawn (a choice as text), value, state."""
    return [
        {
            "number": trial.number,
            "setting": name,
            "drawn": trial.params[name] if dimension.choices is None else str(trial.params[name]),  # a table of numbers makes 256 to 256.0
            "value": value,
            "state": kind_of(trial),
        }
        for trial in trials
        if (value := value_of(trial, config, place)) is not None
        for name, dimension in config.space.items()
        if name in trial.params
    ]


def contour(trials: Sequence[TrialRow], config: StudyConfig, x: str, y: str, place: int = 0) -> tuple[list[Row], list[Row]]:
    """(cells, points) of the objective over two settings, from complete trials. Cells: x, x2, y, y2 (in the settings' own units, or places of
    choices) and value, a mean of the trials around weighted by their nearness, only where there are any; points: x, y, number, value, state."""
    dims = config.space[x], config.space[y]
    drawn = [trial for trial in complete(trials) if x in trial.params and y in trial.params]
    points = [
        {"x": axis_value(t.params[x], dims[0]), "y": axis_value(t.params[y], dims[1]), "number": t.number, "value": t.values[place], "state": kind_of(t)}
        for t in drawn
    ]  # fmt: skip
    if len(drawn) < 4:
        return [], points
    places = np.array([[unit_of(t.params[x], dims[0]), unit_of(t.params[y], dims[1])] for t in drawn])
    values = np.array([t.values[place] for t in drawn])
    edges = [_edges(dimension) for dimension in dims]
    middles = np.stack(np.meshgrid(*[(units[:-1] + units[1:]) / 2 for units, _ in edges], indexing="ij"), axis=-1).reshape(-1, 2)
    means, nearness = _smoothed(middles, places, values)
    n_y = len(edges[1][0]) - 1
    cells = []
    for i in np.flatnonzero(nearness > math.exp(-2)):
        a, b = divmod(int(i), n_y)
        ends = {"x": edges[0][1][a], "x2": edges[0][1][a + 1], "y": edges[1][1][b], "y2": edges[1][1][b + 1]}
        cells.append(ends | {"value": float(means[i])})
    return cells, points


def _smoothed(
    at: NDArray[np.float64], places: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(mean of the values around each point, how near the nearest is in (0, 1]): Nadaraya and Watson's estimate, 1964."""
    distance = ((at[:, None, :] - places[None, :, :]) ** 2).sum(axis=2) / _NEAR**2
    nearest = distance.min(axis=1)
    weights = np.exp(-0.5 * (distance - nearest[:, None]))
    return (weights * values).sum(axis=1) / weights.sum(axis=1), np.exp(-0.5 * nearest)


def _edges(dimension: Dimension) -> tuple[NDArray[np.float64], list[float]]:
    """Borders of a contour's cells: as shares of the dimension, and in its own unit."""
    if dimension.choices is not None:
        n = len(dimension.choices)
        own = [i - 0.5 for i in range(n + 1)]
        return (np.array(own) / max(n - 1, 1)), own
    units = np.linspace(0.0, 1.0, GRID + 1)
    low, high = float(dimension.low or 0), float(dimension.high or 0)
    own = [low * (high / low) ** u if dimension.log else low + (high - low) * u for u in units.tolist()]
    return units, own


def axis_value(value: Any, dimension: Dimension) -> float:
    """A drawn value as a number on its axis: its own, or the place of a choice."""
    if dimension.choices is not None:
        places = [encoded(choice) for choice in dimension.choices]
        return float(places.index(value)) if value in places else 0.0
    return float(value)


def intermediate(trials: Sequence[TrialRow]) -> tuple[list[Row], tuple[float, float] | None]:
    """(number, step, value, state of each evaluation; what the axis shows). The axis covers complete and running trials whole, and leaves out
    what lies below them: pruned trials, which are worse by their nature, don't stretch it."""
    rows: list[Row] = [
        {"number": trial.number, "step": step, "value": value, "state": kind_of(trial)}
        for trial in trials
        for step, value in sorted(trial.intermediate.items())
        if math.isfinite(value)
    ]
    last = max((row["step"] for row in rows), default=0)
    kept = [row["value"] for row in rows if row["state"] not in ("pruned", "failed") and row["step"] > 0] or [row["value"] for row in rows]
    if not kept or not last:
        return rows, None
    low, high = float(np.quantile(kept, _OUTSIDE)), max(kept)
    room = 0.08 * (high - low) or 0.05
    return rows, (low - room, high + room)


def timeline(trials: Sequence[TrialRow], now: float) -> list[Row]:
    """When each trial was worked on: number, start and end in seconds since 1970, state, minutes. What still runs goes on to ``now``."""
    return [
        {"number": t.number, "start": t.started, "end": t.ended or now, "state": kind_of(t), "minutes": ((t.ended or now) - t.started) / 60}
        for t in trials
        if t.started is not None
    ]


def table(trials: Sequence[TrialRow], config: StudyConfig) -> list[Row]:
    """One row per trial for lists and CSV: number, state, objectives, gain, bytes, minutes, share that looks worse, run, reason, settings."""
    chosen = {trial.number for trial in front(trials, config)}
    rows = []
    for trial in trials:
        row: Row = {"trial": trial.number, "state": kind_of(trial), "on_front": trial.number in chosen}
        row |= {name: trial.attrs.get(name) for name in ("gain", "step", "minutes", "bytes", "share_worse")}
        row |= dict(zip(config.objectives, trial.values, strict=False)) if trial.state == "COMPLETE" else {}
        row |= {"run": trial.attrs.get("run"), "reason": trial.attrs.get("reason")}
        rows.append(row | {name: trial.params.get(name) for name in config.space})
    return rows


def shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def by_number(trials: Sequence[TrialRow], number: int, study: StudyDir) -> TrialRow:
    """One trial; raises :class:`StudyError` where there is none of that number."""
    if not 0 <= number < len(trials):
        raise StudyError(f"{study.study_id} has no trial {number}; it has {f'0 to {len(trials) - 1}' if trials else 'none yet'}")
    return trials[number]


def legend(config: Mapping[str, Dimension]) -> list[Row]:
    """The space in words: setting, values."""
    return [{"setting": name, "values": dimension.text()} for name, dimension in config.items()]
