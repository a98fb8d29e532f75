"""The doctor: applies the rules to a training's history and reports what they find.

Pure: it observes the events of a run, live or from a recorded log, and the same events give the same findings. What is done about them is
up to core/health/interventions.py.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from core.config.config import RunConfig
from core.config.installation import Severity
from core.health.history import WINDOW, History
from core.health.rules import RULES, Rule
from core.runs.event_types import Record
from core.runs.events import Event

_REARM = 10  # updates (or evaluations) without a finding, after which a rule may report again
# Clocks, counters and schedules: unusual values of these are no cause for concern
_NO_ANOMALY = ("time/", "system/", "curriculum/", "train/learning_rate", "train/n_updates", "train/clip_range", "trace/cache_hit_rate",
               "trace/workers_lost", "rollout/ep_len", "train/loss", "reward/speed", "trace/cpu_s")  # fmt: skip
_SHARES = ("trace/failed_share", "trace/clipped_actions", "train/clip_fraction", "train/explained_variance")


@dataclass(frozen=True)
class Finding:
    """What a rule found. ``changes``: the settings (dotted) that a fork applies as the remedy."""

    rule: str
    severity: Severity
    step: int
    title: str
    evidence: str
    cause: str
    remedy: str
    changes: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Doctor:
    """:meth:`observe` takes in every event; :meth:`take` returns the new findings."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.history = History(config)
        self._holding: dict[str, int] = {}  # per rule: how often in a row it held
        self._quiet: dict[str, int] = {}  # per rule: how often in a row it did not hold
        self._found: list[Finding] = []
        self._unusual: dict[str, int] = {}
        self._rules = [rule for rule in RULES if rule.name not in config.health.ignore]

    def take(self) -> list[Finding]:
        """Findings since the last call."""
        found, self._found = self._found, []
        return found

    def replay(self, events: Iterable[Event]) -> None:
        """Take in what a run did before, without reporting its findings again."""
        for event in events:
            self.observe(event.step, event.data)
        self._found.clear()

    def observe(self, step: int, record: Record) -> None:
        """Take in an event of the log."""
        completed = self.history.observe(step, record)
        if completed:
            self._ask(completed)
        if completed == "update" and "anomaly" not in self.config.health.ignore:
            self._look_for_anomalies()

    def note_not_finite(self, step: int) -> None:
        """An update was aborted because weights of the networks are no longer finite."""
        self.history.step = max(self.history.step, step)
        rule = next(rule for rule in RULES if rule.name == "not_finite")
        if self._quiet.get(rule.name, _REARM) >= _REARM:
            self._tell(rule, "an update was aborted: the policy's output is not finite")

    def _ask(self, when: str) -> None:
        for rule in self._rules:
            if rule.when != when:
                continue
            evidence = rule.test(self.history)
            if evidence is None:
                self._holding[rule.name] = 0
                self._quiet[rule.name] = self._quiet.get(rule.name, _REARM) + 1
                continue
            self._holding[rule.name] = self._holding.get(rule.name, 0) + 1
            if self._holding[rule.name] >= rule.n_in_a_row and self._quiet.get(rule.name, _REARM) >= _REARM:
                self._tell(rule, evidence)

    def _tell(self, rule: Rule, evidence: str) -> None:
        self._quiet[rule.name] = 0
        changes = rule.changes(self.config)
        self._found.append(Finding(rule.name, rule.severity, self.history.step, rule.title, evidence, rule.cause, rule.remedy, changes))

    def _look_for_anomalies(self) -> None:
        """Report any metric that is far outside its recent range twice in a row, by a robust z-score."""
        for name in self.history.newest:
            if name.startswith(_NO_ANOMALY):
                continue
            before, value = self.history.usual(name, skip=2), self.history.last(name)
            if len(before) < 20 or value is None:
                continue
            middle = statistics.median(before)
            spread = statistics.median(abs(v - middle) for v in before)
            scale = max(spread / 0.6745, 0.02 * abs(middle), 0.01 if name in _SHARES else 1e-9)
            score = (value - middle) / scale
            if abs(score) < 12:
                self._unusual[name] = min(self._unusual.get(name, 0), 0)
                continue
            self._unusual[name] = self._unusual.get(name, 0) + 1
            if self._unusual[name] == 2:
                self._unusual[name] = -WINDOW  # reported; not again soon
                evidence = f"{name} is {value:.4g}; over the previous {len(before)} updates it was about {middle:.4g} (robust z-score {score:+.0f})"
                cause = "Something changed at this step: a new stage, other logos, a fault, or the onset of an instability."
                remedy = "Look at this metric's curve and at the events around this step."
                self._found.append(Finding("anomaly", "info", self.history.step, f"{name} is unusual", evidence, cause, remedy))
