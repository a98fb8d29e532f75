"""What each kind of event says: one frozen dataclass per kind, the only place where its fields are written down.

The JSON of a line's ``data``, DuckDB's columns, the frames' columns, the CSV's header, the benchmarks' made-up rows and
what listeners are given all derive from these classes. A field is added here and filled where the event is written;
a figure of an episode also passes through COLUMNS of core/environment/vec_env.py, by which it gets to the callback that
writes it. Units and ranges stand beside the fields. A number that is not finite is written as null and read back as NaN. What a newer version wrote, or a kind that is not known here, is kept as :class:`Unknown`.
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
    """The base of all kinds. ``kind``: the event's name in a log; ``table``: DuckDB's table of it, empty where it is among all others."""

    kind: ClassVar[str]
    table: ClassVar[str] = ""


@dataclass(frozen=True)
class AttemptStarted(Record):
    """A trainer's process began to work on the run."""

    kind = "attempt_started"
    from_step: int = 0  # num_timesteps of the checkpoint it goes on from, 0 without one
    total_timesteps: int = 0  # steps that the run is to take
    pid: int = 0  # of the trainer's process
    create_time: Real = math.nan  # of the process, seconds since 1970
    from_checkpoint: str | None = None  # name of the checkpoint it goes on from
    cause: str = ""  # why it was started again; empty where a person wished it
    parent: dict[str, Any] | None = None  # run_id, checkpoint and step of what it was forked from
    host: str = ""  # name of the machine
    python: str = ""  # version
    versions: dict[str, str] = field(default_factory=dict)  # of packages
    seed: int | None = None  # of the config


@dataclass(frozen=True)
class LogosLoaded(Record):
    """The data set was read."""

    kind = "logos_loaded"
    path: str  # folder, or builtin
    counts: dict[str, dict[str, int]] = field(default_factory=dict)  # {category: {split: logos}}
    skipped: list[dict[str, str]] = field(default_factory=list)  # source and reason of each file left out
    digest: str = ""  # of all pictures and their splits
    n_logos: int = 0  # logos in all splits


@dataclass(frozen=True)
class PhaseStarted(Record):
    """What the trainer is busy with before its first step and after its last."""

    kind = "phase"
    phase: str  # in words


@dataclass(frozen=True)
class StageStarted(Record):
    """A stage of the curriculum began, with its rules."""

    kind = "stage_started"
    stage: int  # its place, from 0
    name: str  # of the stage
    categories: list[str] = field(default_factory=list)  # of the logos that it trains on
    difficulty: Real = math.nan  # in [0, 1]
    target_ssim: Real = math.nan  # in [0, 1]
    required_gain: float | None = None  # as configured, null where it follows from the difficulty
    gain_needed: float | None = None  # gain that an episode needs to succeed
    max_episodes: int = 0  # episodes after which the stage ends
    success_threshold: Real = math.nan  # in [0, 1]
    quality: float | None = None  # weight, where the stage has its own
    size: float | None = None  # weight, where the stage has its own
    max_side: int | None = None  # pixels
    variants: bool = True  # whether it trains on variants too


@dataclass(frozen=True)
class StageDecision(Record):
    """The curriculum decided something that does not end the stage: extended, eased, held, released."""

    kind = "stage_decision"
    stage: int  # its place, from 0
    name: str  # of the stage
    reason: str  # extended, eased, held, released, ...
    why: str = ""  # in words
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
    n_logos: int = 0  # logos evaluated
    is_final: bool = False  # whether it is the run's last


@dataclass(frozen=True)
class EpisodeEnded(Record):
    """One episode; every figure belongs to its best conversion."""

    kind = "episode"
    table = "episodes"
    episode: int  # from 1
    env: int  # place of the environment, from 0
    logo: str  # its name
    category: str  # of the logo
    stage: str  # of the curriculum, empty without one
    training_gain: Real  # under the weights that are trained for
    headline_gain: Real  # under the weights of every comparison
    terms: ByName  # weighted reward terms by name; their sum is the training gain
    length: int  # conversions
    end_reason: str  # max_steps, or the failure
    ssim: Real  # in [-1, 1]
    bytes: int  # of the SVG
    paths: int  # in the SVG
    cpu_s: Real  # seconds of the tracing thread
    success: bool  # whether it met the stage's demands
    params: list[Real]  # in the order of core.tracing.params.NAMES
    colour: Real = math.nan  # mean CIELAB distance to the picture
    edge: Real = math.nan  # GMSD, in [0, about 0.5]
    nodes: Real = math.nan  # of all paths; null in logs of before


@dataclass(frozen=True)
class Metrics(Record):
    """Stable-baselines3's metrics and ours, by name."""

    kind = "metrics"
    table = "metrics"
    values: ByName  # {metric: value}


@dataclass(frozen=True)
class LogoEvaluated(Record):
    """One logo of an evaluation. ``gain``: the headline gain over VTracer's defaults."""

    kind = "evaluated"
    table = "evaluated"
    logo: str  # its name
    category: str  # of the logo
    digest: str  # of the picture, by which files are named
    gain: Real  # headline gain
    ssim: Real  # in [-1, 1]
    bytes: int  # of the SVG
    paths: int  # in the SVG
    cpu_s: Real  # seconds of the tracing thread
    failure: str | None  # why the conversion failed, null where it did not
    ssim_default: Real  # of VTracer's plain defaults
    bytes_default: int  # of VTracer's plain defaults
    paths_default: int  # of VTracer's plain defaults
    svg: str  # path inside the run; empty where SVGs are not kept
    params: list[Real]  # in the order of core.tracing.params.NAMES
    colour: Real = math.nan  # mean CIELAB distance to the picture
    edge: Real = math.nan  # GMSD, in [0, about 0.5]
    nodes: Real = math.nan  # of all paths
    colour_default: Real = math.nan  # of VTracer's plain defaults
    edge_default: Real = math.nan  # of VTracer's plain defaults
    nodes_default: Real = math.nan  # of VTracer's plain defaults


