"""The curriculum: which logos are drawn, what counts as success, when a stage ends.

Pure state and rules; the trainer acts on what :meth:`Curriculum.record` returns. Guarantee: with equal episodes in
equal order the stages change at the same episodes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from core.runs.config import CATEGORIES, CurriculumConfig, StageConfig

EndReason = Literal["passed", "episode_limit"]
NO_CURRICULUM = StageConfig(
    name="all_logos", categories=list(CATEGORIES), difficulty=0.5, target_ssim=0.0, required_gain=0.0, max_episodes=100_000_000
)  # type: ignore[arg-type]


@dataclass(frozen=True)
class StageEnd:
    """Why a stage ended. ``success_share`` over the window, in [0, 1]."""

    stage: int
    name: str
    reason: EndReason
    success_share: float
    n_episodes: int


class Curriculum:
    """Goes through the stages in order; without a curriculum there is one stage that never ends."""

    def __init__(self, config: CurriculumConfig) -> None:
        self._config = config
        self.stages = config.stages if config.enabled else [NO_CURRICULUM]
        self.is_enabled = config.enabled
        self.index = 0
        self.n_episodes = 0
        self.is_finished = False
        self._window: deque[bool] = deque(maxlen=config.window)

    @property
    def stage(self) -> StageConfig:
        return self.stages[self.index]

    @property
    def success_share(self) -> float:
        """Share of successes among the last ``window`` episodes of this stage, 0 without any."""
        return sum(self._window) / len(self._window) if self._window else 0.0

    def is_success(self, ssim: float, gain: float) -> bool:
        """An episode succeeds when it reaches the stage's SSIM and the required gain over the defaults."""
        return ssim >= self.stage.target_ssim and gain >= self.stage.gain_needed()

    def record(self, is_success: bool) -> StageEnd | None:
        """Count an episode; returns the stage's end where this episode ended it, and moves on."""
        self.n_episodes += 1
        self._window.append(is_success)
        if not self.is_enabled or self.is_finished:
            return None
        is_window_full = len(self._window) == self._config.window and self.n_episodes >= self._config.min_episodes
        if is_window_full and self.success_share >= self.stage.success_threshold:
            return self._end("passed")
        if self.n_episodes >= self.stage.max_episodes:
            return self._end("episode_limit")
        return None

    def _end(self, reason: EndReason) -> StageEnd:
        end = StageEnd(self.index, self.stage.name, reason, self.success_share, self.n_episodes)
        if self.index + 1 < len(self.stages):
            self.index += 1
            self.n_episodes = 0
            self._window.clear()
        else:
            self.is_finished = True
        return end

    def dump(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "n_episodes": self.n_episodes,
            "window": [int(s) for s in self._window],
            "is_finished": self.is_finished,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.index, self.n_episodes, self.is_finished = int(state["index"]), int(state["n_episodes"]), bool(state["is_finished"])
        self._window.clear()
        self._window.extend(bool(s) for s in state["window"])
