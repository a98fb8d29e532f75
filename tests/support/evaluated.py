"""Runs with evaluations of logos, written and not trained: as many as wanted, in no time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.config.text import validate
from core.runs.event_types import AttemptStarted, Ended, EvaluationEnded, LogoEvaluated
from core.runs.events import EventWriter
from core.runs.records import claim
from core.runs.run_dir import RunDir
from core.tracing.params import BEST_SINGLE, HIGH, LOW
from core.tracing.picture import encode_png
from core.tracing.raster import rasterizer

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#5b5f97", "#8a8a8a", "#111111")
EVERY = 1024  # steps between two evaluations


def logo_svg(k: int, share: float, side: int = 96) -> str:
    """The k-th logo, drawn the better the larger ``share``, in [0, 1], is; the ground of every third one is clear."""
    ground = "" if k % 3 == 2 else f'<path d="M0 0h{side}v{side}h-{side}z" fill="#fdf6ec"/>'
    n = 3 + round(share * (5 + k))
    r = side / (n + 3) * (0.6 + 0.4 * share)
    marks = "".join(
        f'<path d="M{side / 2 + (i - n / 2) * side / (n + 2) - r:.1f} {side * (0.3 + 0.4 * (i % 2)):.1f}'
        f'a{r:.1f} {r:.1f} 0 1 0 {2 * r:.1f} 0a{r:.1f} {r:.1f} 0 1 0 {-2 * r:.1f} 0z" fill="{COLOURS[(k + i) % len(COLOURS)]}"/>'
        for i in range(n)
    )
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" viewBox="0 0 {side} {side}">{ground}{marks}</svg>'


def logo_name(k: int) -> str:
    return f"logo {k}"


def evaluated_run(
    home: Path, n_evaluations: int = 12, n_logos: int = 6, name: str = "evaluated", every: int = EVERY, names: Sequence[str] = ()
) -> RunDir:
    """A finished run of which there are ``n_evaluations`` of the same logos, each with its SVG. ``names``: of the logos, else their numbers."""
    run = claim(home, validate({"name": name}))
    writer = EventWriter(run.events_file)
    writer.write(0, AttemptStarted(total_timesteps=n_evaluations * every))
    for k in range(n_logos):
        run.pictures.mkdir(exist_ok=True)
        run.picture_file(digest_of(k)).write_bytes(encode_png(rasterizer().draw_rgba(logo_svg(k, 1.0).encode(), 96, 96)))
    for n in range(n_evaluations):
        step, share = (n + 1) * every, (n + 1) / n_evaluations
        for k in range(n_logos):
            file = run.svg_file(step, digest_of(k))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(logo_svg(k, share))
            writer.write(step, _logo(run, k, share, file, names[k] if names else logo_name(k)))
        writer.write(step, EvaluationEnded(gain=_gain(0, share), n_logos=n_logos))
    writer.write(n_evaluations * every, Ended(status="COMPLETED"))
    writer.close()
    return run


def digest_of(k: int) -> str:
    return f"{k:040x}"


def _gain(k: int, share: float) -> float:
    return -0.3 + share * (1.0 + 0.1 * k)


def _logo(run: RunDir, k: int, share: float, file: Path, name: str) -> LogoEvaluated:
    values = BEST_SINGLE.values() + (HIGH - LOW) * 0.3 * (share - 0.5)
    return LogoEvaluated(
        logo=name, category="simple", digest=digest_of(k), gain=_gain(k, share), ssim=0.9 + share / 12, bytes=len(file.read_bytes()),
        paths=5, cpu_s=0.01, failure=None, ssim_default=0.9, bytes_default=900, paths_default=9, svg=run.relative(file),
        params=[float(v) for v in values.clip(LOW, HIGH)],
    )  # fmt: skip
