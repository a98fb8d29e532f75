"""Training health: rules on what goes wrong in a training, each with its evidence, its likely cause and a remedy.

Pure: it is told the events of a run, live or from a recorded log, and says what it finds; the same events give the
same findings. What may be done about them is core/health/interventions.py. Thresholds were set so that healthy runs
(docs/learning.md) raise nothing severe: there KL reaches 0.33 an update, the clip fraction 0.73, the explained
variance starts below zero, and the gradient's norm triples as the deviation shrinks.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from core.config.config import RunConfig
from core.config.installation import Severity
from core.runs.event_types import EvaluationEnded, Metrics, Record, StageStarted
from core.runs.events import Event

WINDOW = 50  # updates: what "usual" is taken from
_KEPT = 400
_REARM = 10  # updates (or evaluations) without a finding, after which a rule may tell again
# Clocks, counters and schedules: unusual values of these mean nothing
_NO_ANOMALY = ("time/", "system/", "curriculum/", "train/learning_rate", "train/n_updates", "train/clip_range", "trace/cache_hit_rate",
               "trace/workers_lost", "rollout/ep_len", "train/loss", "reward/speed", "trace/cpu_s")  # fmt: skip
_SHARES = ("trace/failed_share", "trace/clipped_actions", "train/clip_fraction", "train/explained_variance")
SEEN = (Metrics.kind, EvaluationEnded.kind, StageStarted.kind)  # the kinds of events that it looks at
_LOSSES = ("train/loss", "train/value_loss", "train/policy_gradient_loss", "train/entropy_loss", "train/approx_kl", "train/grad_norm")


@dataclass(frozen=True)
class Finding:
    """What a rule found. ``changes``: settings (dotted) that a fork with the remedy would have."""

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


@dataclass(frozen=True)
class Rule:
    """``test`` looks at the patient and returns the evidence, or None; it must hold ``n_in_a_row`` times.

    ``when``: after which kind of event it is asked: "update" or "evaluation".
    """

    name: str
    severity: Severity
    title: str
    cause: str
    remedy: str
    test: Callable[[Doctor], str | None]
    n_in_a_row: int = 1
    when: str = "update"
    changes: Callable[[RunConfig], dict[str, Any]] = lambda config: {}


def _slower(config: RunConfig) -> dict[str, Any]:
    return {"ppo.learning_rate": config.ppo.learning_rate / 2}


def _more_entropy(config: RunConfig) -> dict[str, Any]:
    return {"ppo.ent_coef": max(config.ppo.ent_coef * 2, 0.005)}


class Doctor:
    """Told every event by :meth:`observe`; :meth:`take` gives what was found since."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.values: dict[str, deque[float | None]] = {}  # of each metric, an entry an update
        self.gains: deque[float] = deque(maxlen=_KEPT)  # of evaluations
        self.train_gains: deque[float] = deque(maxlen=_KEPT)  # mean gain of the episodes since the evaluation before
        self.step = self.n_updates = 0
        self.stage_episodes = 0
        self._since_evaluation: list[float] = []
        self._of_rollout: dict[str, Any] = {}
        self._since_stage = 0  # updates
        self._holding: dict[str, int] = {}
        self._quiet: dict[str, int] = {}
        self._found: list[Finding] = []
        self._unusual: dict[str, int] = {}
        self._rules = [rule for rule in RULES if rule.name not in config.health.ignore]

    def take(self) -> list[Finding]:
        """Findings since the last call."""
        found, self._found = self._found, []
        return found

    def replay(self, events: Iterable[Event]) -> None:
        """Take in what a run did before, without telling of it again."""
        for event in events:
            self.observe(event.step, event.data)
        self._found.clear()

    def observe(self, step: int, record: Record) -> None:
        """Take in an event of the log. A missing number is one that was not finite: the log writes NaN as null."""
        if isinstance(record, Metrics):
            if "train/loss" in record.values:
                self._on_update(step, self._of_rollout | dict(record.values))
                self._of_rollout = {}
            elif "time/iterations" in record.values:
                self._of_rollout = dict(record.values)  # the rollout's figures come before those of the update made from it
        elif isinstance(record, EvaluationEnded) and math.isfinite(record.gain):
            self.step = max(self.step, step)
            self.gains.append(record.gain)
            self.train_gains.append(_mean(self._since_evaluation) if self._since_evaluation else math.nan)
            self._since_evaluation.clear()
            self._ask("evaluation")
        elif isinstance(record, StageStarted):
            self._since_stage = 0
            self._since_evaluation.clear()
            for name in [name for name in self.values if name.startswith(("trace/", "reward/", "rollout/"))]:
                del self.values[name]  # other logos, other values

    def _on_update(self, step: int, data: dict[str, Any]) -> None:
        self.step = step
        self.n_updates += 1
        self._since_stage += 1
        for name, raw in data.items():
            value = float(raw) if isinstance(raw, int | float) and math.isfinite(raw) else None
            self.values.setdefault(name, deque(maxlen=_KEPT)).append(value)
        gain = self.last("trace/gain")
        if gain is not None:
            self._since_evaluation.append(gain)
        self._ask("update")
        if "anomaly" not in self.config.health.ignore:
            self._look_for_anomalies(data)

    def note_not_finite(self, step: int) -> None:
        """An update broke off because the networks are no numbers any more."""
        self.step = max(self.step, step)
        rule = next(rule for rule in RULES if rule.name == "not_finite")
        if self._quiet.get(rule.name, _REARM) >= _REARM:
            self._tell(rule, "an update broke off: the policy's output is no number")

    def _ask(self, when: str) -> None:
        for rule in self._rules:
            if rule.when != when:
                continue
            evidence = rule.test(self)
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
        self._found.append(Finding(rule.name, rule.severity, self.step, rule.title, evidence, rule.cause, rule.remedy, changes))

    def _look_for_anomalies(self, data: dict[str, Any]) -> None:
        """Any metric twice in a row far outside of what it was over the last updates, by a robust z-score."""
        for name in data:
            if name.startswith(_NO_ANOMALY):
                continue
            before, value = self.usual(name, skip=2), self.last(name)
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
                self._unusual[name] = -WINDOW  # told; not again soon
                evidence = (
                    f"{name} is {value:.4g}; over the {len(before)} updates before it was about {middle:.4g} (robust z-score {score:+.0f})"
                )
                cause = "Something changed at this step: a stage, other logos, a fault, or the beginning of an instability."
                remedy = "Look at this metric's curve, and at the events at this step."
                self._found.append(Finding("anomaly", "info", self.step, f"{name} is unusual", evidence, cause, remedy))

    def last(self, name: str, n: int = 1) -> float | None:
        """The mean of a metric's last ``n`` values; None with fewer, or where one is not finite."""
        found = list(self.values.get(name, ()))[-n:]
        known = [v for v in found if v is not None]
        return _mean(known) if len(known) == n else None

    def first(self, name: str) -> float | None:
        """The first finite value of a metric that is still known."""
        return next((v for v in self.values.get(name, ()) if v is not None), None)

    def usual(self, name: str, skip: int = 1, window: int = WINDOW) -> list[float]:
        """The finite values of a metric before the last ``skip``."""
        return [v for v in list(self.values.get(name, ()))[-window - skip : -skip] if v is not None]

    def halves(self, name: str, n: int = 20) -> tuple[float, float] | None:
        """Medians of a metric over two spans of ``n`` updates, the latter the last; None before there are as many."""
        found = [v for v in list(self.values.get(name, ()))[-2 * n :] if v is not None]
        return None if len(found) < 2 * n else (statistics.median(found[:n]), statistics.median(found[n:]))

    @property
    def progress(self) -> float:
        """Share of the run's steps that are done."""
        return self.step / self.config.total_timesteps


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _not_finite(d: Doctor) -> str | None:
    broken = [name for name in _LOSSES if name in d.values and d.values[name][-1] is None]
    return f"{', '.join(broken)} {'is' if len(broken) == 1 else 'are'} no finite number" if broken else None


