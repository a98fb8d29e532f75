"""The periodic evaluation of a run: measures the policy and the reference methods on its validation logos and logs the results."""

from __future__ import annotations

import logging
import time

import numpy as np

from core.config.config import RunConfig
from core.environment.episode import Actor, EnvSpec
from core.errors import SvgError
from core.evaluation.evaluate import LogoResult, evaluate_baseline, evaluate_policy, summarise
from core.runs.event_types import BaselineMeasured, EvaluationEnded, LogoEvaluated, WarningGiven
from core.runs.events import EventWriter
from core.runs.run_dir import RunDir
from core.search.baselines import BASELINES
from core.search.parallel import search_in_parallel
from core.search.searchers import SEARCHES
from core.statistics import Paired, Summary
from core.tracing.allowed import checked
from core.training.data_loader import DataLoader
from core.training.disk_guard import DiskGuard

log = logging.getLogger("tracewright")
REFERENCE_METHODS = tuple(sorted(baseline.name for baseline in BASELINES.values() if baseline.is_reference))
SINGLE = "single"
REFERENCE_SEARCHES = ("random", "tpe")


class Evaluator:
    """Measures and logs; what follows from the results is for the trainer to decide."""

    def __init__(self, run: RunDir, config: RunConfig, spec: EnvSpec, events: EventWriter, data: DataLoader, disk_guard: DiskGuard) -> None:
        self._run, self._config, self._spec, self._events, self._data, self._disk_guard = run, config, spec, events, data, disk_guard
        self._single: list[float] = []  # gains of the best single setting on the same logos

    def write_references(self, step: int) -> None:
        """Measure the baselines on the same validation logos, for the reference lines beside the agent's curve."""
        data = self._data
        for method in REFERENCE_METHODS:
            results = evaluate_baseline(data.pool, data.logos, data.evaluated, method)
            self._events.write(step, BaselineMeasured(method, **summarise(results)))
        budget = self._spec.max_steps  # what the agent has on each logo
        for method in REFERENCE_SEARCHES:
            if method == "tpe" and budget == 1:
                continue  # its first conversion is the best single setting
            make = SEARCHES[method].make(self._config.seed)
            trajectories = search_in_parallel(data.pool, data.logos, data.evaluated, make, budget, lambda _: None)
            found = Summary.of(np.array([trajectory.best(budget).gain for trajectory in trajectories]))
            self._events.write(step, BaselineMeasured(method, found.mean, found.low, found.high, len(trajectories), budget))

    def evaluate(self, step: int, policy: Actor, best_gain: float | None) -> EvaluationEnded:
        """Evaluate the policy, acting deterministically, on the validation logos; the summary is logged and returned."""
        started, data = time.monotonic(), self._data
        results = evaluate_policy(data.pool, data.logos, data.evaluated, self._spec, policy)
        summary = summarise(results)
        gain = float(summary["gain"])
        is_best = best_gain is None or gain > best_gain
        for result in results:
            self._events.write(step, self._record(step, result))
        summary |= self._over_single(results)
        ended = EvaluationEnded(**summary, is_best=is_best, seconds=round(time.monotonic() - started, 3))
        self._events.write(step, ended)
        log.info("step %d: validation gain %.3f on %d logos", step, gain, len(results))
        return ended

    def _over_single(self, results: list[LogoResult]) -> dict[str, float]:
        data = self._data
        if not self._single:
            self._single = [result.gain for result in evaluate_baseline(data.pool, data.logos, data.evaluated, SINGLE)]
        found = Paired.of(np.array([result.gain for result in results]), np.array(self._single))
        return {"over_single": found.difference, "over_single_low": found.low, "over_single_high": found.high}

    def _record(self, step: int, result: LogoResult) -> LogoEvaluated:
        outcome, defaults, svg = result.outcome, result.logo.defaults, ""
        if self._config.evaluation.keep_svgs and result.svg:
            try:
                path = self._run.svg_file(step, result.logo.digest)
                self._disk_guard.write(path, checked(result.svg))
                svg = self._run.relative(path)
            except SvgError as error:
                self._events.write(step, WarningGiven(f"{result.logo.name}: {error}"))
        return LogoEvaluated(
            logo=result.logo.name,
            category=result.logo.category,
            digest=result.logo.digest,
            gain=result.gain,
            ssim=outcome.ssim,
            colour=outcome.colour,
            edge=outcome.edge,
            nodes=outcome.n_nodes,
            colour_default=defaults.colour,
            edge_default=defaults.edge,
            nodes_default=defaults.n_nodes,
            bytes=outcome.n_bytes,
            paths=outcome.n_paths,
            cpu_s=round(outcome.cpu_s, 6),
            failure=outcome.failure,
            ssim_default=defaults.ssim,
            bytes_default=defaults.n_bytes,
            paths_default=defaults.n_paths,
            params=[round(float(v), 4) for v in result.params.values()],
            svg=svg,
        )
