"""Every tracker that figures can go to, once: its name, what it is called, how its sink is made; and the export of one run to one target.

A tracker is added here, with its sink's module and its setting in core/config/config.py; the command line and the trainer follow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.config.config import RunConfig
from core.config.text import to_yaml
from core.errors import ConfigError, TrackerError
from core.runs.event_types import AttemptStarted
from core.runs.events import read_events
from core.runs.records import read_config, read_label
from core.runs.run_dir import RunDir
from core.runs.status import run_state
from core.trackers.credentials import load_credentials, masked
from core.trackers.follower import Follower, Told, follow
from core.trackers.mlflow import MlflowSink
from core.trackers.place import locked, place_file
from core.trackers.sink import About, Sink, about
from core.trackers.tensorboard import TensorBoardSink
from core.trackers.wandb import WandbSink

ADDRESS = "MLFLOW_TRACKING_URI"
LOCAL_STORE = "mlflow.db"
LIVE_PATIENCE_S = 600.0  # that a follower waits for the one of the attempt before, which may still be sending


@dataclass(frozen=True)
class Target:
    """``folder``: where files go; ``project``: what runs are grouped under there; ``is_online``: to a server rather than into files."""

    folder: Path
    project: str
    is_online: bool = False


@dataclass(frozen=True)
class Tracker:
    """``modes``: what its setting says, and whether that is online; ``where``: what a person is told of a target."""

    name: str
    label: str
    modes: Mapping[object, bool]
    make: Callable[[Target], Sink]
    where: Callable[[Target], str]


def _mlflow_address(target: Target) -> str:
    if not target.is_online:
        target.folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{(target.folder / LOCAL_STORE).resolve()}"
    address = os.environ.get(ADDRESS, "")
    if not address:
        raise TrackerError(f"MLflow on a server needs its address: set {ADDRESS} in the environment or in .streamlit/secrets.toml")
    return address


TRACKERS: dict[str, Tracker] = {
    tracker.name: tracker
    for tracker in (
        Tracker("tensorboard", "TensorBoard", {True: False}, lambda t: TensorBoardSink(t.folder), lambda t: str(t.folder)),
        Tracker(
            "wandb",
            "Weights & Biases",
            {"offline": False, "online": True},
            lambda t: WandbSink(t.folder, t.project, t.is_online),
            lambda t: f"project {t.project}" if t.is_online else str(t.folder / "wandb"),
        ),
        Tracker(
            "mlflow",
            "MLflow",
            {"local": False, "server": True},
            lambda t: MlflowSink(_mlflow_address(t), t.project),
            lambda t: masked(_mlflow_address(t)),
        ),
    )
}


def wanted(run: RunDir, config: RunConfig) -> dict[str, Target]:
    """{tracker: target} of what a run's settings have followed while it trains."""
    found = {}
    for name, tracker in TRACKERS.items():
        is_online = tracker.modes.get(getattr(config.trackers, name))
        if is_online is not None:
            found[name] = live_target(run, name, config.trackers.project, is_online)
    return found


def live_target(run: RunDir, name: str, project: str, is_online: bool = False) -> Target:
    """MLflow's store is one for all runs and lies beside them; the others write into the run's folder."""
    return Target(run.path.parent if name == "mlflow" else run.trackers, project, is_online)


def place_of(run: RunDir, name: str, target: Target) -> Path:
    """The file that says how far a run was handed to a target."""
    where = f"online {os.environ.get(ADDRESS, '') if name == 'mlflow' else ''}" if target.is_online else str(target.folder.resolve())
    return place_file(run, name, f"{where} {target.project}")


@dataclass(frozen=True)
class Sent:
    """What an export did. ``n_new``: readings handed on now; ``n_readings``: in all."""

    where: str
    status: str
    n_new: int
    n_readings: int


def send(run: RunDir, name: str, target: Target, told: Told = lambda done, size: None, wait: Callable[[float], bool] | None = None) -> Sent:
    """Hand a run's figures to a tracker: what its log has now, or with ``wait`` until the run is over or that says so.

    Raises:
        ConfigError: the run has no log yet, or its config can't be read.
        TrackerError: the tracker can't be written to, or another process is at it.
    """
    load_credentials()
    tracker, file = TRACKERS[name], place_of(run, name, target)
    with locked(file, LIVE_PATIENCE_S if wait else 1.0):
        follower = Follower(run, tracker.make(target), file, describe(run))
        n_new = follower.catch_up(told) if wait is None else follow(follower, run, wait, told)
        state = run_state(run).status
        follower.close(state.value if state.is_finished else "")
        return Sent(tracker.where(target), state.value, n_new, follower.place.n_readings)


def describe(run: RunDir) -> About:
    """What trackers are told of a run.

    Raises:
        ConfigError: the run has no log yet, or its config can't be read.
    """
    config = read_config(run)
    start = next(read_events(run.events_file, (AttemptStarted.kind,)), None)
    if start is None:
        raise ConfigError(f"{run.run_id} has not started, so there is nothing to export; start it first")
    return about(run.run_id, config, to_yaml(config), read_label(run), start.ts)