def _kl(d: Doctor) -> str | None:
    limit = 10 * d.config.ppo.target_kl if d.config.ppo.target_kl else 1.0
    value = d.last("train/approx_kl")
    return f"approx_kl is {value:.2f}; healthy runs stay below {limit:g}" if value is not None and value > limit else None


def _clipping(d: Doctor) -> str | None:
    value = d.last("train/clip_fraction")
    return f"clip_fraction is {value:.2f}: nearly every sample is clipped" if value is not None and value > 0.85 else None


def _collapse(d: Doctor) -> str | None:
    std, begun = d.last("train/std"), math.exp(d.config.ppo.log_std_init)
    if std is not None and std < 0.15 * begun:
        return f"the deviation of the actions is {std:.3f}, it began at {begun:.3f}"
    entropy, before = d.last("train/entropy_loss"), d.usual("train/entropy_loss", window=10)
    if entropy is not None and len(before) >= 5 and entropy - before[0] > 3.5:
        return f"entropy_loss rose from {before[0]:.2f} to {entropy:.2f} within {len(before)} updates"
    return None


def _explosion(d: Doctor) -> str | None:
    std, begun = d.last("train/std"), math.exp(d.config.ppo.log_std_init)
    if std is None or std < max(2.0 * begun, begun + 0.3):
        return None
    return f"the deviation of the actions is {std:.2f}, it began at {begun:.2f}; the whole range is from -1 to 1"


