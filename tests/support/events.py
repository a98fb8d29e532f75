"""Events for tests: records with only the fields that a test is about spelled out."""

from __future__ import annotations

import random
from typing import Any

from core.bench.made_up import made_up
from core.runs.event_types import RECORDS, EpisodeEnded, Record


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
