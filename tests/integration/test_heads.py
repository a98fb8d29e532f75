"""The policy's heads and the groups of its updates: what they choose, that they learn, how they are kept and exported."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.agents.checkpoint import load_agent, load_ppo
from core.agents.groups import group_relative
from core.agents.heads import MixedDistribution, heads_of
from core.agents.loading import load_model
from core.agents.onnx_export import export_model
from core.agents.ppo import SpacesOnly, build_agent
from core.config.config import RunConfig
from core.config.text import validate
from core.environment.episode import N_PICTURE
from core.errors import ConfigError
from core.runs.event_types import EpisodeEnded
from core.runs.events import read_events
from core.tracing.params import BEST_SINGLE, N_PARAMS, SPECS, ActionMap
from tests.support.runs import update_values

CATEGORICAL = [place for place, spec in enumerate(SPECS) if spec.switches is not None]
MIXED = {"ppo": {"heads": "mixed", "group_size": 4, "n_steps": 8, "batch_size": 32}}


def some_distribution(seed: int = 0) -> tuple[MixedDistribution, torch.Tensor]:
    heads = heads_of(BEST_SINGLE)
    torch.manual_seed(seed)
    output = torch.randn((500, sum(head.width for head in heads)))
    distribution = MixedDistribution(heads)
    return distribution.proba_distribution(output, torch.full((N_PARAMS - len(CATEGORICAL),), -1.2)), output


def test_a_categorical_head_samples_every_value_and_prefers_the_likeliest():
    distribution, output = some_distribution()
    of_map = ActionMap(BEST_SINGLE)
    sampled, likeliest = of_map.to_values(distribution.sample().numpy()), of_map.to_values(distribution.mode().numpy())
    for place in CATEGORICAL:
        spec, head = SPECS[place], distribution.heads[place]
        assert set(np.unique(sampled[:, place])) == set(range(int(spec.low), int(spec.high) + 1))
        logits = output[:, head.first : head.first + head.width].numpy()
        assert (likeliest[:, place] == spec.low + logits.argmax(axis=1)).all()


def test_probabilities_of_all_values_sum_to_one_and_entropy_is_their_mean_surprise():
    distribution, _ = some_distribution()
    place = CATEGORICAL[0]
    actions = distribution.mode()
    totals = torch.zeros(len(actions))
    for value in distribution.heads[place].actions:
        actions[:, place] = value
        totals += distribution.log_prob(actions).exp()
    actions[:, place] = distribution.heads[place].actions[0]
    of_one = distribution._categorical[place].probs[:, 0]
    torch.testing.assert_close(totals, distribution.log_prob(actions).exp() / of_one)
    many = torch.stack([distribution.log_prob(distribution.sample()) for _ in range(400)]).mean(dim=0)
    assert float((distribution.entropy() + many).abs().mean()) < 0.15


def test_an_untrained_policy_chooses_the_centre_and_tries_what_is_near_it_most():
    config = RunConfig(ppo={"heads": "mixed"})  # type: ignore[arg-type]
    from stable_baselines3.common.vec_env import DummyVecEnv

    agent = build_agent(config, DummyVecEnv([lambda: SpacesOnly(N_PICTURE)]))
    observations = np.random.default_rng(0).uniform(-1, 1, (64, N_PICTURE)).astype(np.float32)
    chosen = ActionMap(BEST_SINGLE).to_values(agent.predict(observations, deterministic=True)[0])
    assert all((chosen[:, place] == BEST_SINGLE.as_tuple()[place]).all() for place in CATEGORICAL)
    tried = ActionMap(BEST_SINGLE).to_values(np.concatenate([agent.predict(observations)[0] for _ in range(20)]))
    bits = np.bincount(tried[:, 0].astype(int), minlength=9)
    assert bits.argmax() == BEST_SINGLE.color_precision
    assert bits[BEST_SINGLE.color_precision] > bits[5] > bits[7] > 0


def test_a_baseline_of_others_takes_out_what_a_group_shares_and_keeps_what_is_an_action_s_own():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(200), 4)
    shared, own = rng.normal(0, 1.0, 200)[groups], rng.normal(0, 0.3, 800)
    left = group_relative((shared + own).astype(np.float32), groups)
    assert left.std() < 0.4 < (shared + own).std()
    assert np.corrcoef(left, own)[0, 1] > 0.85
    alone = group_relative(own.astype(np.float32), np.arange(800))
    np.testing.assert_array_equal(alone, own.astype(np.float32))
    unshared = group_relative(own.astype(np.float32), groups)
    assert np.abs(unshared - own).max() < 0.15  # nothing is shared, so next to nothing is taken


def test_what_does_not_fit_together_is_said():
    for changes, told in (
        ({"n_envs": 6, "ppo": {"group_size": 4, "batch_size": 12}}, "n_envs = 6 is not a multiple of ppo.group_size = 4"),
        ({"env": {"max_steps": 3}, "ppo": {"group_size": 2}}, "needs episodes of one step"),
    ):
        with pytest.raises(ConfigError, match=told):
            validate(changes)


@pytest.fixture(scope="module")
def run(recordings, tmp_path_factory):
    return recordings.tiny(tmp_path_factory.mktemp("heads"), n_envs=16, total_timesteps=1280, outcome={"members": 2}, **MIXED)


def test_a_group_draws_the_same_logos_and_its_run_is_recorded_like_any_other(run):
    episodes = [e.data for e in read_events(run.events_file) if isinstance(e.data, EpisodeEnded)]
    assert len(episodes) == 1280
    drawn = np.array([episode.logo for episode in episodes]).reshape(-1, 4, 4)  # step, group, member
    assert (drawn == drawn[:, :, :1]).all()
    assert len(np.unique(drawn)) > 4
    assert all(np.isfinite(list(values.values())).all() for _, values in update_values(run))


def test_a_checkpoint_and_the_exported_model_choose_the_same(run, tmp_path):
    config, agent, _ = load_ppo(run.checkpoints / "last")
    assert config.ppo.heads == "mixed"
    kept = load_agent(run.checkpoints / "last")
    export_model(run.checkpoints / "last", tmp_path / "m")
    shipped = load_model(str(tmp_path / "m"), tmp_path)
    observations = np.random.default_rng(0).uniform(-1, 2, (200, kept.spec.n_observation)).astype(np.float32)
    np.testing.assert_allclose(kept.policy.actions(observations), shipped.policy.actions(observations), atol=1e-5)
    np.testing.assert_array_equal(kept.deviation, shipped.deviation)
    assert kept.deviation.shape == (N_PARAMS,)
    assert (kept.deviation > 0).all()
    assert agent.policy.log_std.shape == (N_PARAMS - len(CATEGORICAL),)