def _useless_value(d: Doctor) -> str | None:
    value = d.last("train/explained_variance")
    return f"explained_variance is {value:.2f}" if d.n_updates > 10 and value is not None and value < -0.05 else None


def _gradient(d: Doctor) -> str | None:
    value, before = d.last("train/grad_norm"), d.usual("train/grad_norm")
    if value is None or len(before) < 5 or value < max(10 * statistics.median(before), 20 * d.config.ppo.max_grad_norm):
        return None
    return f"grad_norm is {value:.1f}, before it was about {statistics.median(before):.1f}"


def _gain(value: float) -> str:
    """With its sign; 0 is +0.000 whatever its own."""
    return f"{round(value, 3) + 0.0:+.3f}"


def _fall(d: Doctor) -> str | None:
    if len(d.gains) < 4:
        return None
    best, now = max(list(d.gains)[:-2]), _mean(list(d.gains)[-2:])
    return f"the validation gain fell from {_gain(best)} to {_gain(now)} (mean of two evaluations)" if now < best - 0.08 else None


def _reward_fall(d: Doctor) -> str | None:
    found = [v for v in d.values.get("trace/gain", ()) if v is not None]
    if len(found) < 30:
        return None
    smooth = [statistics.median(found[i : i + 10]) for i in range(0, len(found) - 9, 5)]
    peak, now = max(smooth), statistics.median(found[-10:])
    return f"the gain of episodes fell from {_gain(peak)} to {_gain(now)} (medians of ten updates)" if now < peak - 0.15 else None


def _plateau(d: Doctor) -> str | None:
    n = 8
    if len(d.gains) <= n or d.progress > 0.8:
        return None
    best_before, since = max(list(d.gains)[:-n]), max(list(d.gains)[-n:])
    return f"{n} evaluations without a gain above {best_before:.3f}" if since < best_before + 0.003 else None


def _hacked(d: Doctor) -> str | None:
    reward = d.halves("rollout/ep_rew_mean")
    if reward is None or reward[1] - reward[0] < 0.03:
        return None
    told = []
    ssim, size, failed = d.halves("trace/ssim"), d.halves("trace/bytes"), d.halves("trace/failed_share")
    if ssim is not None and ssim[1] < ssim[0] - 0.01:
        told.append(f"SSIM fell from {ssim[0]:.3f} to {ssim[1]:.3f}")
    if size is not None and size[1] > 1.6 * size[0]:
        told.append(f"files grew from {size[0]:.0f} to {size[1]:.0f} bytes")
    if failed is not None and failed[1] > failed[0] + 0.02:
        told.append(f"failed or blank traces rose from {failed[0]:.1%} to {failed[1]:.1%}")
    return f"the reward rose from {reward[0]:.3f} to {reward[1]:.3f} while {' and '.join(told)}" if told else None


