"""Events for tests: records with only the fields that a test is about spelled out."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from core.bench.made_up import made_up
from core.runs.event_types import RECORDS, AttemptStarted, Ended, EpisodeEnded, Metrics, Record
from core.runs.events import EventWriter
from core.runs.records import claim
from core.runs.run_dir import RunDir
from tests.support.runs import tiny_config


def record(kind: str, **known: Any) -> Record:
    """A record of a kind; what is not ``known`` is made up."""
    return made_up(RECORDS[kind], random.Random(0), **known)


def episode(i: int, **changes: Any) -> EpisodeEnded:
    """The i-th episode of a made-up run: its gains are i / 10."""
    known: dict[str, Any] = {
        "episode": i, "env": 0, "logo": f"l{i % 3}", "category": ("simple", "text")[i % 2], "stage": "s", "training_gain": i / 10,
        "headline_gain": i / 10, "terms": {"quality": 0.1, "size": 0.2, "speed": 0.0}, "length": 1, "end_reason": "max_steps", "ssim": 0.9,
        "bytes": 100 + i, "paths": 3, "cpu_s": 0.01, "success": i % 2 == 0, "params": [4.0, 53.0, 40.0, 9.5, 9.0, 42.0, 0.0],
    }  # fmt: skip
    return EpisodeEnded(**known | changes)


def write_run(home: Path, n: int = 20, name: str = "tiny") -> RunDir:
    """A made-up run with rows for every table, whose log has two attempts: the second goes on from step 10."""
    run = claim(home, tiny_config(home, name=name))
    for start in (0, 10):
        with EventWriter(run.events_file) as log:
            log.write(start, AttemptStarted(from_step=start, total_timesteps=n, pid=1))
            log.write(start, record("baseline", method="single", gain=0.25))
            for i in range(start + 1, n + 1):
                log.write(i, episode(i, logo=f"=logo {i % 3}", stage="" if i % 2 else 'ä, "b"'))
                log.write(i, Metrics({"train/loss": i / 3, "time/fps": float("nan")}))
            log.write(n, record("evaluated", logo="l1", gain=0.3, failure=None))
            log.write(n, record("evaluation", gain=0.3, by_category={"simple": 0.3}, is_best=True))
            log.write(n, Ended("COMPLETED", "all steps done", 0.3, 0.3))
    return run


def write_attempts(home: Path, n: int = 20, attempts: int = 1) -> RunDir:
    """A made-up run of so many attempts of ``n`` steps, each from ten steps after the one before."""
    run = claim(home, tiny_config(home))
    for attempt in range(attempts):
        with EventWriter(run.events_file) as log:
            log.write(0, AttemptStarted(from_step=10 * attempt, total_timesteps=n, pid=1))
            for i in range(10 * attempt + 1, 10 * attempt + n + 1):
                log.write(i, episode(i))
                if i % 5 == 0:
                    log.write(i, Metrics({"train/loss": i * 1.0, "time/fps": float("nan")}))
            log.write(10 * attempt + n, record("evaluation", gain=0.3, gain_low=0.2, gain_high=0.4, n_logos=2, by_category={"simple": 0.3}))
    return run
