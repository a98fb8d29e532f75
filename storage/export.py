"""What a user takes home: the same tables for the pages' buttons and for the command line.

Guarantee: both come from the queries below, so a CSV from the page equals the one from the command line.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from core.config.config import CurriculumConfig
from core.csv_files import guarded
from core.files import write_aside
from core.runs.event_types import StageDecision, StageEnded, StageEvaluation
from core.runs.records import read_config, read_label
from core.runs.run_dir import RunDir
from core.runs.status import run_state
from core.statistics import verdict
from storage import queries
from storage.ingest import read_new
from storage.store import Store

FORMATS = ("csv", "json")


def open_index(run: RunDir) -> Store:
    """An index in memory over one run: the same answers without the console's database."""
    store = Store(None)
    read_new(store, run.run_id, run.events_file, {})
    return store


def episodes(store: Store, run: str) -> pd.DataFrame:
    """Every episode in order; what a resumed attempt did again is there once."""
    return store.query("SELECT * EXCLUDE (run, run_id, seq) FROM current_episodes WHERE run_id = ? ORDER BY seq", [run])


def metrics(store: Store, run: str) -> pd.DataFrame:
    """Every metric: step, name, value."""
    return store.query("SELECT attempt, ts, step, minutes, name, value FROM current_metrics WHERE run_id = ? ORDER BY seq, name", [run])


def evaluations(store: Store, run: str) -> pd.DataFrame:
    """Every logo of every evaluation."""
    return queries.evaluated_logos(store, run).drop(columns=["run_id"])


def summary(store: Store, run: str) -> pd.DataFrame:
    """One row a evaluation, with the baselines beside."""
    frame = queries.evaluations(store, [run], "episode").drop(columns=["run_id"], errors="ignore").rename(columns={"x": "episode"})
    for _, row in queries.baselines(store, [run]).iterrows():
        frame[f"gain_{row['method']}"] = row["gain"]
    return frame


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


def to_json(frame: pd.DataFrame) -> bytes:
    records = json.loads(frame.to_json(orient="records", double_precision=15))
    return json.dumps(records, ensure_ascii=False, indent=1).encode()


def export_run(run: RunDir, form: str, out: Path) -> dict[str, tuple[Path, int]]:
    """Write every table and the summary to ``out``: {table: (file, rows)}."""
    written: dict[str, tuple[Path, int]] = {}
    with open_index(run) as store:
        for table, read in TABLES.items():
            frame = read(store, run.run_id)
            path = out / f"{run.run_id}-{table}.{form}"
            write_aside(path, to_csv(frame) if form == "csv" else to_json(frame))
            written[table] = (path, len(frame))
        about = out / f"{run.run_id}-run.json"
        write_aside(about, json.dumps(run_summary(store, run), ensure_ascii=False, indent=1, default=float).encode())
        written["run"] = (about, 1)
    return written
