"""What a trainer writes into its log every hour."""

import math

from core.training.hourly import HourlyNotes
from tests.support.events import episode, record


def test_one_note_an_hour_says_how_far_it_is_and_what_it_gained():
    now, told = [0.0], []
    notes = HourlyNotes(10_000, lambda: now[0], told.append)
    notes(0, record("stage_started", name="simple"))
    notes(0, record("evaluation", gain=0.1))
    for i in range(1, 5):
        now[0] += 900
        notes(500 * i, episode(i, training_gain=0.2))
    assert len(told) == 1
    for part in (
        "after 1 h",
        "step 2,000 of 10,000",
        "4 episodes",
        "mean reward +0.200",
        "best +0.100",
        "stage simple",
        "about 4.0 h left",
    ):
        assert part in told[0], told[0]
    now[0] += 1800
    notes(2500, record("evaluation", gain=0.3))
    notes(2500, record("alert", severity="warning"))
    assert len(told) == 1
    now[0] += 1800
    notes(3000, record("metrics", values={}))
    assert "after 2 h" in told[1]
    assert "best +0.300, +0.200 in this period" in told[1]
    assert "1 finding" in told[1]
    assert "0 episodes" in told[1]


def test_values_that_are_no_numbers_do_not_count():
    now, told = [0.0], []
    notes = HourlyNotes(100, lambda: now[0], told.append)
    notes(0, record("evaluation", gain=math.nan))
    notes(5, episode(1, training_gain=math.nan))
    now[0] = 3600
    notes(5, episode(2, training_gain=0.5))
    assert "nan" not in told[0]
    assert "mean reward +0.500" in told[0]
