import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ParamError
from core.tracing.params import BEST_SINGLE, DEFAULTS, HIGH, LOW, N_PARAMS, ActionMap, Params

actions = st.lists(st.floats(-1, 1), min_size=N_PARAMS, max_size=N_PARAMS).map(np.array)
centres = st.sampled_from([None, BEST_SINGLE, DEFAULTS])


@given(actions, centres)
def test_any_action_gives_parameters_in_range(action, centre):
    ActionMap(centre).to_params(action).check()


@given(actions, centres)
def test_parameters_survive_the_way_to_an_action_and_back(action, centre):
    mapping = ActionMap(centre)
    params = mapping.to_params(action)
    again = mapping.to_params(mapping.to_action(params))
    np.testing.assert_allclose(again.values(), params.values(), rtol=1e-6)


@pytest.mark.parametrize("centre", [BEST_SINGLE, DEFAULTS])
def test_action_zero_is_the_centre_and_the_ends_are_the_ranges(centre):
    mapping = ActionMap(centre)
    assert mapping.to_params(np.zeros(N_PARAMS)) == centre
    np.testing.assert_allclose(mapping.to_params(np.full(N_PARAMS, -1.0)).values(), LOW)
    np.testing.assert_allclose(mapping.to_params(np.full(N_PARAMS, 1.0)).values(), HIGH)


def test_an_action_that_is_no_number_counts_as_zero():
    assert ActionMap(DEFAULTS).to_params(np.full(N_PARAMS, np.nan)) == DEFAULTS


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"color_precision": 9}, r"color_precision = 9 is not a whole number in \[1, 8\] bits"),
        ({"length_threshold": 3.0}, r"length_threshold = 3 is not a number in \[3.5, 10\] pixels"),
        ({"max_iterations": 2.5}, "max_iterations = 2.5 is not a whole number"),
        ({"colour": 1}, "unknown parameter 'colour'"),
        ({"path_precision": "x"}, "path_precision = 'x' is no number"),
    ],
)
def test_a_bad_parameter_is_named_with_what_is_allowed(values, told):
    with pytest.raises(ParamError, match=told):
        Params.from_mapping(values)
