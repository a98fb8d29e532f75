"""Saved curricula: ``<home>/curricula/<name>.yaml``, each holding the curriculum section of a config."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from core.config.config import CurriculumConfig, RunConfig
from core.config.text import read_yaml, validate
from core.errors import ConfigError
from core.files import write_aside

_NAME = re.compile(r"[\w][\w .-]{0,59}")


def folder_of(home: Path) -> Path:
    return home / "curricula"


def names(home: Path) -> list[str]:
    """The names of the saved curricula, in alphabetical order."""
    try:
        return sorted(path.stem for path in folder_of(home).iterdir() if path.suffix == ".yaml" and _NAME.fullmatch(path.stem))
    except OSError:  # none was saved yet, or it is no folder
        return []


def read_file(path: Path) -> CurriculumConfig:
    """The curriculum in a file; raises :class:`ConfigError` if it can't be read or is not valid."""
    data = read_yaml(path)
    if "curriculum" not in data:
        raise ConfigError(f"{path} contains no curriculum; it must have a section 'curriculum:'")
    return validate({"curriculum": data["curriculum"]}).curriculum


def read(home: Path, name: str) -> CurriculumConfig:
    """A curriculum by name."""
    return read_file(_file(home, name))


def write(home: Path, name: str, curriculum: CurriculumConfig) -> Path:
    """Save a curriculum under a name, replacing one of the same name."""
    path = _file(home, name)
    text = yaml.safe_dump(
        {"version": RunConfig().version, "curriculum": curriculum.model_dump(mode="json")}, sort_keys=False, allow_unicode=True
    )
    write_aside(path, text.encode())
    return path


def delete(home: Path, name: str) -> None:
    _file(home, name).unlink(missing_ok=True)


def _file(home: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a curriculum can't be called {name!r}; use at most 60 letters, digits, spaces, dots and dashes")
    return folder_of(home) / f"{name}.yaml"
