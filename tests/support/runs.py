"""Tiny runs: their config, waiting for what they do, and what must be the same when they are repeated."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.config.config import RunConfig
from core.config.text import validate
from core.runs.event_fields import to_data
from core.runs.event_types import Metrics
from core.runs.events import Event, read_events, read_new_lines
from core.runs.records import read_log_tail
from core.runs.run_dir import RunDir
from core.runs.status import Status, run_state

BY_VTRACER_ALONE = {"trace_size": 0, "sharpen": False, "fills": False}  # half as long, where thousands of steps are needed


def tiny_config(folder: Path | str, **changes: Any) -> RunConfig:
    """A run of a few seconds."""
    data: dict[str, Any] = {
        "name": "tiny",
        "total_timesteps": 96,
        "n_envs": 4,
        "n_workers": 1,
        "logos": {"path": str(folder), "work_size": 48},
        "pipeline": {"trace_size": 96},
        "ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 2},
        "evaluation": {"every_steps": 32},
        "checkpoint": {"every_steps": 64},
        "recovery": {"enabled": False},
    }
    for key, value in changes.items():
        data[key] = data.get(key, {}) | value if isinstance(value, dict) else value
    return validate(data)


def values(
    run: RunDir,
    kinds: tuple[str, ...] = ("episode", "evaluated", "evaluation", "stage_ended"),
    beyond: int = -1,
    attempt: int | None = None,
) -> list[Any]:
    """What must repeat: everything but clocks."""
    found = []
    for e in read_events(run.events_file):
        if e.kind in kinds and e.step > beyond and attempt in (None, e.attempt):
            data = {k: v for k, v in to_data(e.data).items() if k not in ("cpu_s", "seconds", "speed")}
            found.append((e.kind, e.step, data))
    return found


def update_values(run: RunDir, beyond: int = -1, attempt: int | None = None) -> list[Any]:
    """What must repeat of each update of the networks."""
    keys = ("train/loss", "train/approx_kl", "train/value_loss", "train/std", "train/learning_rate", "rollout/ep_rew_mean")
    return [
        (e.step, {k: e.data.values[k] for k in keys if k in e.data.values})
        for e in read_events(run.events_file)
        if isinstance(e.data, Metrics) and "train/loss" in e.data.values and e.step > beyond and attempt in (None, e.attempt)
    ]


def follow(run: RunDir, wanted: Callable[[Event], bool], timeout: float = 60.0) -> Event:
    """Wait for an event of a run, reading its log on; fails with the log's tail."""
    deadline, offset, state = time.monotonic() + timeout, 0, run_state(run)
    while True:
        is_over = not state.status.is_moving
        new = read_new_lines(run.events_file, offset)
        offset = new.offset
        for event in new.events():
            if wanted(event):
                return event
        if not new.has_more:
            assert not is_over, "\n".join(read_log_tail(run, 30))  # what it wrote before it was over has been read
            assert time.monotonic() < deadline, "the event did not come:\n" + "\n".join(read_log_tail(run, 30))
            time.sleep(0.05)
            state = run_state(run)


def await_end(run: RunDir, timeout: float = 60.0) -> Status:
    """Wait until a run is finished, however it ends."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        state = run_state(run)
        if state.status.is_finished:
            return state.status
        time.sleep(0.05)
    pytest.fail("the run did not end:\n" + "\n".join(read_log_tail(run, 30)))


def await_status(run: RunDir, *wanted: Status, timeout: float = 60.0) -> None:
    """Wait until a run is in one of the wanted states."""
    deadline = time.monotonic() + timeout
    while run_state(run).status not in wanted:
        assert time.monotonic() < deadline, (run_state(run), read_log_tail(run))
        time.sleep(0.05)


def await_step(run: RunDir, step: int) -> None:
    """Wait until a run's log tells of metrics at ``step`` or beyond."""
    follow(run, lambda event: event.kind == "metrics" and event.step >= step)
