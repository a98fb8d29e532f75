"""Parameters that a user saved for a picture: ``<home>/favourites.json``, newest first."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.files import write_aside

MAX_FAVOURITES = 500


@dataclass(frozen=True)
class Favourite:
    """``digest``: of the picture at work size; ``params``: the seven in their order; ``mode``: VTracer's mode."""

    name: str
    digest: str
    logo: str
    params: tuple[float, ...]
    filter_speckle: int
    mode: str
    gain: float
    ts: float = 0.0


def _file(home: Path) -> Path:
    return home / "favourites.json"


def read(home: Path, digest: str = "") -> list[Favourite]:
    """All favourites, or those of one picture; unreadable ones are left out."""
    try:
        rows: list[dict[str, Any]] = json.loads(_file(home).read_text(encoding="utf-8"))["favourites"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    found = []
    for row in rows:
        try:
            found.append(Favourite(**(row | {"params": tuple(float(v) for v in row["params"])})))
        except (TypeError, KeyError, ValueError):
            continue
    return [favourite for favourite in found if not digest or favourite.digest == digest]


def _write(home: Path, favourites: list[Favourite]) -> None:
    data = {"v": 1, "favourites": [asdict(favourite) for favourite in favourites[:MAX_FAVOURITES]]}
    write_aside(_file(home), json.dumps(data, ensure_ascii=False, indent=1).encode())


def keep(home: Path, favourite: Favourite) -> None:
    """Add a favourite at the front, replacing one of the same name for the same picture."""
    others = [f for f in read(home) if (f.name, f.digest) != (favourite.name, favourite.digest)]
    _write(home, [Favourite(**(asdict(favourite) | {"ts": time.time()})), *others])


def drop(home: Path, favourite: Favourite) -> None:
    _write(home, [f for f in read(home) if (f.name, f.digest) != (favourite.name, favourite.digest)])
