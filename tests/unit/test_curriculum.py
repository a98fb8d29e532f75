"""Rules of the curriculum: pure state, so that each can be held to the episode."""

import numpy as np
import pytest

from core.config.config import CurriculumConfig, StageConfig
from core.curriculum.curriculum import Curriculum, Decision
from core.environment.env import TraceEnv
from core.environment.episode import EnvSpec
from core.tracing.outcome import HEADLINE


def stages(threshold: float = 0.5, **changes) -> Curriculum:
    rows = [StageConfig(name=n, max_episodes=20, success_threshold=threshold, target_ssim=0.5, required_gain=0.1) for n in ("a", "b")]
    return Curriculum(CurriculumConfig(enabled=True, window=4, min_episodes=6, stages=rows, **changes))


def decisions(curriculum: Curriculum, successes) -> list[Decision]:
    return [d for d in (curriculum.record(bool(s)) for s in successes) if d is not None]


def test_a_stage_is_passed_by_the_share_of_successes_in_the_window():
    curriculum = stages()
    ends = [curriculum.record(i >= 4) for i in range(6)]
    assert ends[:5] == [None] * 5
    assert (ends[5].kind, ends[5].success_share, ends[5].n_episodes, ends[5].ends_stage) == ("passed", 0.5, 6, True)
    assert curriculum.stage.name == "b"
    assert curriculum.success_share == 0


def test_a_stage_that_is_not_passed_ends_at_its_limit_and_the_last_ends_the_run():
    curriculum = stages(on_failure="advance")
    ends = decisions(curriculum, [False] * 40)
    assert [(e.name, e.kind, e.n_episodes) for e in ends] == [("a", "episode_limit", 20), ("b", "episode_limit", 20)]
    assert curriculum.is_finished
    assert "0% succeeded after 20 episodes, 50% needed" in ends[0].why


def test_a_stage_that_is_close_goes_on_for_half_as_long_once():
    curriculum = stages(threshold=0.8, max_extensions=1, on_failure="advance", max_setbacks=0)
    # three of four: 0.75, within 0.05 of what is needed
    found = decisions(curriculum, [True, True, True, False] * 8)
    assert [(d.kind, d.n_episodes) for d in found] == [("extended", 20), ("episode_limit", 30)]
    assert not found[0].ends_stage


def test_a_stage_is_eased_as_often_as_allowed_and_then_left():
    curriculum = stages(threshold=0.8, on_failure="ease", max_setbacks=2, max_extensions=0)
    found = decisions(curriculum, [True, False] * 30)
    assert [d.kind for d in found] == ["eased", "eased", "episode_limit"]
    assert curriculum.n_setbacks == 2
    eased = stages(threshold=0.55, on_failure="ease", max_setbacks=1, max_extensions=0)
    assert [d.kind for d in decisions(eased, [True, False] * 13)] == ["eased", "passed"]  # 0.5 are enough then


def test_a_run_goes_back_a_stage_within_limits():
    curriculum = stages(on_failure="back", max_setbacks=1, max_extensions=0)
    assert [d.kind for d in decisions(curriculum, [True] * 6)] == ["passed"]
    assert [d.kind for d in decisions(curriculum, [False] * 20)] == ["went_back"]
    assert curriculum.stage.name == "a"
    assert [d.kind for d in decisions(curriculum, [True] * 6)] == ["passed"]
    assert [d.kind for d in decisions(curriculum, [False] * 20)] == ["episode_limit"]
    assert curriculum.is_finished


def test_a_probe_skips_what_is_mastered_but_never_the_last_stage():
    curriculum = stages()
    assert curriculum.probe(0.4) is None
    skipped = curriculum.probe(0.6)
    assert skipped is not None
    assert (skipped.kind, skipped.name) == ("skipped", "a")
    assert curriculum.probe(1.0) is None
    assert not curriculum.is_finished
    assert stages(probe=False).probe(1.0) is None


def test_a_hand_can_advance_hold_release_and_send_back():
    curriculum = stages()
    assert curriculum.apply_command("back") is None
    assert curriculum.apply_command("hold").kind == "held"
    assert curriculum.apply_command("hold") is None
    assert decisions(curriculum, [True] * 50) == []
    assert curriculum.apply_command("release").kind == "released"
    assert [d.kind for d in decisions(curriculum, [True])] == ["passed"]
    assert curriculum.apply_command("back").kind == "sent_back"
    assert curriculum.stage.name == "a"
    assert curriculum.apply_command("advance").kind == "advanced"
    assert curriculum.apply_command("advance").ends_stage
    assert curriculum.is_finished


def test_an_episode_succeeds_by_ssim_and_gain_together():
    curriculum = stages()
    assert curriculum.is_success(0.6, 0.2)
    assert not curriculum.is_success(0.6, 0.0)
    assert not curriculum.is_success(0.4, 0.2)


@pytest.mark.parametrize("on_failure", ["advance", "ease", "back"])
def test_a_curriculum_goes_on_where_it_was(on_failure):
    rng = np.random.default_rng(3)
    for n in (9, 21, 33):
        a, b = (stages(threshold=0.7, on_failure=on_failure) for _ in range(2))
        decisions(a, rng.random(n) < 0.6)
        b.restore(a.dump())
        successes = rng.random(60) < 0.6
        assert decisions(a, successes) == decisions(b, successes)
        assert a.dump() == b.dump()


def test_earlier_logos_are_mixed_in_by_their_share():
    env = TraceEnv([None] * 10, lambda i, params: None, EnvSpec(1, None, HEADLINE))  # type: ignore[list-item]
    env.reseed(0)
    env.set_eligible(np.arange(5, 10), np.arange(5), 0.3)
    drawn = np.array([env.draw() for _ in range(2000)])
    assert (drawn < 5).mean() == pytest.approx(0.3, abs=0.04)
    assert set(drawn) == set(range(10))
