"""What a user exports: the same tables for the pages' buttons and for the command line, of one run or of many.

Guarantee: both come from the tables of storage/tables.py, so a file from the page equals the one from the command line; rows stream, so that
memory does not grow with them; with every export goes its data dictionary.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from core.config.config import CurriculumConfig
from core.csv_files import guarded
from core.errors import ConfigError, RunError, StoreError
from core.files import write_aside
from core.runs.event_types import StageDecision, StageEnded, StageEvaluation
from core.runs.records import read_config, read_label
from core.runs.run_dir import RunDir
from core.runs.status import run_state
from core.statistics import verdict
from storage import queries, tables
from storage.ingest import read_new
from storage.store import Store
from storage.table_files import FILES, FORMATS, TableFile, write_table
from storage.tables import summary

__all__ = [
    "FORMATS",
    "KINDS",
    "TABLES",
    "Exported",
    "bundle",
    "export_run",
    "export_runs",
    "open_index",
    "run_summary",
    "summary",
    "to_csv",
]

KINDS = ("episodes", "metrics", "evaluations", "summary", "parameters", "events", "settings")
LARGE_LOG_BYTES, LARGE_INDEX_MB = 20_000_000, 128
Told = Callable[[str, int, int], None]  # what is being done, how much of how much is done


def open_index(run: RunDir) -> Store:
    """An index in memory over one run: the same answers without the console's database."""
    return _filled(Store(None), run, None)


def _filled(store: Store, run: RunDir, told: Told | None) -> Store:
    try:
        n_bytes = run.events_file.stat().st_size if told is not None and run.events_file.is_file() else 0
        on_bytes = (
            None if told is None else lambda n: told(f"{run.run_id}: reading its log, MB", n // 1_000_000, max(n, n_bytes) // 1_000_000)
        )
        read_new(store, run.run_id, run.events_file, {}, on_bytes)
    except BaseException:
        store.close()
        raise
    return store


@contextlib.contextmanager
def _index(run: RunDir, out: Path, told: Told | None) -> Iterator[Store]:
    """An index over one run; over a large log in a file beside what is written, so that it need not fit into memory."""
    is_large = run.events_file.is_file() and run.events_file.stat().st_size > LARGE_LOG_BYTES
    with contextlib.ExitStack() as stack:
        path = None
        if is_large:
            path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=".index-", dir=out))) / "index.duckdb"
        yield stack.enter_context(_filled(Store(path, memory_mb=LARGE_INDEX_MB), run, told))


def episodes(store: Store, run: str) -> pd.DataFrame:
    """Every episode in order; what a resumed attempt did again is there once."""
    return frame(store, run, "episodes")


def metrics(store: Store, run: str) -> pd.DataFrame:
    """Every metric: step, name, value."""
    return frame(store, run, "metrics")


def evaluations(store: Store, run: str) -> pd.DataFrame:
    """Every logo of every evaluation."""
    return frame(store, run, "evaluations")


def frame(store: Store, run: str, table: str) -> pd.DataFrame:
    """A run's rows of a table that comes from the log, at once."""
    return store.query(*tables.streams()[table].asked_of(run))


TABLES: dict[str, Callable[[Store, str], pd.DataFrame]] = {
    "episodes": episodes,
    "metrics": metrics,
    "evaluations": evaluations,
    "summary": summary,
}


def run_summary(store: Store, run: RunDir) -> dict[str, Any]:
    """Status, figures and config of a run as plain data."""
    state = run_state(run)
    totals = queries.run_totals(store, run.run_id)
    label = read_label(run)
    config = read_config(run)
    return {
        "run_id": run.run_id,
        "name": label.get("name") or config.name or run.run_id,
        "path": str(run.path),
        "status": state.status.value,
        "reason": state.reason,
        **{
            key: totals.get(key)
            for key in (
                "step",
                "total_timesteps",
                "episodes",
                "stage",
                "minutes",
                "best_gain",
                "last_gain",
                "best_step",
                "over_single",
                "over_single_low",
                "over_single_high",
                "n_attempts",
                "n_bad",
            )
        },
        "verdict": verdict(*(totals.get(name) for name in ("over_single", "over_single_low", "over_single_high"))),
        "curriculum": curriculum_report(store, run.run_id, config.curriculum) if config.curriculum.enabled else None,
        "config": config.model_dump(mode="json"),
    }


