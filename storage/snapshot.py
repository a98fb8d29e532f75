"""Reading runs from a notebook or a script, while the console runs: a snapshot of the event logs, in memory.

The console's database belongs to the console's process; nobody else can open it. A snapshot reads the event logs instead, from which that
database is made too, so it gives the same rows. Guarantee: it reads only; nothing in the folder of runs is written, locked or waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pandas as pd

from core.errors import RunError
from core.paths import runs_home
from core.runs.run_dir import RunDir, all_runs, find_run
from storage import queries, tables
from storage.export import KINDS, Exported, Told, export_runs
from storage.ingest import read_new
from storage.store import Store


class Snapshot:
    """Some runs as they were when they were last read. ``left_out``: {run id: why its log can't be read}."""

    def __init__(self, runs: Sequence[RunDir], told: Told | None = None) -> None:
        self._runs = {run.run_id: run for run in runs}
        self._told = told
        self._offsets: dict[str, int] = {}
        self.left_out: dict[str, str] = {}
        self._store = Store(None)
        self.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the memory."""
        self._store.close()

    def refresh(self) -> int:
        """Read what the runs wrote since; returns the number of new events."""
        n_events = 0
        self.left_out = {}
        for n, (run_id, run) in enumerate(self._runs.items(), start=1):
            try:
                n_events += read_new(self._store, run_id, run.events_file, self._offsets)
            except OSError as error:
                self.left_out[run_id] = f"its log can't be read: {error.strerror or error}"
            if self._told is not None:
                self._told("reading logs", n, len(self._runs))
        return n_events

    @property
    def runs(self) -> pd.DataFrame:
        """One row per run: id, steps, episodes, minutes, best gain and when it began; newest first."""
        return queries.run_overview(self._store)

    def table(self, kind: str, runs: Sequence[str] | None = None) -> pd.DataFrame:
        """Rows of all runs, or of some, with their ``run_id`` first: episodes, metrics, evaluations, summary, parameters, events or settings.

        Raises:
            RunError: there is no such table, or no such run in the snapshot.
        """
        if kind not in KINDS:
            raise RunError(f"{kind!r} is not one of {', '.join(KINDS)}")
        if unknown := [run_id for run_id in runs or [] if run_id not in self._runs]:
            raise RunError(f"{unknown[0]!r} is not in this snapshot, which has {', '.join(self._runs) or 'no run'}")
        frames = [self._of_run(kind, run_id) for run_id in (self._runs if runs is None else runs)]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def _of_run(self, kind: str, run_id: str) -> pd.DataFrame:
        if kind == "settings":
            frame = pd.DataFrame(tables.settings(self._runs[run_id]), columns=[field.name for field in tables.SETTINGS_FIELDS])
        elif kind == "summary":
            frame = tables.summary(self._store, run_id)
        else:
            frame = self._store.query(*tables.streams()[kind].asked_of(run_id))
        frame.insert(0, "run_id", run_id)
        return frame

    def sql(self, query: str, parameters: list[Any] | None = None) -> pd.DataFrame:
        """Any question, in DuckDB's SQL. ``current_episodes``, ``current_metrics``, ``current_evaluated`` (a row per logo),
        ``current_evaluations`` and ``current_events`` have what counts, with ``run_id``; ``?`` stands for a parameter."""
        return self._store.query(query, parameters)

    def save(self, folder: Path | str, form: str = "parquet", kinds: Sequence[str] = KINDS) -> Exported:
        """Write the tables as files, with their data dictionary: parquet, csv or json."""
        return export_runs(list(self._runs.values()), form, Path(folder), kinds, self._told)


def open_snapshot(home: Path | str | None = None, runs: Sequence[str] | None = None, told: Told | None = None) -> Snapshot:
    """Read the event logs of a folder of runs (default: where the console looks), of all runs or of those named.

    Raises:
        RunError: a run that is named does not exist.
    """
    where = runs_home() if home is None else Path(home)
    return Snapshot(list(all_runs(where)) if runs is None else [find_run(name, where) for name in runs], told)
