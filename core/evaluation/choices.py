"""What people prefer: two SVGs of one picture, shown without their names, and which of them was chosen.

Kept as ``choices.csv`` in the home folder, one row per choice, appended; a damaged row is skipped and counted. The only judge that counts.
Intervals are Wilson's (scipy.stats.binomtest).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from core.csv_files import append_csv, unguarded, write_csv
from core.errors import DamagedFileError
from core.files import read_text

Answer = Literal["a", "b", "equal"]
FILE = "choices.csv"
MAX_BYTES = 50 * 2**20


@dataclass(frozen=True)
class Choice:
    """``source``: the run or batch that the picture is of; ``a``, ``b``: the two methods; ``left``: which of them was on the left;
    ``ts``: seconds since 1970; ``seconds``: how long it took."""

    ts: float
    source: str
    logo: str
    digest: str
    category: str
    a: str
    b: str
    left: Literal["a", "b"]
    answer: Answer
    seconds: float


@dataclass(frozen=True)
class Choices:
    """``n_bad``: rows that can't be read; ``problem``: why nothing can be read."""

    rows: tuple[Choice, ...] = ()
    n_bad: int = 0
    problem: str = ""


@dataclass(frozen=True)
class Tally:
    """``share``: of ``a`` among the decided ones, in [0, 1], with its 95% interval; None where none is decided."""

    name: str
    n_a: int
    n_b: int
    n_equal: int
    share: float | None
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_CHOICE: TypeAdapter[Choice] = TypeAdapter(Choice)
_NAMES = [field.name for field in fields(Choice)]


def keep(home: Path, choice: Choice) -> None:
    """Append a choice."""
    append_csv(home / FILE, asdict(choice))


def read(home: Path) -> Choices:
    """All choices, oldest first."""
    try:
        text = read_text(home / FILE, MAX_BYTES)
    except DamagedFileError as error:
        return Choices(problem=str(error))
    if not text:
        return Choices()
    rows, n_bad = [], 0
    try:
        for row in csv.DictReader(io.StringIO(text, newline="")):
            try:
                rows.append(_CHOICE.validate_python({name: unguarded(row.get(name) or "") for name in _NAMES}))
            except ValidationError:
                n_bad += 1
    except csv.Error as error:
        return Choices(tuple(rows), n_bad, f"{home / FILE}: {error}; move it away and start again")
    return Choices(tuple(rows), n_bad)


def take_back(home: Path, choice: Choice) -> None:
    """Forget a choice; rows that can't be read would be lost with it, so if there are any, nothing is done."""
    found = read(home)
    if not found.n_bad and not found.problem:
        left = [row for row in found.rows if row != choice]
        if left:
            write_csv(home / FILE, [asdict(row) for row in left])
        else:
            (home / FILE).unlink(missing_ok=True)


def between(rows: Sequence[Choice], a: str, b: str, source: str = "") -> list[Choice]:
    """The choices between two methods (of one source), whichever of them was asked for first; the last one of each picture counts."""
    last: dict[tuple[str, str], Choice] = {}
    for row in rows:
        if {row.a, row.b} == {a, b} and source in ("", row.source):
            last[row.source, row.digest] = row if row.a == a else _turned(row)
    return list(last.values())


def _turned(row: Choice) -> Choice:
    other: dict[str, Any] = {"a": "b", "b": "a"}
    return Choice(**(asdict(row) | {"a": row.b, "b": row.a, "left": other[row.left], "answer": other.get(row.answer, "equal")}))


def tallies(rows: Sequence[Choice]) -> list[Tally]:
    """Of all, and of each category."""
    categories = sorted({row.category for row in rows})
    return [_tally("all", rows), *(_tally(c or "no category", [row for row in rows if row.category == c]) for c in categories)]


def _tally(name: str, rows: Sequence[Choice]) -> Tally:
    n_a, n_b = sum(row.answer == "a" for row in rows), sum(row.answer == "b" for row in rows)
    n_equal = len(rows) - n_a - n_b
    if not n_a + n_b:
        return Tally(name, n_a, n_b, n_equal, None, None, None)
    from scipy.stats import binomtest  # a second to import

    interval = binomtest(n_a, n_a + n_b).proportion_ci(method="wilson")
    return Tally(name, n_a, n_b, n_equal, n_a / (n_a + n_b), float(interval.low), float(interval.high))
