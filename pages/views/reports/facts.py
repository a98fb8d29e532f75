"""What a report says of one run, read once: its figures, its events and its files. It words and draws nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from core.config.config import RunConfig
from core.errors import ConfigError
from core.files import read_small
from core.runs.event_types import AttemptStarted, BaselineMeasured, LogosLoaded, Record
from core.runs.records import read_config, read_label, read_parent
from core.runs.run_dir import RunDir
from core.runs.small_files import Parent
from core.tracing.allowed import checked
from storage import export, queries
from storage.queries import TimedEvent
from storage.store import Store

R = TypeVar("R", bound=Record)
MAX_FILE_BYTES, MAX_PICTURES_BYTES = 400_000, 4_000_000  # of one picture in a report, and of all


@dataclass(frozen=True)
class Facts:
    """A run as its report needs it."""

    store: Store
    run: RunDir
    summary: dict[str, Any]  # export.run_summary
    config: RunConfig
    evaluations: pd.DataFrame

    @property
    def run_id(self) -> str:
        return self.run.run_id

    @property
    def name(self) -> str:
        return str(self.summary["name"])

    @property
    def note(self) -> str:
        return read_label(self.run).get("note") or self.config.note

    @cached_property
    def best(self) -> dict[str, Any] | None:
        """The best evaluation; None before there was any."""
        found = self.evaluations
        return None if found.empty else {str(k): v for k, v in found.loc[found["gain"].idxmax()].to_dict().items()}

    @cached_property
    def first(self) -> dict[str, Any] | None:
        return None if self.evaluations.empty else {str(k): v for k, v in self.evaluations.iloc[0].to_dict().items()}

    @cached_property
    def events(self) -> list[TimedEvent]:
        return queries.events_of(self.store, self.run_id)

    def of(self, kind: type[R]) -> list[R]:
        """The records of a kind, in order; not those of what derives from it."""
        return [event.data for event in self.events if type(event.data) is kind]

    @cached_property
    def baselines(self) -> list[BaselineMeasured]:
        """Each method as it was measured last, the best first."""
        last = {(record.method, record.budget): record for record in self.of(BaselineMeasured)}
        return sorted(last.values(), key=lambda record: -record.gain if record.gain == record.gain else 9.0)

    @property
    def loaded(self) -> LogosLoaded | None:
        return next(iter(reversed(self.of(LogosLoaded))), None)

    @property
    def started(self) -> AttemptStarted | None:
        return next(iter(reversed(self.of(AttemptStarted))), None)

    @property
    def parent(self) -> Parent | None:
        return read_parent(self.run)

    @cached_property
    def logos(self) -> pd.DataFrame:
        """Those of the best evaluation, the highest gain first."""
        if self.best is None:
            return pd.DataFrame()
        found = queries.evaluated_logos(self.store, self.run_id, int(self.best["step"]))
        return found.sort_values("gain", ascending=False, kind="stable").reset_index(drop=True)


def read_facts(store: Store, run: RunDir) -> Facts:
    """Raises :class:`ConfigError` where the run's settings can't be read."""
    return Facts(store, run, export.run_summary(store, run), read_config(run), queries.evaluations(store, [run.run_id]))


def readable(store: Store, runs: Sequence[RunDir]) -> tuple[list[Facts], list[str]]:
    """The runs that can be reported, and a line for each that can't."""
    found, left_out = [], []
    for run in runs:
        try:
            found.append(read_facts(store, run))
        except (ConfigError, OSError) as error:
            left_out.append(f"{run.run_id} is left out: {str(error).splitlines()[0]}")
    return found, left_out


class Files:
    """Pictures that go into a report, as long as there is space for them."""

    def __init__(self) -> None:
        self._left = MAX_PICTURES_BYTES
        self.n_left_out = 0

    def take(self, path: Path | None) -> bytes | None:
        """A file's bytes; None where there is none, it can't be read, or is too large (which is counted)."""
        if path is None:
            return None
        try:
            data = read_small(path, MAX_FILE_BYTES)
            if data and path.suffix == ".svg":
                checked(data)
        except ValueError:  # DamagedFileError: too large, or no file; SvgError: none of ours
            self.n_left_out += 1
            return None
        if data is not None and len(data) > self._left:
            self.n_left_out += 1
            return None
        self._left -= len(data or b"")
        return data
