"""SVG -> what a page may show safely, and the data that the viewer's script takes.

Pure. A picture reaches the page only as a data: URL inside an <img>, where scripts, styles and references in it are
dead: never as markup. The viewer itself is pages/views/components/viewer.{html,css,js}.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass


@dataclass(frozen=True)
class Side:
    """One side of the viewer."""

    name: str
    url: str


def svg_url(svg: bytes) -> str:
    """An SVG as a data: URL for an <img>."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def png_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def viewer_data(
    shown: str, left: Side, right: Side, width: int, height: int, over: Side | None = None, pixels_high: int = 460
) -> dict[str, object]:
    """What the viewer's script takes. ``shown`` names the logo: when it changes, the zoom is reset. ``over`` lies on the right side."""
    return {
        "id": shown,
        "left": left.url,
        "right": right.url,
        "left_name": left.name,
        "right_name": right.name,
        "over": over.url if over is not None else "",
        "over_name": over.name if over is not None else "",
        "w": max(width, 1),
        "h": max(height, 1),
        "height": pixels_high,
    }
