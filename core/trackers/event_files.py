"""Reads TensorBoard event files by TensorBoard's own reader: scalars of either kind (simple values, tensors), and our settings.

Each folder with event files is a run. Guarantee: what TensorBoard itself would drop (what a restart replaced, a torn end) is dropped here too.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import SourceError, TrackerError
from core.trackers.packages import need
from core.trackers.series import Recording, Series
from core.trackers.tensorboard import SETTINGS_TAG

_MARK = "tfevents"
_SCALARS, _TEXT = "scalars", "text"


def _folders(source: Path) -> Iterator[Path]:
    if source.is_file():
        if _MARK in source.name:
            yield source
        return
    for folder, below, names in os.walk(source):
        below.sort()
        if any(_MARK in name for name in names):
            yield Path(folder)


def is_there(source: Path) -> bool:
    """Whether a file or folder holds event files."""
    return next(_folders(source), None) is not None


def read(source: Path) -> list[Recording]:
    """Every run in a file or folder, by path.

    Raises:
        SourceError: there is no event file, or none with a scalar.
        TrackerError: the package is not installed.
    """
    found = [recording for folder in _folders(source) if (recording := _read(folder, source)) is not None]
    if not found:
        raise SourceError(f"{source} contains no TensorBoard event file with scalars")
    return found


def _read(path: Path, source: Path) -> Recording | None:
    accumulators = need("tensorboard", "tensorboard.backend.event_processing.plugin_event_accumulator")
    tensors = need("tensorboard", "tensorboard.util.tensor_util")
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # its notes on purged points are none of the user's
    accumulator = accumulators.EventAccumulator(str(path), tensor_size_guidance={_SCALARS: 0, _TEXT: 1})
    series, text = {}, ""
    try:
        accumulator.Reload()
        for tag in accumulator.Tags()["tensors"]:
            plugin = accumulator.summary_metadata[tag].plugin_data.plugin_name
            if plugin == _SCALARS and (found := _series(accumulator.Tensors(tag), tensors.make_ndarray)) is not None:
                series[tag] = found
            elif plugin == _TEXT and tag == SETTINGS_TAG:
                text = _settings(accumulator.Tensors(tag), tensors.make_ndarray)
    except TrackerError:
        raise
    except Exception as error:  # whatever a damaged file makes the package raise
        raise SourceError(f"{path} can't be read as TensorBoard event files: {type(error).__name__}: {str(error)[:200]}") from error
    where = path.parent if path.is_file() else path
    name = where.resolve().relative_to(source.resolve()).as_posix() if source.is_dir() and where != source else where.resolve().name
    return Recording(name, str(path.resolve()), series, text=text) if series else None


def _series(events: list[Any], to_array: Any) -> Series | None:
    values = [(event, to_array(event.tensor_proto)) for event in events]
    points = [(event.step, event.wall_time, value.item()) for event, value in values if value.size == 1 and value.dtype.kind in "fiub"]
    return Series.of(*zip(*points, strict=True)) if points else None


def _settings(events: list[Any], to_array: Any) -> str:
    """The YAML that core/trackers/tensorboard.py put there."""
    cells = to_array(events[0].tensor_proto) if events else np.zeros(0)
    text = cells.item() if cells.size == 1 else b""  # a table is another program's
    shown = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return shown.removeprefix("```yaml\n").removesuffix("```\n") if shown.startswith("```yaml\n") else ""
