"""Slopes of what a soak sampled: does memory, or anything else, grow with time?

Memory of a process is what it has to itself (USS): what it shares with others, such as the libraries' pages, counts as less or more as other
consoles on the machine start and end.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from itertools import combinations

import numpy as np

from core.bench.report import Report
from core.trends import fit

Points = list[tuple[float, float]]  # (minutes since the start, figure)
KEPT = "_kept"  # what the series of the browser are called by that are taken just after its tabs collected their garbage
OWN, ALL = "_own_mb", "_mb"  # endings of the two series of a kind of process: USS, and PSS
RUN = " memory"  # what the series of a run's processes begin with, after its id
_TOLD = {
    f"server{OWN}": "server",
    f"server{ALL}": "server, with its share of what is shared",
    f"chromium{OWN}": "Chromium, all processes",
    f"chromium{ALL}": "Chromium, with its share of what is shared",
    f"chromium{KEPT}{OWN}": "Chromium, after a full collection in both tabs",
    "heap_mb": "heap of the tab that stays on Live",
    "tab_nodes": "nodes that it holds",
    "tab_listeners": "listeners that it holds",
    "server_files": "open files of the server",
    "server_threads": "threads of the server",
    "helpers_n": "other processes of the server",
    "home_mb": "home",
    "home_runs_mb": "runs in it",
    "home_index_mb": "index in it",
    "home_sets_mb": "sets in it",
    "home_batches_mb": "batches in it",
    "home_deleted_mb": "deleted batches in it, kept for a week",
    "temporary_mb": "temporary files",
}


def after(points: Points, minutes: float) -> Points:
    """Those that are later than so many minutes after the first."""
    return [point for point in points if point[0] >= points[0][0] + minutes]


def slope_per_hour(points: Points) -> float:
    """The median of the slopes between all pairs (Theil and Sen): a cache that fills at once, or one high sample, does not tilt it. NaN where
    there are no two.
    """
    slopes = [(b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2) if t > s]
    return 60.0 * statistics.median(slopes) if slopes else math.nan


def relative_slope(points: Points) -> float:
    """Per hour, in percent of the median; NaN where that is nothing, or there are no two points."""
    level = statistics.median([value for _, value in points]) if points else 0.0
    return 100 * slope_per_hour(points) / level if level else math.nan


def interval_per_hour(points: Points) -> str:
    """95% interval of the slope of a line by least squares; samples that follow each other closely do not count as if each were news."""
    trend = fit(np.array([t for t, _ in points]), np.array([y for _, y in points])) if points else None
    return "" if trend is None else f"{60 * trend.low:+.1f} to {60 * trend.high:+.1f}"


def tell(report: Report, series: Mapping[str, Points], warm_minutes: float) -> None:
    """Add keys and rows for all that was sampled; each series counts from so many minutes after its first sample on."""
    known = {name: after(points, warm_minutes) for name, points in series.items() if points}
    enough = len(known.get(f"server{OWN}", [])) / 2
    runs = sorted(name for name, points in known.items() if name.endswith(RUN + OWN) and len(points) >= enough)
    slopes = [relative_slope(known[name]) for name in runs]
    report.keys |= {
        "soak_server_slope": relative_slope(known.get(f"server{OWN}", [])),
        "soak_trainer_slope": math.nan if not slopes or any(map(math.isnan, slopes)) else max(slopes),
        "soak_browser_slope": relative_slope(known.get(f"chromium{KEPT}{OWN}", [])),
        "soak_heap_mb_per_hour": slope_per_hour(known.get("heap_mb", [])),
        "soak_files_per_hour": slope_per_hour(known.get("server_files", [])),
        "soak_threads_per_hour": slope_per_hour(known.get("server_threads", [])),
    }
    for name, what in (_TOLD | {name: f"trainer and workers of {name.removesuffix(RUN + OWN)}" for name in runs}).items():
        points, unit = known.get(name, []), " MB" if name.endswith("_mb") else ""
        if points:
            values = [value for _, value in points]
            remark = f"level {statistics.median(values):.0f}{unit}, {min(values):.0f} to {max(values):.0f}"
            report.add(what, f"{slope_per_hour(points):+.2f}{unit} per hour", f"{remark}; least squares {interval_per_hour(points)}")
