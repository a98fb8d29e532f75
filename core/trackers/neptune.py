"""Reads what neptune-exporter wrote: Parquet files in folders of projects, one row per value.

Its columns: project_id, run_id, attribute_path, attribute_type, step (decimal with six places), timestamp (UTC), and one column of values
per type. Series of floats become series; single numbers, texts and switches become settings; files, histograms and texts over steps are
left out. Guarantee: a file without these columns is refused by name; steps with a fraction are all multiplied until none has one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.errors import SourceError
from core.trackers.series import Recording, Series, parquet_files

NEEDED = ("run_id", "attribute_path", "attribute_type", "step", "float_value")
VALUES = {"float": "float_value", "int": "int_value", "string": "string_value", "bool": "bool_value"}  # of single values
_SERIES = "float_series"
_COLUMNS = ("project_id", *NEEDED, "timestamp", *VALUES.values())
_PLACES = 6  # of its decimal steps


def read(source: Path) -> list[Recording]:
    """Every run in a file or folder, by project and id.

    Raises:
        SourceError: there is none, or a file is no Parquet of neptune-exporter.
    """
    parts: dict[tuple[str, str], list[pa.Table]] = {}
    for path in parquet_files(source):
        table = _read_file(path)
        projects = table["project_id"] if "project_id" in table.column_names else pa.array([""] * len(table))
        for project, run in sorted(set(zip(projects.to_pylist(), table["run_id"].to_pylist(), strict=True)), key=str):
            mine = pc.equal(table["run_id"], run)
            if "project_id" in table.column_names and project is not None:
                mine = pc.and_(mine, pc.equal(table["project_id"], project))
            parts.setdefault((project or "", run or ""), []).append(table.filter(mine))
    found = [
        _recording(project, run, pa.concat_tables(tables, promote_options="permissive"), source)
        for (project, run), tables in sorted(parts.items())
        if run
    ]
    kept = [recording for recording in found if recording.series]
    if not kept:
        raise SourceError(f"{source} contains no run with a numeric series ({_SERIES})")
    return kept


def _read_file(path: Path) -> pa.Table:
    try:
        file = pq.ParquetFile(path)
        missing = [name for name in NEEDED if name not in file.schema_arrow.names]
        if missing:
            raise SourceError(f"{path} is not a Parquet file from neptune-exporter: it lacks the column {', '.join(missing)}")
        return file.read(columns=[name for name in _COLUMNS if name in file.schema_arrow.names])
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} can't be read as Parquet: {str(error).splitlines()[0][:200]}") from error


def _recording(project: str, run: str, table: pa.Table, source: Path) -> Recording:
    try:
        rows = table.filter(pc.equal(table["attribute_type"], _SERIES))
        columns = {
            "path": rows["attribute_path"].to_pandas(),
            "step": pc.cast(rows["step"], pa.float64()).to_numpy(),
            "ts": _seconds(rows),
            "value": pc.cast(rows["float_value"], pa.float64()).to_numpy(),
        }
        settings = dict(_settings(table))
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise SourceError(f"{source}: run {run}: {str(error).splitlines()[0][:200]}") from error
    frame = pd.DataFrame(columns).dropna(subset=["path", "step"])
    factor = _factor(frame["step"].to_numpy())
    series = {}
    for path, part in frame.groupby("path", sort=True):
        found = Series.of(np.rint(part["step"].to_numpy() * factor), part["ts"], part["value"])
        if found is not None:
            series[str(path)] = found
    note = "" if factor == 1 else f"Its steps are fractional, so they are multiplied by {factor:,} here."
    name = str(settings.get("sys/name") or run)
    return Recording(name if name == run else f"{name} {run}", f"{source.resolve()} {project} {run}", series, settings, note=note)


def _seconds(rows: pa.Table) -> Any:
    """Seconds since 1970 of a column of moments; 0 where there is none."""
    if "timestamp" not in rows.column_names:
        return np.zeros(len(rows))
    moments = pc.cast(rows["timestamp"], pa.timestamp("ms", tz="UTC"))
    return np.nan_to_num(pc.cast(moments, pa.int64()).to_numpy(zero_copy_only=False).astype(np.float64) / 1000, nan=0.0)


def _factor(steps: Any) -> int:
    """The smallest power of ten that makes all steps whole."""
    for places in range(_PLACES):
        scaled = steps * 10**places
        if np.allclose(scaled, np.rint(scaled), rtol=0, atol=10.0 ** (places - _PLACES) / 2):
            return int(10**places)
    return int(10**_PLACES)


def _settings(table: pa.Table) -> Iterator[tuple[str, Any]]:
    for kind, column in VALUES.items():
        if column in table.column_names:
            rows = table.filter(pc.equal(table["attribute_type"], kind))
            yield from zip(rows["attribute_path"].to_pylist(), rows[column].to_pylist(), strict=True)
