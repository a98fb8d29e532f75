"""A fork goes on from its parent's checkpoint under other settings, and says so where it can't."""

import json
import os
import subprocess
import sys

import pytest

from core.config.config import RunConfig
from core.errors import CheckpointError, RunError
from core.runs.event_types import Metrics
from core.runs.events import read_events
from core.runs.records import claim, read_config, read_parent, write_parent
from core.runs.run_dir import PARENT_CHECKPOINT, RunDir
from core.runs.status import Status, run_state
from core.scheduling import queue
from core.training.checkpoint_manager import find_start
from core.training.trainer import train
from tests.support.paths import ROOT


def test_a_fork_goes_on_from_its_parent_under_other_settings(home, recorded):
    parent = recorded(total_timesteps=128)
    before = parent.events_file.read_bytes()
    config = read_config(parent).model_copy(deep=True)
    config.ppo.learning_rate, config.total_timesteps, config.n_envs = 1e-4, 224, 8
    with pytest.raises(RunError, match="does not exceed step 128"):
        queue.fork(home, parent, "last", read_config(parent))
    fork = queue.fork(home, parent, "last", config, is_queued=False)
    assert train(fork).status is Status.COMPLETED
    assert parent.events_file.read_bytes() == before
    events = list(read_events(fork.events_file))
    start = next(e.data for e in events if e.kind == "attempt_started")
    assert (start.from_step, start.from_checkpoint) == (128, PARENT_CHECKPOINT)
    assert start.parent == {"run_id": parent.run_id, "checkpoint": "last", "step": 128}
    last_of_parent = [e.data.gain for e in read_events(parent.events_file) if e.kind == "evaluation"][-1]
    evaluations = [e for e in events if e.kind == "evaluation"]
    assert (evaluations[0].step, evaluations[0].data.gain) == (128, last_of_parent)  # the networks are the parent's
    rates = [e.data.values["train/learning_rate"] for e in events if isinstance(e.data, Metrics) and "train/learning_rate" in e.data.values]
    assert all(rate < 1e-4 for rate in rates)
    episodes = [e.data.episode for e in events if e.kind == "episode"]
    assert episodes[0] == 129
    assert events[-1].step == 256
    # A fork that dies before its first own checkpoint begins from its parent's again
    assert find_start(claim_copy(fork))[0].name == PARENT_CHECKPOINT


def claim_copy(fork: RunDir) -> RunDir:
    """The fork as it was before it was started."""
    import shutil

    copy = claim(fork.path.parent, read_config(fork))
    shutil.copytree(fork.checkpoints / PARENT_CHECKPOINT, copy.checkpoints / PARENT_CHECKPOINT)
    write_parent(copy, read_parent(fork))
    return copy


def test_a_completed_run_is_forked_alike_by_the_page_and_by_the_command_line(home, recorded):
    """The command line did not extend its steps, so that forking a completed run failed."""
    parent = recorded(total_timesteps=64)
    by_page = queue.fork_config(parent, "last")
    assert by_page.total_timesteps == 128

    def fork(*settings: str) -> RunConfig:
        command = [sys.executable, "-m", "core", "runs", "fork", parent.run_id, "--json", *settings]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"TRACEWRIGHT_HOME": str(home)}, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return read_config(RunDir(home / json.loads(done.stdout.splitlines()[-1])["run"]))

    assert fork() == by_page
    assert fork("--set", "total_timesteps=96").total_timesteps == 96
    assert fork("--set", "ppo.learning_rate=0.0005") == queue.fork_config(parent, "last", ["ppo.learning_rate=0.0005"])


def test_a_fork_that_does_not_fit_says_so(home, recorded):
    parent = recorded(total_timesteps=64)
    config = read_config(parent).model_copy(deep=True)
    config.ppo.net_arch_pi, config.total_timesteps = [7], 128
    fork = queue.fork(home, parent, "last", config, is_queued=False)
    with pytest.raises(CheckpointError, match="does not fit this config"):
        train(fork)
    assert run_state(fork).status is Status.FAILED
