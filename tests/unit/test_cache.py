"""The cache of traces: what it gives back, what it never does, and what it survives."""

import sqlite3

import numpy as np
import pytest

from core.tracing import cache as cache_module
from core.tracing.cache import Cached, TraceCache, known_of
from core.tracing.outcome import Outcome
from core.tracing.params import BEST_SINGLE, DEFAULTS, Params
from core.tracing.picture import Picture
from tests.support.logos import draw_logo


def cached(n: int, svg: str | None = None) -> Cached:
    return Cached(Outcome(1 / (n + 1), n, n + 1, 0.1 + n, None), svg)


def params_of(n: int) -> Params:
    return Params(4, n % 128, n % 180, 3.5 + n / 1e6, 10, 45, 2)


def test_a_result_comes_back_to_the_bit_in_this_process_and_the_next(tmp_path):
    picture = Picture(np.asarray(draw_logo(3)))
    measured = picture.measure(BEST_SINGLE)
    whole = Cached(measured.outcome, measured.trace.svg, picture.features)
    path = tmp_path / "cache" / "traces.sqlite"
    first = TraceCache(path)
    first.put("a", BEST_SINGLE, whole, is_lasting=True)
    assert first.get("a", BEST_SINGLE, need_svg=True, need_features=True) == whole
    first.close()
    second = TraceCache(path)
    assert second.get("a", BEST_SINGLE, need_svg=True, need_features=True) == whole
    assert second.get("b", BEST_SINGLE) is None
    assert second.get("a", DEFAULTS) is None
    assert second.take_hit_rate() == pytest.approx(1 / 3)
    assert second.take_hit_rate() is None
    second.close()


def test_what_lacks_the_svg_does_not_stand_for_it_and_takes_nothing_away(tmp_path):
    cache = TraceCache(tmp_path / "traces.sqlite")
    features = Picture(np.asarray(draw_logo(3))).features
    cache.put("a", DEFAULTS, Cached(cached(1).outcome, None, features), is_lasting=True)
    assert cache.get("a", DEFAULTS, need_svg=True) is None
    cache.put("a", DEFAULTS, cached(1, "<svg/>"), is_lasting=True)
    assert cache.get("a", DEFAULTS, need_svg=True, need_features=True) == Cached(cached(1).outcome, "<svg/>", features)
    cache.close()


def test_what_is_not_to_last_stays_in_this_process(tmp_path):
    path = tmp_path / "traces.sqlite"
    cache = TraceCache(path)
    cache.put("a", DEFAULTS, cached(1), is_lasting=False)
    assert cache.get("a", DEFAULTS) == cached(1)
    cache.close()
    again = TraceCache(path)
    assert again.get("a", DEFAULTS) is None
    again.close()


def test_a_lost_worker_is_no_result():
    cache = TraceCache()
    cache.put("a", DEFAULTS, Cached(Outcome(0.0, 0, 0, 0.0, "timeout")), is_lasting=True)
    assert cache.get("a", DEFAULTS) is None


def test_another_engine_makes_its_own_results(tmp_path, monkeypatch):
    cache = TraceCache(tmp_path / "traces.sqlite")
    cache.put("a", DEFAULTS, cached(1), is_lasting=True)
    cache.close()
    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "engine", lambda: b"another")
        other = TraceCache(tmp_path / "traces.sqlite")
        assert other.get("a", DEFAULTS) is None
        other.close()
    same = TraceCache(tmp_path / "traces.sqlite")
    assert same.get("a", DEFAULTS) == cached(1)
    same.close()


def test_all_that_is_known_of_a_picture(tmp_path, monkeypatch):
    path = tmp_path / "traces.sqlite"
    assert known_of(path, "a") == []
    cache = TraceCache(path)
    failed = Cached(Outcome(0.0, 0, 0, 0.0, "blank"))
    cache.put("a", params_of(1), cached(1, "<svg/>"), is_lasting=True)
    cache.put("b", params_of(2), cached(2), is_lasting=True)
    cache.put("a", params_of(3), failed, is_lasting=True)
    cache.put("a", params_of(4), cached(4), is_lasting=False)
    cache.flush()
    assert known_of(path, "a") == [(params_of(1), cached(1).outcome), (params_of(3), failed.outcome)]  # while another has it open
    cache.close()
    assert [params for params, _ in known_of(path, "b")] == [params_of(2)]
    monkeypatch.setattr(cache_module, "engine", lambda: b"another")
    assert known_of(path, "a") == []
    path.write_bytes(b"this is no database" * 100)
    assert known_of(path, "a") == []


def test_the_file_keeps_its_bound_and_its_newest(tmp_path):
    path = tmp_path / "traces.sqlite"
    rng = np.random.default_rng(0)
    cache = TraceCache(path, max_bytes=500_000)
    for n in range(2000):
        cache.put(str(n), DEFAULTS, cached(n, rng.bytes(1000).hex()), is_lasting=True)
    cache.close()
    assert path.stat().st_size < 700_000
    again = TraceCache(path)
    found = [n for n in range(2000) if again.get(str(n), DEFAULTS)]
    again.close()
    assert found
    assert found == list(range(found[0], 2000))


@pytest.mark.parametrize("damage", [b"this is no database" * 100, b""])
def test_a_damaged_file_is_begun_anew(tmp_path, damage):
    path = tmp_path / "traces.sqlite"
    path.write_bytes(damage)
    cache = TraceCache(path)
    cache.put("a", DEFAULTS, cached(1), is_lasting=True)
    cache.close()
    again = TraceCache(path)
    assert again.get("a", DEFAULTS) == cached(1)
    again.close()


def test_damage_met_on_the_way_ends_the_file_and_nothing_else(tmp_path):
    path = tmp_path / "traces.sqlite"
    cache = TraceCache(path)
    other = sqlite3.connect(path)
    with other:
        other.execute("DROP TABLE conversions")
    other.close()
    cache.put("a", DEFAULTS, cached(1), is_lasting=True)
    cache.flush()
    assert cache.get("a", DEFAULTS) == cached(1)
    assert cache.get("b", DEFAULTS) is None
    cache.close()


def test_a_place_that_can_not_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("x")
    cache = TraceCache(tmp_path / "file" / "traces.sqlite")
    cache.put("a", DEFAULTS, cached(1), is_lasting=True)
    assert cache.get("a", DEFAULTS) == cached(1)
    cache.close()


def test_memory_holds_the_newest_results_alone_and_what_is_asked_for_again():
    """A training makes millions of traces and hardly asks for one again: they were all kept, 0.3 MB per thousand steps."""
    cache = TraceCache(max_known=20)
    for n in range(1, 200):
        cache.put("a", params_of(n), cached(n), is_lasting=False)
        assert cache.get("a", params_of(1)) == cached(1)
    known = [n for n in range(2, 200) if cache.get("a", params_of(n)) is not None]
    assert set(range(191, 200)) <= set(known)
    assert len(known) <= 20
