"""What a stage of the curriculum has the environments do: its own weights, its categories, its largest size."""

from types import SimpleNamespace

import numpy as np

from core.config.config import CurriculumConfig, StageConfig
from core.curriculum.curriculum import Curriculum
from core.logos.dataset import Logo
from core.tracing.outcome import Weights
from core.training.checkpoint_state import TrainState


class Environments:
    """Keeps what it was told. ``weights``: the run's, as of the real ones."""

    weights = Weights(1.0, 0.1, 0.0)

    def __init__(self) -> None:
        self.pool = SimpleNamespace(quarantined=set())
        self.trained_for = self.weights
        self.drawn: list[int] = []

    def set_eligible(self, drawn, everything, earlier, share) -> None:
        self.drawn = [*drawn, *earlier]

    def set_weights(self, weights: Weights) -> None:
        self.trained_for = weights


def logo(category: str, side: int) -> Logo:
    return Logo(f"{category} {side}", category, "train", "", "", np.zeros((side, side, 3), np.uint8))


def test_a_stage_draws_what_it_names_under_weights_of_its_own():
    from core.training.callbacks import CurriculumCallback

    stages = [StageConfig(name="a", categories=["simple"], quality=0.5, size=0.4), StageConfig(name="b", max_side=64)]
    curriculum, envs = Curriculum(CurriculumConfig(enabled=True, stages=stages)), Environments()
    logos = [logo("simple", 32), logo("text", 32), logo("simple", 128)]
    callback = CurriculumCallback(TrainState(), None, envs, logos, 3, curriculum, CurriculumConfig(), lambda: 0)  # type: ignore[arg-type]
    callback.set_eligible()
    assert sorted(envs.drawn) == [0, 2]
    assert envs.trained_for == Weights(0.5, 0.4, 0.0)
    curriculum.apply_command("advance")
    callback.set_eligible()
    assert sorted(envs.drawn) == [0, 1]  # the third is too large
    assert envs.trained_for == envs.weights
