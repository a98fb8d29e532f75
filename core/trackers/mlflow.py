"""MLflow: one run there per run here, in a local SQLite file or on a tracking server.

The store knows a metric by name, step, time and value and takes none twice, so a reading that is given again adds nothing. Guarantee: a run
there is found by its tag, also when our place was lost. Needs the package mlflow-skinny, and for the local store what Optuna brings anyway.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from core.trackers.packages import need
from core.trackers.sink import About, Reading, State

ID_TAG = "tracewright.run_id"
MAX_METRICS, MAX_PARAMS = 1000, 100  # of one request, as the server allows
_MAX_TEXT = 5000  # characters of a parameter
_STATUS = {"COMPLETED": "FINISHED", "FAILED": "FAILED"}  # others that are over: KILLED


class MlflowSink:
    """Writes to the store at ``uri``, into the experiment ``project``."""

    def __init__(self, uri: str, project: str) -> None:
        self._uri, self._project = uri, project
        self._run_id = ""

    def open(self, about: About, state: State | None) -> bool:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        need("mlflow-skinny", "mlflow")
        for name in ("alembic", "mlflow"):  # their news of making tables are none of the user's
            logging.getLogger(name).setLevel(logging.WARNING)
        self._entities = need("mlflow-skinny", "mlflow.entities")
        self._client = need("mlflow-skinny", "mlflow.tracking").MlflowClient(tracking_uri=self._uri)
        self._about = about
        self._experiment = self._find_experiment()
        known = str((state or {}).get("run", ""))
        there = self._find_runs()
        if known and known in there:
            self._run_id = known
        elif there:
            self._run_id = there[0]
        else:
            self._begin()
        self._client.update_run(self._run_id, status="RUNNING", name=about.name)
        return self._run_id == known

    def start_over(self) -> None:
        """Metrics can't be taken back there: the run is deleted (it can be restored), and another one begins."""
        self._client.delete_run(self._run_id)
        self._begin()

    def write(self, readings: Sequence[Reading]) -> None:
        metrics = self._metrics(readings)
        while batch := list(islice(metrics, MAX_METRICS)):
            self._client.log_batch(self._run_id, metrics=batch)

    def flush(self) -> State:
        return {"run": self._run_id}

    def close(self, status: str) -> None:
        if status:
            self._client.set_tag(self._run_id, "tracewright.status", status)
            self._client.set_terminated(self._run_id, status=_STATUS.get(status, "KILLED"))

    def _metrics(self, readings: Sequence[Reading]) -> Iterator[Any]:
        for reading in readings:
            for name, value in reading.values.items():
                yield self._entities.Metric(name, value, round(reading.ts * 1000), reading.step)

    def _find_experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._project)
        return str(found.experiment_id if found is not None else self._client.create_experiment(self._project))

    def _find_runs(self) -> list[str]:
        """The runs there of this run, the newest first; deleted ones not."""
        found = self._client.search_runs([self._experiment], f"tags.`{ID_TAG}` = '{self._about.run_id}'")
        return [str(run.info.run_id) for run in found]

    def _begin(self) -> None:
        about = self._about
        tags = {ID_TAG: about.run_id, "mlflow.source.name": "tracewright"} | ({"mlflow.note.content": about.note} if about.note else {})
        begun = self._client.create_run(self._experiment, start_time=round(about.started_ts * 1000), tags=tags, run_name=about.name)
        self._run_id = str(begun.info.run_id)
        texts = {key: "null" if value is None else str(value)[:_MAX_TEXT] for key, value in about.settings.items()}
        params = iter([self._entities.Param(key, text) for key, text in texts.items() if text])
        while batch := list(islice(params, MAX_PARAMS)):
            self._client.log_batch(self._run_id, params=batch)
