"""What derives from the records of core/runs/event_types.py: the JSON of an event both ways, DuckDB's columns, upgrades of older versions."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from core.runs.event_types import EVENT_VERSION, RECORDS, EpisodeEnded, Metrics, Record, Unknown
from core.tracing.outcome import TERM_NAMES
from core.tracing.params import NAMES


@dataclass(frozen=True)
class Upgrade:
    """How an older version's data becomes that of the next one. ``renamed``: {kind: {old field: new field}}."""

    name: str
    renamed: Mapping[str, Mapping[str, str]]


UPGRADES: dict[int, Upgrade] = {
    1: Upgrade(
        "names that say what they are",
        {
            "episode": {"reward": "training_gain", "gain": "headline_gain", "end": "end_reason"},
            "worker_lost": {"put_aside": "is_quarantined"},
        },
    ),
    2: Upgrade("three more parameters; gains by what one sees", {}),  # missing parameters keep VTracer's defaults
}
OLDEST_VERSION = min(UPGRADES)
# Keys of every line of a log, and columns that the database adds to an episode's
_KEYS = ("v", "run", "run_id", "attempt", "seq", "ts", "kind", "step", "minutes", "data")
Shape = Literal["plain", "terms", "params", "names"]
_columns: dict[type[Record], tuple[Column, ...]] = {}
_adapters: dict[type[Record], TypeAdapter[Any]] = {}
_SQL: dict[Any, str] = {int: "BIGINT", float: "DOUBLE", str: "VARCHAR", bool: "BOOLEAN"}


def old_name(kind: str, name: str, version: int) -> str:
    """What a field was called in an older version."""
    for step in range(EVENT_VERSION - 1, version - 1, -1):
        back = {new: old for old, new in UPGRADES[step].renamed.get(kind, {}).items()}
        name = back.get(name, name)
    return name


def upgraded(kind: str, data: Mapping[str, Any], version: int) -> Mapping[str, Any]:
    """An older version's data under today's names."""
    for step in range(version, EVENT_VERSION):
        renamed = UPGRADES[step].renamed.get(kind)
        if renamed:
            data = {renamed.get(key, key): value for key, value in data.items()}
    return data


@dataclass(frozen=True)
class Column:
    """A field of a record. ``sql``: DuckDB's type, of each value where there are several.

    ``shape``: "plain", one value; "terms", one JSON key and column per reward term; "params", a JSON list and one column
    per parameter; "names", all keys of the JSON object. ``is_whole``: it can't do without a value, as numbers that may be null can;
    ``default``: what stands where it is left out.
    """

    name: str
    sql: str
    shape: Shape
    is_required: bool
    is_whole: bool = False
    default: int | str | bool | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns that it fills."""
        return {"terms": TERM_NAMES, "params": NAMES}.get(self.shape, (self.name,))


def check_term_names(terms: Sequence[str], taken: Iterable[str]) -> None:
    """Whether each reward term can have a column of its own name.

    Raises:
        ValueError: names the first term that can't, and what to do.
    """
    known = set(taken)
    for name in terms:
        if name in known or terms.count(name) > 1:
            raise ValueError(
                f"the reward term {name!r} has the name of another column of an episode; rename it in TERMS, core/tracing/outcome.py"
            )


def columns_of(record: type[Record]) -> tuple[Column, ...]:
    """The fields of a kind in order."""
    if record not in _columns:
        _columns[record] = tuple(_read_columns(record))
    return _columns[record]


def _read_columns(record: type[Record]) -> list[Column]:
    hints = get_type_hints(record)
    found = []
    for each in fields(record):
        shape = _shape(record, each.name)
        sql = "DOUBLE" if shape in ("terms", "names") else _sql_type(hints[each.name])
        is_required = each.default is MISSING and each.default_factory is MISSING
        is_whole = shape == "plain" and hints[each.name] in (int, str, bool)
        default = each.default if is_whole and not is_required else None
        found.append(Column(each.name, sql, shape, is_required, is_whole, default))  # type: ignore[arg-type]
    return found


def _shape(record: type[Record], name: str) -> Shape:
    if record is Metrics:
        return "names"
    if record is EpisodeEnded and name == "terms":
        return "terms"
    return "params" if name == "params" and record.table else "plain"


def _sql_type(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is list:
        return _sql_type(get_args(hint)[0])
    return _SQL.get(hint, "JSON")


def table_columns(record: type[Record]) -> dict[str, str]:
    """{column: DuckDB's type} of a kind's table, in order; the frames' columns and the CSV's header too."""
    return {name: column.sql for column in columns_of(record) for name in column.columns}


def to_data(record: Record) -> Mapping[str, Any]:
    """A record as its JSON object."""
    if isinstance(record, Metrics):
        return record.values
    if isinstance(record, Unknown):
        return record.data
    data: dict[str, Any] = {}
    for column in columns_of(type(record)):
        value = getattr(record, column.name)
        if column.shape == "terms":
            data.update(value)
        else:
            data[column.name] = value
    return data


def _adapter(record: type[Record]) -> TypeAdapter[Any]:
    if record not in _adapters:
        _adapters[record] = TypeAdapter(record)
    return _adapters[record]


def from_data(kind: str, data: Mapping[str, Any], version: int = EVENT_VERSION) -> Record:
    """The record of a JSON object; what is not known of it is left out.

    Raises:
        ValueError: a field is missing or of another type.
    """
    record = RECORDS.get(kind)
    if record is None or not OLDEST_VERSION <= version <= EVENT_VERSION:
        return Unknown(kind, version, dict(data))
    data = upgraded(kind, data, version)
    if record is Metrics:
        data = {"values": data}
    elif record is EpisodeEnded:
        data = {**data, "terms": {name: data.get(name) for name in TERM_NAMES}}
    try:
        found: Record = _adapter(record).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{kind}: {'.'.join(str(part) for part in first['loc'])} {first['msg'].lower()}") from error
    return found


check_term_names(TERM_NAMES, [*(each.name for each in fields(EpisodeEnded)), *NAMES, *_KEYS])
