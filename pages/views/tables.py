"""Runs as people read them: status, progress, durations; the table of runs; config differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from core.config.config import RunConfig
from core.errors import ConfigError
from core.runs import shelf
from core.runs.records import peek_config, problems, read_label, read_parent, read_tags, read_trial
from core.runs.rounds import known_runs
from core.runs.run_dir import RunDir
from core.runs.status import RunState, Status
from core.statistics import TIE, verdict
from pages.views.text import gain_text

STATUS_COLOURS = {
    Status.QUEUED: "gray",
    Status.RUNNING: "blue",
    Status.PAUSED: "yellow",
    Status.COMPLETED: "green",
    Status.STOPPED: "gray",
    Status.FAILED: "red",
    Status.INTERRUPTED: "orange",
    Status.PRUNED: "gray",
    Status.UNKNOWN: "red",
}


OLD_SCORE = "scored by SSIM and bytes, as in earlier versions; its gains can't be compared with current ones"


def is_scored_otherwise(run: RunDir) -> bool:
    """Whether a run is of a version that had another score."""
    try:
        return peek_config(run).version < 2
    except ConfigError:
        return False


@dataclass(frozen=True)
class RunRow:
    """One run of the table. ``config_error`` is set where its config can't be read."""

    run: RunDir
    name: str
    state: RunState
    config: RunConfig | None
    config_error: str
    step: int
    total: int
    episodes: int
    stage: str
    minutes: float
    best_gain: float | None
    last_gain: float | None
    started_ts: float | None
    n_bad: int
    n_newer: int
    problems: list[str]
    verdict: str = ""  # on the best evaluation, against the best single setting
    study: str = ""  # whose trial it is; empty for a run of its own
    last_ts: float | None = None  # of the newest event
    note: str = ""
    tags: tuple[str, ...] = ()

    def elapsed_minutes(self, now: float) -> float:
        """Minutes of training so far; of a run that is live the time since its last event counts too."""
        since = now - self.last_ts if self.state.status is Status.RUNNING and self.last_ts else 0.0
        return self.minutes + max(since, 0.0) / 60

    @property
    def headline(self) -> str:
        """The run in one sentence; empty before its first evaluation."""
        if self.best_gain is None:
            return ""
        if abs(self.best_gain) < TIE:
            told = "At its best it is as good as VTracer's defaults"
        elif self.best_gain > 0:
            told = f"At its best it gains {gain_text(self.best_gain)} over VTracer's defaults"
        else:
            told = f"At its best it is worse than VTracer's defaults ({gain_text(self.best_gain)})"
        if not self.verdict:
            return f"{told}."
        figures = self.verdict.rpartition(": ")[2]
        return f"{told}, but not better than one fixed setting: {figures}." if self.is_no_better else f"{told}, and {self.verdict}."

    @property
    def is_no_better(self) -> bool:
        """Whether one setting for all logos does as well."""
        return self.verdict.startswith("no better")

    @property
    def progress(self) -> float:
        if self.state.status is Status.COMPLETED:
            return 1.0
        return min(self.step / self.total, 1.0) if self.total else 0.0


def state_of(run: RunDir) -> RunState:
    """A run's state now."""
    return shelf.known_state(run)


def display_name(run: RunDir) -> str:
    """What a run is called: as renamed, else as its config names it, else its id."""
    return shelf.facts_of(run).name


def names_of(runs: Sequence[RunDir]) -> dict[str, str]:
    """{run id: name}, newest first; runs that are called alike are told apart."""
    return _unlike({run.run_id: display_name(run) for run in sorted(runs, key=lambda run: run.run_id, reverse=True)})


def all_names(home: Path, seen: dict[str, shelf.Seen] | None = None) -> dict[str, str]:
    """{run id: name} of all runs of a home (``seen``: as just looked at), newest first; runs that are called alike are told apart."""
    seen = shelf.look_all(home) if seen is None else seen
    kept = _names.get(home)
    if kept is None or kept[0] is not seen:
        kept = _names[home] = (seen, _unlike({run_id: one.facts.name for run_id, one in seen.items()}))
    return kept[1]


