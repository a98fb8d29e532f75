"""Runs read from a notebook while the console has its database: the same rows, and nothing is written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from core.errors import RunError
from core.runs.event_types import Metrics
from core.runs.events import EventWriter
from storage import export
from storage.snapshot import open_snapshot
from storage.table_files import read_table
from tests.support.events import write_run
from tests.support.pages import caught_up
from tests.support.paths import ROOT

NOTEBOOK = ROOT / "docs" / "read_runs.ipynb"


def state(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*") if ".duckdb" not in path.name}


def test_a_snapshot_has_the_consoles_rows_while_it_runs(console, home):
    run = write_run(home)
    caught_up(console, run)
    before = state(run.path)  # the console itself writes beside it
    with open_snapshot(home) as snapshot:
        for kind in ("episodes", "metrics", "evaluations", "summary"):
            expected = export.TABLES[kind](console.store, run.run_id)
            pd.testing.assert_frame_equal(snapshot.table(kind).drop(columns="run_id"), expected)
        assert snapshot.runs["run_id"].to_list() == [run.run_id]
        assert snapshot.sql("SELECT count(*) AS n FROM current_episodes WHERE run_id = ?", [run.run_id])["n"][0] == 20
    assert state(run.path) == before


def test_a_snapshot_stands_still_until_it_is_refreshed(home):
    run = write_run(home)
    with open_snapshot() as snapshot:
        n = len(snapshot.table("metrics"))
        with EventWriter(run.events_file) as log:
            log.attempt = 2
            log.write(21, Metrics({"train/loss": 7.0}))
        assert len(snapshot.table("metrics")) == n
        assert snapshot.refresh() == 1
        assert snapshot.table("metrics")["value"].iloc[-1] == 7.0


def test_some_runs_can_be_chosen_and_others_are_named(home):
    runs = [write_run(home), write_run(home, 15, "other")]
    with open_snapshot(home) as both, open_snapshot(home, [runs[1].run_id]) as one:
        assert set(both.table("settings")["run_id"]) == {run.run_id for run in runs}
        pd.testing.assert_frame_equal(both.table("events", [runs[1].run_id]), one.table("events"))
        with pytest.raises(RunError, match="is not in this snapshot"):
            one.table("events", [runs[0].run_id])
        with pytest.raises(RunError, match="'weights' is not one of episodes"):
            one.table("weights")
    with pytest.raises(RunError, match="no run 'none'"):
        open_snapshot(home, ["none"])


def test_a_log_that_cannot_be_read_does_not_hold_the_others(home):
    good, bad = write_run(home), write_run(home, 15, "other")
    bad.events_file.unlink()
    bad.events_file.mkdir()
    with open_snapshot(home) as snapshot:
        assert list(snapshot.left_out) == [bad.run_id]
        assert len(snapshot.table("episodes", [good.run_id])) == 20


def test_a_home_without_runs_is_empty_tables(home):
    with open_snapshot(home) as snapshot:
        assert snapshot.runs.empty
        assert snapshot.table("metrics").empty
        assert snapshot.left_out == {}


def test_a_snapshot_is_saved_as_files(home, tmp_path):
    write_run(home)
    with open_snapshot(home) as snapshot:
        files = snapshot.save(tmp_path / "taken", kinds=["metrics"]).files
    assert read_table(files["metrics"][0]).num_rows == 40


def test_the_example_notebook_runs_as_it_stands(home, tmp_path, monkeypatch):
    """Its cells, one after the other in one namespace, in a folder beside the console's home."""
    run = write_run(home)
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells), "clear its outputs"
    before = state(home)
    monkeypatch.chdir(NOTEBOOK.parent)
    monkeypatch.setenv("TAKEN", str(tmp_path / "taken"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for n, cell in enumerate(cells):
        exec(compile("".join(cell["source"]), f"{NOTEBOOK.name}, cell {n}", "exec"), namespace)
    assert namespace["run"] == run.run_id
    assert namespace["again"].num_rows == len(namespace["episodes"])
    assert namespace["chart"].to_dict()["data"]
    assert state(home) == before


def test_the_document_on_data_names_every_table():
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == {*export.KINDS, "dictionary"}
