"""What each kind of event says: one frozen dataclass per kind, the only place where its fields are written down.

The JSON of a line's ``data``, DuckDB's columns, the frames' columns, the CSV's header, the benchmarks' made-up rows and
what listeners are given all derive from these classes. A field is added here and filled where the event is written;
nothing else has to be touched. Units and ranges stand beside the fields. A number that is not finite is written as null
and read back as NaN. What a newer version wrote, or a kind that is not known here, is kept as :class:`Unknown`.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from core.tracing.outcome import TERM_NAMES
from core.tracing.params import NAMES

EVENT_VERSION = 2
Real = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
ByName = Mapping[str, Real]


@dataclass(frozen=True)
class Record:
    """The base of all kinds. ``kind``: the event's name in a log; ``has_table``: whether DuckDB keeps a table of it."""

    kind: ClassVar[str]
    has_table: ClassVar[bool] = False


@dataclass(frozen=True)
class AttemptStarted(Record):
    """A trainer's process began to work on the run."""

    kind = "attempt_started"
    from_step: int = 0  # num_timesteps of the checkpoint it goes on from, 0 without one
    total_timesteps: int = 0
    pid: int = 0
    create_time: Real = math.nan  # of the process, seconds since 1970
    from_checkpoint: str | None = None
    cause: str = ""  # why it was started again; empty where a person wished it
    parent: dict[str, Any] | None = None  # run_id, checkpoint and step of what it was forked from
    host: str = ""
    python: str = ""
    versions: dict[str, str] = field(default_factory=dict)  # of packages
    seed: int | None = None


@dataclass(frozen=True)
class LogosLoaded(Record):
    """The data set was read."""

    kind = "logos_loaded"
    path: str
    counts: dict[str, dict[str, int]] = field(default_factory=dict)  # {category: {split: logos}}
    skipped: list[dict[str, str]] = field(default_factory=list)  # source and reason of each file left out
    digest: str = ""
    n_logos: int = 0


@dataclass(frozen=True)
class PhaseStarted(Record):
    """What the trainer is busy with before its first step and after its last."""

    kind = "phase"
    phase: str


@dataclass(frozen=True)
class StageStarted(Record):
    """A stage of the curriculum began, with its rules."""

    kind = "stage_started"
    stage: int  # its place, from 0
    name: str
    categories: list[str] = field(default_factory=list)
    difficulty: Real = math.nan  # in [0, 1]
    target_ssim: Real = math.nan  # in [0, 1]
    required_gain: float | None = None
    gain_needed: float | None = None
    max_episodes: int = 0
    success_threshold: Real = math.nan  # in [0, 1]
    quality: float | None = None  # weight, where the stage has its own
    size: float | None = None
    max_side: int | None = None  # pixels
    variants: bool = True


@dataclass(frozen=True)
class StageDecision(Record):
    """The curriculum decided something that does not end the stage: extended, eased, held, released."""

    kind = "stage_decision"
    stage: int
    name: str
    reason: str
    why: str = ""
    success_share: Real = math.nan  # over the window, in [0, 1]
    n_episodes: int = 0  # in the stage


@dataclass(frozen=True)
class StageEnded(StageDecision):
    """The curriculum ended a stage: passed, skipped, episode_limit, went_back, advanced, sent_back."""

    kind = "stage_ended"


@dataclass(frozen=True)
class StageEvaluation(Record):
    """On which share of logos the policy meets each stage's demands, acting deterministically."""

    kind = "stage_evaluation"
    shares: ByName = field(default_factory=dict)  # {stage: in [0, 1]}
    change_since_end: ByName = field(default_factory=dict)  # {stage: share now less share when it ended}
    n_logos: int = 0
    is_final: bool = False


@dataclass(frozen=True)
class EpisodeEnded(Record):
    """One episode; every figure belongs to its best conversion."""

    kind = "episode"
    has_table = True
    episode: int  # from 1
    env: int
    logo: str
    category: str
    stage: str
    training_gain: Real  # under the weights that are trained for
    headline_gain: Real  # under the weights of every comparison
    terms: ByName  # weighted reward terms by name; their sum is the training gain
    length: int  # conversions
    end_reason: str  # max_steps, or the failure
    ssim: Real  # in [-1, 1]
    bytes: int
    paths: int
    cpu_s: Real  # seconds of the tracing thread
    success: bool
    params: list[Real]  # in the order of core.tracing.params.NAMES


@dataclass(frozen=True)
class Metrics(Record):
    """Stable-baselines3's metrics and ours, by name."""

    kind = "metrics"
    has_table = True
    values: ByName


@dataclass(frozen=True)
class LogoEvaluated(Record):
    """One logo of an evaluation. ``gain``: the headline gain over VTracer's defaults."""

    kind = "evaluated"
    has_table = True
    logo: str
    category: str
    digest: str
    gain: Real
    ssim: Real  # in [-1, 1]
    bytes: int
    paths: int
    cpu_s: Real  # seconds of the tracing thread
    failure: str | None
    ssim_default: Real
    bytes_default: int
    paths_default: int
    svg: str  # path inside the run; empty where SVGs are not kept
    params: list[Real]


