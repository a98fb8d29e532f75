"""TensorBoard event files: one per run, ``<folder>/<run id>/events.out.tfevents...``.

Values are scalars of 64 bits, which TensorBoard's readers take as they take those of 32, so they equal the log's. Guarantee: the file ends
where the place says, or is cut there before it goes on; TensorBoard may read it at any time. Needs the package tensorboard, without TensorFlow.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from core.trackers.packages import need
from core.trackers.sink import About, Reading, State, whole

SETTINGS_TAG = "config"
_NAME = "events.out.tfevents"


class TensorBoardSink:
    """Writes below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None
        self._path = folder
        self._is_later = False  # whether files of the run were there before

    def open(self, about: About, state: State | None) -> bool:
        self._api = _Api()
        self._about = about
        self._run_folder = self._folder / about.run_id
        path = self._run_folder / str((state or {}).get("file", ""))
        n_bytes = whole((state or {}).get("n_bytes"), 0)
        if state and path.parent == self._run_folder and path.is_file() and path.stat().st_size >= n_bytes > 0:
            self._path, self._file = path, path.open("r+b")
            self._file.truncate(n_bytes)
            self._file.seek(n_bytes)
            return True
        self.start_over()
        return False

    def start_over(self) -> None:
        """A new file; its first record has a TensorBoard that is open forget what it read of the ones before."""
        self._run_folder.mkdir(parents=True, exist_ok=True)
        before = sorted(self._run_folder.glob(f"{_NAME}.*.tracewright.*"))
        if self._file is not None:
            self._file.close()
        n = 1 + max((int(p.name.rsplit(".", 2)[1]) for p in before if p.name.rsplit(".", 2)[1].isdigit()), default=0)
        name = f"{_NAME}.{int(self._about.started_ts):010d}.tracewright.{n:04d}.{secrets.token_hex(3)}"
        self._path = self._run_folder / name
        self._file = self._path.open("xb")
        for path in before:
            path.unlink(missing_ok=True)
        self._put(self._api.head(self._about, is_restart=bool(before)))

    def write(self, readings: Sequence[Reading]) -> None:
        self._put([self._api.event(reading) for reading in readings if reading.values])

    def flush(self) -> State:
        assert self._file is not None
        self._file.flush()
        return {"file": self._path.name, "n_bytes": self._file.tell()}

    def close(self, status: str) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def _put(self, events: Sequence[Any]) -> None:
        assert self._file is not None
        writer = self._api.RecordWriter(self._file)
        for event in events:
            writer.write(event.SerializeToString())


class _Api:
    """What is used of the package, imported when the first file is opened."""

    def __init__(self) -> None:
        self.RecordWriter = need("tensorboard", "tensorboard.summary.writer.record_writer").RecordWriter
        self._events = need("tensorboard", "tensorboard.compat.proto.event_pb2")
        self._summaries = need("tensorboard", "tensorboard.compat.proto.summary_pb2")
        self._tensors = need("tensorboard", "tensorboard.compat.proto.tensor_pb2")
        self._types = need("tensorboard", "tensorboard.compat.proto.types_pb2")
        scalars = need("tensorboard", "tensorboard.plugins.scalar.metadata")
        texts = need("tensorboard", "tensorboard.plugins.text.metadata")
        self._scalar = scalars.create_summary_metadata(display_name="", description="")
        self._scalar.data_class = self._summaries.DATA_CLASS_SCALAR
        self._text = texts.create_summary_metadata(display_name="", description="")
        self._text.data_class = self._summaries.DATA_CLASS_TENSOR

    def head(self, about: About, is_restart: bool) -> list[Any]:
        events, ts = self._events, about.started_ts
        head = [events.Event(wall_time=ts, file_version="brain.Event:2")]
        if is_restart:
            head.append(events.Event(wall_time=ts, step=0, session_log=events.SessionLog(status=events.SessionLog.START)))
        text = f"```yaml\n{about.text}```\n"
        tensor = self._tensors.TensorProto(dtype=self._types.DT_STRING, string_val=[text.encode()])
        value = self._summaries.Summary.Value(tag=SETTINGS_TAG, metadata=self._text, tensor=tensor)
        head.append(events.Event(wall_time=ts, step=0, summary=self._summaries.Summary(value=[value])))
        return head

    def event(self, reading: Reading) -> Any:
        values = [
            self._summaries.Summary.Value(
                tag=name, metadata=self._scalar, tensor=self._tensors.TensorProto(dtype=self._types.DT_DOUBLE, double_val=[value])
            )
            for name, value in reading.values.items()
        ]
        return self._events.Event(wall_time=reading.ts, step=reading.step, summary=self._summaries.Summary(value=values))
