"""What other trackers recorded, as runs: TensorBoard event files and neptune-exporter's Parquet."""

from __future__ import annotations

import datetime as dt
import errno
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import ConfigError, RunError, SourceError
from core.runs.event_types import EvaluationEnded
from core.runs.events import read_events
from core.runs.records import read_config, read_label
from core.runs.run_dir import RunDir, all_runs
from core.runs.status import Status, check_resumable, overview, run_state
from core.staging import staging
from core.trackers import imported
from core.trackers.imported import _import, import_runs, origin_of
from core.trackers.series import Recording, Series
from core.trackers.targets import Target, send
from tests.support.trackers import THIRD, make_run, of_csv, write_attempt

# As neptune-exporter's README describes its Parquet
NEPTUNE = pa.schema(
    [
        ("project_id", pa.string()), ("run_id", pa.string()), ("attribute_path", pa.string()), ("attribute_type", pa.string()),
        ("step", pa.decimal128(18, 6)), ("timestamp", pa.timestamp("ms", tz="UTC")), ("int_value", pa.int64()), ("float_value", pa.float64()),
        ("string_value", pa.string()), ("bool_value", pa.bool_()), ("datetime_value", pa.timestamp("ms", tz="UTC")),
        ("string_set_value", pa.list_(pa.string())), ("file_value", pa.struct([("path", pa.string())])),
        ("histogram_value", pa.struct([("type", pa.string()), ("edges", pa.list_(pa.float64())), ("values", pa.list_(pa.float64()))])),
    ]
)  # fmt: skip
WHEN = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


def series(path: str, values: list[float], steps: list[str] | None = None, run: str = "RUN-1") -> list[dict[str, Any]]:
    return [
        {
            "project_id": "us/logos", "run_id": run, "attribute_path": path, "attribute_type": "float_series",
            "step": Decimal((steps or [str(n) for n in range(len(values))])[i]), "timestamp": WHEN + dt.timedelta(seconds=i), "float_value": value,
        }
        for i, value in enumerate(values)
    ]  # fmt: skip


def single(path: str, kind: str, value: Any, run: str = "RUN-1") -> dict[str, Any]:
    return {"project_id": "us/logos", "run_id": run, "attribute_path": path, "attribute_type": kind, f"{kind}_value": value}


def write_neptune(folder: Path, rows: list[dict[str, Any]], part: int = 0) -> Path:
    path = folder / "us_logos-1a2b" / f"RUN_part_{part}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=NEPTUNE), path, compression="snappy")
    return path


@pytest.fixture
def exported(tmp_path):
    """A run of another installation as event files: the run, and the folder."""
    run = make_run(tmp_path / "other", ppo={"gamma": 0.5})
    write_attempt(run, 0, range(10), "STOPPED")
    write_attempt(run, 5, range(6, 12), "COMPLETED", shift=0.5)
    send(run, "tensorboard", Target(tmp_path / "tb", "p"))
    return run, tmp_path / "tb"


def test_event_files_come_back_as_the_run_that_they_were_written_of(exported, home):
    run, folder = exported
    (made,) = import_runs(folder, home)
    found = RunDir(Path(made.path))
    assert of_csv(found) == of_csv(run)
    assert made.outcome == "imported"
    config = read_config(found)
    assert (config.ppo.gamma, config.name) == (0.5, run.run_id)
    assert "Imported from TensorBoard" in read_label(found)["note"]
    assert [e.data.is_best for e in read_events(found.events_file) if isinstance(e.data, EvaluationEnded)] == [True, True, True]


def test_an_imported_run_is_over_and_can_t_be_trained_on(exported, home):
    (made,) = import_runs(exported[1], home)
    (run,) = all_runs(home)
    assert run.run_id == made.run_id
    assert run_state(run).status is Status.COMPLETED
    assert overview(run)["problems"] == []
    assert overview(run)["best_gain"] == pytest.approx(0.2 * 8 + THIRD + 0.5)
    with pytest.raises(RunError, match="imported from TensorBoard"):
        check_resumable(run)
    assert run.checkpoint_names() == []


