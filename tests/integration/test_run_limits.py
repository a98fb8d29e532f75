"""What a run may take: checkpoints that are kept, a disk budget, a memory limit, disk space at the start."""

import os

import pytest

from core.errors import RunError
from core.runs.events import read_events
from core.runs.records import claim
from core.runs.status import Status
from core.training.session import Extras
from core.training.trainer import train
from tests.support.runs import tiny_config


def test_checkpoints_are_kept_as_the_config_says(home, logo_folder):
    run = claim(home, tiny_config(logo_folder, total_timesteps=320, checkpoint={"every_steps": 32, "keep": 2, "keep_every": 4}))
    train(run)
    kept = sorted(name for name in run.checkpoint_names() if name.startswith("step-"))
    assert kept == [f"step-{n:010d}" for n in (128, 256, 288)]
    assert {"last", "previous", "best"} <= set(run.checkpoint_names())


def test_a_run_beyond_its_disk_budget_drops_what_it_can_and_says_so(home, logo_folder):
    run = claim(home, tiny_config(logo_folder, total_timesteps=320, checkpoint={"every_steps": 32, "disk_budget_mb": 5}))
    (run.path / "evaluations").mkdir()
    for n in range(4):
        folder = run.path / "evaluations" / f"{n:010d}0"
        folder.mkdir()
        (folder / "large.svg").write_bytes(os.urandom(2_000_000))
    train(run)
    told = [e.data.text for e in read_events(run.events_file) if e.kind == "warning"]
    assert any("of its budget of 5 MB: old checkpoints and SVGs were deleted" in text for text in told)
    assert {"last", "best"} <= set(run.checkpoint_names())
    assert run.checkpoints.joinpath("last").is_dir()


def test_a_run_at_its_memory_limit_stops_with_a_checkpoint_and_the_reason(home, logo_folder):
    run = claim(home, tiny_config(logo_folder, total_timesteps=100_000, workers={"run_memory_mb": 60}))
    ending = train(run, extras=Extras(meter_s=0.0))
    assert ending.status is Status.STOPPED
    assert "at its memory limit" in ending.reason
    assert "of 60 MB" in ending.reason


def test_too_little_disk_space_is_said_before_the_run_starts(home, logo_folder, monkeypatch):
    monkeypatch.setattr("core.runs.requirements.disk_free_mb", lambda path: 1.0)
    run = claim(home, tiny_config(logo_folder))
    with pytest.raises(RunError, match="1 MB of disk space left; free at least 50 MB"):
        train(run)
    assert not run.events_file.exists()
