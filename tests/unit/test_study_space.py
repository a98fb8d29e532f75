"""The space of a study: what can be searched, the usual ranges, drawn values that make a config."""

from __future__ import annotations

import numpy as np
import pytest

from core.config.config import RunConfig
from core.config.fields import walk_fields
from core.errors import ConfigError
from core.studies.space import SECTIONS, config_of, distributions, params_of, resolve, searchable, usual_dimension

WITH_STAGES = RunConfig.model_validate({"curriculum": {"enabled": True}})


# Spaces


@pytest.mark.parametrize("name", searchable(RunConfig()))
def test_every_setting_that_can_be_searched_has_a_usual_range_that_it_allows(name):
    try:
        dimension = usual_dimension(name, WITH_STAGES)
    except ConfigError as error:
        pytest.fail(str(error))
    assert resolve({name: None}, WITH_STAGES) == {name: dimension}


def test_the_sections_that_matter_are_searchable_whole():
    named = {name for name, _ in walk_fields(RunConfig) if name.split(".")[0] in SECTIONS}
    assert named - set(searchable(RunConfig())) == {
        "env.centre", "env.fixed", "curriculum.stages", "pipeline.delivered_size", "pipeline.engine",
    }  # fmt: skip
    assert "curriculum.stages.3.success_threshold" in searchable(RunConfig())


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"ppo.gama": None}, "ppo.gama: unknown setting; similar:"),
        ({"nothing": None}, "nothing: unknown setting; settings to search include"),
        ({"ppo.learning_rate": {"low": 0.1, "high": 2}}, r"ppo.learning_rate = 2 is not allowed \(allowed: \(0, 1\]\)"),
        ({"ppo.learning_rate": {"low": 0.1, "high": 0.01}}, "low = 0.1 is not below high = 0.01"),
        ({"ppo.learning_rate": {"low": 0, "high": 0.01, "log": True}}, "log needs low above 0"),
        ({"ppo.learning_rate": {"low": 0.1}}, "give low and high, or choices"),
        ({"ppo.learning_rate": {"low": 0.1, "high": 0.2, "choices": [1]}}, "give either choices or low and high"),
        ({"ppo.activation": {"choices": ["tanh", "sine"]}}, "ppo.activation = sine is not allowed"),
        ({"ppo.activation": {"choices": ["tanh", "tanh"]}}, "a choice occurs twice"),
        ({"ppo.activation": {"low": 0, "high": 1}}, "ppo.activation is not a number"),
        ({"ppo.n_epochs": {"low": 1.5, "high": 3}}, "ppo.n_epochs is a whole number"),
        ({"ppo.net_arch_pi": {"choices": [[9999]]}}, r"ppo.net_arch_pi = \[9999\] is not allowed"),
        ({"curriculum.stages.7.difficulty": None}, "there is no stage 7; the config has stages 0 to 3"),
        ({"logos.path": None}, "logos.path has no default range; give choices"),
        ({"ppo.gamma": "much"}, "ppo.gamma"),
    ],
)
def test_a_space_that_is_not_possible_says_what_is_allowed(space, told):
    with pytest.raises(ConfigError, match=told):
        resolve(space, RunConfig())


def test_drawn_values_make_a_config_that_can_be_trained():
    """Whatever is drawn of all settings at once: batches divide rollouts, groups divide environments."""
    space = resolve(dict.fromkeys(name for name in searchable(WITH_STAGES) if name != "env.max_steps"), WITH_STAGES)
    rng, n_fitted = np.random.default_rng(0), 0
    for _ in range(60):
        drawn = {}
        for name, distribution in distributions(space, WITH_STAGES).items():
            if hasattr(distribution, "choices"):
                drawn[name] = distribution.choices[rng.integers(len(distribution.choices))]
            elif type(distribution.low) is int:
                drawn[name] = int(rng.integers(distribution.low, distribution.high + 1))
            else:
                drawn[name] = float(rng.uniform(distribution.low, distribution.high))
        config, fitted = config_of(WITH_STAGES, space, drawn)
        n_fitted += bool(fitted)
        assert config.rollout_steps % config.ppo.batch_size == 0
        assert config.ppo.learning_rate == drawn["ppo.learning_rate"]
        assert config.curriculum.stages[2].target_ssim == drawn["curriculum.stages.2.target_ssim"]
        assert isinstance(config.ppo.net_arch_pi, list)
    assert n_fitted


def test_values_that_do_not_go_together_are_refused_with_the_reason():
    space = resolve({"reward.quality": {"choices": [0, 1]}, "reward.size": {"choices": [0, 0.1]}}, RunConfig())
    with pytest.raises(ConfigError, match="all weights are 0"):
        config_of(RunConfig(), space, {"reward.quality": 0, "reward.size": 0})


def test_the_base_is_the_first_trial_where_its_values_are_in_the_space():
    space = resolve({"ppo.n_epochs": None, "ppo.learning_rate": {"low": 1e-5, "high": 1e-4}, "ppo.net_arch_pi": None}, RunConfig())
    assert params_of(RunConfig(), space) == {"ppo.n_epochs": 10, "ppo.net_arch_pi": "[128, 128]"}
