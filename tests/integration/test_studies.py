"""Studies with real trainings of seconds: a kill -9 in the middle, stop and continue, pruning, and what other programs read of them."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
import yaml

from core.config.installation import Settings, write_settings
from core.config.text import to_yaml
from core.errors import RunError
from core.machine import Process
from core.reports import kept
from core.runs.event_types import AttemptStarted, EvaluationEnded
from core.runs.events import read_events
from core.runs.records import claim, drop_queue_entry, read_log_tail, read_trial, write_process
from core.runs.run_dir import RunDir, all_runs
from core.runs.status import Status, run_state
from core.scheduling import local, queue
from core.studies.runner import Runner, _Live
from core.studies.storage import TrialRow, load_optuna, open_storage, read_trials
from core.studies.study import StudyDir, StudyStatus, all_studies, create
from tests.support.paths import ROOT
from tests.support.runs import BY_VTRACER_ALONE, await_end, tiny_config
from tests.support.studies import made_up, study_config

SPACE = {"ppo.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}, "ppo.n_epochs": {"low": 1, "high": 3}}


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "core", "search", *arguments]
    environment = os.environ | {"TRACEWRIGHT_HOME": str(home)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str], code: int = 0, timeout: float = 200) -> dict[str, Any]:
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == code, err
    return json.loads(out.splitlines()[-1])


def write_study(tmp_path: Path, logos: Path, run: dict[str, Any] | None = None, **changes: Any) -> str:
    (tmp_path / "tiny.yaml").write_text(to_yaml(tiny_config(logos, **(run or {}))))
    data = {"config": "tiny.yaml", "space": SPACE, "evaluations": 3, "startup_trials": 2, "pruner": "none"} | changes
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(data))
    return str(tmp_path / "small.yaml")


def until(test: Callable[[], Any], timeout: float = 120) -> Any:
    deadline = time.monotonic() + timeout
    while not (found := test()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def only_study(home: Path) -> StudyDir | None:
    return next(iter(all_studies(home)), None)


def attempts(run: RunDir) -> list[int]:
    return [event.attempt for event in read_events(run.events_file) if isinstance(event.data, AttemptStarted)]


@pytest.fixture
def _no_run_is_left(home: Path) -> Iterator[None]:
    write_settings(home, Settings.model_validate({"reports": {"at_end": False}}))
    yield
    for run in all_runs(home):
        for process in local.trainers(run):
            process.send(signal.SIGKILL)


def finished(home: Path) -> list[TrialRow]:
    study = only_study(home)
    return [row for row in read_trials(study) if row.is_finished] if study else []


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("_no_run_is_left")
def test_a_study_killed_in_the_middle_neither_loses_nor_repeats_a_trial(home, logo_folder, tmp_path):
    write_settings(home, Settings())
    file = write_study(tmp_path, logo_folder, n_trials=5)
    process = start(home, "--config", file)
    until(lambda: len(finished(home)) >= 2 and any(run_state(run).status.is_live for run in all_runs(home)))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    study = only_study(home)
    assert study.status()[0] is StudyStatus.INTERRUPTED
    before = finished(home)
    logs = {row.number: study.run_of(row.number).events_file.read_bytes() for row in before}
    with study.journal.open("ab") as journal:
        journal.write(b'{"op_code":6,"worker_id":"torn')  # as if the kill had come in the middle of a line
    data = result(start(home, "continue", study.study_id, "--json"))
    assert (data["status"], data["reason"]) == ("COMPLETED", "all 5 trials are done")
    rows = read_trials(study)
    assert [row.state for row in rows] == ["COMPLETE"] * 5
    assert [row for row in rows if row.number in logs] == before
    assert {n: study.run_of(n).events_file.read_bytes() for n in logs} == logs
    assert sorted(read_trial(run).number for run in all_runs(home)) == [0, 1, 2, 3, 4]
    assert [attempts(run) for run in all_runs(home)] == [[1]] * 5
    for row in rows:
        run = study.run_of(row.number)
        gains = {e.step: e.data.gain for e in read_events(run.events_file) if isinstance(e.data, EvaluationEnded)}
        assert row.intermediate == gains
        assert row.values == [max(gains.values())]
        assert run_state(run).status is Status.COMPLETED
    assert len({row.params["ppo.learning_rate"] for row in rows}) == 5
    (report,) = kept.all_reports(home)
    assert (report.about.kind, report.about.study, report.about.trigger) == ("study", study.study_id, "end")
    assert b"all 5 trials are done" in report.html_file.read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("_no_run_is_left")
def test_a_stopped_study_keeps_its_live_trial_and_goes_on_with_it(home, logo_folder, tmp_path):
    run = {"total_timesteps": 4000, "pipeline": BY_VTRACER_ALONE}
    process = start(home, "--config", write_study(tmp_path, logo_folder, run, n_trials=1), "--json")
    trial = until(lambda: next(iter(all_runs(home)), None))
    until(lambda: trial.last_checkpoint() is not None)
    study = only_study(home)
    assert result(start(home, "stop", study.study_id, "--json"))["study"] == study.study_id
    assert result(process)["status"] == "STOPPED"
    assert run_state(trial).status is Status.STOPPED
    assert [row.state for row in read_trials(study)] == ["RUNNING"]
    assert result(start(home, "continue", study.study_id, "--json"))["states"] == {"COMPLETE": 1}
    assert attempts(trial) == [1, 2]
    (row,) = read_trials(study)
    assert row.attrs["minutes"] > 0
    data = result(start(home, "continue", study.study_id, "--trials", "2", "--json"))
    assert data["states"] == {"COMPLETE": 2}
    assert attempts(trial) == [1, 2]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.usefixtures("_no_run_is_left")
def test_a_trial_that_falls_behind_is_pruned_and_its_run_says_so(home, logo_folder, tmp_path):
    """Without the pipeline around VTracer a trial can't keep up with one that has it."""
    space = {"pipeline.fills": {"choices": [True, False]}, "pipeline.sharpen": {"choices": [True, False]}}
    pipeline = {"trace_size": 96, "sharpen": True, "fills": True}
    run = {"total_timesteps": 1600, "pipeline": pipeline}
    changes = {
        "space": space,
        "pruner": "median",
        "startup_trials": 1,
        "warmup_share": 0.1,
        "evaluations": 10,
        "n_trials": 5,
        "sampler": "random",
    }
    data = result(start(home, "--config", write_study(tmp_path, logo_folder, run, **changes), "--json"))
    study = only_study(home)
    rows = read_trials(study)
    assert data["states"].get("PRUNED", 0) >= 1, [(row.params, row.values) for row in rows]
    for row in rows:
        status = run_state(study.run_of(row.number)).status
        assert status is (Status.PRUNED if row.state == "PRUNED" else Status.COMPLETED), read_log_tail(study.run_of(row.number))
        if row.state == "PRUNED":
            assert "is behind other trials" in row.attrs["reason"]
            assert max(row.intermediate) < 1600
    assert data["best"]["trial"] == max((row for row in rows if row.state == "COMPLETE"), key=lambda row: row.values[0]).number
    full = result(start(home, "train", study.study_id, "--json"))
    assert read_trial(RunDir(home / full["run"])) is None
    assert result(start(home, "preset", study.study_id, "tuned", "--json"))["trial"] == data["best"]["trial"]
    assert result(start(home, "show", study.study_id, "--json"))["trials"][0]["state"] == "complete"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("_no_run_is_left")
