"""A comparison of methods as lines for a terminal and as a CSV with its SVGs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.csv_files import write_csv
from core.evaluation.comparison import Comparison
from core.files import write_aside
from core.tracing.allowed import checked
from core.tracing.params import NAMES


def as_text(comparison: Comparison) -> str:
    """A line per method and budget."""
    data = comparison.as_dict()
    lines = [
        f"{'method':<14}{'conversions':>11}{'gain':>8}{'95% interval':>18}{'worth of TPE':>14}{'better':>8}{'SSIM':>8}"
        f"{'colour':>8}{'edges':>8}{'bytes':>8}{'regret':>8}{'CPU ms':>8}"
    ]
    for method, columns in comparison.columns.items():
        for budget in columns:
            g, m = data["gain"][method][str(budget)], data["measures"][method][str(budget)]
            worth = data["worth_tpe"].get(method, {}).get(str(budget))
            is_beyond = worth is not None and worth >= data["worth_tpe_limit"]
            shown = "" if worth is None else f"{'>= ' if is_beyond else ''}{worth:.0f}"
            spent = 1000 * np.mean(
                [sum(c.outcome.cpu_s for c in trajectory.conversions[:budget]) for trajectory in comparison.trajectories[method]]
            )
            lines.append(
                f"{method:<14}{budget:>11}{g['mean']:>8.3f}{g['low']:>9.3f} to{g['high']:>6.3f}{shown:>14}{m['share_better']:>8.0%}"
                f"{m['ssim']:>8.4f}{m['colour']:>8.2f}{m['edge']:>8.4f}{m['bytes']:>8.0f}{m['regret']:>8.3f}{spent:>8.0f}"
            )
    for method, columns in comparison.columns.items():
        for budget, column in columns.items():
            if column.vectors is not None:
                v = column.vectors
                flip = "" if v["share_flip_worse"] is None else f", FLIP worse by over a tenth on {v['share_flip_worse']:.0%}"
                lines.append(f"{method} {budget}: visual gain against the vectors {v['visual_gain']:+.3f} on {v['n_logos']} logos{flip}")
            if column.delivered is not None:
                d = data["measures"][method][str(budget)]["delivered"]
                shares = f"{d['bytes_share']:.2f} of the defaults' bytes, {d['nodes_share']:.2f} of their nodes"
                lines.append(f"{method} {budget}: as delivered gain {d['gain']:.3f}, {shares}")
    return "\n".join(lines)


def write_comparison(comparison: Comparison, out: Path) -> None:
    """``comparison.csv`` with one row per logo, method and budget, and each SVG as ``<method>-<budget>/<logo>.svg``."""
    rows: list[dict[str, Any]] = []
    for method, columns in comparison.columns.items():
        for budget, column in columns.items():
            for k, logo in enumerate(comparison.logos):
                conversion, faithful, trajectory = column.best[k], column.fidelities[k], comparison.trajectories[method][k]
                outcome = conversion.outcome
                svg = column.delivered[k][1] if column.delivered is not None else column.svgs[k]
                if svg:
                    write_aside(out / f"{method}-{budget}" / f"{logo.name.replace('/', '_')}.svg", checked(svg))
                row = {
                    "method": method,
                    "budget": budget,
                    "logo": logo.name,
                    "category": logo.category,
                    "gain": conversion.gain,
                    "oracle_gain": comparison.oracle[k],
                    "ssim": outcome.ssim,
                    "ssim_default": trajectory.logo.defaults.ssim,
                    "colour": outcome.colour,
                    "colour_default": trajectory.logo.defaults.colour,
                    "edge": outcome.edge,
                    "edge_default": trajectory.logo.defaults.edge,
                    "nodes": outcome.n_nodes,
                    "nodes_default": trajectory.logo.defaults.n_nodes,
                    "bytes": outcome.n_bytes,
                    "bytes_default": trajectory.logo.defaults.n_bytes,
                    "edge_f1": faithful.edge_f1,
                    "psnr": faithful.psnr,
                    "paths": outcome.n_paths,
                    "cpu_s": sum(c.outcome.cpu_s for c in trajectory.conversions[:budget]),
                    "failure": outcome.failure or "",
                }
                rows.append(row | {key: float(value) for key, value in zip(NAMES, conversion.params.values(), strict=True)})
    write_csv(out / "comparison.csv", rows)
