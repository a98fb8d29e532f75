"""Settings found on training logos: the best single one for all, and a portfolio from which each picture takes its best.

Kept as ``models/baselines.json``, or where ``baselines fit`` was told to write it; one reader turns anything that may be wrong into one error.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from core.errors import ConfigError, DamagedFileError
from core.files import read_json, write_aside
from core.paths import MODELS, program
from core.tracing.params import NAMES, Params

SHIPPED = MODELS / "baselines.json"
Number = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True)
class Fitted:
    """``portfolio``: settings in the order in which they add most, the best single one first; ``gains``: mean headline gain of the logos after 1, 2,
    ... of them; ``data``: the folder's name; ``digest``: of the logos' pixels; ``n_conversions``: that the search took."""

    portfolio: tuple[dict[str, Number], ...]
    gains: tuple[Number, ...]
    data: str
    split: str
    digest: str
    n_logos: int
    n_conversions: int
    work_size: int
    pipeline: str
    seed: int

    @property
    def settings(self) -> list[Params]:
        return [Params.from_mapping(values) for values in self.portfolio]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_FITTED: TypeAdapter[Fitted] = TypeAdapter(Fitted)


def read_fitted(path: Path = SHIPPED) -> Fitted:
    """Read what :func:`write_fitted` wrote.

    Raises:
        ConfigError: it is not there, can't be read, or holds no settings; says what to do.
    """
    hint = f"make it with: {program()} baselines fit --images FOLDER --out FILE"
    try:
        data = read_json(path)
        if data is None:
            raise ConfigError(f"{path} does not exist; {hint}")
        found = _FITTED.validate_python(data)
        if not found.settings:
            raise ConfigError(f"{path} contains no settings; {hint}")
        return found
    except (DamagedFileError, ValidationError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path} contains no fitted baselines: {str(error).splitlines()[0]}; {hint}") from error


def write_fitted(path: Path, fitted: Fitted) -> None:
    """Write it as JSON, a line per setting."""
    rows = [",".join(f'"{name}":{json.dumps(values[name])}' for name in NAMES) for values in fitted.portfolio]
    rest = {key: value for key, value in fitted.as_dict().items() if key != "portfolio"}
    settings = ",\n  ".join(f"{{{row}}}" for row in rows)
    write_aside(path, f'{{"portfolio": [\n  {settings}\n],\n{json.dumps(rest)[1:-1]}}}\n'.encode())


@lru_cache(maxsize=1)
def shipped() -> tuple[Params, ...]:
    """The portfolio that ships."""
    return tuple(read_fitted().settings)
