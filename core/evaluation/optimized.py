"""What ``optimize`` made of each picture, and of all of them together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from core.evaluation import finalists
from core.logos.dataset import Skipped
from core.tracing.outcome import Outcome
from core.tracing.params import NAMES, Params
from core.workers.pool import Loss


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
    """The results of all files. ``n_kept``: how many of them an earlier call had made; ``n_conversions``: of this call; ``search_s``: seconds
    spent on these, out of ``seconds`` in all; ``n_nodes_lost``: how often a node of the cluster was lost and others did its work."""

    results: list[Result] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    n_kept: int = 0
    n_conversions: int = 0
    n_nodes_lost: int = 0
    search_s: float = 0.0
    seconds: float = 0.0

    def count_loss(self, loss: Loss) -> None:
        self.n_nodes_lost += loss.is_node

    def as_dict(self) -> dict[str, Any]:
        n = len(self.results)
        return {
            "n_done": n,
            "n_kept": self.n_kept,
            "n_skipped": len(self.skipped),
            "n_conversions": self.n_conversions,
            "n_nodes_lost": self.n_nodes_lost,
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
        kept = f", {self.n_kept} of them by an earlier call" if self.n_kept else ""
        lost = f"; nodes of the cluster lost meanwhile: {self.n_nodes_lost}" if self.n_nodes_lost else ""
        return "\n".join([*lines, f"{n} of {n + len(self.skipped)} pictures in {self.seconds:.1f} s{kept}{mean}{lost}"])
