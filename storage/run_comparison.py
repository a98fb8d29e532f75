"""Runs against each other: their figures, and what two of them make of the same logos, with a paired test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.statistics import TIE, Paired
from storage import queries
from storage.store import Store

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PairedComparison(Paired):
    """Two evaluations on the logos that both measured. ``difference``: gain of the second less the first.

    ``p_value``: of Wilcoxon's signed-rank test, two-sided; None where all differences are zero.
    """

    n_logos: int
    p_value: float | None

    def verdict(self, name: str) -> str:
        """What may be said of the second, called ``name``: the test looks at how many logos, the interval at the mean."""
        on_most = self.p_value is not None and self.p_value < SIGNIFICANT
        in_the_mean = self.low > 0 or self.high < 0
        if not on_most and not in_the_mean:
            return "No significant difference"
        if not on_most:
            return f"{name} is {_word(self.difference)} on average because of a few logos; the others show no clear difference"
        by_count, by_mean = _word(self.wins - self.losses or self.difference), _word(self.difference)
        if not in_the_mean:
            return f"{name} is {by_count} on most logos, but its mean is not clearly {by_count}"
        if by_count != by_mean:
            return f"{name} is {by_count} on most logos, but {by_mean} on average"
        return f"{name} is {by_mean}"


def _word(difference: float) -> str:
    return "better" if difference > 0 else "worse"


def figures(store: Store, runs: Sequence[str]) -> pd.DataFrame:
    """One row per run: run_id, best_gain with its 95% interval (gain_low, gain_high), best_step, final_gain, ssim, colour, edge, bytes,
    minutes (of training), n_logos."""
    frame, minutes = queries.evaluations(store, list(runs)), queries.minutes_of(store, list(runs))
    rows = []
    for run in runs:
        own = frame[frame["run_id"] == run]
        if own.empty:
            continue
        best, last = own.loc[own["gain"].idxmax()], own.iloc[-1]
        rows.append(
            {
                "run_id": run,
                "best_gain": float(best["gain"]),
                "gain_low": float(best["gain_low"]),
                "gain_high": float(best["gain_high"]),
                "best_step": int(best["step"]),
                "final_gain": float(last["gain"]),
                "final_step": int(last["step"]),
                "ssim": float(best["ssim"]),
                "colour": float(best["colour"]),
                "edge": float(best["edge"]),
                "bytes": float(best["bytes"]),
                "minutes": minutes[run],
                "n_logos": int(best["n_logos"]),
            }
        )
    columns = [
        "run_id",
        "best_gain",
        "gain_low",
        "gain_high",
        "best_step",
        "final_gain",
        "final_step",
        "ssim",
        "colour",
        "edge",
        "bytes",
        "minutes",
        "n_logos",
    ]
    return pd.DataFrame(rows, columns=columns)


def best_step(store: Store, run: str) -> int | None:
    """The step of a run's best evaluation; None without any."""
    frame = queries.evaluations(store, [run])
    return None if frame.empty else int(frame.loc[frame["gain"].idxmax(), "step"])


def by_logo(store: Store, first: str, second: str, steps: tuple[int, int] | None = None) -> pd.DataFrame:
    """The logos that both runs evaluated, at their best evaluations or at ``steps``: digest, logo, category, and of each
    run gain, ssim, bytes and svg (``_a``, ``_b``); difference (b less a) and result, win, tie or loss of b."""
    at = steps or (best_step(store, first), best_step(store, second))
    if at[0] is None or at[1] is None:
        return pd.DataFrame()
    wanted = ["digest", "logo", "category", "gain", "ssim", "bytes", "bytes_default", "ssim_default", "svg"]
    a, b = (queries.evaluated_logos(store, run, step)[wanted] for run, step in zip((first, second), at, strict=True))
    both = a.merge(b.drop(columns=["logo", "category", "bytes_default", "ssim_default"]), on="digest", suffixes=("_a", "_b"))
    both["difference"] = both["gain_b"] - both["gain_a"]
    both["result"] = np.select([both["difference"] > TIE, both["difference"] < -TIE], ["win", "loss"], "tie")
    return both.sort_values("difference", kind="stable").reset_index(drop=True)


def compare_pair(both: pd.DataFrame) -> PairedComparison | None:
    """What :func:`by_logo` says as a whole; None without a common logo."""
    if both.empty:
        return None
    paired = Paired.of(both["gain_b"].to_numpy(dtype=float), both["gain_a"].to_numpy(dtype=float))
    p_value: float | None = None
    if (both["difference"] != 0).any():
        from scipy.stats import wilcoxon  # half a second to import

        p_value = float(wilcoxon(both["difference"].to_numpy(dtype=float)).pvalue)
    return PairedComparison(**paired.as_dict(), n_logos=len(both), p_value=p_value)


def grouped(store: Store, groups: dict[str, list[str]]) -> pd.DataFrame:
    """Runs of a group as one curve: group, step, gain (mean over its runs), low, high (over its runs), n_runs."""
    frame = queries.evaluations(store, [run for runs in groups.values() for run in runs])
    if frame.empty:
        return pd.DataFrame(columns=["group", "step", "gain", "low", "high", "n_runs"])
    name_of = {run: name for name, runs in groups.items() for run in runs}
    frame = frame.assign(group=frame["run_id"].map(name_of))
    found = frame.groupby(["group", "step"])["gain"].agg(["mean", "min", "max", "count"]).reset_index()
    return found.rename(columns={"mean": "gain", "min": "low", "max": "high", "count": "n_runs"})
