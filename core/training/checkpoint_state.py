"""What a trainer's callbacks share, and which part of it a checkpoint holds. The keys of ``state.json`` never change, so that older
checkpoints can be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from typing import Any

_PACKAGES = ("torch", "stable-baselines3", "gymnasium", "vtracer", "numpy", "thorvg-python", "opencv-python-headless")


@dataclass
class TrainState:
    """Shared by the callbacks of one attempt. The fields up to ``last_periodic`` are part of a checkpoint."""

    n_episodes: int = 0
    best_gain: float | None = None  # headline gain on validation logos
    verdict: str = ""  # on the best evaluation, against the best single setting
    last_gain: float | None = None
    n_without_best: int = 0  # evaluations since the last one that was enough better
    last_evaluated: int = -1  # step
    last_periodic: int = 0  # step of the last periodic checkpoint
    end_reason: str = ""  # why the run ends early
    is_over: bool = False  # something ended the run between two updates
    rollout_started: float = 0.0  # monotonic seconds; 0 where the rollout was held

    def dump(self) -> dict[str, Any]:
        return {
            "n_episodes": self.n_episodes,
            "best_gain": self.best_gain,
            "verdict": self.verdict,
            "last_gain": self.last_gain,
            "n_without_best": self.n_without_best,
            "last_evaluated": self.last_evaluated,
            "last_periodic": self.last_periodic,
        }

    def restore(self, dumped: dict[str, Any]) -> None:
        self.n_episodes = int(dumped["n_episodes"])
        self.best_gain, self.last_gain = dumped["best_gain"], dumped["last_gain"]
        self.verdict = str(dumped.get("verdict", ""))  # checkpoints of before have none
        self.n_without_best = int(dumped["n_without_best"])
        self.last_evaluated, self.last_periodic = int(dumped["last_evaluated"]), int(dumped["last_periodic"])


def versions() -> dict[str, str]:
    """Versions of the packages that must match for training to resume bit for bit."""
    return {name: metadata.version(name) for name in _PACKAGES}
