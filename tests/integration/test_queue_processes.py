"""The queue with real servers and trainers: order, kills, hangs, and its command line."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from core.config.installation import Settings, write_settings
from core.machine import Process
from core.runs.events import read_events
from core.runs.records import (
    read_heartbeat,
    read_log_tail,
    read_parent,
    read_process,
    write_process,
)
from core.runs.run_dir import RunDir, all_runs
from core.runs.status import Status, run_state
from core.scheduling import local, queue
from core.scheduling.scheduler import Scheduler
from tests.support.paths import ROOT
from tests.support.runs import BY_VTRACER_ALONE, await_end, follow, tiny_config


def named(folder, name, **changes):
    return tiny_config(folder, name=name, **({"n_workers": 1, "total_timesteps": 64} | changes))


def serve(home, *flags: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "core", "runs", "serve", *flags]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"TRACEWRIGHT_HOME": str(home)}, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ten_runs_on_two_cores_complete_in_order_though_the_server_is_killed(home, logo_folder):
    write_settings(home, Settings.model_validate({"queue": {"cores": 2}}))
    runs = [queue.submit(home, named(logo_folder, f"n{i}", pipeline=BY_VTRACER_ALONE, total_timesteps=640)) for i in range(10)]
    server = serve(home)
    try:
        follow(runs[4], lambda e: e.kind == "attempt_started", 120)
        server.kill()
        server.wait()
        server = serve(home, "--until-idle")
        assert server.wait(240) == 0
    finally:
        server.kill()
        server.wait()
    spans = []
    for run in runs:
        events = list(read_events(run.events_file))
        assert run_state(run).status is Status.COMPLETED, read_log_tail(run)
        assert [e.attempt for e in events if e.kind == "attempt_started"] == [1]
        spans.append((read_process(run).ts, events[-1].ts))
    starts = [start for start, _ in spans]
    assert starts == sorted(starts)
    assert max(sum(start < at < end for start, end in spans) for at in starts) <= 1  # at most one other at each start


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_trainer_that_hangs_is_shown_then_killed_and_started_again(home, logo_folder, monkeypatch):
    monkeypatch.setattr("core.runs.status.FRESH_S", 4.0)
    config = named(logo_folder, "a", total_timesteps=100_000, recovery={"enabled": True, "backoff_s": 0, "stalled_s": 10})
    run = local.start(home, config)
    follow(run, lambda e: e.kind == "metrics" and e.step >= 64)
    process = read_heartbeat(run).process
    os.kill(process.pid, signal.SIGSTOP)
    s = Scheduler(home)
    is_shown = False
    deadline = time.monotonic() + 40
    try:
        while process.is_alive():
            s.tick()
            is_shown = is_shown or run_state(run).is_stalled
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert is_shown
        while not any(e.attempt == 2 and e.kind == "metrics" for e in read_events(run.events_file)):
            s.tick()
            assert time.monotonic() < deadline + 30, read_log_tail(run)
            time.sleep(0.2)
    finally:
        local.stop(run, force=True)
        s.release()
    start = next(e for e in read_events(run.events_file) if e.attempt == 2 and e.kind == "attempt_started")
    assert start.data.from_step > 0
    assert "automatic restart 1 of 3" in start.data.cause


def test_the_command_line_queues_moves_cancels_and_serves(home, logo_folder, tmp_path):
    def core(*arguments: str) -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "core", "runs", *arguments, "--json"],
            cwd=ROOT, env=os.environ | {"TRACEWRIGHT_HOME": str(home)}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    from core.config.text import to_yaml

    file = tmp_path / "tiny.yaml"
    file.write_text(to_yaml(named(logo_folder, "tiny")))
    a, b = (core("queue", "--config", str(file))["run"] for _ in range(2))
    assert core("move", b, "first")["queue"] == [b, a]
    assert core("cancel", a)["cancelled"] == a
    assert [row["run_id"] for row in core("queue")["queue"]] == [b]
    assert core("serve", "--until-idle")["started"] == 1
    statuses = {run.run_id: run_state(run).status for run in all_runs(home)}
    assert statuses == {a: Status.STOPPED, b: Status.COMPLETED}
    forked = core("fork", b, "--set", "total_timesteps=96", "--set", "ppo.learning_rate=1e-4")["run"]
    core("serve", "--until-idle")
    run = RunDir(home / forked)
    assert await_end(run) is Status.COMPLETED
    assert read_parent(run).run_id == b
    assert core("health", forked)["findings"] == []


@pytest.mark.parametrize("when", ["before it is spawned", "after it is spawned"])
def test_a_run_that_is_cancelled_just_as_it_starts_does_not_train(home, logo_folder, when):
    run = queue.submit(home, named(logo_folder, "a"))

    def launch(run: RunDir, checkpoint: str, cause: str) -> None:
        if when == "before it is spawned":
            queue.cancel(run)
        child = subprocess.Popen(["sleep", "600"])
        children.append(child)
        write_process(run, Process.of(child.pid))
        if when == "after it is spawned":
            queue.cancel(run)

    children: list[subprocess.Popen[bytes]] = []
    s = Scheduler(home, launch)
    s.tick()
    s.release()
    (child,) = children
    try:
        assert child.wait(30) == -signal.SIGTERM
    finally:
        child.kill()
    assert (run_state(run).status, run_state(run).reason) == (Status.STOPPED, "stopped before it started")
