"""Logos of several runs under one slider: which pictures there are, and how many."""

import pandas as pd

from core.runs.run_dir import RunDir
from pages.views.viewer import together


def history(run: RunDir, logo: str, steps: list[int], svg: bytes = b"<svg/>") -> pd.DataFrame:
    rows = []
    for step in steps:
        path = run.svg_file(step, logo)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(svg)
        rows.append({"logo": logo, "step": step, "gain": 0.1, "svg": run.relative(path)})
    return pd.DataFrame(rows)


def test_each_picture_is_of_its_step_and_a_missing_file_is_said(tmp_path):
    one, two = RunDir(tmp_path / "one"), RunDir(tmp_path / "two")
    histories = {"one": history(one, "a", [0, 512]), "two": history(two, "a", [0, 256])}
    two.svg_file(256, "a").unlink()
    found = together.frames([one, two], histories, ["a"])
    assert found["steps"] == [0, 256, 512]
    first, second = found["logos"][0]["cells"]
    assert [frame["step"] for frame in first] == [0, 512]
    assert all(frame["url"].startswith("data:image/svg+xml") for frame in first)
    assert (second[1]["url"], second[1]["said"]) == ("", "step 256 · gain +0.100 · no file was saved")


def test_many_evaluations_are_thinned_and_keep_the_last(tmp_path):
    run = RunDir(tmp_path / "run")
    kept = list(together.spread(history(run, "a", list(range(0, 1000, 10))))["step"])
    assert len(kept) <= together.MAX_STEPS
    assert kept[-1] == 990


def test_pictures_beyond_what_a_page_may_load_are_counted(tmp_path):
    run = RunDir(tmp_path / "run")
    big = b"<svg/>".ljust(together.MAX_BYTES // 2)
    found = together.frames([run], {"run": history(run, "a", [0, 1, 2], big)}, ["a"])
    assert (len(found["steps"]), found["n_left_out"]) == (2, 1)


def test_a_path_out_of_the_run_is_not_read(tmp_path):
    run = RunDir(tmp_path / "run")
    (tmp_path / "secret").write_bytes(b"x")
    frame = pd.DataFrame([{"logo": "a", "step": 0, "gain": 0.0, "svg": "../secret"}])
    assert together.frames([run], {"run": frame}, ["a"])["logos"][0]["cells"][0][0]["url"] == ""
