"""The curriculum: which logos are drawn, what counts as success, when a stage ends and what follows.

Pure state and rules; the trainer acts on the :class:`Decision` that a call may return. Guarantee: the same episodes and
commands in the same order lead to the same decisions at the same episodes.

A stage is passed when the success rate over the window reaches its threshold, after a minimum number of episodes. At its
episode limit, a stage that is close to passing is extended; otherwise it is eased, left for the previous stage, or ended,
as the config says, and no more often than it allows. A probe may skip a stage that the policy has already mastered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

from core.config.config import CATEGORIES, CurriculumConfig, StageConfig

Kind = Literal["passed", "skipped", "episode_limit", "went_back", "extended", "eased", "held", "released", "advanced", "sent_back"]
Command = Literal["advance", "hold", "release", "back"]
ENDINGS = ("passed", "skipped", "episode_limit", "went_back", "advanced", "sent_back")  # decisions that end a stage
CLOSE = 0.05  # a success rate at most this far below the threshold is close
EASING = 0.05  # how much easing lowers a threshold
EXTENSION = 0.5  # of a stage's episode limit
NO_CURRICULUM = StageConfig(
    name="all_logos", categories=list(CATEGORIES), difficulty=0.5, target_ssim=0.0, required_gain=0.0, max_episodes=100_000_000
)


@dataclass(frozen=True)
class Decision:
    """What was decided and why. ``stage``: index of the stage it was decided in; ``success_share``: over the window, in [0, 1]."""

    kind: Kind
    stage: int
    name: str
    why: str
    success_share: float
    n_episodes: int

    @property
    def ends_stage(self) -> bool:
        return self.kind in ENDINGS


class Curriculum:
    """Works through the stages; without a curriculum there is a single stage that never ends."""

    def __init__(self, config: CurriculumConfig) -> None:
        self._config = config
        self.stages = config.stages if config.enabled else [NO_CURRICULUM]
        self.is_enabled = config.enabled
        self.index = 0
        self.n_episodes = 0
        self.is_finished = False
        self.is_held = False
        self.n_setbacks = 0  # stages eased or gone back from, over the whole run
        self._n_extensions = 0  # in this pass through the stage
        self._stretched = 1.0  # factor on the stage's limit, in this pass through it
        self._eased = [0.0] * len(self.stages)
        self._window: deque[bool] = deque(maxlen=config.window)

    @property
    def stage(self) -> StageConfig:
        return self.stages[self.index]

    @property
    def threshold(self) -> float:
        """Success rate at which the stage is passed, after easing."""
        return max(self.stage.success_threshold - self._eased[self.index], 0.05)

    @property
    def episode_limit(self) -> int:
        """Episodes after which the stage ends, after extensions."""
        return round(self.stage.max_episodes * (1 + EXTENSION * self._n_extensions) * self._stretched)

    @property
    def success_share(self) -> float:
        """Success rate over the last ``window`` episodes of this stage; 0 before the first."""
        return sum(self._window) / len(self._window) if self._window else 0.0

    def earlier_categories(self) -> set[str]:
        """Categories that earlier stages drew from."""
        return {c for stage in self.stages[: self.index] for c in stage.categories}

    def is_success(self, ssim: float, gain: float, stage: StageConfig | None = None) -> bool:
        """An episode succeeds when it reaches the stage's SSIM and the required gain over the defaults."""
        stage = stage or self.stage
        return ssim >= stage.target_ssim and gain >= stage.gain_needed()

    def record(self, is_success: bool) -> Decision | None:
        """Count an episode."""
        self.n_episodes += 1
        self._window.append(is_success)
        is_open = self.index + 1 == len(self.stages) and not self._config.ends_run
        if not self.is_enabled or self.is_finished or self.is_held or is_open:
            return None
        is_window_full = len(self._window) == self._config.window and self.n_episodes >= self._config.min_episodes
        share, needed = self.success_share, self.threshold
        if is_window_full and share >= needed:
            return self._move("passed", f"{share:.0%} of the last {len(self._window)} episodes succeeded, {needed:.0%} needed", 1)
        if self.n_episodes >= self.episode_limit:
            return self._at_limit(share, needed)
        return None

    def _at_limit(self, share: float, needed: float) -> Decision:
        config = self._config
        missed = f"{share:.0%} succeeded after {self.n_episodes} episodes, {needed:.0%} needed"
        if share >= needed - CLOSE and self._n_extensions < config.max_extensions:
            self._n_extensions += 1
            return self._decide("extended", f"{missed}; close, so it is extended to {self.episode_limit} episodes")
        if config.on_failure != "advance" and self.n_setbacks < config.max_setbacks:
            self.n_setbacks += 1
            if config.on_failure == "back" and self.index > 0:
                return self._move("went_back", f"{missed}; setback {self.n_setbacks} of {config.max_setbacks}", -1)
            self._eased[self.index] += EASING
            decision = self._decide("eased", f"{missed}; from now on {self.threshold:.0%} is enough")
            self._begin()
            return decision
        return self._move("episode_limit", missed, 1)

    def probe(self, share: float) -> Decision | None:
        """Take in the share of logos on which the deterministic policy meets this stage's requirements."""
        is_fresh = self.n_episodes < self._config.min_episodes
        if not (self.is_enabled and self._config.probe and is_fresh) or self.is_held or self.is_finished or share < self.threshold:
            return None
        if self.index + 1 == len(self.stages):
            return None  # the last stage is where a run spends its remaining steps
        return self._move("skipped", f"a probe succeeded on {share:.0%} of its logos, {self.threshold:.0%} needed", 1)

    def apply_command(self, command: Command) -> Decision | None:
        """Act on a user's command; None if it changes nothing."""
        if not self.is_enabled or self.is_finished:
            return None
        if command == "hold" and not self.is_held:
            self.is_held = True
            return self._decide("held", "by hand: the stage continues until it is released")
        if command == "release" and self.is_held:
            self.is_held = False
            return self._decide("released", "by hand")
        if command == "advance":
            return self._move("advanced", "by hand", 1)
        if command == "back" and self.index > 0:
            return self._move("sent_back", "by hand", -1)
        return None

    def stretch(self, is_longer: bool) -> int:
        """Extend the stage's limit by half, or cut it to the current episode. Returns the new limit in episodes."""
        if is_longer:
            self._stretched *= 1 + EXTENSION
        else:
            self._stretched *= max(self.n_episodes + 1, 1) / max(self.episode_limit, 1)
        return self.episode_limit

    def _decide(self, kind: Kind, why: str) -> Decision:
        return Decision(kind, self.index, self.stage.name, why, self.success_share, self.n_episodes)

    def _move(self, kind: Kind, why: str, by: int) -> Decision:
        decision = self._decide(kind, why)
        if self.index + by < len(self.stages):
            self.index += by
            self._begin()
        else:
            self.is_finished = True
        self.is_held = False
        return decision

    def _begin(self) -> None:
        self.n_episodes = self._n_extensions = 0
        self._stretched = 1.0
        self._window.clear()

    def dump(self) -> dict[str, Any]:
        return {
            "index": self.index,
            "n_episodes": self.n_episodes,
            "window": [int(s) for s in self._window],
            "is_finished": self.is_finished,
            "is_held": self.is_held,
            "n_setbacks": self.n_setbacks,
            "n_extensions": self._n_extensions,
            "stretched": self._stretched,
            "eased": list(self._eased),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.index, self.n_episodes, self.is_finished = int(state["index"]), int(state["n_episodes"]), bool(state["is_finished"])
        self.is_held, self.n_setbacks = bool(state.get("is_held")), int(state.get("n_setbacks", 0))
        self._n_extensions, self._eased = int(state.get("n_extensions", 0)), list(state.get("eased", self._eased))
        self._stretched = float(state.get("stretched", 1.0))
        self._window.clear()
        self._window.extend(bool(s) for s in state["window"])
