"""A benchmark's figures: as JSON, as text, and as a section of docs/benchmarks.md with the machine they come from."""

from __future__ import annotations

import math
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from core.files import write_aside
from core.machine import available_cores
from core.paths import BENCHMARKS

# key -> (direction, bound): what this project holds itself to
TARGETS: dict[str, tuple[str, float]] = {
    "step_over_vtracer": ("<=", 1.35),
    "naive_over_step": (">=", 1.5),  # three quarters of our step are VTracer's
    "rollout_efficiency": (">=", 0.9),
    "pool_over_subproc": (">=", 1.15),
    "telemetry_overhead": ("<=", 0.01),
    "ingest_rows_per_s": (">=", 300_000),
    "ingest_lag_p95_s": ("<=", 0.5),
    "live_chart_1m_s": ("<=", 2.0),
    "compare_20_s": ("<=", 2.0),
    "runs_10k_s": ("<=", 1.0),
    "runs_10k_idle_share": ("<=", 0.03),  # of a core
    "refresh_kb": ("<=", 100.0),
    "heap_growth_mb": ("<=", 50.0),
    "optimize_over_pool": (">=", 0.85),
    "results_over_defaults": ("<=", 0),  # whose colour or structure error is over a tenth above the defaults'
    "results_visibly_worse": ("<=", 0),
    "visual_gain": (">=", 1.15),
    "visual_gain_worst_category": (">=", 0.9),
    "visual_gain_degraded": (">=", 0.6),
    "bytes_share": ("<=", 0.6),
    "nodes_share": ("<=", 1.0),
    "flip_worse_share": ("<=", 0.03),
    "ray_over_local": (">=", 0.85),
    "faults": (">=", 60),
    "events_lost": ("<=", 0),
    "events_doubled": ("<=", 0),
    "wrong_states": ("<=", 0),
    "orphans": ("<=", 0),
    "runs_unfinished": ("<=", 0),
    "runs_unresumable": ("<=", 0),
    "fuzz_crashes": ("<=", 0),
    "fuzz_hangs": ("<=", 0),
    "fuzz_left_behind": ("<=", 0),
    "soak_minutes": (">=", 120),
    "soak_server_slope": ("<=", 3.0),  # of what is its own, in percent of the median per hour: a working day adds less than a quarter
    "soak_trainer_slope": ("<=", 3.0),  # of the run that grows most
    "soak_browser_slope": ("<=", 3.0),
    "soak_heap_mb_per_hour": ("<=", 50.0),
    "soak_files_per_hour": ("<=", 1.0),
    "soak_threads_per_hour": ("<=", 1.0),
    "soak_uploads_per_minute": (">=", 0.9),
    "soak_failures": ("<=", 0),
    "soak_page_errors": ("<=", 0),
    "soak_tracebacks": ("<=", 0),
    "soak_log_faults": ("<=", 0),
    "soak_index_faults": ("<=", 0),
    "soak_left_behind": ("<=", 0),
}
_PACKAGES = ("vtracer", "torch", "stable-baselines3", "opencv-python-headless", "thorvg-python", "scikit-image", "duckdb", "streamlit")
_HEAD = """# Benchmarks

Written by `make bench` (`python -m core bench throughput|telemetry|ingest|ui|optimize`) and `python -m core bench chaos|soak`. Each
figure of `make bench` compares alternatives within one run, measured in turn; times are medians over repeats. Absolute times are
this machine's; the ratios are what counts.
"""


@dataclass
class Report:
    """One benchmark. ``keys`` are the named figures (NaN: nothing to tell it from, which meets no target), ``rows`` whatever else was measured:
    (what, figure, remark). ``is_whole``: it was not ended before its time.
    """

    name: str
    title: str
    keys: dict[str, float] = field(default_factory=dict)
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    is_whole: bool = True

    def add(self, what: str, figure: str, remark: str = "") -> None:
        self.rows.append((what, figure, remark))

    def as_dict(self) -> dict[str, Any]:
        return self.keys | {"bench": self.name, "details": self.details, "machine": machine_facts()}

    def as_markdown(self) -> str:
        facts = "; ".join(f"{key} {value}" for key, value in machine_facts().items())
        lines = [f"## {self.title}", "", f"{time.strftime('%Y-%m-%d')}. {facts}.", ""]
        lines += ["| key | figure | target | met |", "| --- | --- | --- | --- |"]
        lines += [f"| `{key}` | {number(value)} | {target_text(key)} | {met_text(key, value)} |" for key, value in self.keys.items()]
        if self.rows:
            lines += ["", "| measured | figure | remark |", "| --- | --- | --- |"]
            lines += [f"| {what} | {figure} | {remark} |" for what, figure, remark in self.rows]
        return "\n".join(lines) + "\n"

    def as_text(self) -> str:
        lines = [f"{key:<28} {number(value):>10}  {target_text(key)} {met_text(key, value)}" for key, value in self.keys.items()]
        return "\n".join(lines + [f"  {what}: {figure}  {remark}".rstrip() for what, figure, remark in self.rows])


def number(value: float) -> str:
    if not math.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}" if abs(value) < 0.1 else f"{value:.3f}"


def target_text(key: str) -> str:
    direction, bound = TARGETS.get(key, ("", 0.0))
    return f"{direction} {bound:,g}" if direction else ""


def met_text(key: str, value: float) -> str:
    direction, bound = TARGETS.get(key, ("", 0.0))
    if not direction:
        return ""
    return "yes" if (value <= bound if direction == "<=" else value >= bound) else "**no**"


def machine_facts() -> dict[str, str]:
    """Processor, cores that may be used, memory, system and the packages that matter."""
    name = platform.processor() or platform.machine()
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        name = found.group(1).strip() if found else name
    except OSError:
        pass
    packages = ", ".join(f"{package} {metadata.version(package)}" for package in _PACKAGES)
    return {
        "processor": name,
        "cores": str(available_cores()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.machine()}",
        "Python": f"{platform.python_version()}, {packages}",
    }


def write_section(report: Report, path: Path = BENCHMARKS) -> None:
    """Put the report in its place in the document; the other sections stay."""
    text = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    begin, end = f"<!-- {report.name} -->", f"<!-- end of {report.name} -->"
    section = f"{begin}\n{report.as_markdown()}{end}"
    if begin in text and end in text:
        head, rest = text.split(begin, 1)
        text = head + section + rest.split(end, 1)[1]
    else:
        text = text.rstrip() + "\n\n" + section + "\n"
    write_aside(path, text.encode())


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def take_turns(sides: Mapping[str, Callable[[], None]], n_repeats: int) -> dict[str, float]:
    """Median seconds of each side; the sides take turns, and who begins changes."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    names = list(sides)
    for n in range(n_repeats):
        for name in names[n % len(names) :] + names[: n % len(names)]:
            started = time.perf_counter()
            sides[name]()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
