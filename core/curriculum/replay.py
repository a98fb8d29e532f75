"""Replays the episodes of a recorded run under another curriculum's rules. Pure; nothing is trained.

Limitation: under other rules, other logos would have been drawn and the policy would have learned differently. A replay
only says when the rules would have promoted the policy given what it did in the recorded run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.config.config import CurriculumConfig
from core.curriculum.curriculum import Curriculum


@dataclass(frozen=True)
class Turn:
    """A decision: the episode (from 1), the stage, the kind of decision, and why."""

    episode: int
    stage: str
    kind: str
    why: str
    ends_stage: bool


def replay(config: CurriculumConfig, episodes: Iterable[tuple[float, float]]) -> list[Turn]:
    """Every decision that ``config`` would have made over ``episodes``, each (SSIM, headline gain), in order.

    Probes are left out, since a recorded run has none at the episodes where they would have taken place.
    """
    curriculum = Curriculum(config.model_copy(update={"enabled": True, "probe": False}))
    turns: list[Turn] = []
    for n, (ssim, gain) in enumerate(episodes, start=1):
        decision = curriculum.record(curriculum.is_success(ssim, gain))
        if decision is not None:
            turns.append(Turn(n, decision.name, decision.kind, decision.why, decision.ends_stage))
        if curriculum.is_finished:
            break
    return turns
