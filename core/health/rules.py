"""Rules that detect what goes wrong in a training, each with evidence, a likely cause and a remedy.

Pure: each rule examines a :class:`History`. Thresholds are set so that healthy runs (docs/learning.md) raise nothing severe: in those, KL
reaches 0.33 per update and the clip fraction 0.73, the explained variance starts below zero, and the gradient norm triples as the standard
deviation shrinks.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.config.config import RunConfig
from core.config.installation import Severity
from core.health.history import History, mean

_LOSSES = ("train/loss", "train/value_loss", "train/policy_gradient_loss", "train/entropy_loss", "train/approx_kl", "train/grad_norm")


@dataclass(frozen=True)
class Rule:
    """``test`` examines the history and returns evidence or None; it must hold ``n_in_a_row`` times in a row.

    ``when``: the kind of event after which it is tested, "update" or "evaluation".
    """

    name: str
    severity: Severity
    title: str
    cause: str
    remedy: str
    test: Callable[[History], str | None]
    n_in_a_row: int = 1
    when: str = "update"
    changes: Callable[[RunConfig], dict[str, Any]] = lambda config: {}


def _slower(config: RunConfig) -> dict[str, Any]:
    return {"ppo.learning_rate": config.ppo.learning_rate / 2}


def _more_entropy(config: RunConfig) -> dict[str, Any]:
    return {"ppo.ent_coef": max(config.ppo.ent_coef * 2, 0.005)}


def _not_finite(d: History) -> str | None:
    broken = [name for name in _LOSSES if name in d.values and d.values[name][-1] is None]
    return f"{', '.join(broken)} {'is' if len(broken) == 1 else 'are'} not finite" if broken else None


def _kl(d: History) -> str | None:
    limit = 10 * d.config.ppo.target_kl if d.config.ppo.target_kl else 1.0
    value = d.last("train/approx_kl")
    return f"approx_kl is {value:.2f}; healthy runs stay below {limit:g}" if value is not None and value > limit else None


def _clipping(d: History) -> str | None:
    value = d.last("train/clip_fraction")
    return f"clip_fraction is {value:.2f}: nearly every sample is clipped" if value is not None and value > 0.85 else None


def _collapse(d: History) -> str | None:
    std, begun = d.last("train/std"), math.exp(d.config.ppo.log_std_init)
    if std is not None and std < 0.15 * begun:
        return f"the standard deviation of the actions is {std:.3f}; it started at {begun:.3f}"
    entropy, before = d.last("train/entropy_loss"), d.usual("train/entropy_loss", window=10)
    if entropy is not None and len(before) >= 5 and entropy - before[0] > 3.5:
        return f"entropy_loss rose from {before[0]:.2f} to {entropy:.2f} within {len(before)} updates"
    return None


def _explosion(d: History) -> str | None:
    std, begun = d.last("train/std"), math.exp(d.config.ppo.log_std_init)
    if std is None or std < max(2.0 * begun, begun + 0.3):
        return None
    return f"the standard deviation of the actions is {std:.2f}; it started at {begun:.2f}, and the whole range is from -1 to 1"


def _useless_value(d: History) -> str | None:
    value = d.last("train/explained_variance")
    return f"explained_variance is {value:.2f}" if d.n_updates > 10 and value is not None and value < -0.05 else None


def _gradient(d: History) -> str | None:
    value, before = d.last("train/grad_norm"), d.usual("train/grad_norm")
    if value is None or len(before) < 5 or value < max(10 * statistics.median(before), 20 * d.config.ppo.max_grad_norm):
        return None
    return f"grad_norm is {value:.1f}; before, it was about {statistics.median(before):.1f}"


def _gain(value: float) -> str:
    """With its sign; -0.0 is shown as +0.000."""
    return f"{round(value, 3) + 0.0:+.3f}"


def _fall(d: History) -> str | None:
    if len(d.gains) < 4:
        return None
    best, now = max(list(d.gains)[:-2]), mean(list(d.gains)[-2:])
    return f"the validation gain fell from {_gain(best)} to {_gain(now)} (mean of two evaluations)" if now < best - 0.08 else None


def _reward_fall(d: History) -> str | None:
    found = [v for v in d.values.get("trace/gain", ()) if v is not None]
    if len(found) < 30:
        return None
    smooth = [statistics.median(found[i : i + 10]) for i in range(0, len(found) - 9, 5)]
    peak, now = max(smooth), statistics.median(found[-10:])
    return f"the gain of episodes fell from {_gain(peak)} to {_gain(now)} (medians of ten updates)" if now < peak - 0.15 else None


def _plateau(d: History) -> str | None:
    n = 8
    if len(d.gains) <= n or d.progress > 0.8:
        return None
    best_before, since = max(list(d.gains)[:-n]), max(list(d.gains)[-n:])
    return f"{n} evaluations without a gain above {best_before:.3f}" if since < best_before + 0.003 else None


def _hacked(d: History) -> str | None:
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


def _beyond(d: History) -> str | None:
    value = d.last("trace/clipped_actions")
    return f"{value:.0%} of the actions lie outside [-1, 1] and are clipped" if value is not None and value > 0.5 else None


def _failed(share: float) -> Callable[[History], str | None]:
    def test(d: History) -> str | None:
        value = d.last("trace/failed_share")
        return f"{value:.0%} of the conversions failed or came out blank" if value is not None and value > share else None

    return test


def _slow(d: History) -> str | None:
    rate, before = d.last("time/step_rate"), d.usual("time/step_rate", skip=3)
    if rate is None or len(before) < 10 or rate > 0.4 * statistics.median(before):
        return None
    return f"{rate:.0f} steps per second; before, it was about {statistics.median(before):.0f}"


def _overfitting(d: History) -> str | None:
    n = 4
    if len(d.gains) < 2 * n + 1:
        return None
    train, seen = list(d.train_gains), list(d.gains)
    if any(math.isnan(v) for v in train[-2 * n :]):
        return None
    rise, fall = mean(train[-n:]) - mean(train[-2 * n : -n]), mean(seen[-2 * n : -n]) - mean(seen[-n:])
    if rise < 0.02 or fall < 0.02:
        return None
    return f"over {n} evaluations the gain on training logos rose by {rise:.3f} and fell by {fall:.3f} on validation logos"


def _stage_left(d: History) -> tuple[str, float, float, float] | None:
    """(name, share of its episodes done, success rate, threshold) of the current stage."""
    place, share, done = d.last("curriculum/stage"), d.last("curriculum/success_share"), d.last("curriculum/episodes_in_stage")
    curriculum = d.config.curriculum
    if not curriculum.enabled or place is None or share is None or done is None or d.n_updates_in_stage < 2:
        return None
    if int(place) + 1 == len(curriculum.stages) and not curriculum.ends_run:
        return None
    stage = curriculum.stages[int(place)]
    return stage.name, done / stage.max_episodes, share, stage.success_threshold


def _stuck(d: History) -> str | None:
    found = _stage_left(d)
    if found is None or found[1] < 0.5 or found[2] > 0.6 * found[3]:
        return None
    return f"{found[0]} has {found[2]:.0%} successes after {found[1]:.0%} of its episodes, {found[3]:.0%} are needed"


def _nearly(d: History) -> str | None:
    found = _stage_left(d)
    if found is None or found[1] < 0.9 or not found[3] - 0.1 < found[2] < found[3]:
        return None
    return f"{found[0]} has {found[2]:.0%} successes after {found[1]:.0%} of its episodes, {found[3]:.0%} are needed"


_RATE_CAUSE = "The learning rate is too high for these rollouts, or each is passed over too often."
_RATE_REMEDY = "Halve ppo.learning_rate, or lower ppo.n_epochs."
RULES: tuple[Rule, ...] = (
    Rule("not_finite", "severe", "A loss is not finite", "An update was so large that the networks overflowed, or a reward was not finite.",
         "Return to the best checkpoint with half the learning rate; lower ppo.max_grad_norm.", _not_finite, changes=_slower),
    Rule("kl_high", "severe", "Updates move the policy too far", _RATE_CAUSE, _RATE_REMEDY, _kl, 3, changes=_slower),
    Rule("clip_high", "warning", "Nearly all samples are clipped", _RATE_CAUSE, _RATE_REMEDY, _clipping, 5, changes=_slower),
    Rule("entropy_collapse", "severe", "Exploration collapses", "The policy became certain too early: it no longer tries anything new and can't improve.",
         "Raise ppo.ent_coef, or lower ppo.learning_rate.", _collapse, 3, changes=_more_entropy),
    Rule("std_explosion", "severe", "Exploration explodes", "The actions are nearly random: the entropy bonus outweighs the reward.",
         "Lower ppo.ent_coef.", _explosion, 3, changes=lambda c: {"ppo.ent_coef": c.ppo.ent_coef / 2}),
    Rule("value_useless", "warning", "The value function is worse than a constant", "It can't keep up with the returns: they are too noisy or "
         "change too fast.", "Lower ppo.learning_rate, raise ppo.vf_coef, or make the rollouts longer.", _useless_value, 15,
         changes=lambda c: {"ppo.vf_coef": min(c.ppo.vf_coef * 2, 10)}),
    Rule("gradient_explosion", "severe", "The gradient explodes", "Single samples dominate the update: a huge reward, or networks about to "
         "overflow.", "Lower ppo.learning_rate and ppo.max_grad_norm; check which rewards are outliers.", _gradient, changes=_slower),
    Rule("gain_fall", "severe", "The validation gain falls after its peak", "The policy forgets what it learned: updates are too large, or the "
         "reward favours something other than the headline gain.", "Return to the best checkpoint with half the learning rate.", _fall,
         when="evaluation", changes=_slower),
    Rule("reward_fall", "warning", "The gain of episodes falls after its peak", "The policy forgets what it learned, or the logos drawn are harder.",
         "Return to the best checkpoint with half the learning rate.", _reward_fall, 3, changes=_slower),
    Rule("plateau", "info", "The validation gain no longer rises", "The run has learned what it can with these settings.",
         "Stop it here, or give it more logos or variants.", _plateau, when="evaluation"),
    Rule("hacked_reward", "severe", "The reward rises while the SVGs get worse", "The weights reward something undesirable, such as "
         "tiny files that no longer look like the logo.", "Raise reward.quality relative to reward.size.", _hacked, 3,
         changes=lambda c: {"reward.quality": min(max(c.reward.quality, 0.1) * 2, 10)}),
    Rule("clipped_actions", "warning", "Most actions are out of range", "The policy pushes against the ends of the parameters' ranges.",
         "Move env.centre in that direction, or lower ppo.log_std_init.", _beyond, 5,
         changes=lambda c: {"ppo.log_std_init": max(c.ppo.log_std_init - 0.5, -5.0)}),
    Rule("failed_traces", "warning", "Many conversions fail", "VTracer panics or draws nothing at the chosen parameters, or can't trace some logos.",
         "Check in the events which logos fail, and remove them.", _failed(0.12), 5),
    Rule("most_traces_fail", "severe", "Most conversions fail", "Workers die, logos can't be traced, or the policy chose useless parameters.",
         "Look at the log; return to the best checkpoint.", _failed(0.5), 3),
    Rule("slow", "warning", "Training has become slow", "Other processes use the cores, memory is full, or the logos are much harder to trace.",
         "See the System page for what else is running.", _slow, 3),
    Rule("overfitting", "warning", "The policy overfits its training logos", "There are too few logos for this many steps.",
         "Add logos or variants, or stop earlier; the best checkpoint is kept.", _overfitting, when="evaluation",
         changes=lambda c: {"logos.variants": min(c.logos.variants + 4, 100)}),
    Rule("no_promotion", "warning", "A stage makes no progress", "The stage's requirements are still out of reach.",
         "Lower its target_ssim, required_gain or success_threshold, or advance it by hand.", _stuck, 3),
    Rule("nearly_promoted", "info", "A stage is close to passing as its limit nears", "It would probably pass with a few more episodes.",
         "Raise its max_episodes.", _nearly, 2),
)  # fmt: skip
RULE_NAMES = (*(rule.name for rule in RULES), "anomaly")
