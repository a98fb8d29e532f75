"""``evaluate``: compares methods, with the same number of conversions on the same logos at the same work size.

Guarantee: the same command gives the same figures; what depends on a clock (CPU seconds) is only in the
table and the CSV. Every conversion is kept in the trace cache, so that an interrupted command catches up quickly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.agents.loading import load_model
from core.agents.model import Model
from core.config.config import PipelineConfig, RunConfig
from core.config.workers import workers_on
from core.environment.episode import PreparedLogo
from core.environment.preparation import Preparations
from core.environment.spec import pipeline_of
from core.errors import ConfigError, LogosError
from core.evaluation import finalists
from core.evaluation.delivery import Delivery, deliver
from core.evaluation.finalists import Finalist
from core.evaluation.vectors import figures, judge_all
from core.logos.dataset import SPLITS, Logo, Shares, load_logos
from core.logos.vectors import vector_of
from core.paths import trace_cache_file
from core.search.baselines import BASELINES
from core.search.parallel import Conversion, Trajectory, search_in_parallel
from core.search.searchers import SEARCHES, SearcherFactory, baseline
from core.statistics import Paired, Summary, conversions_worth, worth_interval
from core.tracing.cache import TraceCache
from core.tracing.judge import Fidelity, fidelity
from core.tracing.outcome import SSIM_SLACK, Outcome, gain
from core.tracing.params import DEFAULTS, Params
from core.tracing.vector_judge import check_resvg
from core.workers.backend import open_pool
from core.workers.picture_store import PictureStore
from core.workers.pool import WorkerPool
from core.workers.worker import Job

LEARNED = ("policy", "policy_search")
RIVALS = ("single", *SEARCHES)  # with whom every method is paired where they were asked for
METHODS = (*BASELINES, *SEARCHES, *LEARNED)
BUDGETS = (1, 5, 10, 20, 50, 100)
MAX_BUDGET = 1000


@dataclass(frozen=True)
class Request:
    """What to compare. ``work_size`` None means the model's."""

    model: str | None
    images: str | None
    split: str = "validation"
    methods: Sequence[str] = ("default", "method1", "single", "policy")
    budgets: Sequence[int] = BUDGETS
    work_size: int | None = None
    seed: int = 0
    n_workers: int = 0
    cluster: str = ""  # address of a Ray cluster to convert on; empty uses this machine
    vectors: bool = False  # hold results against the vectors that the pictures were made of too
    delivered: bool = False  # make of each best conversion what Optimize delivers, and hold that against the vectors

    def check(self) -> None:
        """Raise :class:`ConfigError` if the request can't be met."""
        unknown = [name for name in self.methods if name not in METHODS]
        if unknown or not self.methods:
            raise ConfigError(f"--methods {unknown[0] if unknown else ''!r} is not one of {', '.join(METHODS)}")
        if self.split not in (*SPLITS, "all"):
            raise ConfigError(f"--split {self.split!r} is not one of {', '.join(SPLITS)}, all")
        learned = [name for name in self.methods if name in LEARNED]
        if learned and self.model is None:
            raise ConfigError(f"the method {learned[0]!r} needs --model RUN, a checkpoint folder or a model folder")
        if not self.budgets or not all(1 <= b <= MAX_BUDGET for b in self.budgets):
            raise ConfigError(f"--budgets {','.join(map(str, self.budgets))!r} are not whole numbers in [1, {MAX_BUDGET}]")


@dataclass(frozen=True)
class Column:
    """A method's results after a budget: the best conversion so far of each logo, logos in the same order."""

    best: list[Conversion]
    svgs: list[str]
    fidelities: list[Fidelity]
    delivered: list[tuple[Outcome, str]] | None = None  # what Optimize delivers of them, with its SVG
    vectors: dict[str, Any] | None = None  # see core/evaluation/vectors.py

    @cached_property
    def gains(self) -> NDArray[np.float64]:
        return np.array([c.gain for c in self.best])

    @cached_property
    def summary(self) -> Summary:
        return Summary.of(self.gains)