@dataclass(frozen=True)
class EvaluationEnded(Record):
    """An evaluation's summary: means over its logos. Gains are headline gains."""

    kind = "evaluation"
    table = "evaluations"
    gain: Real  # mean headline gain
    gain_low: Real = math.nan  # bootstrap 95% interval of the mean
    gain_high: Real = math.nan  # bootstrap 95% interval of the mean
    gain_median: Real = math.nan  # median over the logos
    share_better: Real = math.nan  # of logos with a gain above 0, in [0, 1]
    ssim: Real = math.nan  # mean, in [-1, 1]
    ssim_default: Real = math.nan  # of VTracer's plain defaults
    bytes: Real = math.nan  # mean of the SVGs
    bytes_default: Real = math.nan  # of VTracer's plain defaults
    n_logos: int = 0  # logos evaluated
    n_failed: int = 0  # logos whose conversion failed
    is_best: bool = False  # whether it is the run's best until then
    by_category: ByName = field(default_factory=dict)  # {category: mean gain}
    seconds: Real = math.nan  # that it took
    colour: Real = math.nan  # mean CIELAB distance to the pictures
    colour_default: Real = math.nan  # of VTracer's plain defaults
    edge: Real = math.nan  # GMSD
    edge_default: Real = math.nan  # of VTracer's plain defaults
    nodes: Real = math.nan  # mean, of all paths
    nodes_default: Real = math.nan  # of VTracer's plain defaults
    over_single: Real = math.nan  # mean gain over the best single setting on the same logos, paired, with its 95% interval
    over_single_low: Real = math.nan  # bootstrap 95% interval of over_single
    over_single_high: Real = math.nan  # bootstrap 95% interval of over_single


@dataclass(frozen=True)
class BaselineMeasured(Record):
    """A reference method on the same validation logos. Gains are headline gains."""

    kind = "baseline"
    method: str  # name of the baseline
    gain: Real  # mean headline gain
    gain_low: Real = math.nan  # bootstrap 95% interval of the mean
    gain_high: Real = math.nan  # bootstrap 95% interval of the mean
    n_logos: int = 0  # logos measured
    budget: int = 1  # conversions per logo
    gain_median: Real = math.nan  # median over the logos
    share_better: Real = math.nan  # of logos with a gain above 0, in [0, 1]
    ssim: Real = math.nan  # mean, in [-1, 1]
    ssim_default: Real = math.nan  # of VTracer's plain defaults
    bytes: Real = math.nan  # mean of the SVGs
    bytes_default: Real = math.nan  # of VTracer's plain defaults
    n_failed: int = 0  # logos whose conversion failed
    by_category: ByName = field(default_factory=dict)  # {category: mean gain}
    colour: Real = math.nan  # mean CIELAB distance to the pictures
    colour_default: Real = math.nan  # of VTracer's plain defaults
    edge: Real = math.nan  # GMSD
    edge_default: Real = math.nan  # of VTracer's plain defaults
    nodes: Real = math.nan  # mean, of all paths
    nodes_default: Real = math.nan  # of VTracer's plain defaults


@dataclass(frozen=True)
class CheckpointSaved(Record):
    """A checkpoint beside the last one was written."""

    kind = "checkpoint"
    name: str  # of its folder
    gain: float | None = None  # of the evaluation before it


@dataclass(frozen=True)
class WarningGiven(Record):
    """Something that a person should know, and that ends nothing."""

    kind = "warning"
    text: str  # in words


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
    rule: str  # name of the doctor's rule
    severity: str  # info, warning or severe
    title: str  # in a few words
    step: int = 0  # num_timesteps
    evidence: str = ""  # the figures behind it
    cause: str = ""  # what is likely behind it
    remedy: str = ""  # what to do
    changes: dict[str, Any] = field(default_factory=dict)  # {dotted setting: value} of the remedy


@dataclass(frozen=True)
class ActionTaken(Record):
    """What was done about a finding. ``n_left``: interventions that the run still allows."""

    kind = "action"
    rule: str  # name of the doctor's rule
    text: str  # what was done, in words
    n_left: int = 0  # interventions that the run still allows


NODE = "node "  # with which the name of a lost node begins


@dataclass(frozen=True)
class WorkerLost(Record):
    """A worker process was replaced, with what repeats the case."""

    kind = "worker_lost"
    worker: str  # its name
    failure: str  # what became of the conversion
    reason: str  # what became of the process
    logo: str | None = None  # that it was at
    digest: str | None = None  # of the picture
    params: dict[str, float] | None = None  # {parameter: value} of the conversion
    is_quarantined: bool = False  # the logo is left out from now on
    case: str | None = None  # path of the picture inside the run

    @property
    def is_node(self) -> bool:
        """Whether it was a node of a cluster, whose conversions others do; no logo is at fault."""
        return self.worker.startswith(NODE)


@dataclass(frozen=True)
class LogRepaired(Record):
    """The writer cut a torn last line off when it opened the log."""

    kind = "log_repaired"
    bytes: int  # that were cut off


@dataclass(frozen=True)
class Ended(Record):
    """The attempt ended and says how. ``error``: the exception's class, where it was one."""

    kind = "ended"
    status: str  # COMPLETED, STOPPED, FAILED or PRUNED
    reason: str = ""  # in words
    gain: float | None = None  # of the last evaluation
    best_gain: float | None = None  # of the best evaluation
    error: str | None = None  # the exception's class, where it was one
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
