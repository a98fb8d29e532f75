"""``optimize`` over a folder, a broken and a huge file among them, against a pool that is only handed conversions."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from core.agents.loading import load_model
from core.agents.model import Model
from core.bench.report import Report, say
from core.environment.spec import pipeline_of
from core.errors import BenchError
from core.evaluation.delivery import Delivery
from core.evaluation.files import find_pictures
from core.evaluation.optimize import optimize
from core.logos.dataset import Logo, load_logos
from core.paths import runs_home
from core.tracing.params import Params
from core.tracing.picture import encode_png
from core.workers.picture_store import PictureStore
from core.workers.pool import WorkerPool
from core.workers.worker import Job

BUDGET = 10
WORK_SIZE = 256
_OVER = 1.1  # times the defaults' colour or structure error


def measure(images: str, model: str, repeats: int, is_short: bool = False) -> Report:
    """Run the benchmark. ``images``: a folder of logos, or 'builtin'.

    Raises:
        BenchError: no logos, or a file was lost or skipped that should not have been.
    """
    logos = list(load_logos(images, WORK_SIZE).logos[: 6 if is_short else 200])
    if not logos:
        raise BenchError(f"{images} holds no logos")
    chosen = load_model(model, runs_home())
    rates: dict[str, list[float]] = {"optimize": [], "pool": []}
    n_worse, n_over, n_look, visual = 0, 0, 0, []
    shares: list[tuple[int, int, int, int]] = []  # bytes and nodes, the defaults' beside them
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "pictures"
        folder.mkdir()
        for k, logo in enumerate(logos):
            (folder / f"{k:04d}.png").write_bytes(encode_png(logo.pixels))
        (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(1000))
        Image.new("1", (9000, 9000)).save(folder / "huge.png")
        files, _ = find_pictures([folder])
        for k in range(repeats):
            say(f"optimize {k + 1} of {repeats}")
            home = Path(scratch) / "home"  # a fresh cache each time
            started = time.perf_counter()
            done = optimize(files, chosen, BUDGET, "", WORK_SIZE, Path(scratch) / "out", home, lambda what, n, of: None, seed=k)
            rates["optimize"].append(done.n_conversions / (time.perf_counter() - started))
            shutil.rmtree(home, ignore_errors=True)
            if len(done.skipped) != 2 or len(done.results) != len(logos):
                raise BenchError(
                    f"{len(done.results)} of {len(logos)} logos were done and {len(done.skipped)} files skipped; 2 were expected"
                )
            judged = [r for r in done.results if r.defaults.failure is None]
            n_worse += sum(r.outcome.is_visibly_worse(r.defaults) for r in judged)
            n_over += sum(
                r.outcome.colour > _OVER * r.defaults.colour or r.outcome.structure > _OVER * r.defaults.structure for r in judged
            )
            n_look += sum(bool(r.remark) for r in done.results)
            visual += [r.visual_gain for r in done.results]
            shares += [(r.outcome.n_bytes, r.defaults.n_bytes, r.outcome.n_nodes, r.defaults.n_nodes) for r in done.results]
            rates["pool"].append(_pool_rate(logos, [result.params for result in done.results], chosen))
    ratio = float(np.median(rates["optimize"]) / np.median(rates["pool"]))
    report = Report("optimize", f"optimize on {len(logos)} logos, {BUDGET} conversions each, one broken and one huge file among them")
    report.keys = {"optimize_over_pool": ratio, "results_over_defaults": float(n_over), "results_visibly_worse": float(n_worse)}
    report.add("mean visual gain over VTracer's defaults", f"{np.mean(visual):+.3f}", f"{len(visual)} results; {n_look} need a look")
    own_bytes, their_bytes, own_nodes, their_nodes = np.sum(shares, axis=0)
    report.add("bytes, as a share of the defaults'", f"{own_bytes / their_bytes:.2f}", "of all results together")
    report.add("nodes, as a share of the defaults'", f"{own_nodes / their_nodes:.2f}", "of all results together")
    report.add(
        "conversions per second, everything included", f"{np.median(rates['optimize']):.0f}", "reading, features, searching, writing"
    )
    report.add("conversions per second of a running pool", f"{np.median(rates['pool']):.0f}", "the chosen parameters, repeatedly")
    report.add("files skipped with a reason", "2")
    return report


def _pool_rate(logos: list[Logo], params: list[Params], model: Model) -> float:
    """Conversions per second of a pool that runs already, each picture as often as the search had it."""
    store = PictureStore.create(logos, pipeline_of(model.config))
    pool = WorkerPool(store)
    try:
        pool.measure([Job(i) for i in range(len(logos))])
        # a little off each time, so that the cache knows none of them
        jobs = [Job(i, replace(p, splice_threshold=40 + k)) for k in range(BUDGET) for i, p in enumerate(params)]
        for i, p in enumerate(params):
            jobs += Delivery.of(i, logos[i], p, model.config.pipeline, minify=True).jobs
        started = time.perf_counter()
        pool.measure(jobs)
        return len(jobs) / (time.perf_counter() - started)
    finally:
        pool.close()
        store.close()
