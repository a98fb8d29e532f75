"""Made-up logos."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SEED = 105_000  # with it the first twelve have validation logos of every category
CATEGORIES = ("simple", "text", "gradient", "complex")


def draw_logo(kind: int, size: int = 48) -> Image.Image:
    """A small distinct flat logo with soft edges."""
    rng = np.random.default_rng(SEED + kind)
    image = Image.new("RGB", (4 * size, 4 * size), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        x, y = rng.integers(4, size // 2, 2)
        w, h = rng.integers(8, size // 2, 2)
        colour = tuple(int(v) for v in rng.integers(0, 220, 3))
        box = [4 * x + 1, 4 * y + 1, 4 * (x + w) + 2, 4 * (y + h) + 2]
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)(box, fill=colour)
    return image.resize((size, size), Image.Resampling.BOX)


def write_logos(folder: Path, n: int = 12) -> Path:
    """``n`` small logos in the four categories, in turns."""
    for i in range(n):
        path = folder / CATEGORIES[i % 4] / f"logo {i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_logo(i).save(path)
    return folder


def png(kind: int, size: int = 48) -> bytes:
    """A small logo as the bytes of a PNG."""
    buffer = io.BytesIO()
    draw_logo(kind, size).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip archive of files by their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()
