"""Whole runs in this process and as processes of their own: repeat, stop, resume, kill, refuse."""

import functools
import json
import os
import shutil
import signal
import time
from typing import Any

import psutil
import pytest
from PIL import Image

from core.agents.checkpoint import read_checkpoint
from core.cli.app import app
from core.environment.spec import pipeline_of
from core.errors import RunError
from core.logos.dataset import load_logos
from core.runs.event_types import EpisodeEnded, Record, StageDecision, StageEvaluation
from core.runs.events import read_events
from core.runs.records import claim, read_config, read_heartbeat, training_lock, write_command, write_config
from core.runs.run_dir import find_run
from core.runs.status import Status, overview, run_state
from core.scheduling import local
from core.statistics import verdict
from core.tracing.outcome import Weights, gain
from core.tracing.params import NAMES, Params
from core.tracing.picture import Picture
from core.training.checkpoint_manager import CheckpointManager
from core.training.session import Extras
from core.training.trainer import train
from tests.support.command_line import core
from tests.support.logos import draw_logo
from tests.support.runs import await_end, follow, tiny_config, update_values, values


def test_a_run_learns_evaluates_keeps_and_ends(home, logo_folder):
    run = claim(home, tiny_config(logo_folder))
    ending = train(run)
    assert ending.status is Status.COMPLETED
    events = list(read_events(run.events_file))
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    episodes = [e for e in events if e.kind == "episode"]
    assert [e.data.episode for e in episodes] == list(range(1, 97))
    assert all(event.data.success in (True, False) and len(event.data.params) == len(NAMES) for event in episodes)
    assert [e.step for e in events if e.kind == "evaluation"] == [0, 32, 64, 96]
    metrics = {key for e in events if e.kind == "metrics" for key in e.data.values}
    wanted = {
        "train/loss",
        "train/approx_kl",
        "train/clip_fraction",
        "train/entropy_loss",
        "train/explained_variance",
        "train/learning_rate",
        "train/grad_norm",
    }
    assert wanted | {"rollout/ep_rew_mean", "time/fps"} <= metrics
    assert sum("train/loss" in e.data.values for e in events if e.kind == "metrics") == 3  # each update, the last one too
    for e in events:
        if e.kind == "evaluated":
            assert (run.path / e.data.svg).read_text().startswith("<svg xmlns")
            assert run.picture_file(e.data.digest).exists()
            assert run.default_svg_file(e.data.digest).exists()
    for name in ("last", "best"):
        read_checkpoint(run.checkpoints / name)
    assert run_state(run).status is Status.COMPLETED


@pytest.mark.parametrize("max_steps", [1, 3])
def test_same_config_and_seed_give_the_same_run(home, logo_folder, max_steps):
    config = tiny_config(logo_folder, env={"max_steps": max_steps}, ppo={"normalize_observation": max_steps > 1})
    runs = [claim(home, config) for _ in range(2)]
    for run in runs:
        train(run)
    assert values(runs[0]) == values(runs[1])
    assert update_values(runs[0]) == update_values(runs[1])
    other = claim(home, config.model_copy(update={"seed": 2}))
    train(other)
    assert values(other) != values(runs[0])


