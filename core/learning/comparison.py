"""``evaluate``: methods against each other on the same logos at the same work size, one conversion a logo each."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.learning.baselines import BASELINES
from core.learning.episode import EnvSpec
from core.learning.evaluation import LogoResult, evaluate_baseline, evaluate_policy, summarise
from core.learning.picture_store import PictureStore
from core.learning.preparation import Preparations
from core.learning.trainer import env_spec, worker_limits
from core.learning.workers import WorkerPool
from core.logos.dataset import SPLITS, LogosError, Shares, load_logos
from core.runs.config import ConfigError, RunConfig
from core.runs.run_dir import CHECKSUMS_FILE, RunError, find_run, trace_cache_file, write_aside
from core.tracing.cache import TraceCache
from core.tracing.outcome import HEADLINE
from core.tracing.params import NAMES

METHODS = (*BASELINES, "policy")


@dataclass(frozen=True)
class Comparison:
    """Results of each method, logos in the same order."""

    model: str | None
    images: str
    split: str
    work_size: int
    n_steps: int  # conversions the policy had of each logo
    results: dict[str, list[LogoResult]]
    n_skipped: int

    def as_dict(self) -> dict[str, Any]:
        gain: dict[str, dict[str, Any]] = {}
        measures: dict[str, dict[str, Any]] = {}
        for method, results in self.results.items():
            summary = summarise(results)
            budget = str(self.n_steps if method == "policy" else 1)
            by_category = summary.pop("by_category")
            gain[method] = {
                budget: {"mean": summary["gain"], "low": summary["gain_low"], "high": summary["gain_high"], "by_category": by_category}
            }
            measures[method] = summary
        return {
            "model": self.model,
            "images": self.images,
            "split": self.split,
            "work_size": self.work_size,
            "n_logos": len(next(iter(self.results.values()))),
            "n_skipped": self.n_skipped,
            "gain": gain,
            "measures": measures,
        }

    def as_text(self) -> str:
        lines = [f"{'method':<12} {'gain':>7} {'95 % interval':>18} {'better':>7} {'SSIM':>7} {'bytes':>8}"]
        for method, results in self.results.items():
            s = summarise(results)
            interval = f"{s['gain_low']:.3f} to {s['gain_high']:.3f}"
            lines.append(f"{method:<12} {s['gain']:>7.3f} {interval:>18} {s['share_better']:>7.0%} {s['ssim']:>7.4f} {s['bytes']:>8.0f}")
        return "\n".join(lines)


def find_checkpoint(model: str, home: Path) -> Path:
    """A checkpoint folder as it is, or the best checkpoint of a run.

    Raises:
        RunError: neither is there.
    """
    folder = Path(model)
    if (folder / CHECKSUMS_FILE).is_file():
        return folder
    run = find_run(model, home)
    found = run.best_checkpoint()
    if found is None:
        raise RunError(f"{run.run_id} has no checkpoint yet")
    return found


def compare(
    model: str | None,
    images: str | None,
    split: str,
    methods: Sequence[str],
    work_size: int | None,
    home: Path,
    on_progress: Callable[[str], None],
) -> Comparison:
    """Evaluate each of ``methods``.

    Raises:
        ConfigError: an unknown method or split, or a policy without a model.
        LogosError: no logo in the split.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise ConfigError(f"--methods {unknown[0] if unknown else ''!r} is none of {', '.join(METHODS)}")
    if split not in (*SPLITS, "all"):
        raise ConfigError(f"--split {split!r} is none of {', '.join(SPLITS)}, all")
    if "policy" in methods and model is None:
        raise ConfigError("the method 'policy' needs --model RUN or a checkpoint folder")
    config, folder = RunConfig(), None
    if model is not None:
        from core.learning.agent import read_checkpoint

        folder = find_checkpoint(model, home)
        config, _ = read_checkpoint(folder)
    size = work_size or config.logos.work_size
    path = images or config.logos.path
    c = config.logos
    on_progress(f"loading {path}")
    found = load_logos(path, size, Shares(c.validation_share, c.test_share), c.builtin_seed, c.n_per_category)
    logos = [logo for logo in found.logos if split in ("all", logo.split)]
    if not logos:
        raise LogosError(f"{path} has no logo in the split {split!r}")
    spec = env_spec(config) if model is not None else EnvSpec(1, None, HEADLINE)
    pool = WorkerPool(PictureStore.create(logos), config.n_workers, worker_limits(config), TraceCache(trace_cache_file(home)))
    try:
        on_progress(f"preparing {len(logos)} logos")
        prepared = Preparations(logos)
        everything = prepared.prepare(pool, range(len(logos)))
        results: dict[str, list[LogoResult]] = {}
        for method in methods:
            on_progress(f"evaluating {method}")
            if method == "policy" and folder is not None:
                from core.learning.agent import load_policy

                results[method] = evaluate_policy(pool, prepared, everything, spec, load_policy(folder, spec.n_observation))
            else:
                results[method] = evaluate_baseline(pool, prepared, everything, method)
    finally:
        pool.close()
    return Comparison(str(folder) if folder else None, path, split, size, spec.max_steps, results, len(found.skipped))


def write_comparison(comparison: Comparison, out: Path) -> None:
    """``comparison.csv`` with a row a logo and method, and each SVG as ``<method>/<logo>.svg``."""
    rows: list[dict[str, Any]] = []
    for method, results in comparison.results.items():
        for r in results:
            name = r.logo.name.replace("/", "_")
            if r.svg:
                write_aside(out / method / f"{name}.svg", r.svg.encode())
            row = {
                "method": method,
                "logo": r.logo.name,
                "category": r.logo.category,
                "gain": r.gain,
                "ssim": r.outcome.ssim,
                "bytes": r.outcome.n_bytes,
                "paths": r.outcome.n_paths,
                "cpu_s": r.outcome.cpu_s,
                "failure": r.outcome.failure or "",
            }
            rows.append(row | {key: float(value) for key, value in zip(NAMES, r.params.values(), strict=True)})
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_aside(out / "comparison.csv", text.getvalue().encode())
