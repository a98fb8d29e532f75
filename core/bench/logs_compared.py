"""Event logs held against DuckDB: is each event in both, once?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from core.runs.events import parse
from core.runs.run_dir import RunDir
from storage.store import Store

_TABLES = ("episodes", "evaluated", "evaluations", "events")


def log_faults(lines: Sequence[bytes]) -> tuple[list[int], list[str]]:
    """(the numbers of the events, what is wrong: lines that can't be read, numbers that are missing, double or out of order)."""
    found: list[int] = []
    faults = []
    for n, line in enumerate(lines, 1):
        event = parse(line)
        if event is None or not event.seq:
            faults.append(f"line {n} can't be read: {line[:80]!r}")
            continue
        expected = found[-1] + 1 if found else 1
        if event.seq != expected:
            faults.append(f"line {n} is event {event.seq} where {expected} should be")
        found.append(event.seq)
    return found, faults


def index_faults(store: Store, run: RunDir, logged: Collection[int]) -> tuple[list[str], int]:
    """(events that are in the log of a run or in DuckDB alone, how many are in DuckDB more than once)."""
    stored: Counter[int] = Counter()
    for table in _TABLES:
        stored.update(seq for (seq,) in store.rows(f"SELECT seq FROM {table} JOIN runs USING (run) WHERE run_id = ?", [run.run_id]))
    metrics = store.rows("SELECT seq, name FROM metrics JOIN runs USING (run) WHERE run_id = ?", [run.run_id])
    doubled = len(metrics) - len(set(metrics))
    stored.update({seq for seq, _ in metrics})
    doubled += sum(n - 1 for n in stored.values())
    known = set(logged)
    faults = [f"{run.run_id}: event {seq} is not in DuckDB" for seq in logged if seq not in stored]
    return faults + [f"{run.run_id}: DuckDB has event {seq}, the log has not" for seq in stored if seq not in known], doubled
