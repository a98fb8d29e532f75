"""The vector that a logo's picture was made of, where it is known: built-in logos, and folders with ``svg/<category>/<name>.svg``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from core.logos.dataset import BUILTIN, Logo
from core.logos.procedural import make_logos


@lru_cache(maxsize=4)
def _made(seed: int, n_per_category: int) -> dict[str, str]:
    return {logo.name: logo.svg for logo in make_logos(seed, n_per_category)}


def vector_of(logo: Logo, images: str, seed: int = 7, n_per_category: int = 60) -> str | None:
    """Its SVG as text; ``images``: the folder it is of, or "builtin", of this ``seed`` and size."""
    if images == BUILTIN:
        return _made(seed, n_per_category).get(logo.name)
    if "/" in logo.name or "\\" in logo.name:
        return None
    try:
        return (Path(images) / "svg" / logo.category / f"{logo.name}.svg").read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None


def background_of(logo: Logo) -> str:
    """What its vector stands on, "#rrggbb": the picture's corner."""
    return "#{:02x}{:02x}{:02x}".format(*logo.flat[0, 0])
