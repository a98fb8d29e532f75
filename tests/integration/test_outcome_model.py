"""The outcome model, which is fitted, and the policy search with what it knows."""

import numpy as np
import pytest

from core.environment.experience import Experience
from core.search.outcome_model import MIN_CONVERSIONS, N_ENCODED, OutcomeModel, encode, fit
from core.search.policy_search import PolicySearch
from core.tracing.outcome import Outcome, Weights
from core.tracing.params import BEST_SINGLE, HIGH, LOW, N_PARAMS, ActionMap

NOTHING = Outcome(0.9, 100, 1, 0.01)


def world(rng, n_pictures=60, n=16000):
    """Outcomes that depend on the picture: the best precision is 3 to 6, as one number of the observation says."""
    wanted = rng.integers(3, 7, n_pictures)
    observations = np.concatenate([wanted[:, None] / 3 - 1.5, rng.normal(0, 1, (n_pictures, 4))], axis=1).astype(np.float32)
    pictures = rng.integers(n_pictures, size=n)
    params = rng.uniform(LOW, HIGH, (n, N_PARAMS)).astype(np.float32)
    params[:, [0, 1, 2, 4, 5, 6]] = np.rint(params[:, [0, 1, 2, 4, 5, 6]])
    quality = 0.5 - 0.3 * np.abs(params[:, 0] - wanted[pictures])
    terms = np.stack([quality, 0.5 - params[:, 6] / 4], axis=1).astype(np.float32)
    return wanted, Experience(observations, pictures, params, terms)


@pytest.fixture(scope="module")
def learned() -> tuple[np.ndarray, Experience, OutcomeModel]:
    wanted, experience = world(np.random.default_rng(0))
    return wanted, experience, fit(experience, seed=1, n_members=2, units=48, n_epochs=30)


def test_an_outcome_model_learns_repeats_and_is_kept(learned):
    wanted, experience, model = learned
    again = fit(experience, seed=1, n_members=2, units=48, n_epochs=30)
    grid = np.tile(BEST_SINGLE.values(), (8, 1))
    grid[:, 0] = np.arange(1, 9)
    right = 0
    for picture in range(20):
        terms = model.predict(experience.observations[picture], grid)
        assert terms.shape == (2, 8, 2)
        np.testing.assert_array_equal(terms, again.predict(experience.observations[picture], grid))
        right += int(model.gains(experience.observations[picture], grid, Weights(1, 0)).mean(axis=0).argmax()) + 1 == wanted[picture]
    assert right >= 16
    restored = OutcomeModel.from_arrays(model.arrays())
    np.testing.assert_array_equal(restored.predict(experience.observations[0], grid), model.predict(experience.observations[0], grid))
    assert encode(grid).shape == (8, N_ENCODED)


def test_too_little_experience_is_refused():
    _, experience = world(np.random.default_rng(0), n=MIN_CONVERSIONS - 1)
    with pytest.raises(ValueError, match="too few"):
        fit(experience, seed=0)


def search(model, observation, centre=np.zeros(N_PARAMS, np.float32), seed=0) -> PolicySearch:
    return PolicySearch(ActionMap(BEST_SINGLE), observation, centre, np.full(N_PARAMS, 0.3), model, Weights(), seed)


@pytest.mark.parametrize("has_model", [True, False])
def test_policy_search_begins_with_the_policy_repeats_and_tries_nothing_twice(learned, has_model):
    _, experience, model = learned
    rng = np.random.default_rng(0)
    gains = rng.normal(0, 0.2, 30)
    trajectories = []
    for _ in range(2):
        searcher, trajectory = search(model if has_model else None, experience.observations[0]), []
        for gain in gains:
            params = searcher.ask()
            params.check()
            searcher.tell(params, NOTHING, float(gain))
            trajectory.append(params)
        trajectories.append(trajectory)
    assert trajectories[0] == trajectories[1]
    assert trajectories[0][0] == BEST_SINGLE
    assert len(set(trajectories[0])) == len(trajectories[0])


def test_policy_search_uses_what_the_model_knows(learned):
    wanted, experience, model = learned
    found = {}
    for has_model in (True, False):
        best = []
        for picture in range(12):
            searcher, gains = search(model if has_model else None, experience.observations[picture], seed=picture), []
            for _ in range(8):
                params = searcher.ask()
                gains.append(0.5 - 0.3 * abs(params.color_precision - wanted[picture]) - 0.3 * params.path_precision / 4)
                searcher.tell(params, NOTHING, gains[-1])
            best.append(max(gains[:4]))
        found[has_model] = np.mean(best)
    assert found[True] > found[False]
    assert found[True] > 0.4
