"""What can be exported of a run as tables: their columns with types and meanings, and their rows in a stream.

Every column derives from the event types (core/runs/event_types.py), the parameters' specs and the config's fields, and so does the data
dictionary that goes with an export. Guarantee: rows come in batches, so that what an export needs does not grow with the number of rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from core.config.config import RunConfig
from core.config.fields import range_text, walk_fields
from core.errors import ConfigError
from core.runs.event_fields import columns_of, table_columns
from core.runs.event_meanings import about, meanings
from core.runs.event_types import RECORDS, Metrics, Record
from core.runs.records import peek_config
from core.runs.run_dir import RunDir
from core.tracing.params import NAMES, SPECS
from storage import queries
from storage.schema import RECORD_TABLES, quoted
from storage.store import Store

ARROW: dict[str, pa.DataType] = {
    "INTEGER": pa.int32(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string(), "BOOLEAN": pa.bool_(), "JSON": pa.string(),
}  # fmt: skip
KEYS: dict[str, tuple[str, str]] = {
    "run_id": ("VARCHAR", "The run's ID."),
    "attempt": ("INTEGER", "Number of the attempt that wrote it, from 1; repeated steps appear once."),
    "seq": ("BIGINT", "Place of the event in the run's log, from 1."),
    "ts": ("DOUBLE", "Time of writing, in seconds since 1970."),
    "step": ("BIGINT", "Environment steps so far (num_timesteps)."),
    "minutes": ("DOUBLE", "Minutes of training so far, over all attempts."),
}
FAMILIES = {
    "rollout/": "Episodes of an update, under stable-baselines3's names.",
    "train/": "Update of the networks, under stable-baselines3's names.",
    "time/": "Speed and duration, under stable-baselines3's names; seconds, or steps per second (fps).",
    "reward/": "Mean of a weighted reward term over the episodes of an update.",
    "trace/": "Mean of a quantity of the conversions of an update.",
    "curriculum/": "State of the curriculum after an update.",
    "system/": "Load of the machine.",
}
TYPE_KEY, MEANING_KEY = b"type", b"meaning"


@dataclass(frozen=True)
class Field:
    """A column. ``sql``: DuckDB's type, which the data dictionary names too."""

    name: str
    sql: str
    meaning: str

    def arrow(self) -> pa.Field:
        return pa.field(self.name, ARROW[self.sql], metadata={TYPE_KEY: self.sql, MEANING_KEY: self.meaning})


@dataclass(frozen=True)
class Table:
    """A table of any number of rows. ``sql``: its rows of one run, in order, with that run's id as every parameter."""

    name: str
    about: str
    fields: tuple[Field, ...]
    sql: str

    def schema(self, has_run: bool = False) -> pa.Schema:
        """``has_run``: with the run's id first, for tables of several runs."""
        return frame_schema(self.name, self.about, self.fields, has_run)

    def batches(self, store: Store, run_id: str, has_run: bool = False) -> Iterator[pa.RecordBatch]:
        """The rows of a run, in batches of :meth:`schema`."""
        schema = self.schema(has_run)
        for batch in store.batches(*self.asked_of(run_id)):
            columns = [pa.repeat(pa.scalar(run_id), batch.num_rows)] if has_run else []
            yield pa.RecordBatch.from_arrays([*columns, *_cast(batch, schema.types[len(columns) :])], schema=schema)

    def n_rows(self, store: Store, run_id: str) -> int:
        sql, parameters = self.asked_of(run_id)
        return int(store.rows(f"SELECT count(*) FROM ({sql})", parameters)[0][0])

    def asked_of(self, run_id: str) -> tuple[str, list[str]]:
        """The query and its parameters."""
        return self.sql, [run_id] * self.sql.count("?")


def _cast(batch: pa.RecordBatch, types: list[pa.DataType]) -> list[pa.Array]:
    return [column if column.type == kind else column.cast(kind) for column, kind in zip(batch.columns, types, strict=True)]


def _key(name: str) -> Field:
    return Field(name, *KEYS[name])


