"""What many runs say together: seeds as groups with intervals, what a training cost, which settings mattered.

The page Compare and ``python -m core runs groups|efficiency|importance`` show these same tables. Guarantee: a run without an evaluation, with
another budget or other logos is left out and counted, never mixed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd

from core.errors import ConfigError
from core.evaluation.importance import Importance, importances, warning
from core.runs.records import peek_config
from core.runs.run_dir import RunDir
from core.runs.seed_groups import SeedGroup, group_runs, settings_of
from core.statistics import Interval, iqm_band, iqm_interval, probability_of_improvement
from storage import queries
from storage.queries.series import Axis
from storage.store import Store

RISEN = 0.95  # of the way from a run's first gain to its best
COMPLETE = 0.9  # of its steps, that a run must have been evaluated at to count
MAX_PAIRED = 8  # groups, each two of which are held against each other
MAX_POINTS = 60  # of a group's curve
# Settings that no gain depends on: what a training runs on, keeps or recovers from
WITHOUT_EFFECT = (
    "version",
    "n_workers",
    "device",
    "logos.path",
    "checkpoint.",
    "workers.",
    "trackers.",
    "recovery.",
    "outcome.",
    "evaluation.keep_svgs",
)
GROUP_COLUMNS = [
    "group", "n_seeds", "seeds", "iqm", "low", "high", "lowest", "highest", "logo_iqm", "logo_low", "logo_high", "n_logos", "step", "warning",
]  # fmt: skip
EFFICIENCY_COLUMNS = [
    "run_id", "steps", "conversions", "minutes", "conversions_per_s", "cpu_ms", "final_gain", "best_gain", "gain_at_steps", "gain_at_minutes",
    "steps_to_95", "minutes_to_95",
]  # fmt: skip


def evaluated_groups(store: Store, runs: Sequence[RunDir]) -> tuple[list[SeedGroup], dict[str, str]]:
    """The groups of those runs that have been evaluated; {run id: why it is in none}."""
    ids = [run.run_id for run in runs]
    has_gain = queries.evaluated_runs(store)
    groups, left_out = group_runs([run for run in runs if run.run_id in has_gain], queries.data_digests(store, ids))
    return groups, left_out | {run_id: "not evaluated yet" for run_id in ids if run_id not in has_gain}


def _gains(store: Store, runs: list[str], axis: Axis = "step") -> pd.DataFrame:
    frame = queries.evaluations(store, runs, axis)
    return frame[np.isfinite(frame["gain"].astype(float))] if len(frame) else frame


def group_figures(store: Store, groups: Sequence[SeedGroup]) -> pd.DataFrame:
    """One row per group, the best first: of its runs' last gains the interquartile mean with its 95% interval (iqm, low, high), lowest and
    highest; logo_iqm with its interval: the same over runs and logos, rliable's with logos as tasks; n_seeds, n_logos, step, warning.
    """
    frame = _gains(store, [run for group in groups for run in group.runs])
    last = frame.groupby("run_id").last() if len(frame) else frame
    scores = _logo_scores(store, groups)
    rows = []
    for group in groups:
        gains = last.loc[list(group.runs), "gain"].to_numpy(dtype=float)
        whole, steps = iqm_interval(gains[:, None], are_runs_whole=True), last.loc[list(group.runs), "step"]
        of_logos = scores[group.label]
        by_logo = iqm_interval(of_logos.to_numpy(dtype=float)) if of_logos.size else Interval(*[float("nan")] * 3)
        told = [group.warning, "" if steps.min() == steps.max() else f"evaluated last at steps {steps.min():,} to {steps.max():,}"]
        values = [
            group.label, len(group.runs), ", ".join(str(seed) for seed in group.seeds), whole.value, whole.low, whole.high, gains.min(), gains.max(),
            by_logo.value, by_logo.low, by_logo.high, of_logos.shape[1], int(steps.max()), "; ".join(part for part in told if part),
        ]  # fmt: skip
        rows.append(dict(zip(GROUP_COLUMNS, values, strict=True)))
    return pd.DataFrame(rows, columns=GROUP_COLUMNS).sort_values("iqm", ascending=False, kind="stable", ignore_index=True)


def _logo_scores(store: Store, groups: Sequence[SeedGroup]) -> dict[str, pd.DataFrame]:
    """{label: gains of the last evaluations, a row per run, a column per logo that all runs of the group have}."""
    found = queries.final_logos(store, [run for group in groups for run in group.runs])
    table = found.pivot(index="run_id", columns="digest", values="gain")
    return {group.label: table.reindex(list(group.runs)).dropna(axis=1) for group in groups}


def improvements(store: Store, groups: Sequence[SeedGroup]) -> pd.DataFrame:
    """Each two groups on the logos that all their runs have: better, worse, probability (that a run of the first is better than one of the
    second on a logo), low, high (95%, a run drawn with all its logos), n_logos, verdict. The better one of a pair stands first. Of more than
    ``MAX_PAIRED`` groups only the best is held against the others.
    """
    scores, rows = _logo_scores(store, groups), []
    pairs = list(combinations([group.label for group in groups if scores[group.label].size], 2))
    if len(groups) > MAX_PAIRED and pairs:
        best = max({label for pair in pairs for label in pair}, key=lambda label: (float(scores[label].to_numpy().mean()), label))
        pairs = [pair for pair in pairs if best in pair]
    for one, other in pairs:
        a, b = scores[one], scores[other]
        common = [digest for digest in a if digest in b]
        if not common:
            continue
        first, second = a[common].to_numpy(dtype=float), b[common].to_numpy(dtype=float)
        names, found = (one, other), probability_of_improvement(first, second, are_runs_whole=True)
        if found.value < 0.5:
            names, found = names[::-1], probability_of_improvement(second, first, are_runs_whole=True)
        rows.append([*names, found.value, found.low, found.high, len(common), _verdict(found)])
    return pd.DataFrame(rows, columns=["better", "worse", "probability", "low", "high", "n_logos", "verdict"])


def _verdict(found: Interval) -> str:
    if not np.isfinite(found.low):
        return "a single seed on one side: no interval"
    return "better" if found.low > 0.5 else "no significant difference"


def bands(curves: pd.DataFrame, groups: Sequence[SeedGroup], value: str) -> pd.DataFrame:
    """Curves of runs folded to one per group: group, x, value, low, high, n_runs; as far as all runs of a group have come.

    ``curves``: run_id, x and the column ``value``. Between the points of a run its curve is a straight line, before the first it is level: that
    one is of the untrained policy.
    """
    parts = []
    usable = curves[np.isfinite(curves[value].astype(float))] if len(curves) else curves
    for group in groups:
        own = [part.sort_values("x") for run in group.runs if len(part := usable[usable["run_id"] == run])]
        if len(own) < len(group.runs):
            continue
        start, end = min(part["x"].iloc[0] for part in own), min(part["x"].iloc[-1] for part in own)
        xs = np.unique(np.concatenate([part["x"].to_numpy(dtype=float) for part in own]))
        xs = xs[(xs >= start) & (xs <= end)]
        xs = np.linspace(start, end, MAX_POINTS) if len(xs) > MAX_POINTS else xs
        scores = np.stack([np.interp(xs, part["x"].to_numpy(dtype=float), part[value].to_numpy(dtype=float)) for part in own])
        centre, low, high = iqm_band(scores)
        parts.append(pd.DataFrame({"group": group.label, "x": xs, "value": centre, "low": low, "high": high, "n_runs": len(own)}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["group", "x", "value", "low", "high", "n_runs"])


def gain_bands(store: Store, groups: Sequence[SeedGroup], axis: Axis) -> pd.DataFrame:
    """:func:`bands` of the validation gain."""
    return bands(_gains(store, [run for group in groups for run in group.runs], axis), groups, "gain")


@dataclass(frozen=True)
class Efficiency:
    """``table``: the columns of ``EFFICIENCY_COLUMNS``, a row per run; ``at_steps`` and ``at_minutes``: the budget that all of them had."""

    table: pd.DataFrame
    at_steps: float
    at_minutes: float


def efficiency(store: Store, runs: Sequence[str]) -> Efficiency:
    """What each training cost and came to; ``minutes`` are all of the training, evaluations and preparation with it.

    gain_at_steps and gain_at_minutes: at the budget that the shortest of the runs had, on a line between evaluations, before the first one
    its gain; steps_to_95 and
    minutes_to_95: the first evaluation with 95% of the way from the first gain to the best; NaN where nothing rose.
    """
    frame, minutes, never = _gains(store, list(runs)), queries.minutes_of(store, list(runs)), (float("nan"), float("nan"))
    work = queries.work_done(store, list(runs)).set_index("run_id")
    own = {run: part for run in runs if len(part := frame[frame["run_id"] == run])}
    at_steps = min((float(part["step"].max()) for part in own.values()), default=float("nan"))
    at_minutes = min((float(part["minutes"].max()) for part in own.values()), default=float("nan"))
    rows = []
    for run, part in own.items():
        gain, step, minute = (part[name].to_numpy(dtype=float) for name in ("gain", "step", "minutes"))
        done = work.loc[run] if run in work.index else None
        conversions = float(done["conversions"]) if done is not None else float("nan")
        spent = minutes.get(run, float("nan"))
        rise = gain.max() - gain[0]
        risen = int(np.argmax(gain >= gain[0] + RISEN * rise))
        rows.append(
            [
                run, int(step.max()) if done is None else max(int(done["steps"]), int(step.max())), conversions, spent,
                conversions / (60 * spent) if spent > 0 else float("nan"), float(done["cpu_ms"]) if done is not None else float("nan"), gain[-1],
                gain.max(), float(np.interp(at_steps, step, gain)), float(np.interp(at_minutes, minute, gain)),
                *((step[risen], minute[risen]) if rise > 0 else never),
            ]
        )  # fmt: skip
    return Efficiency(pd.DataFrame(rows, columns=EFFICIENCY_COLUMNS), at_steps, at_minutes)


@dataclass(frozen=True)
class Sensitivity:
    """Which settings mattered, over runs on the same logos with the same number of steps."""

    rows: list[Importance]
    runs: list[str]
    total_timesteps: int
    left_out: dict[str, str] = field(default_factory=dict)  # {run id: why}

    @property
    def warning(self) -> str:
        return warning(len(self.runs), len(self.rows))


def sensitivity(store: Store, runs: Sequence[RunDir], like: str = "") -> Sensitivity:
    """Importance of every setting that differs between comparable runs, by their last gains.

    Of runs on several data sets or budgets the largest comparable set is taken, or the one that the run ``like`` is in.

    Raises:
        ConfigError: too few comparable runs, nothing that differs between them, or ``like`` is in no set.
    """
    ids = [run.run_id for run in runs]
    frame, digests = _gains(store, ids), queries.data_digests(store, ids)
    last = frame.groupby("run_id").last() if len(frame) else pd.DataFrame(columns=["gain", "step"])
    sets: dict[tuple[str, int], list[str]] = {}
    settings, left_out = {}, {}
    for run in runs:
        try:
            config = peek_config(run)
        except ConfigError as error:
            left_out[run.run_id] = str(error).splitlines()[0]
            continue
        if (
            why := _obstacle(config.version, config.total_timesteps, last.loc[run.run_id, "step"] if run.run_id in last.index else None)
        ) != "":
            left_out[run.run_id] = why
            continue
        settings[run.run_id] = {k: v for k, v in settings_of(config).items() if not k.startswith(WITHOUT_EFFECT)}
        sets.setdefault((digests.get(run.run_id, ""), config.total_timesteps), []).append(run.run_id)
    key = (
        next((key for key, members in sets.items() if like in members), None)
        if like
        else max(sets, key=lambda k: len(sets[k]), default=None)
    )
    if like and key is None:
        raise ConfigError(f"{like} can't be compared: {left_out.get(like, 'it is not among these runs')}")
    chosen = sets[key] if key is not None else []
    left_out |= {run: "different logos or number of steps" for run in settings if run not in chosen}
    table = pd.DataFrame([settings[run] for run in chosen], index=chosen).astype(object)
    rows = importances(table, last.loc[chosen, "gain"].to_numpy(dtype=float))
    return Sensitivity(rows, chosen, key[1] if key else 0, left_out)


def _obstacle(version: int, total: int, step: float | None) -> str:
    if step is None:
        return "not evaluated yet"
    if version < 2:
        return "scored by another measure, as in earlier versions"
    return "" if step >= COMPLETE * total else f"evaluated up to step {int(step):,} of {total:,} only"