def test_a_study_whose_trials_all_fail_gives_up_and_says_why(home, logo_folder, tmp_path):
    file = write_study(tmp_path, logo_folder, {"recovery": {"enabled": False}}, n_trials=20, parallel=2)
    process = start(home, "--config", file, "--json")
    until(lambda: only_study(home))
    for picture in logo_folder.rglob("*.png"):
        picture.unlink()
    data = result(process, code=1)
    assert data["status"] == "FAILED"
    assert "trials in a row failed; the last:" in data["reason"]
    assert data["n_trials"] < 20


def test_a_trial_whose_process_died_before_its_run_was_made_gets_its_run(home, logo_folder, tmp_path):
    """The journal holds a drawn trial, half of its values, and no run: the next process makes exactly that run."""
    from core.studies.runner import Runner
    from core.studies.study import create, load_study

    config, base = load_study(Path(write_study(tmp_path, logo_folder, n_trials=1, try_base=False)), home)
    study = create(home, config, base)
    runner = Runner(study)
    runner._open()
    trial = runner._optuna.ask()
    drawn = trial.suggest_float("ppo.learning_rate", 1e-4, 1e-2, log=True)
    again = Runner(study)
    again._open()
    again._adopt()
    (row,) = read_trials(study)
    assert row.params["ppo.learning_rate"] == drawn
    assert set(row.params) == set(SPACE)
    run = study.run_of(0)
    assert run_state(run).status is Status.QUEUED
    third = Runner(study)
    third._open()
    third._adopt()
    assert [r.run_id for r in all_runs(home)] == [run.run_id]
    local.resume(run)
    assert await_end(run) is Status.COMPLETED
    third._follow()
    assert [row.state for row in read_trials(study)] == ["COMPLETE"]


def get(app: Any, path: str) -> Any:
    environment: dict[str, Any] = {}
    setup_testing_defaults(environment)
    told = []
    environment |= {"PATH_INFO": path, "wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0"}
    body = b"".join(app(environment, lambda status, headers, *_: told.append(status)))
    assert told == ["200 OK"], body
    return json.loads(body)


def test_optunas_dashboard_opens_the_journal(home):
    from optuna_dashboard import wsgi

    study = made_up(home, 24, max_worse_share=0.2)
    app = wsgi(open_storage(study))
    (told,) = get(app, "/api/studies")["study_summaries"]
    assert told["study_name"] == study.study_id
    detail = get(app, f"/api/studies/{told['study_id']}")
    own = read_trials(study)
    assert [trial["state"].upper() for trial in detail["trials"]] == [{"FAIL": "FAIL"}.get(row.state, row.state) for row in own]
    assert {p["name"] for p in detail["trials"][0]["params"]} == set(study.config().space)
    assert load_optuna(study).metric_names == ["gain"]


def test_a_trial_that_leaves_the_queue_as_the_study_stops_is_stopped_too(home, logo_folder, monkeypatch):
    """Its trainer is there only when it was asked once already."""
    study = create(home, study_config(), tiny_config(logo_folder))
    runner = Runner(study, poll_s=0.01)
    run = claim(home, tiny_config(logo_folder))
    queue.resume(run)
    runner.live.append(_Live(None, run))  # type: ignore[arg-type]  # whose trial is not asked
    children = []

    def cancel(run: RunDir) -> None:  # the scheduler was faster
        children.append(subprocess.Popen(["sleep", "600"]))
        threading.Thread(target=children[0].wait).start()  # a zombie looks alive
        write_process(run, Process.of(children[0].pid))
        drop_queue_entry(run)
        raise RunError("it is not in the queue")

    monkeypatch.setattr(queue, "cancel", cancel)
    status, _ = runner._stop()
    try:
        assert children[0].wait(30) == -signal.SIGTERM
    finally:
        children[0].kill()
    assert status is StudyStatus.STOPPED
