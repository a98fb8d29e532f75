"""A setting in an address."""

import numpy as np
import pytest

from core.tracing.params import DEFAULTS, HIGH, LOW, PIPELINE_DEFAULTS, Params
from core.tracing.pipeline import MODES
from pages.views.links import setting_of, setting_text


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("params", [DEFAULTS, PIPELINE_DEFAULTS, Params.from_values(LOW), Params.from_values(HIGH)])
def test_a_setting_is_read_as_it_was_written(params, mode):
    found = setting_of(setting_text(params, mode))
    assert found is not None
    assert found[1] == mode
    assert found[0].is_plain is params.is_plain
    np.testing.assert_allclose(found[0].values(), params.values(), rtol=1e-5)


@pytest.mark.parametrize(
    "text", ["", ",", "spline", "1,2,3,spline", "a" + 9 * ",1" + ",spline", 10 * "nan," + "spline", 10 * "1," + "round"]
)
def test_anything_else_is_no_setting(text):
    assert setting_of(text) is None


def test_what_is_outside_the_ranges_is_moved_inside():
    found = setting_of(10 * "1e9," + "spline")
    assert found is not None
    np.testing.assert_array_equal(found[0].values(), HIGH)
