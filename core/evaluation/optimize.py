"""``optimize``: takes pictures and delivers the best SVG found for each.

Works through any number of files in groups: while one is searched on all cores, the next is read. One that was killed goes on where it was
(core/evaluation/journal.py). A search sees the enlarged picture as
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
from core.config.workers import workers_on
from core.environment.preparation import Preparations
from core.environment.spec import pipeline_of
from core.errors import PictureError, SvgError
from core.evaluation import finalists
from core.evaluation.alternatives import Alternatives, finished
from core.evaluation.delivery import Delivery, deliver
from core.evaluation.files import OutNames, Source
from core.evaluation.finalists import PREFERENCES, Finalist, worth
from core.evaluation.journal import Journal
from core.evaluation.optimized import Optimized, Result
from core.files import write_aside
from core.logos.classify import kind_of
from core.logos.dataset import Logo, Skipped, digest_of
from core.logos.intake import Decoders
from core.paths import trace_cache_file
from core.search.parallel import search_in_parallel
from core.search.searchers import Searcher
from core.tracing.background import without_background
from core.tracing.cache import TraceCache, engine
from core.tracing.outcome import HEADLINE, gain
from core.tracing.palette import Palette
from core.tracing.params import DEFAULTS
from core.workers.backend import open_pool
from core.workers.picture_store import PictureStore

MAX_GROUP, MAX_CLUSTER_GROUP = 256, 1024  # pictures: as many searches are under way at once
MAX_GROUP_BYTES = 400 * 2**20  # of pixels
_REST = 19  # times as long as the lists took to write, before they are written again
OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Extras:
    """What a result is besides the best SVG: in a palette, and with others beside it, in the folder ``alternatives`` where one is given.

    ``cluster``: address of a Ray cluster to convert on; empty uses this machine. ``group``: pictures at once, 0 for what suits the place.
    """

    palette: Palette = field(default_factory=Palette)
    alternatives: Path | None = None
    cluster: str = ""
    group: int = 0

    @property
    def at_once(self) -> int:
        return self.group or (MAX_CLUSTER_GROUP if self.cluster else MAX_GROUP)


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
    """Search each file for ``budget`` conversions and write the best SVG to ``out``, and ``optimized.csv`` and ``optimized.parquet``.

    What an earlier call with the same arguments has done, before it was killed, is kept and not done again.
    """
    began = time.monotonic()
    journal = Journal(out, _asked(model, budget, prefer, max_side, seed, extras))
    names = OutNames(out, files, journal.rows())
    if not journal.is_same:
        names.write_table([])
    journal.begin()
    kept, rest = journal.split(files)
    done = Optimized([entry.result for entry in kept], n_kept=len(kept))
    beside = Alternatives(extras.alternatives, extras.palette)
    lists = Lists(names, beside)
    for entry in kept:
        beside.rows[entry.path] = entry.beside
    each = budget + 4  # conversions, counted as in :func:`_search`
    n_before, n_all = len(kept), len(files) * each
    on_progress("reading the pictures", n_before * each, n_all)
    for group in _groups(rest, max_side, done.skipped, extras, journal):
        first = n_before

        def progress(share: float, first: int = first, n: int = len(group)) -> None:
            what = "reading and trying settings" if share < (budget + 1) / each else "making the final SVGs"
            on_progress(what, round((first + share * n) * each), n_all)

        _search(group, model, budget, prefer, home, Place(names, beside, journal), done, progress, seed, extras.cluster)
        n_before += len(group)
        lists.write(done)
    order = {file.shown: k for k, file in enumerate(files)}
    done.results.sort(key=lambda result: order.get(result.file, 0))
    lists.write(done, is_last=True)
    journal.end()
    on_progress("done", n_all, n_all)
    done.seconds = time.monotonic() - began
    return done


def _asked(model: Model, budget: int, prefer: str, max_side: int, seed: int, extras: Extras) -> dict[str, Any]:
    """All that decides what a picture becomes, as JSON."""
    place = str(extras.alternatives.absolute()) if extras.alternatives else ""
    return {
        "model": model.fingerprint(), "engine": engine().hex(), "budget": budget, "prefer": prefer, "max_side": max_side, "seed": seed,
        "palette": repr(extras.palette), "alternatives": place.encode(errors="replace").decode(),
    }  # fmt: skip


def _groups(files: Sequence[Source], max_side: int, skipped: list[Skipped], extras: Extras, journal: Journal) -> Iterator[list[Logo]]:
    """Readable pictures at work size, in groups; the next is read while one is worked on."""
    with Decoders() as decoders, ThreadPoolExecutor(1) as ahead, ThreadPoolExecutor() as readers:
        left = list(files)

        def read() -> list[Logo]:
            group: list[Logo] = []
            n_bytes = 0
            while left and len(group) < extras.at_once and n_bytes < MAX_GROUP_BYTES:
                n = min(16, extras.at_once - len(group))
                some, left[:n] = left[:n], []
                for found in readers.map(lambda file: _read(file, max_side, decoders, extras.palette, journal), some):
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


def _read(file: Source, max_side: int, decoders: Decoders, palette: Palette, journal: Journal) -> Logo | Skipped:
    journal.reads(file)
    try:
        found = decoders.read(file.path, None, svg_side=max_side, longest_side=max_side)
        pixels = found.pixels
        if palette.background != "keep":
            pixels = without_background(pixels, palette.background == "everywhere")
    except (PictureError, MemoryError) as error:
        return Skipped(file.shown, str(error) or "not enough memory")
    return Logo(file.name, "", "", "", file.shown, pixels, digest_of(pixels), found.size, found.notes)


@dataclass(frozen=True)
class Place:
    """Where results go."""

    names: OutNames
    beside: Alternatives
    journal: Journal


class Lists:
    """What is done, as a person reads it: written whole each time, and so for a twentieth of the time at most. A kill loses none of it: the
    journal has it."""

    def __init__(self, names: OutNames, beside: Alternatives, now: Callable[[], float] = time.monotonic) -> None:
        self._names, self._beside, self._now = names, beside, now
        self._not_before = now()

    def write(self, done: Optimized, is_last: bool = False) -> None:
        began = self._now()
        if began < self._not_before and not is_last:
            return
        self._beside.write()
        self._names.write_table([result.as_dict() for result in done.results], is_last)
        ended = self._now()
        self._not_before = ended + _REST * (ended - began)


def _search(  # noqa: PLR0913 - the steps of optimize share its options
    group: list[Logo],
    model: Model,
    budget: int,
    prefer: str,
    home: Path,
    place: Place,
    done: Optimized,
    on_progress: Callable[[float], None],
    seed: int,
    cluster: str,
) -> None:
    weights, pipeline = PREFERENCES[prefer], pipeline_of(model.config)
    store = PictureStore.create(group, pipeline)
    cache = TraceCache(trace_cache_file(home))
    pool = open_pool(workers_on(model.config.workers, cluster), store, 0 if cluster else model.config.n_workers, cache, done.count_loss)
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
            Delivery.of(
                i, group[i], trajectory.best(budget).params, model.config.pipeline, prefer, place.beside.is_plain, place.beside.is_kept
            )
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
            done.results.append(_keep(group[i], [base, searched, *found], prefer, n_conversions, place))
        except SvgError as error:
            done.skipped.append(Skipped(group[i].source, str(error)))


def _keep(logo: Logo, candidates: Sequence[Finalist], prefer: str, n_conversions: int, place: Place) -> Result:
    """Write what is chosen of the candidates, VTracer's defaults first.

    Raises:
        SvgError: it holds more than a tracer draws.
    """
    chosen, defaults = finalists.choose(candidates, prefer), candidates[0].outcome
    svg, outcome = finished(logo, chosen, place.beside.palette)
    path = place.names.of(logo.name, Path(logo.source))
    name = path.relative_to(place.names.out).as_posix()
    place.beside.add(logo, name, candidates, prefer, chosen)
    result = Result(
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
    place.journal.add(result, name, svg, place.beside.rows.get(name, {}))
    write_aside(path, svg)
    return result