def test_a_run_says_whether_it_beats_the_best_single_setting(home, recorded, capsys):
    """Paired over the validation logos, from the same figures as the baseline's line; said wherever the run is listed."""
    run = recorded()
    events = list(read_events(run.events_file))
    single = next(e.data.gain for e in events if e.kind == "baseline" and e.data.method == "single")
    evaluations = [e.data for e in events if e.kind == "evaluation"]
    for found in evaluations:
        assert found.over_single == pytest.approx(found.gain - single)
        assert found.over_single_low <= found.over_single <= found.over_single_high
    best = max(evaluations, key=lambda e: e.gain)
    told = verdict(best.over_single, best.over_single_low, best.over_single_high)
    assert told.startswith("no better than the best single setting")  # 96 steps from there
    assert events[-1].data.verdict == told == overview(run)["verdict"]
    assert not app(["runs", "list"], standalone_mode=False)
    assert told in capsys.readouterr().out
    assert not app(["runs", "show", run.run_id, "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["verdict"] == told


def test_a_folder_with_bad_files_trains_on_the_rest_and_says_so(home, logo_folder):
    (logo_folder / "notes.txt").write_text("x")
    (logo_folder / "empty.png").write_bytes(b"")
    (logo_folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    Image.new("RGB", (1, 1)).save(logo_folder / "dot.png")
    run = claim(home, tiny_config(logo_folder, total_timesteps=32))
    assert train(run).status is Status.COMPLETED
    told = next(e for e in read_events(run.events_file) if e.kind == "logos_loaded").data
    assert told.n_logos == 12
    assert {os.path.basename(s["source"]) for s in told.skipped} == {"notes.txt", "empty.png", "broken.png", "dot.png"}


def test_a_run_that_fails_says_why(home, tmp_path):
    run = claim(home, tiny_config(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="is not a folder"):
        train(run)
    state = run_state(run)
    assert state.status is Status.FAILED
    assert "is not a folder" in state.reason


def test_changed_logos_are_noticed_on_resume(home, logo_folder):
    run = claim(home, tiny_config(logo_folder))
    train(run)
    draw_logo(99).save(logo_folder / "simple" / "logo 0.png")
    with pytest.raises(ValueError, match="differ from those this run was trained on"):
        train(run, resume=True)


def test_the_curriculum_ends_the_run_with_its_last_stage(home, logo_folder):
    easy = [{"name": n, "difficulty": 0, "target_ssim": 0, "required_gain": -5, "max_episodes": 40} for n in ("a", "b")]
    for probe, how in ((False, "passed"), (True, "skipped")):
        settings = {"enabled": True, "window": 8, "min_episodes": 10, "stages": easy, "probe": probe}
        run = claim(home, tiny_config(logo_folder, total_timesteps=5000, curriculum=settings))
        ending = train(run)
        assert (ending.status, ending.reason) == (Status.COMPLETED, "the last stage ended")
        events = list(read_events(run.events_file))
        ends = [e.data for e in events if e.kind == "stage_ended"]
        assert [(e.name, e.reason) for e in ends] == [("a", how), ("b", "passed")]
        assert all(e.why for e in ends)
        measured = [e.data for e in events if e.kind == "stage_evaluation"]
        assert measured[-1].is_final
        assert set(measured[-1].change_since_end) == {"a", "b"}  # the test for forgetting


def test_a_stage_is_advanced_and_held_by_hand(home, logo_folder):
    never = [{"name": n, "target_ssim": 1.0, "required_gain": 9.0, "max_episodes": 100_000} for n in ("a", "b")]
    run = claim(home, tiny_config(logo_folder, total_timesteps=256, curriculum={"enabled": True, "stages": never}))
    told = iter(("hold", "advance", "back"))

    def command(step: int, record: Record) -> None:
        if isinstance(record, StageEvaluation) or (isinstance(record, StageDecision) and record.reason == "held"):
            write_command(run, next(told, "hold"))

    train(run, extras=Extras(listeners=[command]))
    found = [(e.data.reason, e.data.name) for e in read_events(run.events_file) if e.kind in ("stage_ended", "stage_decision")]
    assert found[:3] == [("held", "a"), ("advanced", "a"), ("sent_back", "b")]


def test_no_command_is_lost_while_a_run_starts_or_dies(home, logo_folder):
    """Those given before the trainer listens, and one of which no checkpoint knew when it was killed; a run that is taken back
    to an older checkpoint on purpose begins there without them."""
    never = [{"name": n, "target_ssim": 1.0, "required_gain": 9.0, "max_episodes": 100_000} for n in ("a", "b", "c")]
    curriculum = {"enabled": True, "stages": never, "probe": False}
    run = claim(home, tiny_config(logo_folder, total_timesteps=192, curriculum=curriculum, checkpoint={"every_steps": 32}))

    def decided(attempt: int) -> list[tuple[str, str]]:
        kinds = ("stage_ended", "stage_decision")
        return [(e.data.reason, e.data.name) for e in read_events(run.events_file) if e.kind in kinds and e.attempt == attempt]

    class Dying(CheckpointManager):
        """Dies as it is about to write the last checkpoint for the ``dies_at``-th time, just after a command was given."""

        def save(self, name: str, *rest: Any) -> None:
            saves.append(name)
            if saves.count("last") == dies_at:
                raise KeyboardInterrupt
            super().save(name, *rest)
            if name == "last" and saves.count("last") == dies_at - 1:
                write_command(run, "advance")

    for command in ("hold", "advance", "advance"):  # the second press of a button says nothing new
        write_command(run, command)
    saves: list[str] = []
    dies_at = 3
    with pytest.raises(KeyboardInterrupt):
        train(run, extras=Extras(checkpoint_manager=Dying))
    assert decided(1) == [("held", "a"), ("advanced", "a"), ("advanced", "b")]
    oldest = next(name for name in reversed(run.checkpoint_names()) if name.startswith("step-"))
    saves.clear()
    dies_at = 2
    with pytest.raises(KeyboardInterrupt):
        train(run, resume=True, extras=Extras(checkpoint_manager=Dying))
    assert decided(2)[0] == ("advanced", "b")  # again
    train(run, resume=True, checkpoint=oldest)
    assert decided(3) == []


def test_an_episodes_figures_are_those_of_its_best_conversion(home, logo_folder):
    """Its reward terms too: they were the last conversion's."""
    run = claim(home, tiny_config(logo_folder, total_timesteps=192, env={"max_steps": 3}, reward={"speed": 0.2}))
    train(run)
    episodes = [e.data for e in read_events(run.events_file) if isinstance(e.data, EpisodeEnded)]
    assert {e.length for e in episodes} == {3}
    for e in episodes:
        assert sum(e.terms.values()) == pytest.approx(e.training_gain, abs=1e-12)
    pipeline = pipeline_of(read_config(run))
    prepared = {logo.name: Picture(logo.pixels, pipeline) for logo in load_logos(str(logo_folder), 48).logos}
    weights = read_config(run).reward
    for e in episodes[:10]:  # the terms are of the parameters that the event names
        best = prepared[e.logo].measure(Params.from_values(e.params)).outcome
        plain = gain(best, prepared[e.logo].defaults, Weights(weights.quality, weights.size, 0.0))
        assert (e.terms["quality"], e.terms["size"]) == (plain.quality, plain.size)
    assert any(value != round(value, 4) for e in episodes for value in e.params)  # to the bit, or another outcome is theirs


def test_early_stop_ends_a_run_that_no_longer_rises(home, logo_folder):
    stop = {"enabled": True, "patience": 2, "min_improvement": 10.0}
    run = claim(home, tiny_config(logo_folder, total_timesteps=5000, early_stop=stop))
    ending = train(run)
    assert ending.status is Status.COMPLETED
    assert "without a new best" in ending.reason


def test_stop_kill_and_resume_of_a_process(home, logo_folder):
    """SIGTERM stops with a checkpoint; kill -9 leaves INTERRUPTED and no worker; both resume and finish."""
    run = local.start(home, tiny_config(logo_folder, total_timesteps=100_000))
    follow(run, lambda e: e.kind == "metrics" and e.step >= 64)
    assert run_state(run).status is Status.RUNNING
    with pytest.raises(RunError, match="running"):
        local.delete(run)
    local.stop(run)
    assert await_end(run) is Status.STOPPED
    assert run.last_checkpoint() is not None

    local.resume(run)
    second = follow(run, lambda e: e.attempt == 2 and e.kind == "metrics")
    process = psutil.Process(read_heartbeat(run).process.pid)
    family = [process, *process.children(recursive=True)]
    assert len(family) >= 3
    process.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive, "workers outlived the trainer"
    assert run_state(run).status is Status.INTERRUPTED

    config = read_config(run).model_copy(update={"total_timesteps": second.step + 96})
    write_config(run, config)
    local.resume(run)
    assert await_end(run) is Status.COMPLETED
    attempts = [e.attempt for e in read_events(run.events_file) if e.kind == "attempt_started"]
    assert attempts == [1, 2, 3]
    with pytest.raises(RunError, match="COMPLETED"):
        local.resume(run)
    local.delete(run)
    assert not run.path.exists()


def test_a_second_trainer_of_the_same_run_is_refused(home, logo_folder, monkeypatch):
    run = claim(home, tiny_config(logo_folder))
    monkeypatch.setattr("core.training.trainer.training_lock", functools.partial(training_lock, patience_s=0.1))
    with training_lock(run), pytest.raises(RunError, match="being trained by another process"):
        train(run)


def test_the_command_line_from_training_to_export(home, logo_folder, tmp_path):
    tiny = [
        "--set",
        f"logos.path={logo_folder}",
        "--set",
        "logos.work_size=48",
        "--set",
        "total_timesteps=64",
        "--set",
        "n_envs=4",
        "--set",
        "ppo.n_steps=8",
        "--set",
        "ppo.batch_size=16",
    ]
    done = core("train", "--config", "configs/quick.yaml", *tiny, "--json", home=home)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["status"] == "COMPLETED"
    run = find_run(result["run"], home)

    listed = json.loads(core("runs", "list", "--json", home=home).stdout.splitlines()[-1])["runs"]
    assert [(r["run_id"], r["status"], r["step"]) for r in listed] == [(run.run_id, "COMPLETED", 64)]
    shown = json.loads(core("runs", "show", str(run.path), "--json", home=home).stdout.splitlines()[-1])
    assert shown["episodes"] == 64

    for form in ("csv", "json"):
        out = core("export", run.run_id, "--format", form, "--out", str(tmp_path / "out"), "--json", home=home)
        assert out.returncode == 0, out.stderr
        rows = {table: info["rows"] for table, info in json.loads(out.stdout.splitlines()[-1]).items()}
        events = list(read_events(run.events_file))
        assert rows["episodes"] == sum(e.kind == "episode" for e in events)
        assert rows["metrics"] == sum(len(e.data.values) for e in events if e.kind == "metrics")
        assert rows["evaluations"] == sum(e.kind == "evaluated" for e in events)
        assert rows["summary"] == sum(e.kind == "evaluation" for e in events)

    compared = core(
        "evaluate", "--model", run.run_id, "--methods", "default,method1_raw,policy", "--out", str(tmp_path / "e"), "--json", home=home
    )
    assert compared.returncode == 0, compared.stderr
    gains = json.loads(compared.stdout.splitlines()[-1])["gain"]
    assert gains["default"]["1"]["mean"] == 0
    assert set(gains["policy"]["1"]) == {"mean", "low", "high", "by_category"}
    assert (tmp_path / "e" / "comparison.csv").exists()
    assert core("rebuild", "--json", home=home).returncode == 0
    assert core("runs", "delete", run.run_id, "--yes", home=home).returncode == 0
    assert not run.path.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "--config", "configs/quick.yaml", "--set", "ppo.gamma=2"], "ppo.gamma = 2 is not allowed"),
        (["runs", "show", "../x"], "no run '../x'"),
        (["logos", "trace", "none.png"], "none.png"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(arguments, told, home):
    done = core(*arguments, home=home)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_case_from_the_log_can_be_repeated(home, recorded):
    """The parameters that a run's log names, on the picture that it kept, give what the run measured."""
    run = recorded(total_timesteps=32)
    found = [e.data for e in read_events(run.events_file) if e.kind == "evaluated"][-1]
    params = ",".join(f"{value:.10g}" for value in found.params)
    picture = run.picture_file(found.digest)
    done = core("logos", "trace", str(picture), "--work-size", "48", "--trace-size", "96", "--params", params, "--json", home=home)
    assert done.returncode == 0, done.stderr
    repeated = json.loads(done.stdout.splitlines()[-1])
    assert (repeated["ssim"], repeated["n_bytes"], repeated["gain"]) == (found.ssim, found.bytes, found.gain)


@pytest.mark.logos
def test_a_short_run_on_real_logos_beats_the_defaults(home, real_logos):
    """From the best single setting on; a run of this length must not fall below a third of what that reaches."""
    changes = {
        "total_timesteps": 1024,
        "n_envs": 8,
        "ppo": {"n_steps": 16, "batch_size": 64},
        "evaluation": {"every_steps": 512, "max_logos": 24},
    }
    run = claim(home, tiny_config(real_logos, **changes, logos={"path": str(real_logos), "work_size": 128}))
    ending = train(run)
    assert ending.status is Status.COMPLETED
    assert ending.gain is not None
    assert ending.gain > 0.1
    told = next(e for e in read_events(run.events_file) if e.kind == "logos_loaded").data
    assert told.skipped == []
    assert sum(e.data.n_logos for e in read_events(run.events_file) if e.kind == "evaluation") == 3 * 24


def test_a_run_whose_folder_is_deleted_ends_and_does_not_come_back(home, logo_folder):
    run = local.start(home, tiny_config(logo_folder, total_timesteps=500_000))
    follow(run, lambda e: e.kind == "metrics")
    alive = local.trainers(run)
    shutil.rmtree(run.path)
    deadline = time.monotonic() + 60
    while any(process.is_alive() for process in alive):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not run.path.exists()
