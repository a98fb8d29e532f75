"""docs/agents.md, command by command and in its order, on small real logos and runs: each exits as the page says, with one JSON object."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest
from typer.testing import CliRunner

from core.cli.app import app
from tests.support.documents import DOCS, blocks, read
from tests.support.paths import ROOT

TRAINS = ("train", "runs queue")
IS_OVER = {
    "runs stop": "has no running trainer",
    "runs resume": "only a stopped, failed or interrupted run can be resumed",
}  # what is said where the run has ended
SHORT = {
    "total_timesteps": 32, "n_envs": 4, "n_workers": 1, "ppo.n_steps": 8, "ppo.batch_size": 16, "ppo.group_size": 1,
    "logos.work_size": 48, "pipeline.trace_size": 0, "pipeline.sharpen": False, "pipeline.fills": False, "outcome.members": 0,
}  # fmt: skip
LINES = [line for block in blocks(read(DOCS / "agents.md")) if block.language == "sh" for line in block.text.splitlines()]


def test_every_step_of_the_way_is_there():
    told = [line.removeprefix("python -m core ") for line in LINES]
    assert all(line.endswith(" --json") for line in told)
    for step in ("optimize", "train", "runs queue", "runs serve", "runs show", "runs compare", "export", "report"):
        assert any(line.startswith(step) for line in told), step


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_commands_are_run_as_they_stand(home, tmp_path, recordings, monkeypatch):
    here = tmp_path / "here"
    shutil.copytree(recordings.logos / "simple", here / "logos")
    (here / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(here)
    other = recordings.tiny(home, seed=2, curriculum={"enabled": True, "min_episodes": 8, "window": 8})
    names = {"RUN": recordings.tiny(home).run_id, "OTHER": other.run_id}
    printed = {}
    for line in LINES:
        words = [names.get(word, word) for word in shlex.split(line)[3:]]
        command = next((known for known in (*TRAINS, *IS_OVER) if line.removeprefix("python -m core ").startswith(known)), words[0])
        if command in TRAINS:
            words += [word for name, value in (SHORT | {"logos.path": recordings.logos}).items() for word in ("--set", f"{name}={value}")]
        done = CliRunner().invoke(app, words)
        if command in IS_OVER:
            assert (done.exit_code, IS_OVER[command] in done.stderr.splitlines()[-1]) == (2, True), done.output
            continue
        assert done.exit_code == 0, (line, done.output, done.exception)
        printed[line.removeprefix("python -m core ")] = json.loads(done.stdout.splitlines()[-1])
    of = {" ".join(line.split()[:2]): found for line, found in printed.items()}
    assert of["train --config"]["status"] == "COMPLETED"
    assert of["runs serve"]["started"] == 1
    assert of["optimize logos"]["n_done"] == len(list((here / "logos").glob("*.png")))
    assert sorted(path.name for path in here.iterdir()) == [
        "archive",
        "configs",
        "logos",
        "model",
        "report.html",
        "small",
        "svgs",
        "tables",
    ]
