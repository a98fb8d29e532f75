"""What a study varies: the settings of a run that can be searched, their usual ranges, and the config that drawn values give.

Which settings there are, and what they allow, comes from the config's models; :data:`RANGES` holds only what a model can't know, the part of
the allowed range in which values are worth trying. Guarantee: a space that resolves draws only values that their setting allows. Imports Optuna
only where a distribution is made.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pydantic import TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from core.config.config import RunConfig, StageConfig
from core.config.fields import Section, bounds, kind, range_text, setting, walk_fields
from core.config.text import validate
from core.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SECTIONS = ("ppo", "reward", "env", "curriculum", "pipeline", "early_stop")
# Not searched: what no validation gain can show, what needs another installation, and what is no single value
LEFT_OUT = frozenset({"env.centre", "env.fixed", "curriculum.stages", "pipeline.delivered_size", "pipeline.engine"})
ALSO = ("n_envs", "logos.variants", "logos.add_builtin", "logos.work_size")
STAGE_FIELDS = ("difficulty", "target_ssim", "required_gain", "max_episodes", "success_threshold", "quality", "size")
USUAL = ("ppo.learning_rate", "ppo.n_epochs", "ppo.batch_size", "ppo.clip_range", "ppo.ent_coef", "ppo.log_std_init")
_STAGE = re.compile(r"curriculum\.stages\.(\d+)\.(\w+)")
_SPREAD = 3.0  # how far a range that is derived goes to either side of the default, as a factor


class Dimension(Section):
    """The values of one setting that a study may draw: a range, or choices."""

    low: float | None = setting(None, "Smallest value.")
    high: float | None = setting(None, "Largest value.")
    log: bool = setting(False, "Draw evenly by order of magnitude.")
    choices: list[Any] | None = setting(None, "The values to choose from, instead of a range.", min_length=1, max_length=100)

    @model_validator(mode="after")
    def _one_kind(self) -> Dimension:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("give either choices or low and high, not both")
            if len({json.dumps(choice, sort_keys=True, default=str) for choice in self.choices}) < len(self.choices):
                raise ValueError("a choice occurs twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low = {self.low:g} is not below high = {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs low above 0, not {self.low:g}")
        return self

    def text(self) -> str:
        """ "0.0001 to 0.01, log scale" or "tanh, relu"."""
        if self.choices is not None:
            return ", ".join(_shown(choice) for choice in self.choices)
        return f"{self.low:g} to {self.high:g}{', log scale' if self.log else ''}"


def _range(low: float, high: float, log: bool = False) -> Dimension:
    return Dimension(low=low, high=high, log=log)


def _of(*choices: Any) -> Dimension:
    return Dimension(choices=list(choices))


RANGES: dict[str, Dimension] = {
    "ppo.learning_rate": _range(1e-4, 1e-2, log=True),
    "ppo.lr_end": _range(0.0, 1e-3),
    "ppo.n_steps": _of(1, 2, 4, 8, 16),
    "ppo.batch_size": _of(32, 64, 128, 256, 512),
    "ppo.n_epochs": _range(3, 20),
    "ppo.gamma": _range(0.0, 0.99),
    "ppo.gae_lambda": _range(0.8, 1.0),
    "ppo.clip_range": _range(0.1, 0.4),
    "ppo.clip_range_vf": _range(0.1, 1.0),
    "ppo.ent_coef": _range(0.0, 0.02),
    "ppo.vf_coef": _range(0.1, 1.0),
    "ppo.max_grad_norm": _range(0.3, 5.0, log=True),
    "ppo.target_kl": _range(0.01, 0.3, log=True),
    "ppo.net_arch_pi": _of([64, 64], [128, 128], [256, 256], [128, 128, 128]),
    "ppo.net_arch_vf": _of([64, 64], [128, 128], [256, 256], [128, 128, 128]),
    "ppo.group_size": _of(1, 2, 4, 8),
    "ppo.log_std_init": _range(-2.5, 0.0),
    "n_envs": _of(32, 64, 128, 256),
    "env.max_steps": _range(1, 5),
    "reward.quality": _range(0.5, 2.0),
    "reward.size": _range(0.02, 0.4, log=True),
    "reward.speed": _range(0.0, 0.3),
    "pipeline.trace_size": _of(256, 512, 768),
    "logos.variants": _range(0, 12),
    "logos.add_builtin": _range(0, 200),
    "logos.work_size": _of(128, 192, 256),
    "curriculum.window": _range(50, 500),
    "curriculum.min_episodes": _range(100, 1000),
    "curriculum.earlier_share": _range(0.0, 0.6),
    "curriculum.max_extensions": _range(0, 3),
    "curriculum.max_setbacks": _range(0, 4),
    "early_stop.min_improvement": _range(0.0, 0.01),
    "difficulty": _range(0.05, 1.0),  # of a stage, as those below
    "target_ssim": _range(0.6, 0.95),
    "required_gain": _range(-0.2, 1.0),
    "max_episodes": _range(1000, 20_000, log=True),
    "success_threshold": _range(0.5, 0.9),
    "quality": _range(0.5, 2.0),
    "size": _range(0.02, 0.4, log=True),
}


def field_of(name: str, base: RunConfig) -> FieldInfo:
    """The field that a dotted name stands for; a stage's is ``curriculum.stages.<place from 0>.<field>``.

    Raises:
        ConfigError: there is no such setting, or no such stage.
    """
    found = _STAGE.fullmatch(name)
    if found:
        place, n = int(found[1]), len(base.curriculum.stages)
        if place >= n:
            raise ConfigError(f"space: {name}: there is no stage {place}; the config has stages 0 to {n - 1}")
        info = StageConfig.model_fields.get(found[2])
    else:
        info = dict(walk_fields(RunConfig)).get(name)
    if info is None:
        near = [
            known for known in searchable(base) if known.split(".")[-1] == name.split(".")[-1] or name.split(".")[0] == known.split(".")[0]
        ]
        hint = f"; similar: {', '.join(near[:6])}" if near else f"; settings to search include {', '.join(USUAL)}"
        raise ConfigError(f"space: {name}: unknown setting{hint}")
    return info


def searchable(base: RunConfig) -> list[str]:
    """Every setting that has a usual range, in the order of the config; of a curriculum that is used, its stages' thresholds too."""
    own = [name for name, _ in walk_fields(RunConfig) if name.split(".")[0] in SECTIONS or name in ALSO]
    stages = [f"curriculum.stages.{i}.{field}" for i in range(len(base.curriculum.stages)) for field in STAGE_FIELDS]
    return [name for name in own if name not in LEFT_OUT] + stages


