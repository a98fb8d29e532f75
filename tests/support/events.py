"""Made-up logs: runs that were never trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.runs.event_types import AttemptStarted, EpisodeEnded, EvaluationEnded, Metrics
from core.runs.events import EventWriter
from core.runs.records import claim
from core.runs.run_dir import RunDir
from tests.support.runs import tiny_config


def episode(i: int, **changes: Any) -> EpisodeEnded:
    """A likely episode, number ``i``."""
    known: dict[str, Any] = {
        "episode": i, "env": 0, "logo": f"l{i % 3}", "category": ("simple", "text")[i % 2], "stage": "s", "training_gain": i / 10,
        "headline_gain": i / 10, "terms": {"quality": 0.1, "size": 0.2, "speed": 0.0}, "length": 1, "end_reason": "max_steps", "ssim": 0.9,
        "bytes": 100 + i, "paths": 3, "cpu_s": 0.01, "success": i % 2 == 0, "params": [4.0, 53.0, 40.0, 9.5, 9.0, 42.0, 0.0],
    }  # fmt: skip
    return EpisodeEnded(**known | changes)


def write_run(home: Path, n: int = 20, attempts: int = 1) -> RunDir:
    """A run of ``n`` episodes per attempt; the second goes on from the step 10 of the first."""
    run = claim(home, tiny_config(home))
    for attempt in range(attempts):
        with EventWriter(run.events_file) as log:
            log.write(0, AttemptStarted(from_step=10 * attempt, total_timesteps=n, pid=1))
            for i in range(10 * attempt + 1, 10 * attempt + n + 1):
                log.write(i, episode(i))
                if i % 5 == 0:
                    log.write(i, Metrics({"train/loss": i * 1.0, "time/fps": float("nan")}))
            log.write(10 * attempt + n, EvaluationEnded(gain=0.3, gain_low=0.2, gain_high=0.4, n_logos=2, by_category={"simple": 0.3}))
    return run
