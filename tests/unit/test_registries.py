"""What stands once: parameters, reward terms, baselines, and what derives from them."""

import numpy as np
import pytest

from core.config.config import RewardConfig, RunConfig
from core.runs.event_fields import check_term_names, table_columns
from core.runs.event_types import EpisodeEnded
from core.search.baselines import BASELINES
from core.search.outcome_model import N_ENCODED, encode
from core.tracing.features import all_features
from core.tracing.outcome import FAITHFUL, HEADLINE, SMALLER, TERM_NAMES, TERMS, Gain, Outcome, Weights, gain
from core.tracing.params import HIGH, LOW, NAMES, SPECS, Params
from tests.support.logos import draw_logo


def test_networks_are_given_the_parameters_as_the_shipped_model_learned_them():
    """To the bit and in the same order: saved models depend on it."""
    whole = [i for i, spec in enumerate(SPECS) if spec.is_integer]
    values = np.random.default_rng(0).uniform(LOW, HIGH, (500, len(SPECS)))
    values[:, whole] = np.rint(values[:, whole])
    precision, difference, corner, length, rounds, splice, decimals, simplify, speckle, cutout = values.T
    wanted = np.concatenate(
        [
            precision[:, None] == np.arange(1, 9),
            np.minimum(decimals, 3)[:, None] == np.arange(4),
            cutout[:, None] == np.arange(2),
            np.stack([np.log2(difference + 4) / 3.5 - 1.2, difference / 64 - 1, difference == 0], axis=1),
            np.stack([corner / 90 - 1, length / 3 - 2, np.log2(np.maximum(length + 0.5, 1)) / 2 - 0.5], axis=1),
            np.stack([np.log2(np.maximum(rounds, 1)) / 2 - 1, splice / 90 - 1, decimals / 4 - 1], axis=1),
            np.stack([simplify / 0.5 - 1, simplify == 0, speckle / 4 - 1, np.log2(np.maximum(speckle + 1, 1)) / 2 - 0.8], axis=1),
        ],
        axis=1,
    ).astype(np.float32)
    found = encode(values)
    assert found.shape == (500, N_ENCODED)
    assert (found == wanted).all()


def test_every_parameter_is_a_field_a_column_and_a_default():
    assert tuple(Params().as_dict()) == NAMES
    assert [getattr(Params(), spec.name) for spec in SPECS] == [spec.default for spec in SPECS]
    assert set(NAMES) <= set(table_columns(EpisodeEnded))


def test_every_reward_term_has_a_weight_in_the_config_and_a_column():
    weights = RunConfig().reward
    assert {term.name: term.default_weight for term in TERMS} == {name: getattr(weights, name) for name in TERM_NAMES}
    assert set(TERM_NAMES) <= set(table_columns(EpisodeEnded))
    assert len({term.colour for term in TERMS}) == len(TERMS)
    for term in TERMS:
        assert f"Weight of {term.formula}." in (RewardConfig.model_fields[term.name].description or "")


@pytest.mark.parametrize("name", ["nodes", "corner_threshold", "step", "quality"])
def test_a_term_with_the_name_of_another_column_is_refused_by_name(name):
    taken = [*(column for column in table_columns(EpisodeEnded) if column not in TERM_NAMES), "step"]
    check_term_names(TERM_NAMES, taken)
    with pytest.raises(ValueError, match=f"the reward term '{name}' has the name of another column.*core/tracing/outcome.py"):
        check_term_names((*TERM_NAMES, name), taken)


def test_only_quality_and_size_count_where_results_are_compared():
    for weights in (HEADLINE, SMALLER, FAITHFUL):
        assert {name for name, weight in weights.as_dict().items() if weight} == {"quality", "size"}


def test_terms_are_attributes_by_name_and_never_change():
    weights = Weights(0.6, size=0.1)
    assert (weights.quality, weights.size, weights.speed) == (0.6, 0.1, 0.0)
    assert weights == Weights(quality=0.6, size=0.1)
    assert weights != Gain(0.6, 0.1, 0.0)
    with pytest.raises(AttributeError, match="is immutable"):
        weights.size = 1.0
    with pytest.raises(TypeError, match="quality, size, speed"):
        Weights(sharpness=1.0)
    with pytest.raises(AttributeError):
        _ = weights.sharpness


def test_a_gain_is_the_sum_of_its_weighted_terms():
    defaults, better = Outcome(0.9, 1000, 10, 0.02), Outcome(0.95, 500, 10, 0.01)
    weights = {name: 1.0 / place for place, name in enumerate(TERM_NAMES, start=1)}
    found = gain(better, defaults, Weights(**weights))
    by_hand = {term.name: weights[term.name] * term.value(better, defaults) for term in TERMS}
    assert found.as_dict() == by_hand
    assert found.total == sum(by_hand.values())


def test_every_baseline_chooses_parameters_for_any_logo():
    features = all_features(np.asarray(draw_logo(3, 64)))
    for name, baseline in BASELINES.items():
        assert baseline.name == name
        assert isinstance(baseline.choose(features), Params)
    assert {name for name, baseline in BASELINES.items() if baseline.is_reference} == {"single", "method1"}