def curriculum_report(store: Store, run: str, config: CurriculumConfig) -> dict[str, Any]:
    """What became of each stage, what the curriculum decided and why, and on which share of logos the policy met each stage's demands in the
    end. The Curriculum page, the command line and the report all show this."""
    events = queries.events_of(store, run, [StageEnded, StageDecision, StageEvaluation])
    decisions = [
        {"step": event.step, **{key: getattr(event.data, key) for key in ("name", "reason", "why", "success_share", "n_episodes")}}
        for event in events
        if isinstance(event.data, StageDecision)
    ]
    measured = [event.data for event in events if isinstance(event.data, StageEvaluation)]
    last = measured[-1] if measured else StageEvaluation()
    gates = {stage.name: stage.success_threshold for stage in config.stages}
    stages = [
        {
            "stage": row["name"],
            "episodes": int(row["episode_end"] - row["episode"]),
            "minutes": float(row["minutes_end"] - row["minutes"]),
            "gate": gates.get(row["name"]),
            "reached": row["success_share"],
            "reason": row["reason"],
            "why": row["why"],
            "share_now": last.shares.get(row["name"]),
            "change_since_end": last.change_since_end.get(row["name"]),
        }
        for row in queries.stage_spans(store, run).to_dict("records")
    ]
    return {
        "stages": stages,
        "decisions": decisions,
        "success_by_stage": dict(last.shares) if measured else None,
        "change_since_stage_end": dict(last.change_since_end) if measured else None,
    }


def to_csv(frame: pd.DataFrame) -> bytes:
    """UTF-8 CSV; floats as their shortest exact text. Text that a spreadsheet would run as a formula is guarded (core/csv_files.py)."""
    safe = frame.rename(columns=guarded)
    for place, kind in enumerate(safe.dtypes):
        if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind)):
            safe.isetitem(place, safe.iloc[:, place].astype(object).map(_cell))
    buffer = io.StringIO()
    safe.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    return guarded(value.replace("\r\n", "\n").replace("\r", "\n")) if isinstance(value, str) else value


@dataclass(frozen=True)
class Exported:
    """``files``: {table: (file, rows)}; ``left_out``: {run id: why it could not be read}."""

    files: dict[str, tuple[Path, int]]
    left_out: dict[str, str]


@dataclass
class _Small:
    """What is small of each run, gathered until all runs are read."""

    summaries: list[pd.DataFrame] = field(default_factory=list)
    settings: list[dict[str, Any]] = field(default_factory=list)
    about: list[dict[str, Any]] = field(default_factory=list)
    metric_names: set[str] = field(default_factory=set)

    def add(self, store: Store, run: RunDir) -> None:
        self.summaries.append(summary(store, run.run_id).assign(run_id=run.run_id))
        self.settings += [{"run_id": run.run_id, **row} for row in tables.settings(run)]
        self.metric_names |= set(queries.metric_names(store, [run.run_id]))
        try:
            self.about.append(run_summary(store, run))
        except ConfigError as error:
            self.about.append({"run_id": run.run_id, "path": str(run.path), "problem": str(error)})


def table_csv(store: Store, run: RunDir, kind: str) -> bytes:
    """One table of a run, to the byte as the command line writes it."""
    with tempfile.TemporaryDirectory() as folder:
        files = export_runs([run], "csv", Path(folder), [kind], opened=lambda _: contextlib.nullcontext(store)).files
        return files[kind][0].read_bytes()


def bundle(exported: Exported, path: Path) -> None:
    """The files of an export as one zip, written aside first."""
    aside = path.with_name(f".{path.name}")
    try:
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, _ in exported.files.values():
                archive.write(file, file.name)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def export_run(run: RunDir, form: str, out: Path) -> dict[str, tuple[Path, int]]:
    """Write every table and the summary of one run to ``out``: {table: (file, rows)}."""
    return export_runs([run], form, out).files