def _beyond(d: Doctor) -> str | None:
    value = d.last("trace/clipped_actions")
    return f"{value:.0%} of the actions lie outside [-1, 1] and are clipped" if value is not None and value > 0.5 else None


def _failed(share: float) -> Callable[[Doctor], str | None]:
    def test(d: Doctor) -> str | None:
        value = d.last("trace/failed_share")
        return f"{value:.0%} of the conversions failed or came out blank" if value is not None and value > share else None

    return test


def _slow(d: Doctor) -> str | None:
    rate, before = d.last("time/step_rate"), d.usual("time/step_rate", skip=3)
    if rate is None or len(before) < 10 or rate > 0.4 * statistics.median(before):
        return None
    return f"{rate:.0f} steps a second, before it were about {statistics.median(before):.0f}"


def _overfitting(d: Doctor) -> str | None:
    n = 4
    if len(d.gains) < 2 * n + 1:
        return None
    train, seen = list(d.train_gains), list(d.gains)
    if any(math.isnan(v) for v in train[-2 * n :]):
        return None
    rise, fall = _mean(train[-n:]) - _mean(train[-2 * n : -n]), _mean(seen[-2 * n : -n]) - _mean(seen[-n:])
    if rise < 0.02 or fall < 0.02:
        return None
    return f"over {n} evaluations the gain on training logos rose by {rise:.3f} and fell by {fall:.3f} on validation logos"


def _stage_left(d: Doctor) -> tuple[str, float, float, float] | None:
    """(name, share of the stage's episodes done, success share, threshold) of the stage that is on."""
    place, share, done = d.last("curriculum/stage"), d.last("curriculum/success_share"), d.last("curriculum/episodes_in_stage")
    curriculum = d.config.curriculum
    if not curriculum.enabled or place is None or share is None or done is None or d._since_stage < 2:
        return None
    if int(place) + 1 == len(curriculum.stages) and not curriculum.ends_run:
        return None
    stage = curriculum.stages[int(place)]
    return stage.name, done / stage.max_episodes, share, stage.success_threshold


def _stuck(d: Doctor) -> str | None:
    found = _stage_left(d)
    if found is None or found[1] < 0.5 or found[2] > 0.6 * found[3]:
        return None
    return f"{found[0]} has {found[2]:.0%} successes after {found[1]:.0%} of its episodes, {found[3]:.0%} are needed"


def _nearly(d: Doctor) -> str | None:
    found = _stage_left(d)
    if found is None or found[1] < 0.9 or not found[3] - 0.1 < found[2] < found[3]:
        return None
    return f"{found[0]} has {found[2]:.0%} successes after {found[1]:.0%} of its episodes, {found[3]:.0%} are needed"