def record_fields(record: type[Record]) -> list[Field]:
    """The columns of a kind's table, each with what its field means; of parameters and reward terms, what they are."""
    said, types = meanings(record), table_columns(record)
    params = {spec.name: f"{spec.meaning} In [{spec.low:g}, {spec.high:g}] {spec.unit}." for spec in SPECS}
    found = []
    for column in columns_of(record):
        for name in column.columns:
            if column.shape == "params":
                meaning = params[name]
            elif column.shape == "terms":
                meaning = f"Weighted reward term {name!r}; the terms' sum is the training gain."
            else:
                meaning = _sentence(said.get(name, ""))
            found.append(Field(name, types[name], meaning))
    return found


def _sentence(text: str) -> str:
    """A comment as a sentence; a name with underscores keeps its case."""
    text = text.replace("``", "").rstrip(".")
    is_name = "_" in text.split(" ")[0] or text.startswith("{")
    return f"{text if is_name else text[:1].upper() + text[1:]}." if text else ""


def streams() -> dict[str, Table]:
    """The tables that come from the event log, by name."""
    episode, evaluated = RECORD_TABLES["episodes"], RECORD_TABLES["evaluated"]
    metric = [Field("name", "VARCHAR", "The metric."), Field("value", "DOUBLE", "Its value; empty where it was not finite.")]
    event = [Field("kind", "VARCHAR", "The event's kind."), Field("v", "INTEGER", "Version of the log's format that wrote it.")]
    found = [
        _table("episodes", about(episode), ("attempt", "ts", "step"), record_fields(episode), ("minutes",), "current_episodes"),
        _table("metrics", about(Metrics), ("attempt", "ts", "step", "minutes"), metric, (), "current_metrics", "seq, name"),
        _table("evaluations", about(evaluated), ("attempt", "step"), record_fields(evaluated), (), "current_evaluated", "step, logo"),
        _parameters(),
        _table(
            "events", "Every event that is neither an episode, a metric nor an evaluation.", ("attempt", "seq", "ts", "step", "minutes"),
            [*event, Field("data", "JSON", "Its data; the fields of each kind follow.")], (), "current_events",
        ),
    ]  # fmt: skip
    return {table.name: table for table in found}


def _table(
    name: str, about: str, before: tuple[str, ...], fields: list[Field], after: tuple[str, ...], view: str, order: str = "seq"
) -> Table:
    columns = (*(_key(key) for key in before), *fields, *(_key(key) for key in after))
    names = ", ".join(quoted(column.name) for column in columns)
    return Table(name, about, columns, f"SELECT {names} FROM {view} WHERE run_id = ? ORDER BY {order}")


def _parameters() -> Table:
    own = [
        _key("attempt"), _key("ts"), _key("step"), Field("source", "VARCHAR", "Where it was used: episode or evaluation."),
        Field("logo", "VARCHAR", "The logo's name."), Field("category", "VARCHAR", "The logo's category."),
        Field("gain", "DOUBLE", "Headline gain of the conversion."),
    ]  # fmt: skip
    params = [field for field in record_fields(RECORD_TABLES["episodes"]) if field.name in NAMES]
    names = ", ".join(NAMES)
    sql = (
        f"SELECT attempt, ts, step, source, logo, category, gain, {names} FROM ("
        f"SELECT seq, attempt, ts, step, 'episode' AS source, logo, category, headline_gain AS gain, {names} FROM current_episodes "
        f"WHERE run_id = ? UNION ALL SELECT seq, attempt, ts, step, 'evaluation', logo, category, gain, {names} FROM current_evaluated "
        "WHERE run_id = ?) ORDER BY seq"
    )
    return Table(
        "parameters",
        "VTracer parameters tried: the best of each episode, and those of each logo in an evaluation.",
        (*own, *params),
        sql,
    )


