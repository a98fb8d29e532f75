"""What is measured of a picture."""

import numpy as np
import pytest

from core.tracing.features import MAX_REGION_COLOURS, MIN_REGION, _most_common


@pytest.mark.parametrize("seed", range(40))
def test_the_most_common_labels_are_those_of_a_whole_sort(seed):
    """Equal counts at the limit too: what a logo's features are may not depend on how its labels were sorted."""
    random = np.random.default_rng(seed)
    counts = random.integers(0, 3 * MIN_REGION, size=random.integers(1, 200))
    whole = np.argsort(counts)[::-1][:MAX_REGION_COLOURS]
    found = _most_common(counts)
    assert len(found) <= MAX_REGION_COLOURS
    assert set(found.tolist()) == {int(label) for label in whole if counts[label] >= MIN_REGION}