_RATE_CAUSE = "The learning rate is too high for these rollouts, or the passes over each too many."
_RATE_REMEDY = "Halve ppo.learning_rate, or take fewer ppo.n_epochs."
RULES: tuple[Rule, ...] = (
    Rule("not_finite", "severe", "A loss is not a number", "An update was so large that the networks overflowed, or a reward was no number.",
         "Go back to the best checkpoint with half the learning rate; lower ppo.max_grad_norm.", _not_finite, changes=_slower),
    Rule("kl_high", "severe", "Updates move the policy too far", _RATE_CAUSE, _RATE_REMEDY, _kl, 3, changes=_slower),
    Rule("clip_high", "warning", "Nearly all samples are clipped", _RATE_CAUSE, _RATE_REMEDY, _clipping, 5, changes=_slower),
    Rule("entropy_collapse", "severe", "Exploration collapses", "The policy is certain too early: it tries nothing new and can't improve.",
         "Raise ppo.ent_coef, or lower ppo.learning_rate.", _collapse, 3, changes=_more_entropy),
    Rule("std_explosion", "severe", "Exploration explodes", "The actions are nearly random: the entropy bonus outweighs the reward.",
         "Lower ppo.ent_coef.", _explosion, 3, changes=lambda c: {"ppo.ent_coef": c.ppo.ent_coef / 2}),
    Rule("value_useless", "warning", "The value function is worse than a constant", "It can't follow the returns: they are too noisy or "
         "change too fast.", "Lower ppo.learning_rate, raise ppo.vf_coef, or make the rollouts longer.", _useless_value, 15,
         changes=lambda c: {"ppo.vf_coef": min(c.ppo.vf_coef * 2, 10)}),
    Rule("gradient_explosion", "severe", "The gradient explodes", "Single samples dominate the update: a huge reward, or networks about to "
         "overflow.", "Lower ppo.learning_rate and ppo.max_grad_norm; see which rewards stand out.", _gradient, changes=_slower),
    Rule("gain_fall", "severe", "The validation gain falls after its peak", "The policy forgets what it knew: updates are too large, or the "
         "reward pays for something else than the headline gain.", "Go back to the best checkpoint with half the learning rate.", _fall,
         when="evaluation", changes=_slower),
    Rule("reward_fall", "warning", "The gain of episodes falls after its peak", "The policy forgets what it knew, or draws harder logos.",
         "Go back to the best checkpoint with half the learning rate.", _reward_fall, 3, changes=_slower),
    Rule("plateau", "info", "The validation gain no longer rises", "The run has learned what these settings let it learn.",
         "Stop it here, or give it more logos or variants.", _plateau, when="evaluation"),
    Rule("hacked_reward", "severe", "The reward rises while the SVGs get worse", "The weights pay for something that nobody wants, such as "
         "tiny files that no longer look like the logo.", "Raise reward.quality against reward.size.", _hacked, 3,
         changes=lambda c: {"reward.quality": min(max(c.reward.quality, 0.1) * 2, 10)}),
    Rule("clipped_actions", "warning", "Most actions are out of range", "The policy pushes against the ends of the parameters' ranges.",
         "Move env.centre to where it pushes, or lower ppo.log_std_init.", _beyond, 5,
         changes=lambda c: {"ppo.log_std_init": max(c.ppo.log_std_init - 0.5, -5.0)}),
    Rule("failed_traces", "warning", "Many conversions fail", "Parameters at which VTracer panics or draws nothing, or logos it can't trace.",
         "See which logos fail in the events; leave them out.", _failed(0.12), 5),
    Rule("most_traces_fail", "severe", "Most conversions fail", "Workers die, logos can't be traced, or the policy chose useless parameters.",
         "Look at the log; go back to the best checkpoint.", _failed(0.5), 3),
    Rule("slow", "warning", "The training became slow", "Something else takes the cores, the memory is full, or logos became much harder to trace.",
         "See the System page for what else runs.", _slow, 3),
    Rule("overfitting", "warning", "It learns its training logos by heart", "There are too few logos for this many steps.",
         "Add logos or variants, or stop earlier: the best checkpoint is kept.", _overfitting, when="evaluation",
         changes=lambda c: {"logos.variants": min(c.logos.variants + 4, 100)}),
    Rule("no_promotion", "warning", "A stage gets nowhere", "What the stage demands is out of reach so far.",
         "Lower its target_ssim, required_gain or success_threshold, or move it on by hand.", _stuck, 3),
    Rule("nearly_promoted", "info", "A stage is close to passing as its limit nears", "It would pass with some more episodes.",
         "Raise its max_episodes.", _nearly, 2),
)  # fmt: skip
RULE_NAMES = (*(rule.name for rule in RULES), "anomaly")
