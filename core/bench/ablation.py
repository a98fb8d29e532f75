"""Does a setting help? The same training under each of its values, several seeds each, at equal steps."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from core.bench.preset import settings
from core.bench.report import Report, say
from core.config.text import load_config
from core.errors import BenchError, ConfigError
from core.runs.event_types import EvaluationEnded
from core.runs.events import read_events
from core.runs.run_dir import RunDir


def measure(config: Path, vary: str, changes: list[str], seeds: str, images: str, is_short: bool = False) -> Report:
    """Train ``config`` under each value of ``vary`` ("a.b=x,y") with each of ``seeds``; gains on its validation logos.

    Raises:
        ConfigError: a setting, a value or a seed that does not exist.
        BenchError: a training failed.
    """
    name, _, values = vary.partition("=")
    options = [value for value in values.split(",") if value]
    if not name or len(options) < 2:
        raise ConfigError(f"--vary {vary!r} is not a setting with two or more values, for example curriculum.enabled=true,false")
    try:
        numbers = [int(seed) for seed in seeds.split(",")]
    except ValueError:
        raise ConfigError(f"--seeds {seeds!r} are not comma-separated whole numbers") from None
    common = [*settings(images, is_short), *(["total_timesteps=256"] if is_short else []), *changes]
    for value in options:
        load_config(config, [*common, f"{name}={value}"])  # all are looked at before the first one starts
    gains: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as home:
        for n, value in enumerate(options):
            for seed in numbers:
                say(f"ablation: {name}={value}, seed {seed}")
                run = Path(home) / f"{n}-{seed}"  # not by its value, which may be a path
                gains.setdefault(value, []).append(_train(config, [*common, f"{name}={value}", f"seed={seed}"], run))
    steps = load_config(config, common).total_timesteps
    report = Report(f"ablation-{name}", f"Ablation of {name}: {steps:,} steps of {config.name}, {', '.join(changes) or 'as it is'}")
    for value, found in gains.items():
        report.add(f"validation gain with {name} = {value}", f"{np.mean(found):.3f}", ", ".join(f"{gain:.3f}" for gain in found))
    one, other = gains[options[0]], gains[options[-1]]
    scatter = float(np.sqrt((np.var(one, ddof=1) + np.var(other, ddof=1)) / len(numbers))) if len(numbers) > 1 else float("nan")
    report.keys[f"{name}_{options[0]}_less_{options[-1]}"] = float(np.mean(one) - np.mean(other))
    report.add("standard error of the difference", f"{scatter:.3f}", f"{len(numbers)} seeds each; mean of the last three evaluations")
    return report


def _train(config: Path, changes: list[str], run: Path) -> float:
    """Train in a process of its own; returns the mean of its last three validation gains, because single ones scatter."""
    command = [sys.executable, "-m", "core", "train", "--config", str(config), "--run-dir", str(run), "--json"]
    for setting in [*changes, "evaluation.keep_svgs=false", "outcome.members=0"]:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "the training failed")
    if json.loads(done.stdout.splitlines()[-1])["status"] != "COMPLETED":
        raise BenchError(f"a training did not finish: {done.stdout.splitlines()[-1]}")
    found = [e.data.gain for e in read_events(RunDir(run).events_file) if isinstance(e.data, EvaluationEnded)]
    return float(np.mean(found[-3:]))
