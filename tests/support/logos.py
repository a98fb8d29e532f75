"""Made-up logos."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

CATEGORIES = ("simple", "text", "gradient", "complex")


def draw_logo(kind: int, size: int = 48) -> Image.Image:
    """A small distinct flat logo."""
    rng = np.random.default_rng(kind)
    image = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        x, y = rng.integers(4, size // 2, 2)
        w, h = rng.integers(8, size // 2, 2)
        colour = tuple(int(v) for v in rng.integers(0, 220, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)([x, y, x + w, y + h], fill=colour)
    return image


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
