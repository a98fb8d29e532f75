"""What goes to other trackers: the follower's promises with a sink that only keeps, event files, settings, credentials."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from core.config.config import RunConfig
from core.config.text import apply_settings, validate
from core.errors import TrackerError
from core.runs.event_types import Metrics
from core.runs.events import EventWriter
from core.runs.requirements import preflight
from core.trackers import credentials
from core.trackers.follower import Follower, follow
from core.trackers.launch import Followers
from core.trackers.place import locked, place_file
from core.trackers.targets import Target, describe, send, wanted
from core.trackers.wandb import WandbSink
from tests.support.trackers import ListSink, make_run, of_csv, of_tensorboard, write_attempt


@pytest.fixture
def run(home):
    made = make_run(home)
    write_attempt(made, 0, range(10), "STOPPED")
    return made


def follower_of(run, sink) -> Follower:
    return Follower(run, sink, place_file(run, "list", "here"), describe(run))


def hand_on(run, sink) -> int:
    follower = follower_of(run, sink)
    n = follower.catch_up()
    follower.close("STOPPED")
    return n


def test_a_sink_is_given_what_the_csv_holds(run):
    sink = ListSink()
    assert hand_on(run, sink) == 14  # ten metrics, three evaluations, a baseline
    assert sink.points() == of_csv(run)
    assert sink.about.name == "made up"
    assert sink.about.settings["ppo.gamma"] == RunConfig().ppo.gamma
    assert sink.statuses == ["STOPPED"]


def test_repeating_does_nothing_and_opens_nothing(run):
    sink = ListSink()
    hand_on(run, sink)
    assert hand_on(run, sink) == 0
    assert (sink.n_opened, sink.statuses) == (1, ["STOPPED"])


@pytest.mark.parametrize("can_go_on", [True, False])
def test_only_what_is_new_is_added(run, can_go_on):
    sink = ListSink(can_go_on)
    hand_on(run, sink)
    write_attempt(run, 9, range(10, 20))  # goes on behind the last step
    assert hand_on(run, sink) == (12 if can_go_on else 26)
    assert sink.n_over == 0
    assert sink.points() == of_csv(run)


@pytest.mark.parametrize("can_go_on", [True, False])
def test_what_a_resumed_attempt_did_again_is_there_once(run, can_go_on):
    sink = ListSink(can_go_on)
    hand_on(run, sink)
    write_attempt(run, 5, range(6, 12), shift=0.5)
    hand_on(run, sink)
    assert sink.points() == of_csv(run)
    assert [step for step, _ in sink.points()["train/loss"]] == list(range(12))


def test_an_attempt_that_comes_while_it_follows_replaces_what_was_sent(run):
    sink = ListSink()
    follower = follower_of(run, sink)
    follower.catch_up()
    write_attempt(run, 5, range(6, 12), shift=0.5)
    follower.catch_up()
    assert sink.n_over == 1
    assert sink.points() == of_csv(run)
    write_attempt(run, 0, range(3))  # without a checkpoint: from the start
    follower.catch_up()
    assert sink.points() == of_csv(run)
    follower.close("")


def test_a_kill_between_the_sink_and_the_place_doubles_nothing(run):
    sink = ListSink()
    file = place_file(run, "list", "here")
    hand_on(run, sink)
    before = file.read_bytes()
    write_attempt(run, 9, range(10, 14))
    hand_on(run, sink)
    file.write_bytes(before)  # as if it had been killed before it kept its place
    hand_on(run, sink)
    assert sink.points() == of_csv(run)


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[1]", b'{"v":1,"offset":-4}', b'{"v":1,"offset":90,"tail":"zz"}', b'{"v":1,"offset":1,"tail":"0a0a0a"}']
)
def test_a_damaged_place_begins_again(run, damage):
    sink = ListSink()
    hand_on(run, sink)
    place_file(run, "list", "here").write_bytes(damage)
    hand_on(run, sink)
    assert sink.points() == of_csv(run)


def test_a_log_that_was_replaced_is_handed_on_anew(run):
    sink = ListSink()
    hand_on(run, sink)
    run.events_file.unlink()
    write_attempt(run, 0, range(3), "STOPPED", shift=2.0)
    hand_on(run, sink)
    assert sink.points() == of_csv(run)


def test_a_torn_last_line_waits(run):
    whole = run.events_file.read_bytes()
    run.events_file.write_bytes(whole[:-20])
    sink = ListSink()
    follower = follower_of(run, sink)
    n = follower.catch_up()
    run.events_file.write_bytes(whole)
    assert follower.catch_up() == 0  # the last line is that of its end
    follower.close("STOPPED")
    assert n == 14


def test_what_is_no_number_reaches_the_sink_as_that(run):
    with EventWriter(run.events_file) as events:
        events.write(9, Metrics({"train/loss": math.nan}))
    sink = ListSink()
    hand_on(run, sink)
    assert math.isnan(sink.readings[-1].values["train/loss"])


def test_following_ends_with_the_run(run):
    waited = []
    assert follow(follower_of(run, ListSink()), run, lambda seconds: bool(waited.append(seconds))) == 14
    assert not waited


def test_a_failure_is_one_line_without_secrets(run, monkeypatch):
    class Refusing(ListSink):
        def write(self, readings):
            raise ConnectionError("https://me:hush-hush@host said\nno to the key k-123456789")

    monkeypatch.setenv("WANDB_API_KEY", "k-123456789")
    with pytest.raises(TrackerError) as told:
        follower_of(run, Refusing()).catch_up()
    assert str(told.value) == "ConnectionError: https://…@host said no to the key …"
    sink = ListSink()  # and nothing counts as sent
    hand_on(run, sink)
    assert sink.points() == of_csv(run)


def test_two_do_not_write_to_one_target(run):
    file = place_file(run, "list", "here")
    with locked(file, 0.0), pytest.raises(TrackerError, match="another process is writing"), locked(file, 0.0):
        pass


def test_event_files_hold_the_very_values_of_the_csv(run, tmp_path):
    sent = send(run, "tensorboard", Target(tmp_path / "tb", "p"))
    assert (sent.n_new, sent.n_readings, sent.status) == (14, 14, "STOPPED")
    assert of_tensorboard(tmp_path / "tb" / run.run_id) == of_csv(run)


def test_event_files_are_gone_on_with_and_a_torn_end_is_cut(run, tmp_path):
    target = Target(tmp_path / "tb", "p")
    send(run, "tensorboard", target)
    (file,) = (tmp_path / "tb" / run.run_id).iterdir()
    before = file.read_bytes()
    send(run, "tensorboard", target)
    assert file.read_bytes() == before
    file.write_bytes(before + b"torn by a kill")
    write_attempt(run, 9, range(10, 14))
    send(run, "tensorboard", target)
    assert file.read_bytes().startswith(before)
    assert of_tensorboard(file.parent) == of_csv(run)


def test_event_files_of_a_resumed_run_hold_each_step_once(run, tmp_path):
    target = Target(tmp_path / "tb", "p")
    send(run, "tensorboard", target)
    write_attempt(run, 5, range(6, 12), shift=0.5)
    send(run, "tensorboard", target)
    assert of_tensorboard(tmp_path / "tb" / run.run_id) == of_csv(run)
    assert len(list((tmp_path / "tb" / run.run_id).iterdir())) == 1


def test_event_files_that_were_deleted_are_written_again(run, tmp_path):
    target = Target(tmp_path / "tb", "p")
    send(run, "tensorboard", target)
    (file,) = (tmp_path / "tb" / run.run_id).iterdir()
    file.unlink()
    write_attempt(run, 9, range(10, 14))
    send(run, "tensorboard", target)
    assert of_tensorboard(file.parent) == of_csv(run)


def test_a_package_that_is_absent_is_named_with_what_to_do(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.record_writer", None)
    with pytest.raises(TrackerError, match=r"package tensorboard is not installed.*pip install -r requirements-trackers.txt"):
        send(run, "tensorboard", Target(tmp_path / "tb", "p"))


def test_an_absent_package_is_told_before_the_start(home, monkeypatch):
    monkeypatch.setattr("core.runs.requirements.find_spec", lambda name: None)
    told = preflight(RunConfig(trackers={"wandb": "offline"}), home)
    assert [line for line in told if "trackers" in line] == [
        "trackers.wandb is on, but the package wandb is not installed; the run continues without it (pip install -r requirements-trackers.txt)"
    ]


@pytest.mark.parametrize("setting", ["wandb", "mlflow"])
def test_a_bare_off_of_yaml_is_off(setting):
    config = validate(apply_settings(RunConfig().model_dump(), [f"trackers.{setting}=off"]))
    assert getattr(config.trackers, setting) == "off"


def test_the_settings_say_what_is_followed_and_where(home):
    run = make_run(home, trackers={"tensorboard": True, "wandb": "online", "mlflow": "local", "project": "mine"})
    config = RunConfig(trackers={"tensorboard": True, "wandb": "online", "mlflow": "local", "project": "mine"})
    assert wanted(run, config) == {
        "tensorboard": Target(run.trackers, "mine"),
        "wandb": Target(run.trackers, "mine", is_online=True),
        "mlflow": Target(home, "mine"),
    }
    assert wanted(run, RunConfig()) == {}


def test_the_environment_comes_before_the_secrets_file(tmp_path):
    path = tmp_path / "secrets.toml"
    path.write_text('WANDB_API_KEY = "of the file"\nMLFLOW_TRACKING_URI = "http://file"\nOTHER = "no"\n')
    environment = {"WANDB_API_KEY": "of the environment"}
    credentials.load_credentials(environment, path)
    assert environment == {"WANDB_API_KEY": "of the environment", "MLFLOW_TRACKING_URI": "http://file"}


def test_a_damaged_secrets_file_is_named_and_not_quoted(tmp_path):
    path = tmp_path / "secrets.toml"
    path.write_text('WANDB_API_KEY = "hush-hush\n')
    with pytest.raises(TrackerError, match=r"secrets\.toml can't be read") as told:
        credentials.load_credentials({}, path)
    assert "hush" not in str(told.value)


def test_online_without_key_or_address_says_where_it_comes_from(run, monkeypatch, tmp_path):
    for name in (*credentials.SECRET, *credentials.OPEN):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TrackerError, match=r"set WANDB_API_KEY in the environment or in \.streamlit/secrets\.toml"):
        send(run, "wandb", Target(tmp_path, "p", is_online=True))
    with pytest.raises(TrackerError, match="set MLFLOW_TRACKING_URI in the environment"):
        send(run, "mlflow", Target(tmp_path, "p", is_online=True))


def test_a_place_names_no_address(run, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:hush-hush@host")
    send(run, "tensorboard", Target(tmp_path / "tb", "p"))
    files = [path for path in run.trackers.iterdir() if path.suffix == ".json"]
    assert len(files) == 1
    assert set(json.loads(files[0].read_text())) == {"v", "offset", "tail", "state", "max_step", "attempt", "n_readings", "status"}
    assert not [path for path in Path(run.path).rglob("*") if path.is_file() and b"hush" in path.read_bytes()]


@pytest.mark.parametrize("state", [{"file": 3, "n_bytes": "x"}, {"file": "../x", "n_bytes": 1e300}, {"n_bytes": None}, {"file": "a\0b"}])
def test_a_state_of_other_kinds_has_event_files_written_again(run, tmp_path, state):
    target = Target(tmp_path / "tb", "p")
    send(run, "tensorboard", target)
    (place,) = run.trackers.glob("tensorboard-*.json")
    place.write_text(json.dumps(json.loads(place.read_text()) | {"state": state}))
    write_attempt(run, 9, range(10, 14))
    send(run, "tensorboard", target)
    assert of_tensorboard(tmp_path / "tb" / run.run_id) == of_csv(run)


@pytest.mark.parametrize("name", ["offline-run-x/..", "offline-run-../..", "offline-run-x/../../kept", "..", "", "/", "offline-run-\0"])
def test_wandb_removes_nothing_but_what_it_wrote(tmp_path, name):
    (tmp_path / "wandb" / "offline-run-x").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    WandbSink(tmp_path, "p", is_online=False)._forget(name)
    assert (tmp_path / "kept").is_dir()
    assert (tmp_path / "wandb" / "offline-run-x").is_dir()
    WandbSink(tmp_path, "p", is_online=False)._forget("offline-run-x")
    assert not (tmp_path / "wandb" / "offline-run-x").exists()


@pytest.mark.parametrize("damage", ["large", "folder", "gone"])
def test_what_a_follower_said_may_be_long_or_gone(run, damage):
    with EventWriter(run.events_file) as events:
        followers = Followers(run, RunConfig(), events)
        run.trackers.mkdir(exist_ok=True)
        log = followers._log_file("mlflow")
        if damage == "large":
            log.write_bytes(b"x" * 79 + b"\n" + b"line of progress\n" * 400_000 + b"error: the server is gone\n")
        elif damage == "folder":
            log.mkdir()
        told = followers._reason("mlflow", 1)
    assert told == ("the server is gone" if damage == "large" else f"its follower ended with exit code 1; see {log}")
