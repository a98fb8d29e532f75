"""What a trainer does about the doctor's findings, as far as the run's settings allow. Every action is logged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from core.config.config import RunConfig
from core.curriculum.curriculum import Curriculum
from core.errors import CheckpointError
from core.health.doctor import Finding
from core.runs.event_types import ActionTaken
from core.runs.events import EventWriter
from core.runs.run_dir import RunDir

if TYPE_CHECKING:
    from stable_baselines3 import PPO

log = logging.getLogger("tracewright")
INSTABILITIES = ("not_finite", "kl_high", "gradient_explosion", "gain_fall", "hacked_reward", "most_traces_fail")
MIN_ENTROPY = 0.005  # what an entropy coefficient of 0 is raised to


class Interventions:
    """Acts on findings; its changes are part of a checkpoint."""

    def __init__(self, config: RunConfig, events: EventWriter, agent: PPO, curriculum: Curriculum, run: RunDir) -> None:
        self._config, self._events, self._agent, self._curriculum, self._run = config, events, agent, curriculum, run
        self._rate_factor = 1.0
        self._n_actions = 0
        self.has_stopped = False

    def act_on(self, finding: Finding) -> str:
        """Do what the settings allow; returns why the run ends, or "" if it continues."""
        health = self._config.health
        if self._n_actions >= health.max_actions:
            return ""
        if finding.severity == "severe" and health.on_instability != "tell" and finding.rule in INSTABILITIES:
            if health.on_instability == "stop":
                self.has_stopped = True
                return self._tell(finding, "stopped the run", f"stopped by the doctor: {finding.title}; {finding.evidence}")
            self._roll_back(finding)
        elif finding.rule in ("entropy_collapse", "std_explosion") and health.adjust_entropy:
            self._adjust_entropy(finding)
        elif finding.rule == "plateau" and health.stop_on_plateau:
            return self._tell(finding, "ended the run", f"ended on a plateau: {finding.evidence}")
        elif finding.rule in ("no_promotion", "nearly_promoted") and health.adjust_stages:
            is_longer = finding.rule == "nearly_promoted"
            limit = self._curriculum.stretch(is_longer)
            self._tell(finding, f"{'extended' if is_longer else 'shortened'} the stage to {limit} episodes")
        return ""

    def is_finite(self) -> bool:
        """Whether all weights are finite."""
        return all(bool(parameter.isfinite().all()) for parameter in self._agent.policy.parameters())

    def _roll_back(self, finding: Finding) -> None:
        from core.agents.checkpoint import load_networks

        names = [name for name in ("best", "last", "previous") if name in self._run.checkpoint_names()]
        for name in names:
            try:
                step = load_networks(self._run.checkpoints / name, self._agent)
            except CheckpointError as error:
                log.warning("%s", error)
                continue
            self._set_rate(self._rate_factor / 2)
            self._tell(
                finding,
                f"restored the networks of {name} (step {step}) and halved the learning rate (now {self._rate_factor:g} of the schedule)",
            )
            return

    def _adjust_entropy(self, finding: Finding) -> None:
        before = self._agent.ent_coef
        after = max(before * 2, MIN_ENTROPY) if finding.rule == "entropy_collapse" else before / 2
        self._agent.ent_coef = after
        self._tell(finding, f"changed the entropy coefficient from {before:g} to {after:g}")

    def _set_rate(self, factor: float) -> None:
        from core.agents.ppo import learning_rate

        schedule = learning_rate(self._config.ppo)
        self._rate_factor = factor
        self._agent.lr_schedule = lambda left: factor * schedule(left)

    def _tell(self, finding: Finding, what: str, reason: str = "") -> str:
        self._n_actions += 1
        log.warning("step %d: %s: %s", finding.step, finding.rule, what)
        self._events.write(finding.step, ActionTaken(finding.rule, what, self._config.health.max_actions - self._n_actions))
        return reason

    def dump(self) -> dict[str, Any]:
        return {"rate_factor": self._rate_factor, "ent_coef": self._agent.ent_coef, "n_actions": self._n_actions}

    def restore(self, state: dict[str, Any]) -> None:
        if not state:
            return
        self._n_actions = int(state["n_actions"])
        self._agent.ent_coef = float(state["ent_coef"])
        if state["rate_factor"] != 1.0:
            self._set_rate(float(state["rate_factor"]))
