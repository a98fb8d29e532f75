"""The statements by which lines of an event log become rows: made from the records' types, for each version that wrote them.

``batch`` is the temporary table of parsed lines that storage/store.py makes. Guarantee: a value whose type is not its record's is no event.
"""

from __future__ import annotations

from core.runs.event_fields import columns_of, old_name
from core.runs.event_types import Metrics, Record
from core.runs.events import LIMITS
from core.tracing.params import N_OLD_PARAMS, SPECS
from storage.schema import EVENT_TABLES, KEYS, RECORD_TABLES, quoted

LINE_TYPES = {"v": "INTEGER", "seq": "BIGINT", "attempt": "INTEGER", "ts": "DOUBLE", "kind": "VARCHAR", "step": "BIGINT", "data": "JSON"}


def _struct(types: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{key}": {_json_type(kind)}' for key, kind in types.items()) + "}"


def _json_type(kind: str) -> str:
    return f'["{kind[:-2]}"]' if kind.endswith("[]") else f'"{kind}"'


LINE = _struct(LINE_TYPES)
IN_RANGE = " AND ".join(f"e.{name} >= 0 AND e.{name} < {limit:.0f}" for name, limit in LIMITS.items())


def literal(value: object) -> str:
    """A default as SQL."""
    return f"'{str(value).replace(chr(39), chr(39) * 2)}'" if isinstance(value, str) else str(value).lower()


def _param(values: str, place: int) -> str:
    """A parameter of a list as SQL; those that versions before did not have keep VTracer's defaults where only the first ones stand."""
    older = f", CASE WHEN len({values}) = {N_OLD_PARAMS} THEN {SPECS[place - 1].default} END" if place > N_OLD_PARAMS else ""
    return f"coalesce({_finite(f'{values}[{place}]')}{older})"


def _finite(number: str) -> str:
    """A number as SQL; null where it is too large for one, such as 1e400."""
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def insert_statement(table: str, record: type[Record], version: int) -> str:
    """Takes the events of a kind, as one version wrote them, from ``batch`` into their table; columns by name."""
    read: dict[str, str] = {}  # of the JSON object: {key: type}
    values: dict[str, str] = {}  # {column of the table: expression}
    needed: list[str] = ["true"]  # without these an event is none: a whole number, text or switch that is missing or of another type
    for column in columns_of(record):
        if column.shape == "params":
            key = old_name(record.kind, column.name, version)
            read[key] = f"{column.sql}[]"
            values |= {spec.name: _param(f"d.{quoted(key)}", place) for place, spec in enumerate(SPECS, start=1)}
            continue
        for name in column.columns:
            key = old_name(record.kind, name, version)
            read[key] = column.sql
            values[name] = _finite(f"d.{quoted(key)}") if column.sql == "DOUBLE" else f"d.{quoted(key)}"
            if column.is_whole and column.is_required:
                needed.append(f"{values[name]} IS NOT NULL")
            elif column.is_whole:
                values[name] = f"coalesce({values[name]}, {literal(column.default)})"
    names = ", ".join(quoted(name) for name in [*KEYS, *values])
    return (
        f"INSERT INTO {table}({names}) WITH parsed AS MATERIALIZED (SELECT *, json_transform(data, '{_struct(read)}') AS d FROM batch "
        f"WHERE kind = '{record.kind}' AND v = {version}) SELECT {_HEAD}, {', '.join(values.values())} FROM parsed WHERE {' AND '.join(needed)}"
    )


_HEAD = "run, attempt, seq, ts, step"
METRICS = (
    f"INSERT INTO metrics({', '.join(EVENT_TABLES['metrics'])}) SELECT {_HEAD}, e.key, {_finite('e.value')} FROM (SELECT *, "
    "unnest(map_entries(from_json(data, '\"MAP(VARCHAR, DOUBLE)\"'))) AS e FROM batch WHERE kind = 'metrics')"
)
OWN_TABLE = (Metrics.kind, *(record.kind for record in RECORD_TABLES.values()))
OTHERS = (
    f"INSERT INTO events({', '.join(EVENT_TABLES['events'])}) SELECT {_HEAD}, kind, v, data FROM batch "
    f"WHERE kind NOT IN ({', '.join(repr(kind) for kind in OWN_TABLE)})"
)
