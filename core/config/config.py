"""The one description of every setting: default, range, unit, help.

The form, the YAML presets, the command line's ``--set`` and docs/settings.md all come from these models; core/config/text.py
reads and writes them. Guarantee: a config that validates can be trained.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from core.config.fields import Section, setting
from core.config.workers import WorkersConfig
from core.errors import ParamError
from core.tracing.outcome import TERM_NAMES
from core.tracing.params import BEST_SINGLE, NAMES, Params

MOST_STEPS = 1_000_000_000  # of a run
GAIN_PER_DIFFICULTY = 0.80  # about what the best single setting reaches on logos of every kind
CATEGORIES = ("simple", "text", "gradient", "complex")
Category = Literal["simple", "text", "gradient", "complex"]


class LogosConfig(Section):
    """The logos to train on."""

    path: str = setting("builtin", "Folder of pictures, or 'builtin' for the built-in procedural logos.", basic=True, min_length=1)
    n_per_category: int = setting(60, "Size of the built-in set.", unit="logos per category", ge=4, le=5000)
    builtin_seed: int = setting(7, "Seed of the built-in set.", ge=0, le=2**31 - 1)
    variants: int = setting(
        0,
        "Variants of each training logo to train on as well: rotated, flipped, cropped, recoloured or scaled down.",
        unit="variants",
        ge=0,
        le=100,
    )
    add_builtin: int = setting(
        0, "Built-in logos to train on in addition to those in the folder.", unit="logos per category", ge=0, le=5000
    )
    work_size: int = setting(256, "Longest side of the pictures that are traced and compared.", unit="pixels", ge=32, le=1024)
    validation_share: float = setting(0.2, "Share of logos held out for validation, unless a manifest assigns the splits.", ge=0.05, le=0.5)
    test_share: float = setting(0.1, "Share of logos held out for a final test, unless a manifest assigns the splits.", ge=0.0, le=0.4)


class PipelineConfig(Section):
    """Steps around VTracer: enlarging the picture and cleaning its edges before, fitting colours and gradients after."""

    engine: Literal["1.0", "0.6"] = setting("1.0", "Version of VTracer; 0.6 must be installed alongside 1.0 (make vtracer-0.6).")
    trace_size: int = setting(
        512,
        "Longest side of the picture that VTracer traces in training, enlarged from the work size by a whole factor; 0 disables enlarging.",
        unit="pixels",
        basic=True,
        ge=0,
        le=4096,
    )
    delivered_size: int = setting(
        1536, "The same for SVGs that Optimize delivers; larger is finer but several times slower.", unit="pixels", ge=0, le=4096
    )
    sharpen: bool = setting(True, "Replace each blended edge pixel with an adjacent unblended colour.")
    fills: bool = setting(True, "Fit each region's colour, or a gradient, to the picture.")


class RewardConfig(Section):
    """Weights of the training reward. Runs are compared by the headline gain, which always uses 1, 0.1 and 0."""

    quality: float = setting(1.0, "Weight of ln(visual error of the defaults / visual error).", basic=True, ge=0, le=10)
    size: float = setting(0.1, "Weight of ln(bytes of the defaults / bytes).", basic=True, ge=0, le=10)
    speed: float = setting(
        0.0, "Weight of ln(CPU time of the defaults / CPU time). Above 0, runs are no longer reproducible bit for bit.", ge=0, le=10
    )

    @model_validator(mode="after")
    def _some_weight(self) -> RewardConfig:
        if sum(getattr(self, name) for name in TERM_NAMES) <= 0:
            raise ValueError("all weights are 0; at least one must be above 0")
        return self


class EnvConfig(Section):
    """The environment that the agent acts in."""

    max_steps: int = setting(1, "Conversions per episode; with 1, the agent chooses once per logo.", unit="steps", basic=True, ge=1, le=50)
    centre: dict[str, float] | None = setting(
        {name: float(value) for name, value in BEST_SINGLE.as_dict().items()},
        "VTracer parameters that action 0 maps to; null means the middle of each range.",
    )

    fixed: list[str] = setting([], "VTracer parameters fixed at action 0, by name, because choosing them per logo gains nothing.")

    @field_validator("fixed")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        unknown = [name for name in value if name not in NAMES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a parameter; choose from {', '.join(NAMES)}")
        if set(value) == set(NAMES):
            raise ValueError("all parameters are fixed; at least one must be left to choose")
        return value

    @field_validator("centre")
    @classmethod
    def _valid_centre(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if value is not None:
            missing = [name for name in NAMES if name not in value]
            if missing:
                raise ValueError(f"values are missing for {', '.join(missing)}")
            try:
                Params.from_mapping(value)
            except ParamError as error:
                raise ValueError(str(error)) from error
        return value


class PPOConfig(Section):
    """PPO hyperparameters, named as in stable-baselines3."""

    learning_rate: float = setting(2e-3, "Initial learning rate of the Adam optimizer.", basic=True, gt=0, le=1)
    lr_schedule: Literal["constant", "linear", "cosine"] = setting("linear", "How the learning rate changes over the run.")
    lr_end: float = setting(0.0, "Final learning rate of a linear or cosine schedule.", ge=0, le=1)
    n_steps: int = setting(4, "Steps that each environment takes per update.", unit="steps", basic=True, ge=1, le=65536)
    batch_size: int = setting(256, "Minibatch size; must divide n_steps x n_envs.", unit="steps", basic=True, ge=2, le=65536)
    n_epochs: int = setting(10, "Passes over each rollout per update.", ge=1, le=100)
    gamma: float = setting(0.0, "Discount factor for later rewards; 0 suits one-step episodes.", ge=0, le=1)
    gae_lambda: float = setting(0.95, "Trades bias (low values) against variance (high values) of the advantage estimates.", ge=0, le=1)
    clip_range: float = setting(0.2, "Limit on how far one update may move the policy's probability ratio from 1.", gt=0, le=1)
    clip_range_vf: float | None = setting(
        None, "Limit on how far one update may move the value function; null sets no limit.", gt=0, le=100
    )
    normalize_advantage: bool = setting(True, "Normalize the advantages of each minibatch to zero mean and unit variance.")
    ent_coef: float = setting(0.0, "Weight of the entropy bonus, which encourages exploration.", basic=True, ge=0, le=1)
    vf_coef: float = setting(0.5, "Weight of the value loss.", ge=0, le=10)
    max_grad_norm: float = setting(0.5, "Gradients with a larger norm are scaled down to this one.", gt=0, le=100)
    target_kl: float | None = setting(
        None, "End an update early when its KL divergence exceeds 1.5 times this value; null never does.", gt=0, le=10
    )
    net_arch_pi: list[int] = setting([128, 128], "Units in each hidden layer of the policy network.", unit="units")
    net_arch_vf: list[int] = setting([128, 128], "Units in each hidden layer of the value network.", unit="units")
    activation: Literal["tanh", "relu", "elu"] = setting("tanh", "Activation function of the hidden layers.")
    heads: Literal["gaussian", "mixed"] = setting(
        "gaussian", "Distribution of the actions: Gaussian for all parameters, or categorical for those with few values (mixed)."
    )
    group_size: int = setting(
        1,
        "Number of environments that share each logo; above 1, their actions are also compared with each other.",
        unit="environments",
        ge=1,
        le=64,
    )
    log_std_init: float = setting(-1.2, "Natural logarithm of the initial standard deviation of the actions.", ge=-5, le=2)
    normalize_observation: bool = setting(False, "Normalize observations by their running mean and standard deviation.")
    normalize_reward: bool = setting(False, "Scale rewards by the running standard deviation of the return.")

    @field_validator("net_arch_pi", "net_arch_vf")
    @classmethod
    def _valid_layers(cls, value: list[int]) -> list[int]:
        if len(value) > 6 or any(not 1 <= units <= 4096 for units in value):
            raise ValueError(f"{value} is not allowed; use at most 6 layers of 1 to 4096 units each")
        return value


class StageConfig(Section):
    """One stage of the curriculum."""

    name: str = setting("stage", "Name of the stage; each may occur only once.", min_length=1, max_length=60)
    categories: list[Category] = setting(list(CATEGORIES), "Categories of logos to draw from.", min_length=1)
    difficulty: float = setting(1.0, "Difficulty; the required gain is 0.80 times this unless it is set.", ge=0, le=1)
    target_ssim: float = setting(0.9, "SSIM that an episode must reach to count as a success.", ge=0, le=1)
    required_gain: float | None = setting(
        None, "Headline gain that an episode must also reach; null means 0.80 x difficulty.", ge=-5, le=10
    )
    max_episodes: int = setting(
        10_000, "Episode limit, at which a stage that has not been passed ends.", unit="episodes", ge=1, le=100_000_000
    )
    success_threshold: float = setting(0.7, "Success rate over the window at which the stage is passed.", gt=0, le=1)
    quality: float | None = setting(None, "Quality weight of the reward during this stage; null uses the run's.", ge=0, le=10)
    size: float | None = setting(None, "Size weight of the reward during this stage; null uses the run's.", ge=0, le=10)
    max_side: int | None = setting(
        None,
        "Draw only pictures whose longest side is at most this, including scaled-down variants; null draws all.",
        unit="pixels",
        ge=16,
        le=4096,
    )
    variants: bool = setting(True, "Also draw variants of the logos.")

    def gain_needed(self) -> float:
        return GAIN_PER_DIFFICULTY * self.difficulty if self.required_gain is None else self.required_gain


def plan_stages() -> list[StageConfig]:
    """The four stages: simple, + text, + gradient, + complex."""
    rows = [
        ("simple_warmup", 1, 0.1, 0.75, 5_000, 0.80),
        ("text_introduction", 2, 0.3, 0.80, 8_000, 0.75),
        ("gradient_challenge", 3, 0.6, 0.85, 10_000, 0.70),
        ("complex_mastery", 4, 1.0, 0.90, 15_000, 0.65),
    ]
    return [
        StageConfig(name=n, categories=list(CATEGORIES[:k]), difficulty=d, target_ssim=s, max_episodes=e, success_threshold=t)
        for n, k, d, s, e, t in rows
    ]


class CurriculumConfig(Section):
    """Stages in order. When disabled, all logos are drawn from the start."""

    enabled: bool = setting(
        False,
        "Work through the stages instead of drawing from all logos at once. Off by default: with the same number of steps, it cost 0.01 of gain.",
        basic=True,
    )
    window: int = setting(200, "Number of recent episodes over which the success rate is computed.", unit="episodes", ge=1, le=100_000)
    min_episodes: int = setting(400, "Minimum number of episodes per stage.", unit="episodes", ge=1, le=10_000_000)
    earlier_share: float = setting(
        0.3, "Share of episodes on logos of earlier stages, to prevent forgetting; the rest are on logos new in the stage.", ge=0, le=1
    )
    probe: bool = setting(True, "Skip a stage that the policy already passes in an evaluation at its start (never the last stage).")
    ends_run: bool = setting(True, "End the run when its last stage ends; otherwise that stage continues until the run's last step.")
    max_extensions: int = setting(
        1, "Maximum extensions per stage, each by half of max_episodes, if it is close to passing at its limit.", ge=0, le=100
    )
    on_failure: Literal["advance", "ease", "back"] = setting(
        "ease", "What to do at the limit of a stage that was not passed: advance anyway, lower the threshold by 0.05, or go back one stage."
    )
    max_setbacks: int = setting(
        2, "Maximum setbacks per run (lowering a threshold or going back a stage); after that, stages advance.", ge=0, le=1000
    )
    stages: list[StageConfig] = Field(default_factory=plan_stages, description="The stages, in order.", min_length=1, max_length=20)

    @model_validator(mode="after")
    def _names_differ(self) -> CurriculumConfig:
        names = [stage.name for stage in self.stages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two stages are named {twice[0]!r}; stage names must be unique")
        return self


class EvaluationConfig(Section):
    """Periodic evaluation of the deterministic policy on validation logos."""

    every_steps: int = setting(
        4096, "Steps between evaluations, which take place at the end of an update.", unit="steps", ge=1, le=100_000_000
    )
    max_logos: int = setting(
        60, "Maximum number of validation logos per evaluation, spread over the categories.", unit="logos", ge=1, le=5000
    )
    keep_svgs: bool = setting(True, "Keep the SVGs of every evaluation for the Gallery.")


class OutcomeConfig(Section):
    """The outcome model: trained on all conversions when a run ends, and used by the policy search."""

    members: int = setting(4, "Networks in the ensemble; 0 trains none.", unit="networks", ge=0, le=32)
    units: int = setting(96, "Units in each of its three hidden layers.", unit="units", ge=8, le=2048)
    epochs: int = setting(12, "Passes over all conversions during training.", ge=1, le=1000)


class CheckpointConfig(Section):
    """Checkpoints: the last and the best are always kept, and one is written at regular intervals."""

    every_steps: int = setting(8192, "Steps between periodic checkpoints.", unit="steps", ge=1, le=100_000_000)
    keep: int = setting(3, "Number of periodic checkpoints to keep in addition to the last and the best.", ge=1, le=1000)
    keep_every: int = setting(0, "Also keep every n-th periodic checkpoint; 0 keeps no others.", ge=0, le=100_000)
    disk_budget_mb: float = setting(
        4000.0,
        "Disk budget of the run; above it, periodic checkpoints are deleted, then the SVGs of old evaluations.",
        unit="MB",
        ge=5,
        le=10_000_000,
    )


class RecoveryConfig(Section):
    """What to do when the trainer dies or hangs, as long as a console or `runs serve` is running."""

    enabled: bool = setting(True, "Restart the trainer from its last checkpoint.")
    max_restarts: int = setting(3, "Maximum number of consecutive restarts without progress.", ge=1, le=1000)
    backoff_s: float = setting(3.0, "Delay before the first restart; it doubles with each further one.", unit="seconds", ge=0, le=3600)
    stalled_s: float = setting(120.0, "Kill a trainer whose heartbeat has stopped for this long.", unit="seconds", ge=10, le=86_400)


class HealthConfig(Section):
    """What the doctor (core/health/doctor.py) may do about its findings; it always reports them."""

    on_instability: Literal["tell", "roll_back", "stop"] = setting(
        "tell", "On a severe finding: only report it, return to the best checkpoint with half the learning rate, or stop the run."
    )
    adjust_entropy: bool = setting(False, "Raise the entropy coefficient when exploration collapses; lower it when exploration explodes.")
    stop_on_plateau: bool = setting(False, "End the run when the validation gain stops improving.")
    adjust_stages: bool = setting(False, "Shorten a stage that makes no progress; extend one that is close to passing.")
    max_actions: int = setting(3, "Maximum number of actions per run.", ge=1, le=1000)
    ignore: list[str] = setting([], "Names of rules to ignore.")


class EarlyStopConfig(Section):
    """Stop when the validation gain stops improving."""

    enabled: bool = setting(False, "Enable early stopping.")
    patience: int = setting(8, "Number of evaluations without a new best after which the run stops.", unit="evaluations", ge=1, le=1000)
    min_improvement: float = setting(0.002, "Smallest improvement that counts as a new best.", unit="gain", ge=0, le=10)


def _switch(value: Any) -> Any:
    """YAML reads a bare off as false."""
    return "off" if value is False else value


Switched = BeforeValidator(_switch)


class TrackersConfig(Section):
    """Trackers that also receive the figures while the run trains; keys come from the environment or .streamlit/secrets.toml."""

    tensorboard: bool = setting(False, "Write TensorBoard event files into the run's folder.")
    wandb: Annotated[Literal["off", "offline", "online"], Switched] = setting(
        "off", "Weights & Biases: offline writes into the run's folder, for wandb sync; online needs WANDB_API_KEY."
    )
    mlflow: Annotated[Literal["off", "local", "server"], Switched] = setting(
        "off", "MLflow: local writes mlflow.db next to the runs; server uses MLFLOW_TRACKING_URI."
    )
    project: str = setting(
        "tracewright", "Project in Weights & Biases, and experiment in MLflow.", min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._ -]+$"
    )


class RunConfig(Section):
    """All settings of a run."""

    version: Literal[1, 2] = Field(2, description="Version of this format; 1 means a run scored by SSIM and bytes, without a pipeline.")
    name: str = setting("", "Name shown in lists; if empty, the preset's name.", basic=True, max_length=80)
    note: str = setting("", "Free-form notes.", max_length=2000)
    seed: int = setting(1, "Random seed; the same seed and config give the same episodes.", basic=True, ge=0, le=2**31 - 1)
    total_timesteps: int = setting(30_000, "Total number of environment steps in the run.", unit="steps", basic=True, ge=1, le=MOST_STEPS)
    n_envs: int = setting(128, "Number of environments stepped in parallel.", unit="environments", ge=1, le=1024)
    n_workers: int = setting(
        0,
        "Worker processes; 0 means one per core available to this process, or all that fit on the Ray cluster.",
        unit="processes",
        basic=True,
        ge=0,
        le=4096,
    )
    device: Literal["auto", "cpu", "cuda"] = setting("cpu", "Device for training the networks; networks this small are fastest on the CPU.")
    logos: LogosConfig = Field(default_factory=LogosConfig)
    pipeline: PipelineConfig = Field(default_factory=PipelineConfig)
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
    trackers: TrackersConfig = Field(default_factory=TrackersConfig)

    @model_validator(mode="after")
    def _rollout_fits_batches(self) -> RunConfig:
        n = self.ppo.n_steps * self.n_envs
        b = self.ppo.batch_size
        if n < 2:
            raise ValueError("ppo.n_steps * n_envs = 1 is too short for an update; it must be at least 2")
        if n % b:
            hint = " or ".join(str(x) for x in sorted({max(n // b, 1) * b, (n // b + 1) * b}))
            raise ValueError(f"ppo.n_steps * n_envs = {n} is not a multiple of ppo.batch_size = {b}; try {hint} steps")
        if self.n_envs % self.ppo.group_size:
            raise ValueError(f"n_envs = {self.n_envs} is not a multiple of ppo.group_size = {self.ppo.group_size}")
        if self.ppo.group_size > 1 and self.env.max_steps > 1:
            raise ValueError(
                f"ppo.group_size = {self.ppo.group_size} needs episodes of one step: set env.max_steps to 1, or group_size to 1"
            )
        return self

    @property
    def rollout_steps(self) -> int:
        """Steps per update, over all environments."""
        return self.ppo.n_steps * self.n_envs

    def planned_steps(self, start: int = 0) -> int:
        """The step that a training from ``start`` ends at: the first end of a rollout with all of ``total_timesteps``."""
        return start + -(-max(self.total_timesteps - start, 0) // self.rollout_steps) * self.rollout_steps
