"""Draws docs/pictures/result.png: details of built-in logos at four times their size: the picture, VTracer's defaults, what Optimize makes of it.

python docs/draw_result.py           # takes about a minute
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core.agents.loading import load_model  # noqa: E402
from core.cli.progress import Progress  # noqa: E402
from core.evaluation.files import find_pictures  # noqa: E402
from core.evaluation.optimize import optimize  # noqa: E402
from core.logos.dataset import write_logos  # noqa: E402
from core.logos.pictures import read_picture  # noqa: E402
from core.tracing.params import DEFAULTS  # noqa: E402
from core.tracing.picture import Picture  # noqa: E402
from core.tracing.raster import rasterizer  # noqa: E402

SEED, SIDE, ZOOM = 5, 256, 4
LOGOS = {"text-000": (70, 60), "complex-003": (112, 150), "gradient-005": (150, 70)}  # {logo: the middle of what is shown, in pixels}
WIDTH, HEIGHT = 104, 64  # pixels of the picture that are shown
GAP, HEAD = 12, 44
INK, PAPER = "#1f2933", "#ffffff"


def crop(drawn: Image.Image, middle: tuple[int, int], scale: int) -> Image.Image:
    """The part around ``middle``, in pixels of the picture, of a drawing ``scale`` times its size."""
    left = min(max(middle[0] - WIDTH // 2, 0), drawn.width // scale - WIDTH)
    top = min(max(middle[1] - HEIGHT // 2, 0), drawn.height // scale - HEIGHT)
    part = drawn.crop((left * scale, top * scale, (left + WIDTH) * scale, (top + HEIGHT) * scale))
    return part.resize((WIDTH * ZOOM, HEIGHT * ZOOM), Image.Resampling.NEAREST)


def drawn(svg: str, size: tuple[int, int]) -> Image.Image:
    """An SVG at four times the size, on white."""
    pixels = rasterizer().draw_rgba(svg.encode(), size[0] * ZOOM, size[1] * ZOOM)
    image = Image.fromarray(pixels, "RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, PAPER), image).convert("RGB")


def rows(names: list[str], folder: Path) -> dict[str, tuple[np.ndarray, str, str]]:
    """{logo: its pixels, the SVG of VTracer's defaults, ours}."""
    write_logos(folder / "logos", SEED, 8, SIDE)
    files, _ = find_pictures([path for path in sorted((folder / "logos").rglob("*.png")) if path.stem in names], folder / "svgs")
    optimize(files, load_model("default", folder), 10, "", 1024, folder / "svgs", folder, Progress())
    found = {}
    for file in sorted((folder / "logos").rglob("*.png")):
        if file.stem in names:
            pixels = read_picture(file, None)
            ours = next((folder / "svgs").rglob(f"{file.stem}.svg")).read_text(encoding="utf-8")
            found[file.stem] = (pixels, Picture(pixels).measure(DEFAULTS).trace.svg, ours)
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        made = rows(list(LOGOS), Path(scratch))
    sheet = Image.new("RGB", (3 * WIDTH * ZOOM + 2 * GAP, HEAD + len(LOGOS) * (HEIGHT * ZOOM + GAP) - GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate((f"The picture, {SIDE} pixels", "VTracer's defaults", "Tracewright")):
        pen.text((column * (WIDTH * ZOOM + GAP), 6), title, INK, ImageFont.load_default(24))
    for row, (name, middle) in enumerate(LOGOS.items()):
        pixels, plain, ours = made[name]
        size = (pixels.shape[1], pixels.shape[0])
        for column, part in enumerate(
            (
                crop(Image.fromarray(pixels[..., :3]), middle, 1),
                crop(drawn(plain, size), middle, ZOOM),
                crop(drawn(ours, size), middle, ZOOM),
            )
        ):
            sheet.paste(part, (column * (WIDTH * ZOOM + GAP), HEAD + row * (HEIGHT * ZOOM + GAP)))
        print(f"{name}: {len(plain):,} bytes by VTracer's defaults, {len(ours):,} by Tracewright")
    sheet.save(ROOT / "docs" / "pictures" / "result.png", optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