def usual_dimension(name: str, base: RunConfig) -> Dimension:
    """The range or the choices of a setting in which values are worth trying.

    Raises:
        ConfigError: there is no such setting, or it is none that can be searched without choices of one's own.
    """
    info = field_of(name, base)
    known = RANGES.get(name) or (RANGES.get(name.rsplit(".", 1)[-1]) if _STAGE.fullmatch(name) else None)
    if known is not None:
        return known
    found = derived(info)
    if found is None:
        raise ConfigError(f"space: {name} has no default range; give choices: [...]")
    return found


def derived(info: FieldInfo) -> Dimension | None:
    """A range from a field alone: all of a Literal's or a bool's values, a number up to three times and down to a third of its default,
    and all of an interval that ends at 0 or 1; None where the field says too little."""
    plain = kind(info)
    if get_origin(plain) is Literal:
        return Dimension(choices=list(get_args(plain)))
    if plain is bool:
        return Dimension(choices=[False, True])
    if plain not in (int, float):
        return None
    low, high, _ = bounds(info)
    if low is None or high is None:
        return None
    if plain is float and (low, high) == (0, 1):
        return Dimension(low=0.0, high=1.0)
    default = info.get_default(call_default_factory=True)
    if not isinstance(default, int | float) or default <= 0:
        return None
    least, most = max(low, default / _SPREAD), min(high, default * _SPREAD)
    if plain is int:
        least, most = max(math.floor(least), math.ceil(low)), math.ceil(most)
    return Dimension(low=least, high=most) if least < most else None


