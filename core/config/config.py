"""The one description of every setting: default, range, unit, help.

The form, the YAML presets, the command line's ``--set`` and the README's table all come from these models; their way
from and to text is core/config/text.py. Guarantee: a config that validates can be trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.fields import FieldInfo

from core.errors import ParamError
from core.tracing.params import BEST_SINGLE, NAMES, Params

CATEGORIES = ("simple", "text", "gradient", "complex")
Category = Literal["simple", "text", "gradient", "complex"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)


def _field(default: Any, help: str, *, unit: str = "", basic: bool = False, **limits: Any) -> Any:
    return Field(default, description=help, json_schema_extra={"unit": unit, "basic": basic}, **limits)


class LogosConfig(_Section):
    """Which logos to learn from."""

    path: str = _field("builtin", "A folder of pictures, or 'builtin' for the built-in procedural logos.", basic=True, min_length=1)
    n_per_category: int = _field(60, "Size of the built-in set.", unit="logos a category", ge=4, le=5000)
    builtin_seed: int = _field(7, "Seed of the built-in set.", ge=0, le=2**31 - 1)
    variants: int = _field(
        0, "Variants of each training logo to learn from beside it: turned, cropped, recoloured, smaller.", unit="variants", ge=0, le=100
    )
    add_builtin: int = _field(0, "Built-in logos to learn from beside the folder's.", unit="logos a category", ge=0, le=5000)
    work_size: int = _field(256, "Longest side at which logos are traced and compared.", unit="pixels", ge=32, le=1024)
    validation_share: float = _field(0.2, "Share kept for validation where no manifest says.", ge=0.05, le=0.5)
    test_share: float = _field(0.1, "Share kept for a final test where no manifest says.", ge=0.0, le=0.4)


class RewardConfig(_Section):
    """Weights of the training reward. The headline gain that runs are compared by always uses 1, 0.3 and 0."""

    quality: float = _field(1.0, "Weight of ln(SSIM error of the defaults / SSIM error).", basic=True, ge=0, le=10)
    size: float = _field(0.3, "Weight of ln(bytes of the defaults / bytes).", basic=True, ge=0, le=10)
    speed: float = _field(0.0, "Weight of ln(CPU time of the defaults / CPU time). Above 0, runs no longer repeat to the bit.", ge=0, le=10)

    @model_validator(mode="after")
    def _some_weight(self) -> RewardConfig:
        if self.quality + self.size + self.speed <= 0:
            raise ValueError("all three weights are 0; at least one must be above 0")
        return self


class EnvConfig(_Section):
    """The environment."""

    max_steps: int = _field(1, "Conversions an episode: 1 is a one-shot choice.", unit="steps", basic=True, ge=1, le=50)
    centre: dict[str, float] | None = _field(
        {name: float(value) for name, value in BEST_SINGLE.as_dict().items()},
        "Parameters that action 0 stands for; null is the middle of each range.",
    )

    @field_validator("centre")
    @classmethod
    def _valid_centre(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if value is not None:
            missing = [name for name in NAMES if name not in value]
            if missing:
                raise ValueError(f"lacks {', '.join(missing)}")
            try:
                Params.from_mapping(value)
            except ParamError as error:
                raise ValueError(str(error)) from error
        return value


class PPOConfig(_Section):
    """Hyperparameters, named as in stable-baselines3."""

    learning_rate: float = _field(2e-3, "Step size of Adam at the start.", basic=True, gt=0, le=1)
    lr_schedule: Literal["constant", "linear", "cosine"] = _field("linear", "How the learning rate goes from its start to its end.")
    lr_end: float = _field(0.0, "Learning rate at the end of a linear or cosine schedule.", ge=0, le=1)
    n_steps: int = _field(4, "Steps of each environment an update.", unit="steps", basic=True, ge=1, le=65536)
    batch_size: int = _field(256, "Minibatch; must divide n_steps x n_envs.", unit="steps", basic=True, ge=2, le=65536)
    n_epochs: int = _field(10, "Passes over each rollout.", ge=1, le=100)
    gamma: float = _field(0.0, "Discount of later rewards; 0 suits one-step episodes.", ge=0, le=1)
    gae_lambda: float = _field(0.95, "Bias against variance of the advantage.", ge=0, le=1)
    clip_range: float = _field(0.2, "How far one update may move the policy's ratio.", gt=0, le=1)
    clip_range_vf: float | None = _field(None, "The same for the value function; null leaves it free.", gt=0, le=100)
    normalize_advantage: bool = _field(True, "Scale the advantages of each minibatch to unit variance.")
    ent_coef: float = _field(0.0, "Weight of the entropy bonus: keeps exploration up.", basic=True, ge=0, le=1)
    vf_coef: float = _field(0.5, "Weight of the value loss.", ge=0, le=10)
    max_grad_norm: float = _field(0.5, "Gradients are scaled down to this norm.", gt=0, le=100)
    target_kl: float | None = _field(None, "Stop an update's epochs beyond 1.5 times this divergence; null never stops.", gt=0, le=10)
    net_arch_pi: list[int] = _field([128, 128], "Units of each hidden layer of the policy.", unit="units")
    net_arch_vf: list[int] = _field([128, 128], "Units of each hidden layer of the value function.", unit="units")
    activation: Literal["tanh", "relu", "elu"] = _field("tanh", "Activation of the hidden layers.")
    log_std_init: float = _field(-1.2, "Logarithm of the first exploration deviation.", ge=-5, le=2)
    normalize_observation: bool = _field(False, "Scale observations by their running mean and deviation.")
    normalize_reward: bool = _field(False, "Scale rewards by the running deviation of the return.")

    @field_validator("net_arch_pi", "net_arch_vf")
    @classmethod
    def _valid_layers(cls, value: list[int]) -> list[int]:
        if len(value) > 6 or any(not 1 <= units <= 4096 for units in value):
            raise ValueError(f"{value} is not at most 6 layers of 1 to 4096 units")
        return value


class StageConfig(_Section):
    """One stage of the curriculum."""

    name: str = _field("stage", "Short name.", min_length=1, max_length=60)
    categories: list[Category] = _field(list(CATEGORIES), "Logos the stage draws from.", min_length=1)
    difficulty: float = _field(1.0, "Sets the required gain (0.30 x difficulty) unset there.", ge=0, le=1)
    target_ssim: float = _field(0.9, "SSIM that an episode must reach to succeed.", ge=0, le=1)
    required_gain: float | None = _field(None, "Headline gain that an episode must reach too; null is 0.30 x difficulty.", ge=-5, le=10)
    max_episodes: int = _field(10_000, "The stage ends here if it is not passed before.", unit="episodes", ge=1, le=100_000_000)
    success_threshold: float = _field(0.7, "Share of successes in the window that passes the stage.", gt=0, le=1)
    quality: float | None = _field(None, "Weight of quality in the reward of this stage; null is the run's.", ge=0, le=10)
    size: float | None = _field(None, "Weight of size in the reward of this stage; null is the run's.", ge=0, le=10)
    max_side: int | None = _field(
        None,
        "Draws only pictures of at most this longest side, smaller variants among them; null draws all.",
        unit="pixels",
        ge=16,
        le=4096,
    )
    variants: bool = _field(True, "Whether variants of the logos are drawn too.")

    def gain_needed(self) -> float:
        return 0.30 * self.difficulty if self.required_gain is None else self.required_gain


def plan_stages() -> list[StageConfig]:
    """The four stages: simple, + text, + gradient, + complex."""
    rows = [
        ("simple_warmup", 1, 0.1, 0.75, 5_000, 0.80),
        ("text_introduction", 2, 0.3, 0.80, 8_000, 0.75),
        ("gradient_challenge", 3, 0.6, 0.85, 10_000, 0.70),
        ("complex_mastery", 4, 1.0, 0.90, 15_000, 0.65),
    ]
    return [
        StageConfig(name=n, categories=list(CATEGORIES[:k]), difficulty=d, target_ssim=s, max_episodes=e, success_threshold=t)  # type: ignore[arg-type]
        for n, k, d, s, e, t in rows
    ]


class CurriculumConfig(_Section):
    """Stages in order. Off, all logos are drawn from the start."""

    enabled: bool = _field(
        False,
        "Go through the stages instead of drawing from all logos at once; off, because at equal steps it cost 0.01 of gain.",
        basic=True,
    )
    window: int = _field(200, "Episodes over which the share of successes is taken.", unit="episodes", ge=1, le=100_000)
    min_episodes: int = _field(400, "Episodes that a stage lasts at least.", unit="episodes", ge=1, le=10_000_000)
    earlier_share: float = _field(
        0.3, "Share of episodes on logos of earlier stages, against forgetting; the rest are on those new in the stage.", ge=0, le=1
    )
    probe: bool = _field(True, "Skip a stage that an evaluation at its start passes already (never the last).")
    ends_run: bool = _field(True, "End the run with its last stage; off, that stage goes on to the run's last step.")
    max_extensions: int = _field(1, "Times a stage that is close at its limit goes on for half as many episodes.", ge=0, le=100)
    on_failure: Literal["advance", "ease", "back"] = _field(
        "ease", "At the limit of a stage that is not passed: go on, ask for 0.05 less, or repeat the stage before."
    )
    max_setbacks: int = _field(2, "Times a run eases or goes back at most; then it goes on.", ge=0, le=1000)
    stages: list[StageConfig] = Field(default_factory=plan_stages, description="The stages.", min_length=1, max_length=20)

    @model_validator(mode="after")
    def _names_differ(self) -> CurriculumConfig:
        names = [stage.name for stage in self.stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two stages are named {twice[0]!r}; names must differ")
        return self


class EvaluationConfig(_Section):
    """Periodic deterministic evaluation on validation logos."""

    every_steps: int = _field(4096, "Steps between evaluations (at the end of an update).", unit="steps", ge=1, le=100_000_000)
    max_logos: int = _field(60, "Validation logos an evaluation, spread over the categories.", unit="logos", ge=1, le=5000)
    keep_svgs: bool = _field(True, "Keep every evaluation's SVGs for the Gallery.")


class OutcomeConfig(_Section):
    """The outcome model: learned from all conversions when a training ends, asked by the policy search."""

    members: int = _field(4, "Networks of the ensemble; 0 learns none.", unit="networks", ge=0, le=32)
    units: int = _field(96, "Units of each of its three hidden layers.", unit="units", ge=8, le=2048)
    epochs: int = _field(12, "Passes over all conversions.", ge=1, le=1000)


class CheckpointConfig(_Section):
    """Checkpoints: last and best always, and one every so many steps."""

    every_steps: int = _field(8192, "Steps between periodic checkpoints.", unit="steps", ge=1, le=100_000_000)
    keep: int = _field(3, "Periodic checkpoints kept beside last and best.", ge=1, le=1000)
    keep_every: int = _field(0, "Of the periodic checkpoints every n-th is kept too; 0 keeps none of them.", ge=0, le=100_000)
    disk_budget_mb: float = _field(
        4000.0, "Disk space of the run: beyond it periodic checkpoints go, then SVGs of old evaluations.", unit="MB", ge=5, le=10_000_000
    )


class WorkersConfig(_Section):
    """What a worker may take. One that takes more, or dies, is replaced, and its episode ends as failed."""

    time_limit_s: float = _field(30.0, "Time for one conversion.", unit="seconds", ge=0.1, le=3600)
    memory_limit_mb: float = _field(1500.0, "Memory of a worker beside what all share.", unit="MB", ge=100, le=1_000_000)
    run_memory_mb: float = _field(
        0.0, "Memory of the whole run; at it, it stops with a checkpoint. 0: all but 5 % of the machine's.", unit="MB", ge=0, le=10_000_000
    )
    max_losses: int = _field(3, "A logo that costs so many workers is put aside for the rest of the run.", unit="workers", ge=1, le=1000)


class RecoveryConfig(_Section):
    """What happens when the trainer dies or hangs, while a console or `runs serve` is there to see it."""

    enabled: bool = _field(True, "Start it again from its last checkpoint.")
    max_restarts: int = _field(3, "Restarts in a row without getting further before it is left as it is.", ge=1, le=1000)
    backoff_s: float = _field(3.0, "Pause before the first of them; doubled each time.", unit="seconds", ge=0, le=3600)
    stalled_s: float = _field(120.0, "A trainer that gives no sign of life for so long is killed.", unit="seconds", ge=10, le=86_400)


class HealthConfig(_Section):
    """What the doctor (core/health/doctor.py) may do about what it finds; it always tells."""

    on_instability: Literal["tell", "roll_back", "stop"] = _field(
        "tell", "At a severe finding: only tell, go back to the best checkpoint with half the learning rate, or stop."
    )
    adjust_entropy: bool = _field(False, "Raise the entropy coefficient when exploration collapses, lower it when it explodes.")
    stop_on_plateau: bool = _field(False, "End the run when the validation gain no longer rises.")
    adjust_stages: bool = _field(False, "Shorten a stage that gets nowhere, extend one that is close.")
    max_actions: int = _field(3, "Actions in a run at most.", ge=1, le=1000)
    ignore: list[str] = _field([], "Rules to leave out.")


class EarlyStopConfig(_Section):
    """Stop when the validation gain no longer rises."""

    enabled: bool = _field(False, "Stop early.")
    patience: int = _field(8, "Evaluations without a new best before stopping.", unit="evaluations", ge=1, le=1000)
    min_improvement: float = _field(0.002, "A smaller rise is no new best.", unit="gain", ge=0, le=10)


class RunConfig(_Section):
    """A whole run."""

    version: Literal[1] = Field(1, description="Version of this format.")
    name: str = _field("", "Shown in lists; empty takes the preset's name.", basic=True, max_length=80)
    note: str = _field("", "Anything to remember.", max_length=2000)
    seed: int = _field(1, "Same seed and config, same episodes.", basic=True, ge=0, le=2**31 - 1)
    total_timesteps: int = _field(30_000, "Environment steps of the whole run.", unit="steps", basic=True, ge=1, le=1_000_000_000)
    n_envs: int = _field(128, "Environments stepped together.", unit="environments", ge=1, le=1024)
    n_workers: int = _field(0, "Worker processes; 0 takes the cores this process may use.", unit="processes", basic=True, ge=0, le=256)
    device: Literal["auto", "cpu", "cuda"] = _field("cpu", "Where the networks train; such small ones are fastest on the CPU.")
    logos: LogosConfig = Field(default_factory=LogosConfig)
    env: EnvConfig = Field(default_factory=EnvConfig)
    reward: RewardConfig = Field(default_factory=RewardConfig)
    ppo: PPOConfig = Field(default_factory=PPOConfig)
    curriculum: CurriculumConfig = Field(default_factory=CurriculumConfig)
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    checkpoint: CheckpointConfig = Field(default_factory=CheckpointConfig)
    outcome: OutcomeConfig = Field(default_factory=OutcomeConfig)
    workers: WorkersConfig = Field(default_factory=WorkersConfig)
    recovery: RecoveryConfig = Field(default_factory=RecoveryConfig)
    health: HealthConfig = Field(default_factory=HealthConfig)
    early_stop: EarlyStopConfig = Field(default_factory=EarlyStopConfig)

    @model_validator(mode="after")
    def _rollout_fits_batches(self) -> RunConfig:
        n = self.ppo.n_steps * self.n_envs
        b = self.ppo.batch_size
        if n < 2:
            raise ValueError("ppo.n_steps * n_envs = 1 is too short for an update; take at least 2")
        if n % b:
            near = sorted({max(n // b, 1) * b, (n // b + 1) * b})
            hint = " or ".join(str(x) for x in near)
            raise ValueError(f"ppo.n_steps * n_envs = {n} is no multiple of ppo.batch_size = {b}; try {hint} steps")
        return self

    @property
    def rollout_steps(self) -> int:
        """Steps of one update, over all environments."""
        return self.ppo.n_steps * self.n_envs


def bounds(info: FieldInfo) -> tuple[float | None, float | None, bool]:
    """(low, high, whether low itself is excluded) of a numeric field; None where open."""
    low = high = None
    is_open = False
    for rule in info.metadata:
        if getattr(rule, "ge", None) is not None:
            low = rule.ge
        if getattr(rule, "gt", None) is not None:
            low, is_open = rule.gt, True
        if getattr(rule, "le", None) is not None:
            high = rule.le
    return low, high, is_open


def range_text(info: FieldInfo) -> str:
    """ "[0, 1] steps", or the choices ("a or b") of a field that has choices, or empty."""
    choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
    if choices:
        return " or ".join(str(choice) for choice in choices)
    low, high, is_open = bounds(info)
    if low is None and high is None:
        return unit(info)
    if low is not None and high is not None:
        text = f"{'(' if is_open else '['}{_number(low)}, {_number(high)}]"
    else:
        text = f"at least {_number(low)}" if low is not None else f"at most {_number(high)}"
    return f"{text} {unit(info)}".strip()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"


def unit(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def is_basic(info: FieldInfo) -> bool:
    extra = info.json_schema_extra
    return bool(extra.get("basic")) if isinstance(extra, dict) else False


def walk_fields(model: type[BaseModel] = RunConfig, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """(dotted name, field) of every setting, sections opened, lists of stages left as one field."""
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from walk_fields(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info