_names: dict[Path, tuple[dict[str, shelf.Seen], dict[str, str]]] = {}


def newest_first(home: Path) -> dict[str, RunDir]:
    """All runs of a home by id."""
    return dict(reversed(known_runs(home).items()))


def run_rows(runs: Sequence[RunDir], overview: pd.DataFrame) -> list[RunRow]:
    """Join the folders with what the index knows (``queries.run_overview``), newest first."""
    known = {row["run_id"]: row for row in overview.to_dict("records")}
    rows = [_row(run, known.get(run.run_id, {})) for run in runs]
    return sorted(rows, key=lambda row: row.run.run_id, reverse=True)


def _row(run: RunDir, known: dict[Any, Any]) -> RunRow:
    config: RunConfig | None = None
    problem = ""
    try:
        config = peek_config(run)
    except ConfigError as error:
        problem = str(error)
    label, trial, parent = read_label(run), read_trial(run), read_parent(run)
    return RunRow(
        run=run,
        name=label.get("name") or (config.name if config else "") or run.run_id,
        state=shelf.known_state(run),
        config=config,
        config_error=problem,
        step=int(_number(known.get("step")) or 0),
        total=config.planned_steps(parent.step if parent else 0) if config else 0,
        episodes=int(_number(known.get("episodes")) or 0),
        stage=str(known.get("stage") or "") if not _is_missing(known.get("stage")) else "",
        minutes=_number(known.get("minutes")) or 0.0,
        best_gain=_number(known.get("best_gain")),
        last_gain=_number(known.get("last_gain")),
        started_ts=_number(known.get("started_ts")),
        n_bad=int(_number(known.get("n_bad")) or 0),
        n_newer=int(_number(known.get("n_newer")) or 0),
        problems=problems(run),
        verdict=verdict(*(_number(known.get(name)) for name in ("over_single", "over_single_low", "over_single_high"))),
        study=trial.study if trial else "",
        last_ts=_number(known.get("last_ts")),
        note=label.get("note") or (config.note if config else ""),
        tags=read_tags(run),
    )


def _is_missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))


def _number(value: Any) -> float | None:
    return None if _is_missing(value) else float(value)


def _unlike(names: dict[str, str]) -> dict[str, str]:
    """Names that stand more than once get their run id's date, or the id."""
    n_of = Counter(names.values())
    stamped = {i: f"{n} · {i[4:6]}-{i[6:8]} {i[9:11]}:{i[11:13]}" if n_of[n] > 1 and i[:8].isdigit() else n for i, n in names.items()}
    still = Counter(stamped.values())
    return {i: f"{names[i]} · {i}" if still[n] > 1 else n for i, n in stamped.items()}


def table_frame(rows: Sequence[RunRow], baseline: str | None = None) -> pd.DataFrame:
    """The table of runs as it is exported; ``baseline``: the run that gains are held against."""
    base = next((row.best_gain for row in rows if row.run.run_id == baseline), None)
    return pd.DataFrame(
        [
            {
                "run_id": row.run.run_id,
                "name": row.name,
                "status": row.state.status.value,
                "reason": row.state.reason,
                "stage": row.stage,
                "step": row.step,
                "total_timesteps": row.total,
                "episodes": row.episodes,
                "best_gain": row.best_gain,
                "against_baseline": None if base is None or row.best_gain is None else row.best_gain - base,
                "last_gain": row.last_gain,
                "minutes": round(row.minutes, 3),
                "logos": Path(row.config.logos.path).name if row.config else "",  # where it lies here is nobody else's
                "seed": row.config.seed if row.config else None,
                "tags": ", ".join(row.tags),
                "note": row.note,
            }
            for row in rows
        ]
    )


def differences(a: BaseModel, b: BaseModel, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """(dotted setting, value in a, value in b) of every setting that differs."""
    found: list[tuple[str, Any, Any]] = []
    for name in type(a).model_fields:
        left, right = getattr(a, name), getattr(b, name)
        if isinstance(left, BaseModel) and isinstance(right, BaseModel):
            found += differences(left, right, f"{prefix}{name}.")
        elif left != right:
            found.append((f"{prefix}{name}", left, right))
    return found
