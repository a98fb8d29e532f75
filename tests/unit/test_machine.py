"""What is measured of the machine and of a run on it."""

import math
import time

from core.machine import Meter, _Cores, available_cores, sample


def test_a_meter_measures_a_run_under_the_names_of_its_charts(tmp_path):
    from pages.views.live.health import MACHINE

    meter = Meter(tmp_path)
    figures = meter.read()
    own = {name for name in MACHINE if name.startswith("system/")}
    assert own <= set(figures)
    assert set(figures) - own <= {name for name in figures if name.startswith("system/gpu")}
    assert all(math.isfinite(value) and value >= 0 for value in figures.values())
    assert figures["system/memory_mb"] > 10
    assert figures["system/cpu"] <= 1


def test_a_sample_has_a_share_for_each_core_and_what_is_used_of_the_whole(tmp_path):
    found = sample(tmp_path / "not" / "there")
    assert len(found.cores) >= available_cores()
    assert 0 < found.memory_mb <= found.memory_total_mb
    assert 0 < found.disk_free_mb <= found.disk_total_mb


def test_who_asks_again_at_once_is_told_the_same_share_of_each_core(tmp_path):
    end = time.monotonic() + _Cores.SHORTEST_S
    while time.monotonic() < end:
        sum(range(1000))
    first, again = sample(tmp_path).cores, sample(tmp_path).cores
    assert first == again
    assert max(first) > 0.1
