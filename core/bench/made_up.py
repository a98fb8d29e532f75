"""Made-up events for benchmarks: rows of the types that a training writes, filled by their fields' types."""

from __future__ import annotations

import random
from typing import Any, TypeVar

from core.runs.event_fields import Column, columns_of
from core.runs.event_types import Record

T = TypeVar("T", bound=Record)


def made_up(record: type[T], rng: random.Random, **known: Any) -> T:
    """A record with random values for every field that is not ``known``; of a kind without a table, only for those without a default."""
    wanted = [column for column in columns_of(record) if column.is_required or record.table]
    return record(**{column.name: _value(column, rng) for column in wanted if column.name not in known}, **known)


def _value(column: Column, rng: random.Random) -> Any:
    if column.shape == "terms":
        return {name: rng.random() for name in column.columns}
    if column.shape == "params":
        return [round(rng.random() * 100, 4) for _ in column.columns]
    return {
        "BIGINT": rng.randrange(20_000),
        "DOUBLE": rng.random(),
        "BOOLEAN": rng.random() < 0.3,
        "VARCHAR": column.name,
        "JSON": {},
    }[column.sql]
