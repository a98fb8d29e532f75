"""``optimize``: takes pictures and delivers the best SVG found for each.

Works through any number of files in groups: while one is searched on all cores, the next is read. A search sees the enlarged picture as
training does; what is delivered is made once more of a larger one (core/evaluation/delivery.py), and the best of these is the result.
Guarantee: a file that can't be read or traced is reported and skipped; nothing is overwritten but earlier results; where
nothing is better, the result is what VTracer's defaults give; and unless small files are preferred, no result looks visibly worse than
theirs in structure, colour or edges, or lost a colour that they have.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.agents.model import Model
from core.environment.preparation import Preparations
from core.environment.spec import pipeline_of
from core.errors import PictureError, SvgError
from core.evaluation import finalists
from core.evaluation.alternatives import Alternatives, finished
from core.evaluation.delivery import Delivery, deliver
from core.evaluation.files import OutNames, Source
from core.evaluation.finalists import PREFERENCES, Finalist, worth
from core.files import write_aside
from core.logos.classify import kind_of
from core.logos.dataset import Logo, Skipped, digest_of
from core.logos.intake import Decoders
from core.paths import trace_cache_file
from core.search.parallel import search_in_parallel
from core.search.searchers import Searcher
from core.tracing.background import without_background
from core.tracing.cache import TraceCache
from core.tracing.outcome import HEADLINE, Outcome, gain
from core.tracing.palette import Palette
from core.tracing.params import DEFAULTS, NAMES, Params
from core.workers.backend import open_pool, workers_on
from core.workers.picture_store import PictureStore

MAX_GROUP = 256  # pictures
MAX_GROUP_BYTES = 400 * 2**20  # of pixels
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Extras:
    """What a result is besides the best SVG: in a palette, and with others beside it, in the folder ``alternatives`` where one is given.

    ``cluster``: address of a Ray cluster to convert on; empty uses this machine.
    """

    palette: Palette = field(default_factory=Palette)
    alternatives: Path | None = None
    cluster: str = ""


@dataclass(frozen=True)
class Result:
    """The best SVG of a file.

    ``gain``: the headline gain over VTracer's defaults; ``visual_gain``: without the bytes; ``made_by``: "agent", "single" (the best single
    setting), or "defaults", where nothing was better; ``trace_size``: longest side that VTracer saw, in pixels; ``file_bytes``: of the file, which is minified; ``remark``: what a person
    should know of it; ``kind``: simple, text, gradient, complex or photograph.
    """

    file: str
    svg: str
    gain: float
    outcome: Outcome
    defaults: Outcome
    params: Params
    n_conversions: int
    made_by: str
    visual_gain: float
    trace_size: int
    file_bytes: int
    remark: str
    kind: str = ""

    @property
    def is_default(self) -> bool:
        return self.made_by == finalists.DEFAULTS

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "svg": self.svg,
            "gain": self.gain,
            "ssim": self.outcome.ssim,
            "ssim_default": self.defaults.ssim,
            "colour": self.outcome.colour,
            "colour_default": self.defaults.colour,
            "edge": self.outcome.edge,
            "edge_default": self.defaults.edge,
            "nodes": self.outcome.n_nodes,
            "nodes_default": self.defaults.n_nodes,
            "bytes": self.outcome.n_bytes,
            "bytes_default": self.defaults.n_bytes,
            "n_conversions": self.n_conversions,
            "is_default": self.is_default,
            "made_by": self.made_by,
            "visual_gain": self.visual_gain,
            "trace_size": self.trace_size,
            "file_bytes": self.file_bytes,
            "remark": self.remark,
            "kind": self.kind,
        } | {name: float(value) for name, value in zip(NAMES, self.params.values(), strict=True)}


@dataclass
class Optimized:
    """The results of all files. ``search_s``: seconds spent on conversions, out of ``seconds`` in all."""

    results: list[Result] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    n_conversions: int = 0
    search_s: float = 0.0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        n = len(self.results)
        return {
            "n_done": n,
            "n_skipped": len(self.skipped),
            "n_conversions": self.n_conversions,
            "mean_gain": sum(r.gain for r in self.results) / n if n else None,
            "mean_visual_gain": sum(r.visual_gain for r in self.results) / n if n else None,
            "bytes": sum(r.outcome.n_bytes for r in self.results),
            "bytes_default": sum(r.defaults.n_bytes for r in self.results),
            "n_visibly_worse": sum(r.defaults.failure is None and r.outcome.is_visibly_worse(r.defaults) for r in self.results),
            "n_to_look_at": sum(bool(r.remark) for r in self.results),
            "results": [r.as_dict() for r in self.results],
            "skipped": [{"file": s.source, "reason": s.reason} for s in self.skipped],
        }

    def as_text(self) -> str:
        lines = []
        for r in self.results:
            smaller = 1 - r.outcome.n_bytes / max(r.defaults.n_bytes, 1)
            likeness = f"SSIM {r.defaults.ssim:.3f} to {r.outcome.ssim:.3f}"
            lines.append(
                f"{r.svg}  visual gain {r.visual_gain:+.2f}  gain {r.gain:+.2f}  {likeness}  {r.outcome.n_bytes} bytes ({-smaller:+.0%})"
                f"{f'  {r.remark}' if r.remark else ''}"
            )
        n = len(self.results)
        mean = f", mean gain {sum(r.gain for r in self.results) / n:.3f}" if n else ""
        return "\n".join([*lines, f"{n} of {n + len(self.skipped)} pictures in {self.seconds:.1f} s{mean}"])


def optimize(  # noqa: PLR0913 - the options of its command
    files: Sequence[Source],
    model: Model,
    budget: int,
    prefer: str,
    max_side: int,
    out: Path,
    home: Path,
    on_progress: OnProgress,
    seed: int = 0,
    extras: Extras = Extras(),
) -> Optimized:
    """Search each file for ``budget`` conversions and write the best SVG and ``optimized.csv`` to ``out``."""
    began = time.monotonic()
    done = Optimized()
    names = OutNames(out, files)
    beside = Alternatives(extras.alternatives, extras.palette)
    each = budget + 4  # conversions, counted as in :func:`_search`
    n_before = 0
    on_progress("reading the pictures", 0, len(files) * each)
    for group in _groups(files, max_side, done.skipped, extras.palette):
        first = n_before

        def progress(share: float, first: int = first, n: int = len(group)) -> None:
            what = "reading and trying settings" if share < (budget + 1) / each else "making the final SVGs"
            on_progress(what, round((first + share * n) * each), len(files) * each)

        _search(group, model, budget, prefer, home, names, done, progress, seed, beside, extras.cluster)
        n_before += len(group)
        beside.write()
        names.write_table([result.as_dict() for result in done.results])
    on_progress("done", len(files) * each, len(files) * each)
    done.seconds = time.monotonic() - began
    return done


def _groups(files: Sequence[Source], max_side: int, skipped: list[Skipped], palette: Palette) -> Iterator[list[Logo]]:
    """Readable pictures at work size, in groups; the next is read while one is worked on."""
    with Decoders() as decoders, ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor() as readers:
        left = list(files)

        def read() -> list[Logo]:
            group: list[Logo] = []
            n_bytes = 0
            while left and len(group) < MAX_GROUP and n_bytes < MAX_GROUP_BYTES:
                some, left[:16] = left[:16], []
                for found in readers.map(lambda file: _read(file, max_side, decoders, palette), some):
                    if isinstance(found, Skipped):
                        skipped.append(found)
                    else:
                        group.append(found)
                        n_bytes += found.pixels.nbytes
            return group

        coming: Future[list[Logo]] = ahead.submit(read)
        while True:
            group = coming.result()
            if left:
                coming = ahead.submit(read)
            elif not group:
                return
            else:
                coming = Future()
                coming.set_result([])
            if group:
                yield group


def _read(file: Source, max_side: int, decoders: Decoders, palette: Palette) -> Logo | Skipped:
    try:
        found = decoders.read(file.path, None, svg_side=max_side, longest_side=max_side)
        pixels = found.pixels
        if palette.background != "keep":
            pixels = without_background(pixels, palette.background == "everywhere")
    except (PictureError, MemoryError) as error:
        return Skipped(file.shown, str(error) or "not enough memory")
    return Logo(file.name, "", "", "", file.shown, pixels, digest_of(pixels), found.size, found.notes)


def _search(  # noqa: PLR0913 - the steps of optimize share its options
    group: list[Logo],
    model: Model,
    budget: int,
    prefer: str,
    home: Path,
    names: OutNames,
    done: Optimized,
    on_progress: Callable[[float], None],
    seed: int,
    beside: Alternatives,
    cluster: str,
) -> None:
    weights, pipeline = PREFERENCES[prefer], pipeline_of(model.config)
    store = PictureStore.create(group, pipeline)
    cache = TraceCache(trace_cache_file(home))
    pool = open_pool(workers_on(model.config.workers, cluster), store, 0 if cluster else model.config.n_workers, cache)
    began = time.monotonic()
    try:
        n_all = len(group) * (budget + 4)  # a delivered conversion takes as long as several
        prepared = Preparations(group, range(len(group)))
        places = prepared.prepare(pool, range(len(group)), lambda n: on_progress(n / n_all))
        done.skipped += [
            Skipped(group[i].source, "could not be converted; see the log") for i in range(len(group)) if not prepared.is_ready(i)
        ]

        def make(logo: Any) -> Searcher:
            return model.search(logo, weights, seed)

        trajectories = search_in_parallel(
            pool,
            prepared,
            places,
            make,
            budget,
            lambda n: on_progress((len(group) + n) / n_all),
            lambda outcome, defaults: worth(outcome, defaults, prefer),
            keep_svg=True,
        )
        deliveries = [
            Delivery.of(i, group[i], trajectory.best(budget).params, model.config.pipeline, prefer, beside.is_plain, beside.is_kept)
            for i, trajectory in zip(places, trajectories, strict=True)
        ]
        n_last = sum(len(delivery.jobs) for delivery in deliveries)
        delivered = deliver(pool, deliveries, lambda n: on_progress((budget + 1 + 3 * n / max(n_last, 1)) / (budget + 4)))
    finally:
        pool.close()
        store.close()
    done.n_conversions += len(places) + sum(len(trajectory.conversions) for trajectory in trajectories) + n_last
    done.search_s += time.monotonic() - began
    for i, trajectory, found in zip(places, trajectories, delivered, strict=True):
        best = trajectory.best(len(trajectory.conversions))
        searched = Finalist(finalists.AGENT, trajectory.best_svg, best.outcome, best.params, pipeline.trace_size)
        base = Finalist(finalists.DEFAULTS, trajectory.logo.default_svg, trajectory.logo.defaults, DEFAULTS)
        n_conversions = len(trajectory.conversions) + len(found)
        try:
            done.results.append(_keep(group[i], [base, searched, *found], prefer, names, n_conversions, beside))
        except SvgError as error:
            done.skipped.append(Skipped(group[i].source, str(error)))


def _keep(logo: Logo, candidates: Sequence[Finalist], prefer: str, names: OutNames, n_conversions: int, beside: Alternatives) -> Result:
    """Write what is chosen of the candidates, VTracer's defaults first.

    Raises:
        SvgError: it holds more than a tracer draws.
    """
    chosen, defaults = finalists.choose(candidates, prefer), candidates[0].outcome
    svg, outcome = finished(logo, chosen, beside.palette)
    path = names.of(logo.name, Path(logo.source))
    write_aside(path, svg)
    beside.add(logo, path.relative_to(names.out).as_posix(), candidates, prefer, chosen)
    return Result(
        file=logo.source,
        svg=str(path),
        gain=gain(outcome, defaults, HEADLINE).total,
        outcome=outcome,
        defaults=defaults,
        params=chosen.params,
        n_conversions=n_conversions,
        made_by=chosen.made_by,
        visual_gain=finalists.visual_gain(outcome, defaults),
        trace_size=chosen.trace_size,
        file_bytes=len(svg),
        remark="; ".join(filter(None, (finalists.remark(outcome, defaults), *logo.notes))),
        kind=kind_of(logo.pixels),
    )
