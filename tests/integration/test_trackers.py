"""Other trackers with their real packages: what each holds equals the CSV export, live and afterwards, once and repeated."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from core.config.config import RunConfig
from core.runs.event_types import WarningGiven
from core.runs.events import EventWriter, read_events
from core.runs.run_dir import RunDir
from core.trackers.launch import Followers
from core.trackers.place import read_place
from core.trackers.targets import Target, live_target, place_of, send
from tests.support.command_line import core
from tests.support.trackers import make_run, of_csv, of_mlflow, of_tensorboard, of_wandb, wandb_records, write_attempt

NAMES = ("tensorboard", "wandb", "mlflow")
KEY = "0123456789abcdef0123456789abcdef01234567"
pytestmark = pytest.mark.timeout(180)


def held(name: str, folder: Path, run: RunDir):
    """What a tracker holds of a run."""
    if name == "tensorboard":
        return of_tensorboard(folder / run.run_id)
    return of_wandb(folder) if name == "wandb" else of_mlflow(f"sqlite:///{folder / 'mlflow.db'}", run.run_id)[0]


@pytest.fixture
def run(home):
    made = make_run(home)
    write_attempt(made, 0, range(10), "STOPPED")
    return made


@pytest.mark.parametrize("name", NAMES)
def test_a_tracker_holds_the_values_of_the_csv_however_often_it_is_written(name, run, tmp_path):
    target = Target(tmp_path / "out", "a project")
    assert send(run, name, target).n_new == 14
    assert held(name, target.folder, run) == of_csv(run)
    assert send(run, name, target).n_new == 0
    assert held(name, target.folder, run) == of_csv(run)
    write_attempt(run, 9, range(10, 14), "STOPPED")  # goes on
    send(run, name, target)
    assert held(name, target.folder, run) == of_csv(run)
    write_attempt(run, 5, range(6, 12), "COMPLETED", shift=0.5)  # does some again
    sent = send(run, name, target)
    assert sent.status == "COMPLETED"
    assert held(name, target.folder, run) == of_csv(run)


def test_a_trained_run_is_the_same_in_all_three(recorded, tmp_path):
    run = recorded()
    for name in NAMES:
        send(run, name, Target(tmp_path, "tracewright"))
        assert held(name, tmp_path, run) == of_csv(run)
    assert len(of_csv(run)) > 40


def test_mlflow_says_what_the_run_was_and_how_it_ended(run, tmp_path):
    target = Target(tmp_path / "out", "a project")
    send(run, "mlflow", target)
    _, there = of_mlflow(f"sqlite:///{target.folder / 'mlflow.db'}", run.run_id)
    assert there.info.status == "KILLED"
    assert there.info.run_name == "made up"
    assert there.data.params["ppo.gamma"] == "0.0"
    assert there.data.tags["tracewright.status"] == "STOPPED"


def test_mlflow_adds_nothing_twice_when_the_place_is_lost(run, tmp_path):
    target = Target(tmp_path / "out", "a project")
    send(run, "mlflow", target)
    place_of(run, "mlflow", target).unlink()
    send(run, "mlflow", target)
    assert held("mlflow", target.folder, run) == of_csv(run)


def test_wandb_holds_the_settings_and_nothing_of_this_machine(run, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    send(run, "wandb", Target(tmp_path / "out", "a project"))
    records = list(wandb_records(tmp_path / "out"))
    (told,) = [record.run for record in records if record.WhichOneof("record_type") == "run"][:1]
    config = {item.key: json.loads(item.value_json) for item in told.config.update if item.key}
    assert (told.run_id, told.project, told.display_name, config["ppo.gamma"]) == (run.run_id, "a project", "made up", 0.0)
    files = [path for path in (*(tmp_path / "out").rglob("*"), *run.path.rglob("*")) if path.is_file()]
    assert files
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def end_of(run: RunDir, name: str, timeout: float = 60.0):
    """The place of a live follower, once it is done."""
    deadline = time.monotonic() + timeout
    file = place_of(run, name, live_target(run, name, "tracewright"))
    while not (place := read_place(file)).status:
        assert time.monotonic() < deadline, (run.trackers / f"{name}.log").read_text()
        time.sleep(0.1)
    return place


def test_a_training_is_followed_live_into_all_three(home, logo_folder, tmp_path):
    from core.config.text import to_yaml
    from tests.support.runs import tiny_config

    config = tmp_path / "tiny.yaml"
    config.write_text(to_yaml(tiny_config(logo_folder, trackers={"tensorboard": True, "wandb": "offline", "mlflow": "local"})))
    done = core("train", "--config", str(config), "--json", home=home)
    assert done.returncode == 0, done.stderr
    run = RunDir(Path(json.loads(done.stdout.splitlines()[-1])["path"]))
    for name in NAMES:
        assert end_of(run, name).status == "COMPLETED"
        assert held(name, home if name == "mlflow" else run.trackers, run) == of_csv(run)
    assert not list(read_events(run.events_file, ("warning",)))


def test_a_follower_that_fails_is_said_once_and_ends_nothing(run, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    config = RunConfig(trackers={"mlflow": "server"})
    with EventWriter(run.events_file) as events:
        followers = Followers(run, config, events)
        followers.start(9)
        (process,) = followers.processes.values()
        assert process.wait(60) == 1
        followers.look(9, is_last=True)
        followers.look(9, is_last=True)
    (told,) = [event.data for event in read_events(run.events_file) if isinstance(event.data, WarningGiven)]
    assert told.text.startswith("MLflow receives no more data from this run: MLflow on a server needs its address: set MLFLOW_TRACKING_URI")
    assert f"python -m core export {run.run_id} --format mlflow" in told.text


def test_a_follower_that_is_killed_is_said_and_another_goes_on(run):
    config = RunConfig(trackers={"tensorboard": True})
    with EventWriter(run.events_file) as events:
        followers = Followers(run, config, events)
        followers.start(9)
        (process,) = followers.processes.values()
        process.kill()
        process.wait(60)
        followers.look(9, is_last=True)
    (told,) = [event.data for event in read_events(run.events_file) if isinstance(event.data, WarningGiven)]
    assert "its follower ended with exit code -9" in told.text
    send(run, "tensorboard", live_target(run, "tensorboard", "tracewright"))
    assert of_tensorboard(run.trackers / run.run_id) == of_csv(run)


def test_the_commands_export_and_import(run, home, tmp_path):
    done = core("export", run.run_id, "--format", "tensorboard", "--out", str(tmp_path / "tb"), "--json", home=home)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["run"], told["format"], told["n_new"], told["status"]) == (run.run_id, "tensorboard", 14, "STOPPED")
    other = tmp_path / "other home"
    done = core("import", str(tmp_path / "tb"), "--name", "from there", "--json", home=other)
    assert done.returncode == 0, done.stderr
    (made,) = json.loads(done.stdout.splitlines()[-1])["runs"]
    assert of_csv(RunDir(Path(made["path"]))) == of_csv(run)
    listed = core("runs", "list", home=other)
    assert made["run_id"] in listed.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("export", "RUN", "--format", "xml"), 2, "not one of csv, json, parquet, archive, onnx, tensorboard, wandb, mlflow"),
        (("export", "RUN", "--format", "wandb", "--online"), 1, "set WANDB_API_KEY"),
        (("export", "nothing", "--format", "wandb"), 2, "no run 'nothing'"),
        (("import", "nowhere"), 2, "nowhere does not exist"),
        (("import", ".", "--format", "csv"), 2, "not one of archive, tensorboard, neptune"),
    ],
)
def test_what_is_wrong_is_one_line(run, home, monkeypatch, arguments, code, told):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    done = core(*(run.run_id if part == "RUN" else part for part in arguments), home=home)
    assert done.returncode == code
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_package_that_is_absent_costs_one_line(run, home, tmp_path):
    script = "import sys; sys.modules['wandb'] = None; sys.argv[0] = 'core'; from core.cli.app import main; main()"
    import sys

    from tests.support.paths import ROOT

    done = subprocess.run(
        [sys.executable, "-c", script, "export", str(run.path), "--format", "wandb", "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "the package wandb is not installed" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("page", ["runs", "live", "compare", "curriculum", "gallery", "workbench", "alerts", "system", "choose"])
def test_pages_show_an_imported_run_beside_a_trained_one(recorded, home, tmp_path, visit, page):
    from core.trackers.imported import import_runs

    run = recorded()
    send(run, "tensorboard", Target(tmp_path / "tb", "p"))
    (made,) = import_runs(tmp_path / "tb", home)
    query = {"run": [run.run_id, made.run_id]} if page == "compare" else {"run": made.run_id}
    app = visit(page, **query)
    assert not app.exception
    assert not [error.value for error in app.error]
