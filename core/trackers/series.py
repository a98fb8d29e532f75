"""A recording of another tracker's as plain columns: what its readers give, and core/trackers/imported.py makes a run of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.runs.events import LIMITS


@dataclass(frozen=True)
class Series:
    """Values over steps, in order of steps. ``ts``: seconds since 1970, 0 where not known."""

    steps: NDArray[np.int64]
    ts: NDArray[np.float64]
    values: NDArray[np.float64]

    @classmethod
    def of(cls, steps: Any, ts: Any, values: Any) -> Series | None:
        """Columns of any number type; points with a step below 0, or beyond what a log takes, are left out; None if none are left."""
        at = np.asarray(steps, dtype=np.float64)
        is_kept = (at >= 0) & (at < LIMITS["step"])
        if not is_kept.any():
            return None
        when = np.nan_to_num(np.asarray(ts, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        order = np.argsort(at[is_kept], kind="stable")
        kept = np.asarray(values, dtype=np.float64)[is_kept]
        return cls(at[is_kept][order].astype(np.int64), when[is_kept][order], kept[order])


@dataclass(frozen=True)
class Recording:
    """One run of another tracker. ``settings``: {path: value}; ``text``: a config as YAML, where it holds one."""

    name: str
    source: str
    series: Mapping[str, Series]
    settings: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    note: str = ""


def parquet_files(source: Path) -> Iterator[Path]:
    """The Parquet files that a path names or holds, in order."""
    if source.is_file():
        if source.suffix == ".parquet":
            yield source
        return
    yield from sorted(source.rglob("*.parquet"))