def export_runs(
    runs: Sequence[RunDir],
    form: str,
    out: Path,
    kinds: Sequence[str] = KINDS,
    told: Told | None = None,
    opened: Callable[[RunDir], AbstractContextManager[Store]] | None = None,
) -> Exported:
    """Write some kinds of tables of runs to ``out``, their data dictionary, and what the runs are.

    Tables of several runs begin with a column ``run_id``. ``opened``: gives the index that a run is in, else one is made in memory.

    Raises:
        RunError: no run could be read.
    """
    out.mkdir(parents=True, exist_ok=True)
    has_run, start = len(runs) > 1, runs[0].run_id if len(runs) == 1 else "runs"
    streamed = {name: table for name, table in tables.streams().items() if name in kinds}
    small, left_out = _Small(), {}
    with contextlib.ExitStack() as stack:
        files = {
            name: stack.enter_context(FILES[form](out / f"{start}-{name}.{form}", table.schema(has_run)))
            for name, table in streamed.items()
        }
        for place, run in enumerate(runs, start=1):
            where = f"{run.run_id} ({place} of {len(runs)})" if has_run else run.run_id
            with contextlib.ExitStack() as of_run:
                try:
                    store = of_run.enter_context(opened(run) if opened is not None else _index(run, out, told))
                except (OSError, StoreError) as error:
                    left_out[run.run_id] = f"its log can't be read: {getattr(error, 'strerror', None) or error}"
                    continue
                for name, table in streamed.items():
                    _stream(table, store, run.run_id, files[name], told, f"{where}: {name}")
                small.add(store, run)
        if len(left_out) == len(runs):
            raise RunError("; ".join(f"{run_id}: {why}" for run_id, why in left_out.items()))
    written = {name: (file.path, file.n_rows) for name, file in files.items()}
    written |= _write_small(small, {name: file.schema for name, file in files.items()}, kinds, form, out, start)
    about = out / f"{start}-run.json"
    told_of_runs = {"runs": small.about} if has_run else small.about[0]
    write_aside(about, json.dumps(told_of_runs, ensure_ascii=False, indent=1, default=float).encode())
    return Exported(
        {name: written[name] for name in (*KINDS, "dictionary") if name in written} | {"run": (about, len(small.about))}, left_out
    )


def _stream(table: tables.Table, store: Store, run_id: str, file: TableFile, told: Told | None, what: str) -> None:
    has_run = "run_id" in file.schema.names
    n_all, n_done = table.n_rows(store, run_id) if told is not None else 0, 0
    for batch in table.batches(store, run_id, has_run):
        file.write(batch)
        n_done += batch.num_rows
        if told is not None:
            told(what, n_done, max(n_done, n_all))


def _write_small(
    small: _Small, schemas: dict[str, pa.Schema], kinds: Sequence[str], form: str, out: Path, start: str
) -> dict[str, tuple[Path, int]]:
    """The tables that are made at once, and the dictionary of all."""
    has_run, written = start == "runs", {}

    def write(name: str, schema: pa.Schema, rows: Iterator[pa.RecordBatch]) -> None:
        path = out / f"{start}-{name}.{form}"
        written[name] = (path, write_table(path, form, schema, rows))

    if "summary" in kinds:
        frame_ = pd.concat(small.summaries, ignore_index=True)
        names = [name for name in frame_.columns if name != "run_id"]
        about = "One evaluation per row, with the baselines."
        schemas["summary"] = tables.frame_schema("summary", about, tables.summary_fields(names), has_run)
        made = pa.Table.from_pandas(frame_[schemas["summary"].names], schema=schemas["summary"], preserve_index=False)
        write("summary", schemas["summary"], iter(made.to_batches()))
    if "settings" in kinds:
        schemas["settings"] = tables.frame_schema("settings", "Every setting of the run's config.", tables.SETTINGS_FIELDS, has_run)
        write("settings", schemas["settings"], _rows(small.settings, schemas["settings"]))
    schema = tables.frame_schema("dictionary", "Meaning of each table and column.", tables.DICTIONARY_FIELDS, False)
    ordered = {name: schemas[name] for name in KINDS if name in schemas}
    write("dictionary", schema, _rows(tables.dictionary(ordered, sorted(small.metric_names)), schema))
    return written


def _rows(rows: list[dict[str, Any]], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    yield pa.RecordBatch.from_pylist(rows, schema=schema)