@dataclass
class Comparison:
    """``columns[method][budget]``."""

    model: str | None
    images: str
    split: str
    work_size: int
    seed: int
    logos: list[Logo]
    trajectories: dict[str, list[Trajectory]]
    n_skipped: int
    columns: dict[str, dict[int, Column]] = field(default_factory=dict)
    defaults: list[Fidelity] = field(default_factory=list)
    oracle: list[float] = field(default_factory=list)  # best gain ever seen of each logo

    @property
    def categories(self) -> list[str]:
        return sorted({logo.category for logo in self.logos})

    def curves(self, method: str) -> NDArray[np.float64]:
        """Best gain so far, shape (n_logos, conversions)."""
        n = max(len(trajectory.conversions) for trajectory in self.trajectories[method])
        return np.stack([trajectory.curve(n) for trajectory in self.trajectories[method]])

    def as_dict(self) -> dict[str, Any]:
        each = [(method, budget, column) for method, columns in self.columns.items() for budget, column in columns.items()]
        return {
            "model": self.model,
            "images": self.images,
            "split": self.split,
            "work_size": self.work_size,
            "seed": self.seed,
            "n_logos": len(self.logos),
            "n_skipped": self.n_skipped,
            "gain": _nested((m, b, self._gain(column)) for m, b, column in each),
            **self._worth("tpe"),
            **self._worth("tpe_cold"),
            **{f"against_{rival}": self._against(rival) for rival in RIVALS if rival in self.columns},
            "against_default": _nested((m, b, Paired.of(column.gains, np.zeros(len(self.logos))).as_dict()) for m, b, column in each),
            "measures": _nested((m, b, self._measures(column)) for m, b, column in each),
        }

    def _worth(self, rival: str) -> dict[str, Any]:
        """How many of a search's conversions each method's gain is worth, with its interval; the limit is the search's budget."""
        worth: dict[str, dict[str, float]] = {}
        intervals: dict[str, dict[str, list[float]]] = {}
        limit: int | None = None
        if rival in self.trajectories:
            curves = self.curves(rival)
            limit = curves.shape[1]
            for method, columns in self.columns.items():
                gains = {str(budget): column.gains for budget, column in columns.items()}
                worth[method] = {budget: conversions_worth(float(found.mean()), curves.mean(axis=0)) for budget, found in gains.items()}
                intervals[method] = {budget: list(worth_interval(found, curves)) for budget, found in gains.items()}
        return {f"worth_{rival}": worth, f"worth_{rival}_interval": intervals, f"worth_{rival}_limit": limit}

    def _against(self, rival: str) -> dict[str, dict[str, Any]]:
        """Each method paired with a rival: with as many conversions, or with the one that a fixed setting has."""
        theirs = self.columns[rival]
        fixed = next(iter(theirs.values())) if rival in BASELINES else None
        return _nested(
            (method, budget, Paired.of(column.gains, (fixed or theirs[budget]).gains).as_dict())
            for method, columns in self.columns.items()
            for budget, column in columns.items()
            if method != rival and (fixed is not None or budget in theirs)
        )

    def _gain(self, column: Column) -> dict[str, Any]:
        by_category = {
            c: float(np.mean([gain for gain, logo in zip(column.gains, self.logos, strict=True) if logo.category == c]))
            for c in self.categories
        }
        found = column.summary
        return {"mean": found.mean, "low": found.low, "high": found.high, "by_category": by_category}

    def _measures(self, column: Column) -> dict[str, Any]:
        """Means over the logos beside the gain, and the same of VTracer's defaults."""
        prepared = [trajectory.logo for trajectory in next(iter(self.trajectories.values()))]
        ssim = np.array([c.outcome.ssim for c in column.best])
        ssim_default = np.array([logo.defaults.ssim for logo in prepared])
        return {
            "gain_median": column.summary.median,
            "gain_iqm": column.summary.iqm,
            "ssim": float(ssim.mean()),
            "ssim_default": float(ssim_default.mean()),
            "share_ssim_below": float((ssim < ssim_default - SSIM_SLACK).mean()),
            "share_visibly_worse": float(
                np.mean([c.outcome.is_visibly_worse(logo.defaults) for c, logo in zip(column.best, prepared, strict=True)])
            ),
            **{
                name + suffix: float(np.mean([getattr(outcome, attribute) for outcome in outcomes]))
                for name, attribute in (("colour", "colour"), ("edge", "edge"), ("nodes", "n_nodes"))
                for suffix, outcomes in (("", [c.outcome for c in column.best]), ("_default", [logo.defaults for logo in prepared]))
            },
            "bytes": float(np.mean([c.outcome.n_bytes for c in column.best])),
            "bytes_default": float(np.mean([logo.defaults.n_bytes for logo in prepared])),
            "edge_f1": float(np.mean([f.edge_f1 for f in column.fidelities])),
            "edge_f1_default": float(np.mean([f.edge_f1 for f in self.defaults])),
            "psnr": float(np.mean([f.psnr for f in column.fidelities])),
            "psnr_default": float(np.mean([f.psnr for f in self.defaults])),
            "share_better": float((column.gains > 0).mean()),
            "regret": float(np.mean(np.array(self.oracle) - column.gains)),
            "n_failed": sum(c.outcome.failure is not None for c in column.best),
            **({"vector": column.vectors} if column.vectors is not None else {}),
            **({"delivered": _delivered(column.delivered, prepared)} if column.delivered is not None else {}),
        }


