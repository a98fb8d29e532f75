"""The vector that a logo's picture was made of, where it is known: built-in logos, and folders with ``svg/<category>/<name>.svg``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import DamagedFileError, PictureError
from core.files import inside, read_small, read_text
from core.logos.dataset import BUILTIN, Logo
from core.logos.pictures import MAX_FILE_BYTES, is_svg, unpacked
from core.logos.procedural import CATEGORIES, make_logos
from core.logos.svg_source import MAX_BYTES, cleaned_svg
from core.tracing.raster import ground_of


@lru_cache(maxsize=4)
def _made(seed: int, n_per_category: int) -> dict[str, str]:
    return {logo.name: logo.svg for logo in make_logos(seed, n_per_category)}


def vector_of(logo: Logo, images: str, seed: int = 7, n_per_category: int = 60) -> str | None:
    """Its SVG as text; ``images``: the folder it is of, or "builtin", of this ``seed`` and size."""
    return vector_named(logo.name, logo.category, images, seed, n_per_category)


def vector_named(name: str, category: str, images: str, seed: int = 7, n_per_category: int = 60, stays_inside: bool = False) -> str | None:
    """The same for a logo by its name and category; ``stays_inside``: a link that leads out of the folder is not followed."""
    if images == BUILTIN:
        return _made(seed, n_per_category).get(name)
    if any(mark in part for part in (name, category) for mark in ("/", "\\", "..")):
        return None
    file = Path(images) / "svg" / category / f"{name}.svg"
    if not file.is_file():  # it may have been given another category
        others = [path for other in CATEGORIES if (path := Path(images) / "svg" / other / f"{name}.svg").is_file()]
        file = others[0] if len(others) == 1 else file
    if not file.is_file() or (stays_inside and inside(Path(images), file) is None):
        return None
    try:
        text = read_text(file, MAX_BYTES)
        return None if text is None else cleaned_svg(text.encode()).svg.decode()
    except (DamagedFileError, PictureError):
        return None


def own_vector(path: Path) -> str | None:
    """The text of a picture that is an SVG itself, with what draws alone; None of any other."""
    try:
        data = read_small(path, MAX_FILE_BYTES)
        return None if data is None or not is_svg(data) else cleaned_svg(unpacked(data)).svg.decode()
    except (DamagedFileError, PictureError):
        return None


def grounds_of(pixels: NDArray[np.uint8]) -> tuple[str, ...]:
    """What the vector of a picture, RGB or RGBA, may stand on, "#rrggbb", the likeliest first: what clear pixels are laid over; of an opaque
    one the corner, and white, for a drawing may reach into the corner."""
    if pixels.shape[2] == 4:
        return ("#" + f"{ground_of(pixels):02x}" * 3,)
    return tuple(dict.fromkeys(("#{:02x}{:02x}{:02x}".format(*pixels[0, 0]), "#ffffff")))
