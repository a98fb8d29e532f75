"""Made-up runs of several seeds, as logs without a training: their evaluations, logos and episodes are what a test says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.runs.event_types import AttemptStarted, Ended, LogosLoaded
from core.runs.events import EventWriter
from core.runs.records import claim
from core.runs.run_dir import RunDir
from tests.support.events import episode, record
from tests.support.runs import tiny_config


def write_series_run(home: Path, gains: Sequence[float], *, digest: str = "d", by_logo: Sequence[float] = (), **changes: Any) -> RunDir:
    """A completed run of 32 steps between evaluations, whose gains are ``gains``; ``by_logo``: what is added to the last for each logo."""
    config = tiny_config("builtin", total_timesteps=32 * max(len(gains) - 1, 1), **changes)
    run = claim(home, config)
    with EventWriter(run.events_file) as log:
        log.write(0, AttemptStarted(total_timesteps=config.total_timesteps, pid=1))
        log.write(0, LogosLoaded("builtin", {}, [], digest, 12))
        for place, gain in enumerate(gains):
            step = 32 * place
            if place:
                log.write(step, episode(place, length=2))
            for n, more in enumerate(by_logo):
                log.write(step, record("evaluated", logo=f"logo {n}", digest=f"l{n}", gain=gain + more, failure=None, svg=""))
            log.write(step, record("evaluation", gain=gain, gain_low=gain, gain_high=gain, n_logos=len(by_logo), by_category={}))
        log.write(32 * (len(gains) - 1), Ended("COMPLETED", "all steps are done", gains[-1], max(gains)))
    return run
