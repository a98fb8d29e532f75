"""The delivery after a search: conversions repeated on the picture at several times its size.

A search sees a picture at the trace size of training, where a fine step costs next to nothing and buys a little; at delivery the same steps
are finer than what the picture shows and cost bytes and nodes that nobody sees. So what is finer than that is left out of what was found, and
two coarser settings are compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.config.config import PipelineConfig
from core.evaluation.finalists import AGENT, SINGLE, Finalist
from core.logos.dataset import Logo
from core.tracing.params import LARGE_SINGLE, Params
from core.workers.pool import WorkerPool
from core.workers.worker import Job, JobResult

LARGEST_TRACE, TIMES = 2048, 4  # traced at so many times the picture, at most at so many pixels
_STAIRS = 0.15  # pixels of simplification that smooth the stairs of a large trace
_FINE = 3  # times the picture from which on whole pixels of the trace are fine enough


def delivered_size(logo: Logo, pipeline: PipelineConfig) -> int:
    """Longest side at which what is delivered is traced, in pixels; 0 where the pipeline enlarges nothing."""
    if not pipeline.trace_size:
        return 0
    return max(pipeline.delivered_size, min(TIMES * max(logo.pixels.shape[:2]), LARGEST_TRACE), pipeline.trace_size)


def carried(params: Params, times: float) -> Params:
    """The same for a trace at ``times`` the picture's size: stairs of its pixels smoothed, speckles gone, coordinates in its whole pixels."""
    return replace(
        params,
        simplify=max(params.simplify, _STAIRS),
        filter_speckle=max(params.filter_speckle, LARGE_SINGLE.filter_speckle),
        path_precision=0 if times >= _FINE else params.path_precision,
    )


def candidates(params: Params, times: float, prefer: str = "", is_all: bool = False) -> list[tuple[str, Params]]:
    """What is made of the larger picture, each with who made it: what was found, its colours with the outlines of the single setting, and
    that; where closeness is preferred, or all are wanted, what was found as it is too; of VTracer's plain defaults nothing."""
    if params.is_plain:
        return []
    outlines = LARGE_SINGLE.with_values(
        color_precision=params.color_precision,
        layer_difference=params.layer_difference,
        hierarchical=params.hierarchical,
        simplify=_STAIRS,
    )
    as_found = [(AGENT, params)] if prefer == "faithful" or is_all else []
    return [*as_found, (AGENT, carried(params, times)), (AGENT, outlines), (SINGLE, LARGE_SINGLE)]


@dataclass(frozen=True)
class Delivery:
    """The conversions that one logo's result is chosen from. ``place``: of the logo in the picture store."""

    jobs: list[Job]
    made_by: list[str]

    @classmethod
    def of(
        cls, place: int, logo: Logo, params: Params, pipeline: PipelineConfig, prefer: str = "", minify: bool = False, is_all: bool = False
    ) -> Delivery:
        size = delivered_size(logo, pipeline)
        found = candidates(params, size / max(logo.pixels.shape[:2]), prefer, is_all)
        jobs = [Job(place, chosen, keep_svg=True, trace_size=size, minify=minify) for _, chosen in found]
        return cls(jobs, [made_by for made_by, _ in found])

    def finalists(self, results: Sequence[JobResult]) -> list[Finalist]:
        """The results of the jobs, in their order."""
        return [
            Finalist(made_by, result.svg, result.outcome, job.params, job.trace_size, is_minified=job.minify)
            for made_by, job, result in zip(self.made_by, self.jobs, results, strict=True)
        ]


def deliver(pool: WorkerPool, deliveries: Sequence[Delivery], on_progress: Callable[[int], None]) -> list[list[Finalist]]:
    """Make the conversions of all deliveries on all cores; the finalists of each. ``on_progress``: receives how many are done."""
    results = iter(pool.measure([job for delivery in deliveries for job in delivery.jobs], on_progress))
    return [delivery.finalists([next(results) for _ in delivery.jobs]) for delivery in deliveries]