def test_importing_again_changes_nothing_and_what_grew_is_replaced(exported, home):
    run, folder = exported
    (first,) = import_runs(folder, home)
    log = Path(first.path, "events.jsonl").read_bytes()
    (again,) = import_runs(folder, home)
    assert (again.outcome, again.run_id) == ("unchanged", first.run_id)
    assert Path(first.path, "events.jsonl").read_bytes() == log
    write_attempt(run, 11, range(12, 20))
    send(run, "tensorboard", Target(folder, "p"))
    (third,) = import_runs(folder, home)
    assert (third.outcome, third.run_id) == ("replaced", first.run_id)
    assert of_csv(RunDir(Path(third.path))) == of_csv(run)
    assert len(list(all_runs(home))) == 1
    assert not list(home.glob(".importing*"))


def test_simple_values_of_other_programs_are_read_too(tmp_path, home):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.record_writer import RecordWriter

    folder = tmp_path / "theirs" / "ppo_1"
    folder.mkdir(parents=True)
    with (folder / "events.out.tfevents.1.host").open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString())
        for step in range(3):
            value = Summary.Value(tag="eval/score", simple_value=step / 2)
            writer.write(Event(wall_time=1.7e9 + step, step=step, summary=Summary(value=[value])).SerializeToString())
    (made,) = import_runs(tmp_path / "theirs", home, gain="eval/score")
    assert made.run_id.startswith("2023")
    assert "-ppo-1-" in made.run_id
    assert of_csv(RunDir(Path(made.path)))["evaluation/gain"] == [(0, 0.0), (1, 0.5), (2, 1.0)]


@pytest.mark.parametrize(
    ("kind", "cells"), [("text", [["lr", "0.1"], ["bs", "32"]]), ("text", []), ("scalars", ["a", "b"]), ("scalars", "word")]
)
def test_a_table_or_a_word_of_other_programs_is_passed_over(tmp_path, home, kind, cells):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.summary.writer.record_writer import RecordWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    folder = tmp_path / "theirs"
    folder.mkdir()
    about = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=kind))
    tensor = make_tensor_proto(np.array(cells, dtype=object) if len(cells) else np.zeros((0, 2)))
    values = [Summary.Value(tag="config", metadata=about, tensor=tensor), Summary.Value(tag="loss", simple_value=0.5)]
    with (folder / "events.out.tfevents.1.host").open("wb") as file:
        writer = RecordWriter(file)
        writer.write(Event(wall_time=1.7e9, file_version="brain.Event:2").SerializeToString())
        writer.write(Event(wall_time=1.7e9, step=5_000_000_000, summary=Summary(value=values)).SerializeToString())
    (made,) = import_runs(folder, home)
    assert of_csv(RunDir(Path(made.path))) == {"loss": [(5_000_000_000, 0.5)]}  # more steps than a training here may have


def test_a_damaged_end_of_an_event_file_costs_only_that(exported, home):
    run, folder = exported
    (file,) = (folder / run.run_id).iterdir()
    data = file.read_bytes()
    file.write_bytes(data[:-30])
    (made,) = import_runs(folder, home)
    assert made.n_points > 20
    file.write_bytes(b"no event file at all" * 50)
    with pytest.raises(SourceError, match="no TensorBoard event file with scalars"):
        import_runs(folder, home)


def test_neptunes_parquet_becomes_runs_with_their_series_and_settings(tmp_path, home):
    rows = [
        *series("metrics/loss", [THIRD, math.nan, 0.1]), *series("metrics/val_gain", [0.5, 0.75], ["0", "2"]),
        single("config/ppo/gamma", "float", 0.25), single("config/ppo/n_epochs", "int", 7), single("ppo/heads", "string", "none of ours"),
        single("sys/name", "string", "first try"), single("hardware/gpu", "bool", True),
    ]  # fmt: skip
    write_neptune(tmp_path / "data", rows)
    write_neptune(tmp_path / "data", series("metrics/loss", [0.05], ["3"]), part=1)
    (tmp_path / "data" / "us_logos-1a2b" / "other_part_0.parquet").write_bytes(
        write_neptune(tmp_path / "more", series("metrics/loss", [1.0], run="RUN-2")).read_bytes()
    )
    first, second = import_runs(tmp_path / "data", home, gain="metrics/val_gain")
    run = RunDir(Path(first.path))
    points = of_csv(run)
    assert points["metrics/loss"][0] == (0, THIRD)
    assert math.isnan(points["metrics/loss"][1][1])
    assert points["metrics/loss"][2:] == [(2, 0.1), (3, 0.05)]
    assert points["evaluation/gain"] == [(0, 0.5), (2, 0.75)]
    config = read_config(run)
    assert (config.name, config.ppo.gamma, config.ppo.n_epochs, config.ppo.heads) == ("first try RUN-1", 0.25, 7, "gaussian")
    told = origin_of(run)
    assert told is not None
    assert told.settings == {"ppo/heads": "none of ours", "sys/name": "first try", "hardware/gpu": True}
    assert read_config(RunDir(Path(second.path))).name == "RUN-2"
    assert next(read_events(run.events_file)).ts == WHEN.timestamp()


