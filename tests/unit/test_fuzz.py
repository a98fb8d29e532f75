"""The readers of what may come from strangers, each with some hundred damaged files: the short form of ``bench fuzz``."""

from __future__ import annotations

import random

import pytest

from core.bench import fuzz
from core.bench.mutations import mutated
from core.config.text import validate
from core.errors import ConfigError, RunError, StudyError
from core.runs.run_dir import find_run
from core.studies.study import find_study
from pages.views.chart_options import window_of

N = {"ONNX": 3, "archive": 20, "YAML": 3, "model": 30, "checkpoint": 15, "event log": 60}


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    return {reader.name: reader for reader in fuzz.all_readers(tmp_path_factory.mktemp("fuzz"))}


@pytest.mark.parametrize("name", ["manifest", "YAML", "event log", "model", "ONNX", "checkpoint", "archive", "address", "SVG"])
def test_damaged_files_are_refused_or_read(readers, name):
    reader = readers[name]
    for seed in reader.seeds:
        if name != "SVG":
            reader.read(seed)
    found = fuzz.fuzz(reader, N.get(name, 150), 2)
    assert found.problems == []
    assert found.n_hangs == 0


def test_every_reader_is_fuzzed_here(readers):
    assert set(readers) == {"manifest", "YAML", "event log", "model", "ONNX", "checkpoint", "archive", "address", "SVG"}


def test_a_reader_that_fails_is_found():
    def read(data: bytes) -> None:
        if b"\0" in data:
            raise KeyError("x")

    found = fuzz.fuzz(fuzz.Reader("bad", (b"abc",), read, (ValueError,)), 500, 0)
    assert found.n_crashes > 0
    assert "KeyError" in found.problems[0]


def test_the_same_seed_gives_the_same_files():
    first, again = (([mutated((b"abc", b"name: 1"), rng) for _ in range(50)]) for rng in (random.Random(1), random.Random(1)))
    assert first == again
    assert len(set(first)) > 30


@pytest.mark.parametrize("text", ["", "1", "1~", "a~b", "2~1", "nan~1", "1~nan", "0~inf", "-inf~0", "0~1e300", "1~2~3"])
def test_a_zoom_that_no_axis_has(text):
    assert window_of(text) is None


def test_a_zoom():
    assert window_of("1.5~200") == (1.5, 200.0)


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000, "\0", "\ud800", "../../etc"])
def test_a_name_that_no_file_system_takes_is_one_line(name, tmp_path):
    for find, error in ((find_run, RunError), (find_study, StudyError)):
        with pytest.raises(error) as caught:
            find(name, tmp_path)
        assert len(str(caught.value)) < 800


@pytest.mark.parametrize("data", [{"n" * 5000: 1}, {"a\nb": 1}, {"seed": "9" * 5000}, {"ppo": {"gamma": "x\ny" * 3000}}])
def test_a_problem_of_a_config_is_a_short_line(data):
    with pytest.raises(ConfigError) as caught:
        validate(data)
    (line,) = str(caught.value).splitlines()
    assert len(line) < 1000
