"""The Health and Machine tabs: one indicator per rule, findings with remedies, and machine load."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import pandas as pd
import streamlit as st

from core.health.rules import RULE_NAMES, RULES
from core.notifications.notices import as_sentence
from core.runs.event_types import ActionTaken, AlertRaised
from core.runs.events import Event
from core.runs.run_dir import RunDir
from pages.server.service import Console
from pages.views import actions, chart_box
from pages.views.buttons import button
from pages.views.charts import curves
from pages.views.live.run_view import RunView
from pages.views.text import plain
from storage import queries

Badge = Literal["gray", "blue", "orange", "red", "green"]
COLOURS: dict[str, Badge] = {"info": "blue", "warning": "orange", "severe": "red"}
ICONS = {"info": ":material/info:", "warning": ":material/warning:", "severe": ":material/error:"}
TITLES = {rule.name: rule.title for rule in RULES} | {"anomaly": "Unusual values"}
SHORT = {
    "not_finite": "numbers", "kl_high": "policy steps", "clip_high": "clipping", "entropy_collapse": "exploration", "std_explosion": "deviation",
    "value_useless": "value function", "gradient_explosion": "gradient", "gain_fall": "validation gain", "reward_fall": "episode gain",
    "plateau": "progress", "hacked_reward": "reward against quality", "clipped_actions": "range of actions", "failed_traces": "conversions",
    "most_traces_fail": "failing conversions", "slow": "speed", "overfitting": "unseen logos", "no_promotion": "stage", "nearly_promoted": "stage's limit",
    "anomaly": "unusual values",
}  # fmt: skip
MACHINE = {
    "system/cpu": "processor, share",
    "system/workers_busy": "workers, busy cores",
    "system/trainer_busy": "trainer, busy cores",
    "system/memory_mb": "memory of the run",
    "system/memory_free_mb": "memory left, MB",
    "system/disk_free_mb": "disk left, MB",
    "time/step_rate": "steps per second",
}


def panel(console: Console, run: RunDir, events: Sequence[Event]) -> None:
    """``events``: alerts and actions of the run, in order."""
    worst: dict[str, str] = {}
    for alert in (event.data for event in events if isinstance(event.data, AlertRaised)):
        severity = alert.severity if alert.severity in COLOURS else "warning"
        if list(COLOURS).index(severity) >= list(COLOURS).index(worst.get(alert.rule, "info")):
            worst[alert.rule] = severity
    st.subheader("Health")
    with st.container(horizontal=True, gap="small"):
        for rule in RULE_NAMES:
            found_as = worst.get(rule)
            colour, icon = (COLOURS[found_as], ICONS[found_as]) if found_as else ("green", ":material/check:")
            st.badge(
                SHORT.get(rule, rule), color=colour, icon=icon, help=f"{TITLES.get(rule, rule)}: {'found' if found_as else 'not found'}"
            )
    if not events:
        st.caption(f"{len(RULE_NAMES)} rules check this run; none has found anything.")
        return
    for place, event in reversed(list(enumerate(events))):
        if isinstance(event.data, ActionTaken):
            st.caption(f":material/healing: Step {event.step:,}: the doctor {plain(event.data.text)}.")
        elif isinstance(event.data, AlertRaised):
            _finding(console, run, event.data, event.step, place)


def _finding(console: Console, run: RunDir, alert: AlertRaised, step: int, place: int) -> None:
    """``place``: of its event among all, so that a press means this finding also where a newer one has come above it meanwhile."""
    severity = alert.severity
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(severity, color=COLOURS.get(severity, "orange"), icon=ICONS.get(severity))
            st.markdown(f"**{plain(alert.title)}**")
            st.caption(f"step {step:,}")
        st.markdown(plain(as_sentence(alert.evidence)))
        st.caption(plain(f"{alert.cause} {alert.remedy}"))
        changes = alert.changes
        if changes:
            told = ", ".join(
                f"{name} = {value:g}" if isinstance(value, int | float) else f"{name} = {value}" for name, value in changes.items()
            )
            if button(
                f"Fork from the best checkpoint with {plain(told)}", does="run.fork", key=f"remedy.{run.run_id}.{place}", icon=":material/fork_right:",
                help="Starts a new run from this run's best checkpoint with this change; this run stays unchanged.",
            ):  # fmt: skip
                actions.fork_with(console, run, changes)


def lights(events: Sequence[Event]) -> None:
    """One line for the top of the live page: how many findings of which severity, nothing without any."""
    counts = {
        severity: sum(isinstance(e.data, AlertRaised) and e.data.severity == severity for e in events) for severity in reversed(COLOURS)
    }
    for severity, count in counts.items():
        if count and severity != "info":
            st.badge(f"{count} {severity}", color=COLOURS[severity], icon=ICONS[severity], help="See the Health tab.")


def machine_charts(run_view: RunView) -> None:
    """Load, memory and disk over the run."""
    store, view = run_view.console.store, run_view.view
    gpus = [name for name in queries.metric_names(store, [run_view.run_id]) if name.startswith("system/gpu")]
    names = MACHINE | {name: name.removeprefix("system/").replace("_", " ") for name in gpus}
    series = queries.metric_series(store, run_view.shown, list(names), run_view.axis, window=view.window)
    if series.empty:
        st.caption("Figures appear ten seconds after the first step.")
        return
    with st.grid(3, min_column_width=300) as cells:
        for name, title in names.items():
            part = series[series["name"] == name]
            if not part.empty:
                with cells.cell():
                    chart = curves.line(part, run_view.colours, view, title, labels=run_view.labels, height=190, from_zero=True)
                    chart_box.show(chart, name, title[:1].upper() + title[1:], part, view, can_pin=False)


def megabytes(value: float) -> str:
    """ "512 MB", "12.3 GB"."""
    return "–" if value is None or math.isnan(value) or pd.isna(value) else f"{value:.0f} MB" if value < 1000 else f"{value / 1024:.1f} GB"
