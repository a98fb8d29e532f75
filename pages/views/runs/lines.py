"""The list of runs as lines: which are shown, in which order, and what folds into one line. Pure: no Streamlit, no SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.runs.seed_groups import common_name
from core.runs.shelf import RunFacts
from core.runs.status import RunState, Status

SORTS = ("newest first", "oldest first", "name", "best gain", "longest", "status")
GROUPS = ("nothing", "seeds", "forks", "study", "tag")
_ORDER = (Status.RUNNING, Status.PAUSED, Status.QUEUED, Status.FAILED, Status.INTERRUPTED, Status.UNKNOWN)  # what needs a look comes first


@dataclass(frozen=True)
class Listed:
    """A run as the list knows it. ``label``: its name, told from others that are called alike; gain and minutes: None where not known."""

    facts: RunFacts
    state: RunState
    label: str
    gain: float | None = None
    minutes: float | None = None

    @property
    def run_id(self) -> str:
        return self.facts.run_id

    def has(self, text: str) -> bool:
        """Whether what is looked for stands in the name, the id, the status, the note, a tag or the study."""
        facts = self.facts
        found = " ".join([self.label, facts.run_id, self.state.status, facts.note, facts.study, *(f"#{tag}" for tag in facts.tags)])
        return text.lower() in found.lower()


@dataclass(frozen=True)
class Line:
    """One run, or several that fold into one line under ``key`` and ``title``; ``depth``: how far a run stands in."""

    runs: tuple[Listed, ...]
    key: str = ""
    title: str = ""
    depth: int = 0

    @property
    def is_group(self) -> bool:
        return bool(self.key)

    @property
    def gains(self) -> list[float]:
        return [run.gain for run in self.runs if run.gain is not None]

    @property
    def told(self) -> str:
        """ "3 runs: 2 completed, 1 failed"."""
        counts = {status: sum(run.state.status is status for run in self.runs) for status in Status}
        return f"{len(self.runs)} runs: " + ", ".join(f"{n} {status.value.lower()}" for status, n in counts.items() if n)


def wanted(runs: Sequence[Listed], text: str, hides_finished: bool, with_archived: bool, with_trials: bool) -> list[Listed]:
    """The runs that are to be listed; a text that is looked for finds trials too."""
    return [
        run
        for run in runs
        if (with_archived or not run.facts.is_archived)
        and not (hides_finished and run.state.status.is_finished)
        and (with_trials or bool(text) or not run.facts.study)
        and (not text or run.has(text))
    ]


def ordered(runs: Sequence[Listed], sort: str) -> list[Listed]:
    """By one of ``SORTS``; what has no figure stands last, and among equals the newest first."""
    newest = sorted(runs, key=lambda run: run.run_id, reverse=True)
    keys: dict[str, Callable[[Listed], object]] = {
        "name": lambda run: run.label.lower(),
        "best gain": lambda run: (run.gain is None, -(run.gain or 0.0)),
        "longest": lambda run: (run.minutes is None, -(run.minutes or 0.0)),
        "status": lambda run: _ORDER.index(run.state.status) if run.state.status in _ORDER else len(_ORDER),
    }
    if sort == "oldest first":
        return newest[::-1]
    return sorted(newest, key=keys[sort]) if sort in keys else newest  # type: ignore[arg-type]


def folded(runs: Sequence[Listed], by: str, unfolded: Sequence[str] = ()) -> list[Line]:
    """The runs in their order as lines; those of a group of several fold into one line where the first of them stands, and follow it where
    the group's key is among ``unfolded``."""
    members: dict[str, list[Listed]] = {}
    keys = _keys(runs, by)
    if not keys:
        return [Line((run,)) for run in runs]
    for run in runs:
        members.setdefault(keys.get(run.run_id, ""), []).append(run)
    lines: list[Line] = []
    done: set[str] = set()
    for run in runs:
        key = keys.get(run.run_id, "")
        group = members[key]
        if not key or len(group) < 2:
            lines.append(Line((run,)))
        elif key not in done:
            done.add(key)
            lines.append(Line(tuple(group), key, _title(by, group)))
            lines += [Line((member,), depth=1) for member in group] if key in unfolded else []
    return lines


def _keys(runs: Sequence[Listed], by: str) -> dict[str, str]:
    """{run id: the group that it is in}, none for a run of its own."""
    if by == "forks":
        parents = {run.run_id: run.facts.parent.run_id if run.facts.parent else "" for run in runs}
        return {run.run_id: f"forks:{_root(run.run_id, parents)}" for run in runs}
    of: Mapping[str, Callable[[Listed], str]] = {
        "seeds": lambda run: run.facts.group,
        "study": lambda run: run.facts.study,
        "tag": lambda run: run.facts.tags[0] if run.facts.tags else "",
    }
    return {run.run_id: f"{by}:{key}" for run in runs if by in of and (key := of[by](run))}


def _root(run_id: str, parents: Mapping[str, str]) -> str:
    """The run that a line of forks began with; one whose parent is gone is known by it still."""
    seen = {run_id}
    while (above := parents.get(run_id, "")) and above not in seen:
        seen.add(above)
        run_id = above
    return run_id


def _title(by: str, group: Sequence[Listed]) -> str:
    if by == "study":
        return group[0].facts.study
    if by == "tag":
        return f"#{group[0].facts.tags[0]}"
    if by == "forks":
        return f"{min(group, key=lambda run: run.run_id).label} and its forks"
    return common_name([run.facts.name for run in group])
