"""Trends across runs: how a figure went from run to run, with its running average and a line through it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from core.trends import Trend
from pages.views.charts.curves import Chart
from pages.views.reports import figures, words
from pages.views.reports.blocks import Block, Section, Text
from storage import queries
from storage.store import Store

DAY_S = 86_400.0
LEAST_RUNS = 2


@dataclass(frozen=True)
class Quantity:
    """A figure of a run. ``column``: of :func:`queries.run_overview`."""

    column: str
    label: str
    form: str = "+.3f"


QUANTITIES: dict[str, Quantity] = {
    q.column: q
    for q in (
        Quantity("best_gain", "best validation gain"),
        Quantity("over_single", "gain over the best single setting"),
        Quantity("last_gain", "latest validation gain"),
        Quantity("rate", "steps per second", ".1f"),
        Quantity("minutes", "minutes of training", ".1f"),
    )
}


def points(store: Store, names: dict[str, str], column: str) -> pd.DataFrame:
    """One row per run that has the figure, in the order of their start: run_id, x (start, seconds since 1970), value, label."""
    if not names:
        return pd.DataFrame(columns=["run_id", "x", "value", "label"])
    found = queries.run_overview(store, list(names))
    found = found.assign(rate=found["step"] / (found["minutes"] * 60).where(found["minutes"] > 0))
    frame = pd.DataFrame({"run_id": found["run_id"], "x": found["started_ts"].astype(float), "value": found[column].astype(float)})
    frame = frame.dropna(subset=["x", "value"]).sort_values("x", kind="stable").reset_index(drop=True)
    return frame.assign(label=[names[run] for run in frame["run_id"]])


def chart(frame: pd.DataFrame, quantity: Quantity) -> tuple[Chart, Trend | None]:
    return figures.trend_of(frame, quantity.label, "wall", quantity.form)


def told(trend: Trend | None, quantity: Quantity) -> str:
    """The trend in words, per day."""
    return words.direction(trend, DAY_S, "day", f"{quantity.label} of these runs")


def section(store: Store, names: dict[str, str]) -> Section:
    """Best gain and gain over the best single setting, run by run."""
    blocks: list[Block] = []
    for column in ("best_gain", "over_single", "rate"):
        quantity = QUANTITIES[column]
        frame = points(store, names, column)
        if len(frame) < LEAST_RUNS:
            continue
        drawn, trend = chart(frame, quantity)
        blocks += [figures.curve(f"{quantity.label.capitalize()}, run by run", drawn), Text(told(trend, quantity))]
    if not blocks:
        blocks = [Text("A trend across runs needs at least two evaluated runs.", "soft")]
    else:
        blocks.append(Text("Runs with different settings or logos differ for more reasons than time.", "soft"))
    return Section("across", "Trends across runs", blocks)
