"""Reads and writes configs as text: YAML files with comments, ``a.b=value`` settings, and clear error messages.

Guarantee: the error for an invalid config names the field, the value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from core.config.config import EnvConfig, LogosConfig, PipelineConfig, RewardConfig, RunConfig
from core.config.fields import range_text
from core.errors import ConfigError, DamagedFileError
from core.files import read_text
from core.paths import PRESETS, runs_home, saved_presets
from core.tracing.params import DEFAULTS

MAX_DEPTH = 40  # of a YAML file; ours have four levels
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the safe loader in C, where PyYAML was built with it


def validate(data: Any) -> RunConfig:
    """Build a config from plain data.

    Raises:
        ConfigError: with one line per problem: field, value, what is allowed.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"a config must be a mapping of settings, not {type(data).__name__}")
    try:
        return RunConfig.model_validate(_of_version_1(data) if data.get("version") == 1 else data)
    except RecursionError as error:
        raise ConfigError("the config is nested too deeply, or refers to itself") from error
    except ValidationError as error:
        raise ConfigError("\n".join(problem for _, problem in problems(error))) from error


def _of_version_1(data: dict[str, Any]) -> dict[str, Any]:
    """What the first version's settings meant: VTracer alone, under seven parameters."""
    env = data.get("env")
    if isinstance(env, dict) and isinstance(env.get("centre"), dict):
        data = data | {"env": env | {"centre": DEFAULTS.as_dict() | env["centre"]}}
    return {"pipeline": {"trace_size": 0, "sharpen": False, "fills": False}} | data


def modernised(config: RunConfig) -> RunConfig:
    """A copy for a new run: settings of the first version get the pipeline and the score of today."""
    new = config.model_copy(deep=True)
    if config.version == 1:
        new.version, new.pipeline, new.reward = 2, PipelineConfig(), RewardConfig()
        if config.env.centre is not None:
            new.env.centre = EnvConfig().centre
    return new


def problems(error: ValidationError, root: type[BaseModel] = RunConfig) -> list[tuple[str, str]]:
    """(dotted field, message of one line) for each problem."""
    found = []
    for item in error.errors():
        field = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        if item["type"] == "extra_forbidden":
            names = ", ".join(_siblings(item["loc"], root))
            found.append((field, f"{field}: unknown setting; available settings: {names}"))
        elif item["type"] == "value_error":
            found.append((field, f"{field}: {message}" if field else message))
        else:
            value = item["input"]
            shown = repr(value) if not isinstance(value, dict | list) else type(value).__name__
            found.append((field, f"{field} = {shown} is not allowed: {message}{_range_text(item['loc'], root)}"))
    return found


def _walk(loc: tuple[str | int, ...], root: type[BaseModel]) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    model: type[BaseModel] | None = root
    info: FieldInfo | None = None
    for part in loc:
        if model is None or isinstance(part, int):
            continue
        info = model.model_fields.get(part)
        model = None
        if info is not None:
            inner = info.annotation
            if get_origin(inner) is list:
                inner = get_args(inner)[0]
            model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None
    return model, info


def _siblings(loc: tuple[str | int, ...], root: type[BaseModel]) -> list[str]:
    parents = [part for part in loc[:-1] if isinstance(part, str)]
    model: type[BaseModel] | None = root if not parents else _walk(tuple(parents), root)[0]
    return list(model.model_fields) if model else []


def _range_text(loc: tuple[str | int, ...], root: type[BaseModel]) -> str:
    _, info = _walk(loc, root)
    text = range_text(info) if info else ""
    return f" (allowed: {text})" if text else ""


def _check_depth(text: str) -> None:
    """Raise ValueError before the loader would take minutes, or all of the stack, for what is nested without end."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} levels deep")


def parse_yaml(text: str, where: str = "the config") -> dict[str, Any]:
    """Parse YAML into plain data.

    Raises:
        ConfigError: the text is not valid YAML, or not a mapping.
    """
    try:
        _check_depth(text)
        data = yaml.load(text, Loader=_Loader)  # nosec B506
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:  # 2026-13-45 is a ValueError of its date
        raise ConfigError(f"{where} is not valid YAML: {' '.join(str(error).split())[:200]}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigError(f"{where} must be a mapping of settings, not {type(data).__name__}")
    return data


def read_yaml(path: Path) -> dict[str, Any]:
    """The plain data in a YAML file.

    Raises:
        ConfigError: it is missing, can't be read, is not UTF-8, not valid YAML, or not a mapping.
    """
    try:
        text = read_text(path)
    except DamagedFileError as error:
        raise ConfigError(f"{path.parent}: {error}") from error
    if text is None:
        raise ConfigError(f"{path} can't be read: no such file")
    return parse_yaml(text, str(path))


def config_file(named: Path) -> Path:
    """The file that is meant: what ``named`` names from here, else one that ships, called as in a checkout (``configs/quick.yaml``) or by its
    preset's name (``quick``)."""
    if named.exists() or named.is_absolute():
        return named
    inside = Path(*named.parts[1:]) if named.parts[:1] == (PRESETS.name,) else named
    found = presets().get(inside.as_posix().removesuffix(".yaml"), PRESETS / inside)
    return found if found.is_file() else named


