"""The parts of the soak: slopes, the files that are dropped on the upload boxes, and what is wrong with a log."""

import math
import random
import re
import time

import pytest

from core.bench import growth
from core.bench.growth import interval_per_hour, relative_slope, slope_per_hour
from core.bench.logs_compared import log_faults
from core.bench.made_up import made_up
from core.bench.report import Report
from core.bench.soak_visitor import handful
from core.errors import PictureError
from core.logos.pictures import decode_picture
from core.logos.uploads import take_in
from core.runs.event_types import Metrics
from core.runs.events import Event, line_of


def minutes(n: int, value):
    return [(t, value(t)) for t in range(n)]


def test_a_slope_is_per_hour_and_no_step_or_single_sample_tilts_it():
    assert slope_per_hour(minutes(30, lambda t: 400 + 0.5 * t)) == pytest.approx(30)
    assert relative_slope(minutes(31, lambda t: 300 + 0.1 * t)) == pytest.approx(100 * 6 / 301.5)
    assert slope_per_hour(minutes(60, lambda t: 900 if t == 59 else 400)) == 0
    assert slope_per_hour(minutes(60, lambda t: 350 if t < 6 else 400)) == 0
    assert math.isnan(slope_per_hour([]))
    assert math.isnan(relative_slope([(1, 5)]))


def test_the_interval_says_whether_anything_is_known():
    rng = random.Random(1)
    low, high = map(float, interval_per_hour(minutes(90, lambda t: 400 + t + rng.gauss(0, 2))).split(" to "))
    assert low < 60 < high < 75
    assert interval_per_hour([(0, 1.0)]) == interval_per_hour([]) == ""


def test_each_kind_of_process_is_told_and_a_run_that_hardly_lasted_is_not():
    flat, rising = minutes(120, lambda t: 400.0 + t % 3), minutes(120, lambda t: 300.0 + t / 10)
    series = {
        "server_own_mb": flat,
        "chromium_kept_own_mb": rising,
        "a memory_own_mb": flat,
        "b memory_own_mb": rising[-20:],
        "server_files": flat,
    }
    report = Report("soak", "Soak")
    growth.tell(report, series, 15)
    assert report.keys["soak_server_slope"] == pytest.approx(0, abs=0.1)
    assert report.keys["soak_browser_slope"] == pytest.approx(100 * 6 / 306.7, rel=0.01)
    assert report.keys["soak_trainer_slope"] == report.keys["soak_server_slope"]
    assert math.isnan(report.keys["soak_heap_mb_per_hour"])  # there is no sample of it
    assert any(re.fullmatch(r"soak_heap_mb_per_hour +–  <= 50 \*\*no\*\*", line) for line in report.as_text().splitlines())
    assert [what for what, _, _ in report.rows] == [
        "server",
        "Chromium, after a full collection in both tabs",
        "open files of the server",
        "trainer and workers of a",
    ]


def is_picture(data: bytes) -> bool:
    try:
        return decode_picture(data).size > 0
    except PictureError:
        return False


@pytest.mark.parametrize("n", range(8))
def test_of_each_handful_as_many_are_taken_and_refused_as_it_says(n, tmp_path):
    given = handful(n)
    intake = take_in(given.files, tmp_path)
    kept = [item for item in intake.taken if is_picture((tmp_path / item.name).read_bytes())]
    n_refused = len(intake.refused) + len(intake.taken) - len(kept)
    assert (len(kept), n_refused) == (given.n_taken, given.n_refused), intake
    assert given.files[0][1] != handful(n + 4).files[0][1]


def a_log(*numbers: int) -> list[bytes]:
    record = made_up(Metrics, random.Random(0), values={"a": 1.0})
    return [line_of(Event(seq, 1, time.time(), 1, record)).strip() for seq in numbers]


def test_a_gap_a_double_and_a_torn_line_are_found():
    assert log_faults(a_log(1, 2, 3)) == ([1, 2, 3], [])
    assert log_faults(a_log(1, 3, 4)) == ([1, 3, 4], ["line 2 is event 3 where 2 should be"])
    assert log_faults(a_log(1, 2, 2)) == ([1, 2, 2], ["line 3 is event 2 where 3 should be"])
    assert log_faults(a_log(2))[1] == ["line 1 is event 2 where 1 should be"]
    assert log_faults([*a_log(1), b'{"v":1,"se'])[1] == ["line 2 can't be read: b'{\"v\":1,\"se'"]
