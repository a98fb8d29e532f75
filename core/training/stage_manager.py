"""What a trainer does for its curriculum between updates: commands from a person, probes, and the test for forgetting.

After each stage the policy, acting deterministically, is measured against the demands of every stage, so that a run
shows how much it retained of the earlier ones. Guarantee: costs nothing if the curriculum is off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING, Any

from core.environment.episode import Actor, EnvSpec
from core.evaluation.evaluate import evaluate_policy, spread_over_categories
from core.logos.augment import is_variant
from core.runs.event_types import StageEvaluation
from core.runs.events import EventWriter
from core.runs.records import read_commands
from core.runs.run_dir import RunDir

if TYPE_CHECKING:
    from core.training.callbacks import CurriculumCallback  # imports torch
    from core.training.data_loader import DataLoader

log = logging.getLogger("tracewright")
MAX_LOGOS = 240  # an evaluation of the stages: validation logos first, then training logos


class StageManager:
    """``step``: returns the current num_timesteps."""

    def __init__(
        self,
        run: RunDir,
        events: EventWriter,
        stages: CurriculumCallback,
        data: DataLoader,
        spec: EnvSpec,
        step: Callable[[], int],
    ) -> None:
        self._run, self._events, self._stages, self.curriculum, self._step = run, events, stages, stages.curriculum, step
        self._pool, self._logos, self._spec = data.pool, data.logos, spec
        own = [i for i in range(data.n_train) if not is_variant(data.pictures[i])]
        n_left = max(MAX_LOGOS - len(data.evaluated), 0)
        self._places = sorted({*data.evaluated, *spread_over_categories(data.pictures, own, n_left)})
        self._at_promotion: dict[str, float] = {}  # success share of each stage when it ended
        self._n_seen = 0
        self._n_applied = 0  # of the commands in the run's folder; what is given while the run starts waits for its first update

    def on_start(self, policy: Actor) -> None:
        """Measure before the first step, and skip stages that are already mastered."""
        if self.curriculum.is_enabled:
            self._evaluate(policy)

    def on_boundary(self, policy: Actor) -> None:
        """Between two updates: act on new commands, and on a stage that ended."""
        commands = read_commands(self._run)
        waiting, self._n_applied = commands[self._n_applied :], len(commands)
        for command, _ in groupby(waiting):  # an impatient second press means the first
            decision = self.curriculum.apply_command(command)  # type: ignore[arg-type]
            log.info("%s by hand: %s", command, decision.kind if decision else "nothing to change")
            self._stages.act_on(decision)
        if self._stages.n_stages_ended != self._n_seen and not self.curriculum.is_finished:
            self._evaluate(policy)

    def on_end(self, policy: Actor) -> None:
        """The test for forgetting: measure every stage again, compared with when it ended."""
        if self.curriculum.is_enabled:
            self._evaluate(policy, is_final=True)

    def _evaluate(self, policy: Actor, is_final: bool = False) -> None:
        curriculum = self.curriculum
        shares = self._measure(policy)
        for stage in curriculum.stages[: curriculum.index + (1 if is_final else 0)]:
            self._at_promotion.setdefault(stage.name, shares[stage.name])
        kept = {name: shares[name] - share for name, share in self._at_promotion.items()}
        self._events.write(self._step(), StageEvaluation(shares, kept, len(self._places), is_final))
        log.info("success by stage: %s", ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))
        while not is_final and (decision := curriculum.probe(shares[curriculum.stage.name])) is not None:
            self._stages.act_on(decision)
            self._at_promotion.setdefault(decision.name, shares[decision.name])
        self._n_seen = self._stages.n_stages_ended

    def _measure(self, policy: Actor) -> dict[str, float]:
        self._logos.prepare(self._pool, [i for i in self._places if not self._logos.is_ready(i) and i not in self._pool.quarantined])
        places = [i for i in self._places if self._logos.is_ready(i)]
        results = evaluate_policy(self._pool, self._logos, places, self._spec, policy)
        shares = {}
        for stage in self.curriculum.stages:
            inside = [r for r in results if r.logo.category in stage.categories]
            n_met = sum(r.outcome.failure is None and self.curriculum.is_success(r.outcome.ssim, r.gain, stage) for r in inside)
            shares[stage.name] = n_met / len(inside) if inside else 0.0
        return shares

    def dump(self) -> dict[str, Any]:
        n_unmeasured = self._stages.n_stages_ended - self._n_seen  # in a rollout that is still open
        return {"at_promotion": self._at_promotion, "n_obeyed": self._n_applied, "n_unmeasured": n_unmeasured}

    def restore(self, state: dict[str, Any], is_same_run: bool = True, is_newest: bool = True) -> None:
        """Where a run goes on from its newest checkpoint, commands which that one does not know are applied again; where an
        older one was chosen, they are past."""
        self._at_promotion = dict(state.get("at_promotion", {}))
        if is_same_run:
            self._n_seen = self._stages.n_stages_ended - int(state.get("n_unmeasured", 0))
            self._n_applied = int(state.get("n_obeyed", 0)) if is_newest else len(read_commands(self._run))
