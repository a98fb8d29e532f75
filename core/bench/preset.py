"""The preset that benchmarks train with: as it is, or with smaller numbers, to see that everything it switches on runs."""

from __future__ import annotations

from core.paths import PRESETS

PRESET = PRESETS / "recommended.yaml"
_SMALL = (
    "n_envs=64", "n_workers=2", "logos.n_per_category=8", "logos.add_builtin=4", "logos.work_size=64", "pipeline.trace_size=128",
    "evaluation.max_logos=4", "outcome.epochs=1",
)  # fmt: skip


def settings(images: str, is_short: bool = False) -> list[str]:
    """What is set in the preset: the logos, and small numbers for a short form; every part that it has on stays on."""
    return [f"logos.path={images}", *(_SMALL if is_short else ())]
