"""What a trainer does for its curriculum between updates: commands by hand, probes, and the test for forgetting.

After each stage the policy, acting deterministically, is measured against the demands of every stage, so that a run
says what it kept of the earlier ones. Guarantee: with a curriculum that is off nothing here costs anything.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from core.curriculum.curriculum import Curriculum
from core.environment.episode import Actor, EnvSpec
from core.environment.preparation import Preparations
from core.evaluation.evaluate import evaluate_policy, spread_over_categories
from core.logos.augment import is_variant
from core.logos.dataset import Logo
from core.runs.event_types import StageEvaluation
from core.runs.events import EventWriter
from core.runs.records import read_commands
from core.runs.run_dir import RunDir
from core.workers.pool import WorkerPool

if TYPE_CHECKING:
    from core.training.callbacks import EpisodeRecorder  # imports torch

log = logging.getLogger("tracewright")
MAX_LOGOS = 240  # an evaluation of the stages: validation logos first, then training logos


class StageManager:
    """``evaluated``: places of the validation logos; the first ``n_train`` places are training logos."""

    def __init__(
        self,
        run: RunDir,
        events: EventWriter,
        curriculum: Curriculum,
        recorder: EpisodeRecorder,
        pool: WorkerPool,
        logos: Preparations,
        spec: EnvSpec,
        pictures: Sequence[Logo],
        evaluated: Sequence[int],
        n_train: int,
    ) -> None:
        self._run, self._events, self._curriculum, self._recorder = run, events, curriculum, recorder
        self._pool, self._logos, self._spec = pool, logos, spec
        own = [i for i in range(n_train) if not is_variant(pictures[i])]
        self._places = sorted({*evaluated, *spread_over_categories(pictures, own, max(MAX_LOGOS - len(evaluated), 0))})
        self._at_promotion: dict[str, float] = {}  # success share of each stage when it ended
        self._n_seen = 0
        self._n_obeyed = 0  # of the commands in the run's folder; what is given while the run starts waits for its first update

    def on_start(self, policy: Actor) -> None:
        """Measure before the first step, and skip what is mastered already."""
        if self._curriculum.is_enabled:
            self._evaluate(policy)

    def on_boundary(self, policy: Actor) -> None:
        """Between two updates: act on the commands since, and on a stage that ended."""
        commands = read_commands(self._run)
        waiting, self._n_obeyed = commands[self._n_obeyed :], len(commands)
        for command, _ in groupby(waiting):  # an impatient second press means the first
            decision = self._curriculum.apply_command(command)  # type: ignore[arg-type]
            log.info("%s by hand: %s", command, decision.kind if decision else "nothing to change")
            self._recorder.act_on(decision)
        if self._recorder.n_stages_ended != self._n_seen and not self._curriculum.is_finished:
            self._evaluate(policy)

    def on_end(self, policy: Actor) -> None:
        """The test for forgetting: every stage again, beside what it was when it ended."""
        if self._curriculum.is_enabled:
            self._evaluate(policy, is_final=True)

    def _evaluate(self, policy: Actor, is_final: bool = False) -> None:
        curriculum = self._curriculum
        shares = self._measure(policy)
        for stage in curriculum.stages[: curriculum.index + (1 if is_final else 0)]:
            self._at_promotion.setdefault(stage.name, shares[stage.name])
        kept = {name: shares[name] - share for name, share in self._at_promotion.items()}
        self._events.write(self._recorder.num_timesteps, StageEvaluation(shares, kept, len(self._places), is_final))
        log.info("success by stage: %s", ", ".join(f"{name} {share:.0%}" for name, share in shares.items()))
        while not is_final and (decision := curriculum.probe(shares[curriculum.stage.name])) is not None:
            self._recorder.act_on(decision)
            self._at_promotion.setdefault(decision.name, shares[decision.name])
        self._n_seen = self._recorder.n_stages_ended

    def _measure(self, policy: Actor) -> dict[str, float]:
        self._logos.prepare(self._pool, [i for i in self._places if not self._logos.is_ready(i) and i not in self._pool.quarantined])
        places = [i for i in self._places if self._logos.is_ready(i)]
        results = evaluate_policy(self._pool, self._logos, places, self._spec, policy)
        shares = {}
        for stage in self._curriculum.stages:
            inside = [r for r in results if r.logo.category in stage.categories]
            n_met = sum(r.outcome.failure is None and self._curriculum.is_success(r.outcome.ssim, r.gain, stage) for r in inside)
            shares[stage.name] = n_met / len(inside) if inside else 0.0
        return shares

    def dump(self) -> dict[str, Any]:
        return {"at_promotion": self._at_promotion, "n_obeyed": self._n_obeyed}

    def restore(self, state: dict[str, Any], is_same_run: bool = True, is_newest: bool = True) -> None:
        """Where a run goes on from its newest checkpoint, commands which that one does not know are obeyed again; where an
        older one was chosen, they are past."""
        self._at_promotion = dict(state.get("at_promotion", {}))
        if is_same_run:
            self._n_obeyed = int(state.get("n_obeyed", 0)) if is_newest else len(read_commands(self._run))