def load_config(path: Path, settings: list[str] | None = None) -> RunConfig:
    """Read a YAML file for a new run, or a preset by its name, and apply ``a.b=value`` settings; see :func:`modernised`.

    Raises:
        ConfigError: the file can't be read, is not valid YAML, or has a value that is not allowed.
    """
    path = config_file(path)
    data = read_yaml(path)
    data.setdefault("name", path.stem)
    return modernised(validate(apply_settings(data, settings or [])))


def located(config: RunConfig) -> RunConfig:
    """The config with an absolute path to its logos: who goes on with the run may do so from another folder."""
    path = config.logos.path
    if path == LogosConfig().path or Path(path).is_absolute():
        return config
    return config.model_copy(update={"logos": config.logos.model_copy(update={"path": str(Path(path).absolute())})})


def changed(config: RunConfig, settings: list[str]) -> RunConfig:
    """A copy with changed settings, each given as ``a.b=value``.

    Raises:
        ConfigError: a setting does not exist, or its value is not allowed.
    """
    return validate(apply_settings(config.model_dump(mode="json"), settings))


def apply_settings(data: dict[str, Any], settings: list[str]) -> dict[str, Any]:
    """Apply ``a.b=value`` pairs; values are parsed as YAML, and ``stages.0.name`` addresses an item of a list.

    Raises:
        ConfigError: a pair has no '=', or its path does not exist.
    """
    for setting in settings:
        key, found, text = setting.partition("=")
        if not found or not key:
            raise ConfigError(f"--set {setting!r} is not of the form a.b=value")
        target: Any = data
        parts = key.strip().split(".")
        for part in parts[:-1]:
            target = target[_index(target, part, key)] if isinstance(target, list) else target.setdefault(part, {})
            if not isinstance(target, dict | list):
                raise ConfigError(f"--set {setting!r}: {part} contains no settings")
        value = _yaml_value(text)
        if isinstance(target, list):
            target[_index(target, parts[-1], key)] = value
        else:
            target[parts[-1]] = value
    return data


def _yaml_value(text: str) -> Any:
    try:
        value = yaml.load(text, Loader=_Loader)  # nosec B506
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError):
        return text
    if isinstance(value, str):  # YAML 1.1 reads 3e-4 as a string
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _index(target: list[Any], part: str, key: str) -> int:
    if not part.isdigit() or int(part) >= len(target):
        raise ConfigError(f"--set {key}: {part!r} is not an index from 0 to {len(target) - 1}")
    return int(part)


def to_yaml(config: RunConfig) -> str:
    """The whole config as YAML, in the models' order, with each setting's help and range as a comment."""
    return "\n".join(_commented(config, 0)) + "\n"


def _commented(model: BaseModel, depth: int) -> Iterator[str]:
    pad = "  " * depth
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield ""
            yield f"{pad}# {(type(value).__doc__ or '').strip()}"
            yield f"{pad}{name}:"
            yield from _commented(value, depth + 1)
        elif isinstance(value, list) and value and isinstance(value[0], BaseModel):
            yield f"{pad}# {info.description} Each: " + "; ".join(f"{k} = {f.description}" for k, f in type(value[0]).model_fields.items())
            yield f"{pad}{name}:"
            for item in value:
                text = yaml.safe_dump(
                    [item.model_dump(mode="json")], sort_keys=False, allow_unicode=True, default_flow_style=None, width=200
                )
                yield from (f"{pad}  {line}" for line in text.rstrip().splitlines())
        else:
            about = f"{info.description or ''} {f'({range_text(info)})' if range_text(info) else ''}".strip()
            if isinstance(value, dict):
                text = yaml.safe_dump({name: value}, sort_keys=False, default_flow_style=False).rstrip()
            else:
                plain = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).strip()
                text = f"{name}: {plain.removesuffix('...').strip()}"
            yield f"{pad}# {about}"
            yield from (f"{pad}{line}" for line in text.splitlines())


def presets() -> dict[str, Path]:
    """{name: file} of the YAML presets, the quick one first; those that ship, then those that were made in this home."""
    own = {path.stem: path for path in sorted(saved_presets(runs_home()).glob("*.yaml"))}
    found = own | {path.stem: path for path in sorted(PRESETS.glob("*.yaml"))}
    return {name: found[name] for name in sorted(found, key=lambda n: (n != "quick", n != "recommended", n in own, n))}
