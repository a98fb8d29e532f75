"""What the charts of a run say that has nothing to show."""

from typing import Any, cast

import pytest

from core.bench.made_up import finished_runs
from core.runs.run_dir import RunDir
from core.runs.status import RunState, Status
from pages.views.live import run_view
from pages.views.live.run_view import RunView


def view_of(run: RunDir) -> RunView:
    return RunView(cast(Any, None), run, [run.run_id], [run.run_id], cast(Any, None), {}, {}, None)


def test_a_run_that_ended_waits_for_nothing(tmp_path):
    (run,) = finished_runs(tmp_path, 1)
    assert view_of(run).nothing_before("the first update, at step 512") == "The run ended before the first update, at step 512."


@pytest.mark.parametrize("status", Status)
def test_only_what_moves_waits(tmp_path, monkeypatch, status):
    monkeypatch.setattr(run_view, "run_state", lambda run: RunState(status, ""))
    told = view_of(RunDir(tmp_path)).nothing_before("the first episodes")
    assert told.startswith("Waits for" if status in (Status.RUNNING, Status.PAUSED, Status.QUEUED) else "The run ended before")
