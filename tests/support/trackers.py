"""Runs made of events for what goes to other trackers, and readers of what these hold: each by the tracker's own code, or its file format."""

from __future__ import annotations

import json
import math
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.config.config import RunConfig
from core.runs.event_types import AttemptStarted, BaselineMeasured, Ended, EvaluationEnded, Metrics
from core.runs.events import EventWriter
from core.runs.records import claim
from core.runs.run_dir import RunDir
from core.trackers.sink import About, Reading, State
from storage import export, queries

Points = dict[str, list[tuple[int, float]]]  # {name: (step, value), sorted}
THIRD = 1 / 3  # no float of 32 bits


class ListSink:
    """Keeps what it is given; ``can_go_on``: whether it goes on where it was."""

    def __init__(self, can_go_on: bool = True) -> None:
        self.can_go_on = can_go_on
        self.readings: list[Reading] = []
        self.n_opened = self.n_over = 0
        self.statuses: list[str] = []

    def open(self, about: About, state: State | None) -> bool:
        self.about, self.n_opened = about, self.n_opened + 1
        if state is None or not self.can_go_on:
            self.readings = []
            return False
        del self.readings[state["n"] :]
        return True

    def start_over(self) -> None:
        self.n_over += 1
        self.readings = []

    def write(self, readings: Sequence[Reading]) -> None:
        self.readings += readings

    def flush(self) -> State:
        return {"n": len(self.readings)}

    def close(self, status: str) -> None:
        self.statuses.append(status)

    def points(self) -> Points:
        return sorted_points((name, reading.step, value) for reading in self.readings for name, value in reading.values.items())


def make_run(home: Path, **config: Any) -> RunDir:
    return claim(home, RunConfig(**{"name": "made up", "note": "of events"} | config))


def write_attempt(run: RunDir, from_step: int, steps: range, status: str = "", shift: float = 0.0) -> None:
    """An attempt that tells of each step; its values are no floats of 32 bits, and change with ``shift``."""
    with EventWriter(run.events_file) as events:
        events.write(from_step, AttemptStarted(from_step=from_step, total_timesteps=100))
        if from_step == 0:
            events.write(0, BaselineMeasured("single", 0.1 + THIRD, n_logos=3))
        for step in steps:
            events.write(step, Metrics({"train/loss": THIRD / (step + 1) + shift, "rollout/ep_rew_mean": step * 0.1 + shift}))
            if step % 4 == 0:
                told = EvaluationEnded(
                    gain=0.2 * step + THIRD + shift,
                    gain_low=0.1,
                    gain_high=0.3,
                    n_logos=3,
                    by_category={"text": THIRD},
                    ssim=0.9,
                    is_best=True,
                )
                events.write(step, told)
        if status:
            events.write(steps[-1], Ended(status, "as it was made up"))


def sorted_points(rows: Any) -> Points:
    found: Points = defaultdict(list)
    for name, step, value in rows:
        found[name].append((int(step), float(value)))
    return {name: sorted(points, key=lambda point: (point[0], repr(point[1]))) for name, points in found.items()}


def of_csv(run: RunDir) -> Points:
    """What the CSV export says: metrics, and the summary's columns under the names that trackers are given."""
    with export.open_index(run) as store:
        metrics, summary = export.metrics(store, run.run_id), export.summary(store, run.run_id)
        baselines = [f"gain_{method}" for method in queries.baselines(store, [run.run_id])["method"]]
    rows = list(zip(metrics["name"], metrics["step"], metrics["value"], strict=True))
    left_out = ("step", "attempt", "minutes", "ts", "episode", "is_best", "run_id")
    columns = [name for name in summary.columns if name not in left_out]
    for _, row in summary.iterrows():
        rows += [(f"evaluation/{name}", row["step"], row[name]) for name in columns if name not in baselines and not is_nan(row[name])]
    rows += [(f"baseline/{name.removeprefix('gain_')}", 0, summary[name][0]) for name in baselines]
    return sorted_points(rows)


def is_nan(value: Any) -> bool:
    return value is None or math.isnan(value)


def of_tensorboard(folder: Path) -> Points:
    """By the reader that TensorBoard itself stands on."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    accumulator = EventAccumulator(str(folder), tensor_size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = [tag for tag, told in accumulator.summary_metadata.items() if told.plugin_data.plugin_name == "scalars"]
    return sorted_points((tag, e.step, make_ndarray(e.tensor_proto).item()) for tag in tags for e in accumulator.Tensors(tag))


def of_mlflow(uri: str, run_id: str) -> tuple[Points, Any]:
    """By MLflow's client, and its run."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiments = [e.experiment_id for e in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"tags.`tracewright.run_id` = '{run_id}'")
    history = [m for key in run.data.metrics for m in client.get_metric_history(run.info.run_id, key)]
    return sorted_points((m.key, m.step, m.value) for m in history), run


def wandb_records(folder: Path) -> Iterator[Any]:
    """The records of the one offline run below a folder: LevelDB's log format, a protobuf of wandb's in each record."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    for data in _leveldb(path.read_bytes()[7:], 7):
        record = Record()
        record.ParseFromString(data)
        yield record


def _leveldb(data: bytes, start: int, block: int = 32768) -> Iterator[bytes]:
    at, parts = 0, b""
    while at + 7 <= len(data):
        left = block - (at + start) % block
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + 7])
        if kind == 0:
            return
        parts += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def of_wandb(folder: Path) -> Points:
    rows = []
    for record in wandb_records(folder):
        if record.WhichOneof("record_type") == "history":
            row = {item.key or ".".join(item.nested_key): item for item in record.history.item}
            values = {key: _wandb_value(item) for key, item in row.items()}
            rows += [(key, values["step"], value) for key, value in values.items() if key not in ("step",) and not key.startswith("_")]
    return sorted_points(rows)


def _wandb_value(item: Any) -> float:
    return float(json.loads(item.value_json)) if item.value_json else math.nan
