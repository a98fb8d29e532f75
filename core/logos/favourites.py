"""Parameters that a user saved for a picture: ``<home>/favourites.json``, newest first."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from core.errors import DamagedFileError
from core.files import read_json, set_aside, write_aside
from core.tracing.params import FILTER_SPECKLE, N_OLD_PARAMS, NAMES, Params

Finite = Annotated[float, Field(allow_inf_nan=False)]
MAX_FAVOURITES = 500


@dataclass(frozen=True)
class Favourite:
    """``digest``: of the picture at work size; ``params``: in the order of NAMES, of before the first seven alone; ``mode``: VTracer's mode.

    ``filter_speckle``: of before, where it stood apart; ``is_plain``: by VTracer alone.
    """

    name: str
    digest: str
    logo: str
    params: Annotated[tuple[Finite, ...], Field(min_length=N_OLD_PARAMS, max_length=len(NAMES))]
    mode: str
    gain: Finite
    ts: Finite = 0.0
    filter_speckle: float = FILTER_SPECKLE
    is_plain: bool = False

    @property
    def setting(self) -> Params:
        """What it was traced with."""
        if len(self.params) < len(NAMES):
            return Params.from_values(list(self.params[:N_OLD_PARAMS])).with_values(filter_speckle=self.filter_speckle, is_plain=True)
        return Params.from_values(list(self.params)).with_values(is_plain=self.is_plain)


_ROWS: TypeAdapter[list[Any]] = TypeAdapter(list[Any])
_FAVOURITE: TypeAdapter[Favourite] = TypeAdapter(Favourite)


def _file(home: Path) -> Path:
    return home / "favourites.json"


def read(home: Path, digest: str = "") -> list[Favourite]:
    """All favourites, or those of one picture; unreadable ones are left out."""
    return [favourite for favourite in _read(home)[0] if not digest or favourite.digest == digest]


def _read(home: Path) -> tuple[list[Favourite], bool]:
    """(favourites, whether anything in the file could not be read)."""
    try:
        raw = read_json(_file(home))
        rows = _ROWS.validate_python((raw or {"favourites": []})["favourites"])
    except (DamagedFileError, KeyError, ValidationError):
        return [], True
    found = []
    for row in rows:
        with contextlib.suppress(ValidationError):
            found.append(_FAVOURITE.validate_python(row))
    return found, len(found) < len(rows)


def _write(home: Path, favourites: list[Favourite]) -> None:
    if _read(home)[1]:
        set_aside(_file(home))
    data = {"v": 1, "favourites": [asdict(favourite) for favourite in favourites[:MAX_FAVOURITES]]}
    write_aside(_file(home), json.dumps(data, ensure_ascii=False, indent=1).encode())


def keep(home: Path, favourite: Favourite) -> None:
    """Add a favourite at the front, replacing one of the same name for the same picture."""
    others = [f for f in read(home) if (f.name, f.digest) != (favourite.name, favourite.digest)]
    _write(home, [Favourite(**(asdict(favourite) | {"ts": time.time()})), *others])


def drop(home: Path, favourite: Favourite) -> None:
    _write(home, [f for f in read(home) if (f.name, f.digest) != (favourite.name, favourite.digest)])
