"""What a run's log says of one of its checkpoints, and two registered models held against each other, logo by logo. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core.errors import DamagedFileError, RunError
from core.files import read_json
from core.models.registry import Entry, Evaluated, Interval, evaluated
from core.runs.event_types import AttemptStarted, EvaluationEnded, LogoEvaluated, LogosLoaded
from core.runs.events import read_events
from core.runs.run_dir import RunDir
from core.statistics import Paired, Summary


@dataclass
class Facts:
    """``evaluated_step``: of the last evaluation up to the checkpoint's step; None without any."""

    logos: list[Evaluated] = field(default_factory=list)
    evaluated_step: int | None = None
    over_single: Interval | None = None
    data: str = ""
    data_digest: str = ""
    n_logos: int = 0

    @property
    def gain(self) -> Interval | None:
        return interval([each.gain for each in self.logos])

    @property
    def by_category(self) -> dict[str, Interval]:
        names = sorted({each.category for each in self.logos})
        found = {name: interval([each.gain for each in self.logos if each.category == name]) for name in names}
        return {name: value for name, value in found.items() if value is not None}


def interval(gains: Sequence[float]) -> Interval | None:
    """The mean with its 95% interval; None of nothing."""
    if not gains:
        return None
    told = Summary.of(np.array(gains, dtype=np.float64))
    return Interval(told.mean, told.low, told.high, len(gains))


def facts_of(run: RunDir, step: int) -> Facts:
    """What the log says of a run's checkpoint at ``step``. Where an attempt repeated steps, the last ones count."""
    facts = Facts()
    logos: dict[int, dict[str, Evaluated]] = {}
    over: dict[int, Interval | None] = {}
    kinds = (AttemptStarted.kind, EvaluationEnded.kind, LogoEvaluated.kind, LogosLoaded.kind)
    for event in read_events(run.events_file, kinds):
        data = event.data
        if isinstance(data, AttemptStarted):
            for kept in (logos, over):
                for later in [at for at in kept if at > data.from_step]:
                    del kept[later]
        elif isinstance(data, LogosLoaded):
            facts.data, facts.data_digest, facts.n_logos = data.path, data.digest, data.n_logos
        elif isinstance(data, EvaluationEnded):
            over[event.step] = _over_single(data)
        elif isinstance(data, LogoEvaluated) and math.isfinite(data.gain) and math.isfinite(data.ssim):
            logos.setdefault(event.step, {})[data.digest] = Evaluated(
                data.digest, data.logo, data.category, data.gain, data.ssim, data.bytes
            )
    steps = [at for at in logos if at <= step and at in over]  # one without its summary was not finished
    if steps:
        facts.evaluated_step = max(steps)
        facts.logos = list(logos[facts.evaluated_step].values())
        facts.over_single = over[facts.evaluated_step]
    return facts


def _over_single(data: EvaluationEnded) -> Interval | None:
    values = (data.over_single, data.over_single_low, data.over_single_high)
    return Interval(*values, data.n_logos) if all(map(math.isfinite, values)) else None


@dataclass(frozen=True)
class ModelComparison:
    """The second model less the first on the logos that both were evaluated on; ``settings``: {name: (first, second)} where they differ."""

    first: str
    second: str
    n_logos: int
    paired: Paired | None
    by_category: dict[str, Paired]
    settings: dict[str, tuple[Any, Any]]
    has_same_data: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def verdict(self) -> str:
        if self.paired is None:
            return "They have no evaluated logos in common; evaluate both on the same folder"
        told = f"{self.paired.difference:+.3f} ({self.paired.low:+.3f} to {self.paired.high:+.3f}) on {self.n_logos} logos"
        if self.paired.low > 0:
            return f"{self.second} is better: {told}"
        return f"{self.second} is worse: {told}" if self.paired.high < 0 else f"No significant difference: {told}"


def compare(first: Entry, second: Entry) -> ModelComparison:
    """Two models by what is known of them.

    Raises:
        RunError: one of them is damaged.
    """
    for entry in (first, second):
        if entry.problem and not entry.is_shipped:
            raise RunError(entry.problem)
    try:
        ours, theirs = ({each.digest: each for each in evaluated(entry)} for entry in (first, second))
        settings = _differences(settings_of(first), settings_of(second))
    except DamagedFileError as error:
        raise RunError(str(error)) from error
    common = [digest for digest in ours if digest in theirs]
    categories = sorted({ours[digest].category for digest in common})
    by_category = {name: _paired(ours, theirs, [d for d in common if ours[d].category == name]) for name in categories}
    digests = [entry.record.data_digest if entry.record else "" for entry in (first, second)]
    return ModelComparison(
        first.model_id,
        second.model_id,
        len(common),
        _paired(ours, theirs, common) if common else None,
        by_category,
        settings,
        bool(digests[0]) and digests[0] == digests[1],
    )


def _paired(ours: Mapping[str, Evaluated], theirs: Mapping[str, Evaluated], digests: Sequence[str]) -> Paired:
    return Paired.of(np.array([theirs[d].gain for d in digests]), np.array([ours[d].gain for d in digests]))


def settings_of(entry: Entry) -> dict[str, Any]:
    """The config that a model was trained with, by dotted names."""
    told = read_json(entry.path / "preprocess.json") or {}
    config = told.get("config")
    return _flat(config) if isinstance(config, dict) else {}


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def _differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    names = [name for name in {**first, **second} if name not in ("name", "note")]
    return {name: (first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)}
