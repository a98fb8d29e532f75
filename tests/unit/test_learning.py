"""Environment, workers, curriculum, agent and evaluation."""

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from core.environment.env import TraceEnv
from core.environment.episode import EnvSpec, Episode, PreparedLogo
from core.evaluation.evaluate import bootstrap_interval, spread_over_categories
from core.tracing.outcome import HEADLINE, Outcome
from core.tracing.params import BEST_SINGLE, N_PARAMS, Params
from core.tracing.picture import Picture
from tests.support.logos import draw_logo
from tests.support.runs import tiny_config


def prepared(n: int = 3) -> tuple[list[PreparedLogo], list[Picture]]:
    pictures = [Picture(np.asarray(draw_logo(i))) for i in range(n)]
    return [PreparedLogo(f"logo{i}", "simple", str(i), p.features, p.defaults) for i, p in enumerate(pictures)], pictures


def make_env(max_steps: int = 1) -> TraceEnv:
    logos, pictures = prepared()
    return TraceEnv(logos, lambda i, params: pictures[i].measure(params).outcome, EnvSpec(max_steps, BEST_SINGLE, HEADLINE))


@pytest.mark.parametrize("max_steps", [1, 3])
def test_the_environment_keeps_gymnasiums_rules(max_steps):
    check_env(make_env(max_steps), skip_render_check=True)


@pytest.mark.parametrize("max_steps", [1, 3])
def test_same_seed_and_actions_give_the_same_episodes_to_the_bit(max_steps):
    traces = []
    for _ in range(2):
        env, rng, seen = make_env(max_steps), np.random.default_rng(0), []
        seen.append(env.reset(seed=5)[0])
        for _ in range(8):
            observation, reward, done, _, _ = env.step(rng.uniform(-1, 1, N_PARAMS).astype(np.float32))
            seen += [observation, reward]
            if done:
                seen.append(env.reset()[0])
        traces.append(np.concatenate([np.ravel(x) for x in seen]))
    np.testing.assert_array_equal(*traces)


def test_the_return_is_the_best_gain_of_the_episode():
    env, rng = make_env(5), np.random.default_rng(1)
    env.reset(seed=1)
    total = sum(env.step(rng.uniform(-1, 1, N_PARAMS).astype(np.float32))[1] for _ in range(5))
    assert total == pytest.approx(max(t.training_gain for t in env.episode.tries))


def test_a_dumped_environment_goes_on_where_it_was():
    env, rng = make_env(3), np.random.default_rng(2)
    env.reset(seed=3)
    env.step(rng.uniform(-1, 1, N_PARAMS).astype(np.float32))
    state = env.dump()
    other = make_env(3)
    np.testing.assert_array_equal(other.restore(state), env.episode.observation())
    for _ in range(2):
        action = rng.uniform(-1, 1, N_PARAMS).astype(np.float32)
        np.testing.assert_array_equal(env.step(action)[0], other.step(action)[0])
    assert env.reset()[1] == other.reset()[1]


def test_a_failed_trace_ends_up_in_the_reward_not_in_an_exception():
    logos, _ = prepared(1)
    env = TraceEnv(logos, lambda i, params: Outcome(0.0, 0, 0, 0.0, "panic"), EnvSpec(1, None, HEADLINE))
    env.reset(seed=0)
    _, reward, done, _, _ = env.step(np.zeros(N_PARAMS, np.float32))
    assert reward == -3.0
    assert done


def test_observations_have_the_promised_shape_and_range():
    logos, _ = prepared(1)
    for max_steps in (1, 4):
        spec = EnvSpec(max_steps, None, HEADLINE)
        episode = Episode(logos[0], spec)
        for _ in range(max_steps):
            observation = episode.observation()
            assert observation.shape == (spec.n_observation,)
            assert np.abs(observation).max() <= 3
            episode.record(np.ones(N_PARAMS), Params(), Outcome(-1.0, 10**7, 3, 0.1, "oversized"))


def test_the_bootstrap_interval_holds_the_mean_and_repeats():
    values = np.random.default_rng(0).normal(0.3, 0.2, 60)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 0.2 / np.sqrt(60), rel=0.25)
    assert (low, high) == bootstrap_interval(values)


def test_logos_are_taken_in_turns_from_the_categories():
    logos = [PreparedLogo(str(i), "text" if i < 8 else "simple", "", None, None) for i in range(10)]  # type: ignore[arg-type]
    assert spread_over_categories(logos, range(10), 4) == [0, 1, 8, 9]


def test_tiny_config_is_valid(logo_folder):
    assert tiny_config(logo_folder).rollout_steps == 32
