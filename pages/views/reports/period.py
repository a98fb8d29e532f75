"""A day or a week of all runs: what was trained, what was reached, what went wrong, and where it is going."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from core.notifications.notices import KINDS, Notice, notice_of
from core.runs.run_dir import RunDir
from core.runs.status import run_state
from core.statistics import verdict
from pages.views import tables
from pages.views.reports import across, figures, words
from pages.views.reports.blocks import Block, Card, Cards, Section, Table, Text
from pages.views.text import duration_text, gain_text
from storage import queries
from storage.store import Store

PERIOD_S = {"day": 86_400.0, "week": 604_800.0}
MOST_LISTED, MOST_CURVES = 60, 8


def when(ts: float) -> str:
    return time.strftime("%b %d, %H:%M", time.localtime(ts)) if math.isfinite(ts) else "–"


def sections(store: Store, runs: Sequence[RunDir], since: float, until: float) -> list[Section]:
    """Of the runs that were trained between two times, in seconds since 1970."""
    names = tables.names_of(list(runs))
    found = queries.run_overview(store, list(names)) if names else None
    active = [] if found is None else [row for row in found.to_dict("records") if row["last_ts"] >= since and row["started_ts"] <= until]
    ids = [str(row["run_id"]) for row in active]
    notices = [n for n in _notices(store) if n.run_id in names and since <= n.ts <= until]
    status = {run.run_id: run_state(run).status.value.lower() for run in runs}
    evaluated = [str(row["run_id"]) for row in active if row["best_gain"] == row["best_gain"]]
    shown = {run_id: names[run_id] for run_id in evaluated[:MOST_CURVES]}
    curves: list[Block] = [figures.gain_of(store, shown)] if shown else [Text("No run was evaluated in this period.", "soft")]
    rows = [
        (
            names[str(row["run_id"])], status[str(row["run_id"])], when(row["started_ts"]), duration_text(row["minutes"]),
            f"{int(row['step']):,}", gain_text(row["best_gain"]), verdict(row["over_single"], row["over_single_low"], row["over_single_high"]) or "–",
        )
        for row in active[:MOST_LISTED]
    ]  # fmt: skip
    head = ("run", "status", "began", "time", "steps", "best gain", "against single setting")
    return [
        Section("summary", "Summary", _summary(active, status, notices, names, since, until)),
        Section(
            "runs", "Runs", [Table(head, rows, frozenset({3, 4, 5}))] if rows else [Text("No run was trained in this period.", "soft")]
        ),
        Section("curves", "Curves", curves),
        Section("milestones", "Milestones", _listed([n for n in notices if n.is_milestone], names, "No milestones in this period.")),
        Section("health", "Health", _listed([n for n in notices if n.severity != "info"], names, "Nothing went wrong in this period.")),
        across.section(store, {run_id: names[run_id] for run_id in names if run_id not in ids} | {i: names[i] for i in ids}),
    ]


def _notices(store: Store) -> list[Notice]:
    """Newest first."""
    told = (notice_of(run_id, event) for run_id, event in queries.notable_events(store, list(KINDS), 5000))
    return [notice for notice in told if notice is not None]


def _summary(
    active: list[dict[str, object]], status: dict[str, str], notices: list[Notice], names: dict[str, str], since: float, until: float
) -> list[Block]:
    ids = [str(row["run_id"]) for row in active]
    over = [run_id for run_id in ids if status[run_id] in ("completed", "stopped", "failed", "pruned")]
    failed = [names[run_id] for run_id in ids if status[run_id] in ("failed", "interrupted")]
    told = f"From {when(since)} to {when(until)}: {words.plural(len(ids), 'run')} trained, {len(over)} of them finished."
    gains = {
        str(row["run_id"]): float(str(row["best_gain"]))
        for row in active
        if row["best_gain"] == row["best_gain"] and row["best_gain"] is not None
    }
    blocks: list[Block] = [Text(told)]
    if gains:
        best = max(gains, key=lambda run_id: gains[run_id])
        row = next(row for row in active if row["run_id"] == best)
        against = verdict(*(float(str(row[name])) for name in ("over_single", "over_single_low", "over_single_high")))
        blocks.append(
            Text(f"The highest gain of these runs is {gain_text(gains[best])}, of {names[best]}" + (f": {against}." if against else "."))
        )
    if failed:
        blocks.append(Text(f"Failed or interrupted: {', '.join(failed)}.", "bad"))
    minutes = sum(float(str(row["minutes"])) for row in active)
    cards = (
        Card("runs", str(len(ids)), f"{len(over)} finished"),
        Card("training", duration_text(minutes), "total over these runs"),
        Card("milestones", str(sum(n.is_milestone for n in notices))),
        Card("findings", str(sum(n.severity != "info" for n in notices)), "warnings and above"),
    )
    return [*blocks, Cards(cards)]


def _listed(notices: list[Notice], names: dict[str, str], none: str) -> list[Block]:
    if not notices:
        return [Text(none, "soft")]
    rows = [(n.title, names[n.run_id], n.text, f"{n.step:,}", when(n.ts)) for n in notices[:MOST_LISTED]]
    rest = len(notices) - len(rows)
    return [Table(("what", "run", "how", "step", "when"), rows, frozenset({3, 4}), f"{rest} more on the Alerts page." if rest else "")]