def resolve(space: Mapping[str, Any] | None, base: RunConfig) -> dict[str, Dimension]:
    """A space as it stands in a file, checked, with the usual range of each setting that has none of its own; without a space the usual one.

    Raises:
        ConfigError: a setting, a range or a choice that is not allowed, with what is.
    """
    found: dict[str, Dimension] = {}
    for name, given in (space or dict.fromkeys(USUAL)).items():
        try:
            dimension = given if isinstance(given, Dimension) else Dimension.model_validate(given) if given else usual_dimension(name, base)
        except ValidationError as error:
            raise ConfigError(f"space: {name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
        _check(name, dimension, base)
        found[name] = dimension
    return found


def _check(name: str, dimension: Dimension, base: RunConfig) -> None:
    """Whether the setting allows what may be drawn; what only does not fit other settings is put right when it is drawn."""
    info = field_of(name, base)
    if dimension.choices is None and kind(info) not in (int, float):
        raise ConfigError(f"space: {name} is not a number; give choices: [...]")
    if (
        kind(info) is int
        and dimension.choices is None
        and not (float(dimension.low or 0).is_integer() and float(dimension.high or 0).is_integer())
    ):
        raise ConfigError(f"space: {name} is a whole number; low and high must be too")
    for value in dimension.choices if dimension.choices is not None else (dimension.low, dimension.high):
        try:
            _one(name, _typed(value, info), info)
        except ConfigError as error:
            allowed = range_text(info)
            raise ConfigError(
                f"space: {name} = {_shown(value)} is not allowed{f' (allowed: {allowed})' if allowed else ''}: {error}"
            ) from error


def _one(name: str, value: Any, info: FieldInfo) -> None:
    """Check one value by its own field and section alone; what it needs of others is put right when it is drawn."""
    found = _STAGE.fullmatch(name)
    *parents, last = [found[2]] if found else name.split(".")
    model: Any = StageConfig if found else RunConfig
    for part in parents:
        model = model.model_fields[part].annotation
    try:
        if model is RunConfig:
            TypeAdapter(Annotated[info.annotation, *info.metadata]).validate_python(value)  # type: ignore[arg-type]
        else:
            model.model_validate({last: value})
    except ValidationError as error:
        raise ConfigError(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def _typed(value: Any, info: FieldInfo) -> Any:
    return int(value) if kind(info) is int and isinstance(value, float) and value.is_integer() else value


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else json.dumps(value) if isinstance(value, list | dict) else str(value)


def encoded(choice: Any) -> Any:
    """A choice as Optuna keeps it: what is no plain value, as JSON."""
    return choice if choice is None or isinstance(choice, bool | int | float | str) else json.dumps(choice)


def distributions(space: Mapping[str, Dimension], base: RunConfig) -> dict[str, BaseDistribution]:
    """Optuna's distribution of each dimension."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name, dimension in space.items():
        if dimension.choices is not None:
            found[name] = CategoricalDistribution([encoded(choice) for choice in dimension.choices])
        elif kind(field_of(name, base)) is int:
            found[name] = IntDistribution(int(dimension.low or 0), int(dimension.high or 0), log=dimension.log)
        else:
            found[name] = FloatDistribution(float(dimension.low or 0), float(dimension.high or 0), log=dimension.log)
    return found


def value_in(data: Mapping[str, Any], name: str) -> Any:
    """The value of a dotted setting in a config as plain data."""
    value: Any = data
    for part in name.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def params_of(config: RunConfig, space: Mapping[str, Dimension]) -> dict[str, Any]:
    """The values that a config has of a space, for a first trial; those outside their dimension are left out, to be drawn."""
    data = config.model_dump(mode="json")
    found: dict[str, Any] = {}
    for name, dimension in space.items():
        value = value_in(data, name)
        if dimension.choices is not None:
            if value in dimension.choices:
                found[name] = encoded(value)
        elif isinstance(value, int | float) and (dimension.low or 0) <= value <= (dimension.high or 0):
            found[name] = value
    return found


def config_of(base: RunConfig, space: Mapping[str, Dimension], params: Mapping[str, Any]) -> tuple[RunConfig, dict[str, Any]]:
    """The config that drawn values give, and what had to be put right so that it can be trained: a batch size that does not divide the
    rollout becomes the next smaller one that does, and a group size that does not divide the environments likewise.

    Raises:
        ConfigError: the values don't go together in another way.
    """
    data = base.model_dump(mode="json")
    for name, value in params.items():
        dimension = space.get(name)
        if dimension is not None and dimension.choices is not None:
            value = next((choice for choice in dimension.choices if encoded(choice) == value), value)
        *parents, last = name.split(".")
        target: Any = data
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        target[last] = value
    fitted: dict[str, Any] = {}
    rollout = data["n_envs"] * data["ppo"]["n_steps"]
    for key, whole, least in (("batch_size", rollout, 2), ("group_size", data["n_envs"], 1)):
        wanted = data["ppo"][key]
        if whole % wanted and whole >= least:
            data["ppo"][key] = fitted[f"ppo.{key}"] = next((n for n in range(min(wanted, whole), least - 1, -1) if whole % n == 0), whole)
    return validate(data), fitted
