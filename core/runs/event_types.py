"""What each kind of event says: one frozen dataclass per kind, the only place where its fields are written down.

The JSON of a line's ``data``, DuckDB's columns, the frames' columns, the CSV's header, the benchmarks' made-up rows and
what listeners are given all derive from these classes. A field is added here and filled where the event is written;
nothing else has to be touched. Units and ranges stand beside the fields. A number that is not finite is written as null
and read back as NaN. What a newer version wrote, or a kind that is not known here, is kept as :class:`Unknown`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

EVENT_VERSION = 3
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
    colour: Real = math.nan  # mean CIELAB distance to the picture
    edge: Real = math.nan  # GMSD, in [0, about 0.5]
    nodes: Real = math.nan  # of all paths; null in logs of before


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
    colour: Real = math.nan  # mean CIELAB distance to the picture
    edge: Real = math.nan  # GMSD, in [0, about 0.5]
    nodes: Real = math.nan  # of all paths
    colour_default: Real = math.nan
    edge_default: Real = math.nan
    nodes_default: Real = math.nan


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
    colour: Real = math.nan  # mean CIELAB distance to the pictures
    colour_default: Real = math.nan
    edge: Real = math.nan  # GMSD
    edge_default: Real = math.nan
    nodes: Real = math.nan
    nodes_default: Real = math.nan
    over_single: Real = math.nan  # mean gain over the best single setting on the same logos, paired, with its 95 % interval
    over_single_low: Real = math.nan
    over_single_high: Real = math.nan


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
    colour: Real = math.nan
    colour_default: Real = math.nan
    edge: Real = math.nan
    edge_default: Real = math.nan
    nodes: Real = math.nan
    nodes_default: Real = math.nan


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
    verdict: str = ""  # on the best evaluation, against the best single setting


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
