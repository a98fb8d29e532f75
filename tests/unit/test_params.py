import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParamError
from core.tracing.params import BEST_SINGLE, DEFAULTS, HIGH, LOW, N_OLD_PARAMS, N_PARAMS, NAMES, PIPELINE_DEFAULTS, ActionMap, Params

actions = st.lists(st.floats(-1, 1), min_size=N_PARAMS, max_size=N_PARAMS).map(np.array)
centres = st.sampled_from([None, BEST_SINGLE, PIPELINE_DEFAULTS])


@given(actions, centres)
def test_any_action_gives_parameters_in_range(action, centre):
    ActionMap(centre).to_params(action).check()


@given(actions, centres)
def test_parameters_survive_the_way_to_an_action_and_back(action, centre):
    mapping = ActionMap(centre)
    params = mapping.to_params(action)
    again = mapping.to_params(mapping.to_action(params))
    np.testing.assert_allclose(again.values(), params.values(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("centre", [BEST_SINGLE, PIPELINE_DEFAULTS])
def test_action_zero_is_the_centre_and_the_ends_are_the_ranges(centre):
    mapping = ActionMap(centre)
    assert mapping.to_params(np.zeros(N_PARAMS)) == centre
    np.testing.assert_allclose(mapping.to_params(np.full(N_PARAMS, -1.0)).values(), LOW)
    np.testing.assert_allclose(mapping.to_params(np.full(N_PARAMS, 1.0)).values(), HIGH)


@given(actions, centres, st.sets(st.sampled_from(NAMES)))
def test_fixed_parameters_stay_at_the_centre_and_the_others_move_as_before(action, centre, fixed):
    whole, held = ActionMap(centre), ActionMap(centre, tuple(fixed))
    params, free, middle = held.to_params(action), whole.to_params(action), whole.to_params(np.zeros(N_PARAMS))
    for name in NAMES:
        assert getattr(params, name) == getattr(middle if name in fixed else free, name)
    assert held.to_params_of_all(action[None]) == [params]
    assert held.to_params(held.to_action(params)).as_tuple() == pytest.approx(params.as_tuple(), rel=1e-6, abs=1e-6)
    assert not held.to_action(free)[[name in fixed for name in NAMES]].any()


def test_an_action_that_is_no_number_counts_as_zero():
    assert ActionMap(DEFAULTS).to_params(np.full(N_PARAMS, np.nan)) == PIPELINE_DEFAULTS


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"color_precision": 9}, r"color_precision = 9 is not a whole number in \[1, 8\] bits"),
        ({"length_threshold": 0.4}, r"length_threshold = 0.4 is not a number in \[0.5, 10\] pixels"),
        ({"max_iterations": 2.5}, "max_iterations = 2.5 is not a whole number"),
        ({"colour": 1}, "unknown parameter 'colour'"),
        ({"path_precision": "x"}, "path_precision = 'x' is not a number"),
    ],
)
def test_a_bad_parameter_is_named_with_what_is_allowed(values, told):
    with pytest.raises(ParamError, match=told):
        Params.from_mapping(values)


def test_the_first_seven_alone_are_what_versions_before_wrote():
    old = [8, 53, 40, 9.5, 9, 42, 0]
    assert Params.from_values(old) == PIPELINE_DEFAULTS.with_values(
        **dict(zip(list(PIPELINE_DEFAULTS.as_dict())[:N_OLD_PARAMS], old, strict=True))
    )
    with pytest.raises(ValueError, match="10, or the first 7"):
        Params.from_values([1.0] * 8)