def _nested(items: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for method, budget, value in items:
        found.setdefault(method, {})[str(budget)] = value
    return found


def compare(request: Request, home: Path, on_progress: Callable[[str, int, int], None]) -> Comparison:
    """Evaluate the methods asked for. ``on_progress``: receives what is being done, and how many of how many conversions are done.

    Raises:
        ConfigError: an unknown method, split or budget, or a learned method without a model.
        LogosError: no logo in the split.
        RasterError: results are to be compared with the vectors, and resvg is not installed.
    """
    request.check()
    if request.vectors:
        check_resvg()
    model = load_model(request.model, home) if request.model is not None else None
    c = model.config if model is not None else RunConfig()
    path, size = request.images or c.logos.path, request.work_size or c.logos.work_size
    on_progress(f"loading {path}", 0, 0)
    found = load_logos(path, size, Shares(c.logos.validation_share, c.logos.test_share), c.logos.builtin_seed, c.logos.n_per_category)
    logos = [logo for logo in found.logos if request.split in ("all", logo.split)]
    if not logos:
        raise LogosError(f"{path} has no logo in the split {request.split!r}")
    store, cache = PictureStore.create(logos, pipeline_of(c, size)), TraceCache(trace_cache_file(home))
    pool = open_pool(workers_on(c.workers, request.cluster), store, request.n_workers, cache)
    try:
        prepared = Preparations(logos, range(len(logos)))
        places = prepared.prepare(pool, range(len(logos)), lambda n: on_progress("preparing", n, len(logos)))
        if not places:
            raise LogosError(f"none of the logos of {path} can be traced; see the log")
        trajectories = {}
        for method in request.methods:
            budgets = _budgets(method, request.budgets, model)
            total = budgets[-1] * len(places)

            def progress(n_done: int, method: str = method, total: int = total) -> None:
                on_progress(method, n_done, total)

            trajectories[method] = search_in_parallel(pool, prepared, places, _maker(method, request.seed, model), budgets[-1], progress)
        comparison = Comparison(
            model.name if model is not None else None,
            path,
            request.split,
            size,
            request.seed,
            [logos[i] for i in places],
            trajectories,
            len(found.skipped),
        )
        default_svgs = _complete(comparison, pool, places, request.budgets, model, on_progress)
        if request.delivered and c.pipeline.trace_size:
            _deliver(comparison, pool, places, c.pipeline, default_svgs, on_progress)
    finally:
        pool.close()
    if request.vectors:
        _hold_against_vectors(comparison, c, default_svgs, on_progress)
    return comparison


def _maker(method: str, seed: int, model: Model | None) -> SearcherFactory:
    if method in BASELINES:
        return baseline(method)
    if method in SEARCHES:
        return SEARCHES[method].make(seed)
    assert model is not None
    return model.choice if method == "policy" else model.search


def _budgets(method: str, budgets: Sequence[int], model: Model | None) -> list[int]:
    """The budgets that a method has figures for: what never changes after its last conversion is shown there once."""
    most = 1 if method in BASELINES else max(budgets)
    if method == "policy" and model is not None:
        most = model.spec.max_steps
    return sorted({b for b in budgets if b <= most} or {min(budgets)})


def _complete(
    comparison: Comparison,
    pool: WorkerPool,
    places: list[int],
    budgets: Sequence[int],
    model: Model | None,
    on_progress: Callable[[str, int, int], None],
) -> list[str]:
    """Add what was requested of the best conversions: SVGs, fidelity, and how far they are from the best ever seen. Returns the defaults' SVGs."""
    wanted: dict[tuple[int, Params], int] = {}
    for k in range(len(places)):
        wanted.setdefault((k, DEFAULTS), len(wanted))
    best: dict[tuple[str, int], list[Conversion]] = {}
    for method, trajectories in comparison.trajectories.items():
        for budget in _budgets(method, budgets, model):
            best[method, budget] = [trajectory.best(budget) for trajectory in trajectories]
            for k, conversion in enumerate(best[method, budget]):
                wanted.setdefault((k, conversion.params), len(wanted))
    jobs = [Job(places[k], params, keep_svg=True) for k, params in wanted]
    svgs = [result.svg for result in pool.measure(jobs, lambda n: on_progress("drawing", n, len(jobs)))]
    measured = [fidelity(comparison.logos[k].flat, svg, comparison.logos[k].ground) for (k, _), svg in zip(wanted, svgs, strict=True)]
    comparison.defaults = [measured[wanted[k, DEFAULTS]] for k in range(len(places))]
    for (method, budget), conversions in best.items():
        at = [wanted[k, conversion.params] for k, conversion in enumerate(conversions)]
        comparison.columns.setdefault(method, {})[budget] = Column(conversions, [svgs[i] for i in at], [measured[i] for i in at])
    for k, logo in enumerate(comparison.logos):
        seen = max(c.gain for trajectories in comparison.trajectories.values() for c in trajectories[k].conversions)
        comparison.oracle.append(pool.cache.best_gain(logo.digest, max(seen, 0.0)))
    return [svgs[wanted[k, DEFAULTS]] for k in range(len(places))]


def _deliver(
    comparison: Comparison,
    pool: WorkerPool,
    places: list[int],
    pipeline: PipelineConfig,
    default_svgs: list[str],
    on_progress: Callable[[str, int, int], None],
) -> None:
    """Add to each column what Optimize delivers of its conversions."""
    each = [column for columns in comparison.columns.values() for column in columns.values()]
    wanted = {(k, conversion.params): None for column in each for k, conversion in enumerate(column.best)}
    deliveries = [Delivery.of(places[k], comparison.logos[k], params, pipeline) for k, params in wanted]
    n_all = sum(len(delivery.jobs) for delivery in deliveries)
    made = dict(zip(wanted, deliver(pool, deliveries, lambda n: on_progress("delivering", n, n_all)), strict=True))
    prepared = [trajectory.logo for trajectory in next(iter(comparison.trajectories.values()))]
    for columns in comparison.columns.values():
        for budget, column in columns.items():
            chosen = []
            for k, (conversion, svg) in enumerate(zip(column.best, column.svgs, strict=True)):
                base = Finalist(finalists.DEFAULTS, default_svgs[k], prepared[k].defaults, DEFAULTS)
                searched = Finalist(finalists.AGENT, svg, conversion.outcome, conversion.params)
                chosen.append(finalists.choose([base, searched, *made[k, conversion.params]]))
            columns[budget] = replace(column, delivered=[(result.outcome, result.svg) for result in chosen])


def _delivered(delivered: list[tuple[Outcome, str]], prepared: Sequence[PreparedLogo]) -> dict[str, float]:
    """Figures of conversions as they are delivered; bytes and nodes as shares of the defaults'."""
    pairs = [(outcome, logo.defaults) for (outcome, _), logo in zip(delivered, prepared, strict=True)]
    return {
        "gain": float(np.mean([gain(own, base).total for own, base in pairs])),
        "bytes_share": sum(own.n_bytes for own, _ in pairs) / max(sum(base.n_bytes for _, base in pairs), 1),
        "nodes_share": sum(own.n_nodes for own, _ in pairs) / max(sum(base.n_nodes for _, base in pairs), 1),
        "share_visibly_worse": float(np.mean([own.is_visibly_worse(base) for own, base in pairs])),
    }


def _hold_against_vectors(
    comparison: Comparison, config: RunConfig, default_svgs: list[str], on_progress: Callable[[str, int, int], None]
) -> None:
    c, logos = config.logos, comparison.logos
    known = [(logo, vector_of(logo, comparison.images, c.builtin_seed, c.n_per_category)) for logo in logos]
    columns = [(method, budget, column) for method, budgets in comparison.columns.items() for budget, column in budgets.items()]
    svgs = [
        [default_svgs[k], *(column.delivered[k][1] if column.delivered else column.svgs[k] for _, _, column in columns)]
        for k in range(len(logos))
    ]
    errors = judge_all(known, svgs, lambda n: on_progress("comparing with the vectors", n, len(logos)))
    categories = [logo.category for logo in logos]
    for place, (method, budget, column) in enumerate(columns, start=1):
        found = figures([of_logo[place] for of_logo in errors], [of_logo[0] for of_logo in errors], categories)
        comparison.columns[method][budget] = replace(column, vectors=found)