def test_steps_with_fractions_are_all_multiplied_and_that_is_said(tmp_path, home):
    write_neptune(tmp_path / "data", series("a", [1.0, 2.0, 3.0], ["0.25", "0.5", "1"]))
    (made,) = import_runs(tmp_path / "data", home)
    assert of_csv(RunDir(Path(made.path)))["a"] == [(25, 1.0), (50, 2.0), (100, 3.0)]
    assert made.note == "Its steps are fractional, so they are multiplied by 100 here."


def test_a_run_of_ones_own_is_never_replaced(exported, home):
    (made,) = import_runs(exported[1], home)
    Path(made.path, "imported.json").unlink()
    with pytest.raises(SourceError, match="was not imported"):
        import_runs(exported[1], home)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.parquet", b"none", "can't be read as Parquet"),
        ("x.txt", b"none", "contains neither TensorBoard event files"),
        ("events.out.tfevents.1", b"", "contains no TensorBoard event file with scalars"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, home, name, content, told):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / name).write_bytes(content)
    with pytest.raises(SourceError, match=told):
        import_runs(tmp_path / "source", home)
    assert list(all_runs(home)) == []


def test_parquet_of_something_else_is_refused_by_its_columns(tmp_path, home):
    pq.write_table(pa.table({"run_id": ["a"]}), tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="lacks the column attribute_path, attribute_type, step, float_value"):
        import_runs(tmp_path / "x.parquet", home)


def test_a_gain_that_is_not_there_is_refused_with_what_is(exported, home):
    with pytest.raises(SourceError, match=r"no run in .* has a series 'val'; available series: baseline/single, evaluation/gain"):
        import_runs(exported[1], home, gain="val")
    with pytest.raises(SourceError, match="does not exist"):
        import_runs(home / "nowhere", home)


def test_a_hostile_name_stays_inside_the_home(tmp_path, home):
    write_neptune(
        tmp_path / "data", [*series("a", [1.0], run="../../out of here"), single("sys/name", "string", "x" * 500, "../../out of here")]
    )
    (made,) = import_runs(tmp_path / "data", home)
    assert Path(made.path).parent == home
    assert json.loads(Path(made.path, "label.json").read_text())["name"] == "x" * 80


@pytest.mark.parametrize("ts", [1.7e18, 1e300, -5.0])
def test_a_moment_that_is_none_is_the_beginning_of_time(tmp_path, home, ts):
    recording = Recording("a", "b", {"x": Series(np.array([1]), np.array([ts]), np.array([0.5]))})
    made = _import(recording, "tensorboard", home, "a", "")
    assert [event.ts for event in read_events(Path(made.path, "events.jsonl"))][1] == 0


def test_a_run_that_can_t_be_taken_keeps_none_of_the_others_out(tmp_path, home, monkeypatch):
    def config(recording: Recording, name: str) -> Any:
        if "RUN-2" in name:
            raise ConfigError("of no kind")
        return real(recording, name)

    real = imported._config
    monkeypatch.setattr(imported, "_config", config)
    rows = [row for n in range(1, 4) for row in series("a", [1.0], run=f"RUN-{n}")]
    write_neptune(tmp_path / "data", rows)
    with pytest.raises(SourceError, match=r"RUN-2 can't be imported: of no kind; 2 others of .* were: .*run-1.*run-3"):
        import_runs(tmp_path / "data", home)
    assert [read_config(run).name for run in all_runs(home)] == ["RUN-1", "RUN-3"]


def test_another_import_beside_it_sweeps_nothing_away(exported, home, monkeypatch):
    def write(*told: Any) -> None:
        with staging(home, ".importing-"):
            real(*told)

    real = imported._write_log
    monkeypatch.setattr(imported, "_write_log", write)
    (made,) = import_runs(exported[1], home)
    assert of_csv(RunDir(Path(made.path))) == of_csv(exported[0])
    assert not list(home.glob(".importing*"))


def test_a_full_disk_leaves_nothing_behind(exported, home, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(imported, "_write_log", full)
    with pytest.raises(SourceError, match="No space left on device"):
        import_runs(exported[1], home)
    assert not list(home.iterdir())