@dataclass(frozen=True)
class EvaluationEnded(Record):
    """An evaluation's summary: means over its logos. Gains are headline gains."""

    kind = "evaluation"
    has_table = True
    gain: Real
    gain_low: Real = math.nan  # bootstrap 95 % interval of the mean
    gain_high: Real = math.nan
    gain_median: Real = math.nan
    share_better: Real = math.nan  # of logos with a gain above 0, in [0, 1]
    ssim: Real = math.nan
    ssim_default: Real = math.nan
    bytes: Real = math.nan
    bytes_default: Real = math.nan
    n_logos: int = 0
    n_failed: int = 0
    is_best: bool = False
    by_category: ByName = field(default_factory=dict)  # {category: mean gain}
    seconds: Real = math.nan  # that it took


@dataclass(frozen=True)
class BaselineMeasured(Record):
    """A reference method on the same validation logos. Gains are headline gains."""

    kind = "baseline"
    method: str
    gain: Real
    gain_low: Real = math.nan
    gain_high: Real = math.nan
    n_logos: int = 0
    budget: int = 1  # conversions per logo
    gain_median: Real = math.nan
    share_better: Real = math.nan
    ssim: Real = math.nan
    ssim_default: Real = math.nan
    bytes: Real = math.nan
    bytes_default: Real = math.nan
    n_failed: int = 0
    by_category: ByName = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointSaved(Record):
    """A checkpoint beside the last one was written."""

    kind = "checkpoint"
    name: str
    gain: float | None = None  # of the evaluation before it


@dataclass(frozen=True)
class WarningGiven(Record):
    """Something that a person should know, and that ends nothing."""

    kind = "warning"
    text: str


@dataclass(frozen=True)
class Paused(Record):
    """The trainer holds, as it was asked to."""

    kind = "paused"


@dataclass(frozen=True)
class Continued(Record):
    """The trainer goes on after a pause."""

    kind = "continued"


@dataclass(frozen=True)
class AlertRaised(Record):
    """A finding of the doctor's. ``changes``: settings (dotted) that a fork with the remedy would have."""

    kind = "alert"
    rule: str
    severity: str
    title: str
    step: int = 0  # num_timesteps
    evidence: str = ""
    cause: str = ""
    remedy: str = ""
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ActionTaken(Record):
    """What was done about a finding. ``n_left``: interventions that the run still allows."""

    kind = "action"
    rule: str
    text: str
    n_left: int = 0


@dataclass(frozen=True)
class WorkerLost(Record):
    """A worker process was replaced, with what repeats the case."""

    kind = "worker_lost"
    worker: str
    failure: str
    reason: str
    logo: str | None = None
    digest: str | None = None
    params: dict[str, float] | None = None
    is_quarantined: bool = False  # the logo is left out from now on
    case: str | None = None  # path of the picture inside the run


@dataclass(frozen=True)
class LogRepaired(Record):
    """The writer cut a torn last line off when it opened the log."""

    kind = "log_repaired"
    bytes: int


@dataclass(frozen=True)
class Ended(Record):
    """The attempt ended and says how. ``error``: the exception's class, where it was one."""

    kind = "ended"
    status: str
    reason: str = ""
    gain: float | None = None  # of the last evaluation
    best_gain: float | None = None
    error: str | None = None


@dataclass(frozen=True)
class Unknown(Record):
    """An event that this version can't read: of a newer version, or of a kind that it does not know."""

    kind: str  # type: ignore[misc]
    version: int
    data: dict[str, Any]


RECORDS: dict[str, type[Record]] = {
    record.kind: record
    for record in (
        AttemptStarted, LogosLoaded, PhaseStarted, StageStarted, StageDecision, StageEnded, StageEvaluation, EpisodeEnded, Metrics,
        LogoEvaluated, EvaluationEnded, BaselineMeasured, CheckpointSaved, WarningGiven, Paused, Continued, AlertRaised, ActionTaken,
        WorkerLost, LogRepaired, Ended,
    )
}  # fmt: skip


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
}
OLDEST_VERSION = min(UPGRADES)


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


Shape = Literal["plain", "terms", "params", "names"]


@dataclass(frozen=True)
class Column:
    """A field of a record. ``sql``: DuckDB's type, of each value where there are several.

    ``shape``: "plain", one value; "terms", one JSON key and column per reward term; "params", a JSON list and one column
    per parameter; "names", all keys of the JSON object.
    """

    name: str
    sql: str
    shape: Shape
    is_required: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns that it fills."""
        return {"terms": TERM_NAMES, "params": NAMES}.get(self.shape, (self.name,))


_columns: dict[type[Record], tuple[Column, ...]] = {}
_adapters: dict[type[Record], TypeAdapter[Any]] = {}
_SQL: dict[Any, str] = {int: "BIGINT", float: "DOUBLE", str: "VARCHAR", bool: "BOOLEAN"}


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
        found.append(Column(each.name, sql, shape, each.default is MISSING and each.default_factory is MISSING))
    return found


def _shape(record: type[Record], name: str) -> Shape:
    if record is Metrics:
        return "names"
    if record is EpisodeEnded and name == "terms":
        return "terms"
    return "params" if name == "params" and record.has_table else "plain"


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