def summary(store: Store, run_id: str) -> pd.DataFrame:
    """One row per evaluation, with the baselines beside."""
    frame = queries.evaluations(store, [run_id], "episode").drop(columns=["run_id"], errors="ignore").rename(columns={"x": "episode"})
    for _, row in queries.baselines(store, [run_id]).iterrows():
        frame[f"gain_{row['method']}"] = row["gain"]
    return frame


def summary_fields(names: list[str]) -> list[Field]:
    """The columns of summaries: of an evaluation, of each category, of each baseline."""
    known = {field.name: field for field in record_fields(RECORD_TABLES["evaluations"])} | {key: _key(key) for key in KEYS}
    known["episode"] = Field("episode", "DOUBLE", "Episodes so far.")
    return [
        known.get(name) or Field(name, "DOUBLE", f"Mean headline gain of {name.removeprefix('gain_')!r}: a category or a baseline.")
        for name in names
    ]


def settings(run: RunDir) -> list[dict[str, Any]]:
    """Every setting of a run with its default; none where its config can't be read."""
    try:
        config = peek_config(run).model_dump(mode="json")
    except ConfigError:
        return []
    default = RunConfig().model_dump(mode="json")
    rows = []
    for name, info in walk_fields(RunConfig):
        value, usual = _at(config, name), _at(default, name)
        told = {"value": json.dumps(value, ensure_ascii=False), "default": json.dumps(usual, ensure_ascii=False)}
        rows.append({"setting": name, **told, "is_default": value == usual, "allowed": range_text(info), "meaning": info.description or ""})
    return rows


def _at(data: Mapping[str, Any], name: str) -> Any:
    value: Any = data
    for part in name.split("."):
        value = value[part]
    return value


SETTINGS_FIELDS = (
    Field("setting", "VARCHAR", "The setting, as in the YAML file."),
    Field("value", "JSON", "The run's value."),
    Field("default", "JSON", "The default value."),
    Field("is_default", "BOOLEAN", "Whether the two are equal."),
    Field("allowed", "VARCHAR", "Range and unit."),
    Field("meaning", "VARCHAR", "What it does."),
)
DICTIONARY_FIELDS = (
    Field("table", "VARCHAR", "The table."),
    Field("column", "VARCHAR", "The column; empty for the table itself; kind.field for a field of an event's data."),
    Field("type", "VARCHAR", "DuckDB's type of the column."),
    Field("meaning", "VARCHAR", "Its meaning, with unit and range."),
)


def frame_schema(name: str, told: str, fields: tuple[Field, ...] | list[Field], has_run: bool) -> pa.Schema:
    """The schema of a small table that is made at once."""
    keys = (_key("run_id"),) if has_run else ()
    return pa.schema([each.arrow() for each in (*keys, *fields)], metadata={b"table": name, b"about": told.replace("``", "")})


def dictionary(schemas: Mapping[str, pa.Schema], metric_names: list[str]) -> list[dict[str, str]]:
    """The data dictionary of some tables: a row per table and column, per metric, and per field of each kind of event."""
    rows: list[dict[str, str]] = []

    def add(table: str, column: str, kind: str, meaning: str) -> None:
        rows.append({"table": table, "column": column, "type": kind, "meaning": meaning})

    for name, schema in schemas.items():
        add(name, "", "", schema.metadata[b"about"].decode())
        for field in schema:
            add(name, field.name, field.metadata[TYPE_KEY].decode(), field.metadata[MEANING_KEY].decode())
        if name == "metrics":
            for metric in metric_names:
                add(name, f"value.{metric}", "DOUBLE", next((text for start, text in FAMILIES.items() if metric.startswith(start)), ""))
        if name == "events":
            _add_kinds(add)
    return rows


def _add_kinds(add: Callable[[str, str, str, str], None]) -> None:
    in_tables = {Metrics, *RECORD_TABLES.values()}
    for kind, record in RECORDS.items():
        if record in in_tables:
            continue
        add("events", kind, "JSON", about(record))
        said = meanings(record)
        for column in columns_of(record):
            add("events", f"{kind}.{column.name}", column.sql, _sentence(said.get(column.name, "")))
