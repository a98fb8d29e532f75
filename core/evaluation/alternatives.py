"""What else a picture could become: VTracer's defaults, a smaller file, a closer match; chosen of the same conversions as the result.

Where they are wanted, a folder holds their SVGs and ``alternatives.json``, {picture's SVG: {choice: figures}}; core/scheduling/review.py reads it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import RasterError
from core.evaluation import finalists
from core.evaluation.finalists import PREFERENCES, Finalist
from core.files import write_aside
from core.logos.dataset import Logo
from core.tracing.allowed import checked
from core.tracing.finish import sized
from core.tracing.minify import minified
from core.tracing.outcome import Outcome
from core.tracing.palette import Palette, recoloured
from core.tracing.visual import VisualReference

TABLE = "alternatives.json"


def finished(logo: Logo, chosen: Finalist, palette: Palette) -> tuple[bytes, Outcome]:
    """The SVG as a file has it, in the palette's colours, and its figures.

    Raises:
        SvgError: it holds more than a tracer draws.
    """
    height, width = logo.pixels.shape[:2]
    svg = recoloured(chosen.svg, palette, width, height)
    outcome = chosen.outcome
    if svg != chosen.svg:
        try:
            reference = VisualReference(logo.pixels)
            found = reference.errors(reference.draw(svg.encode(), chosen.params.hierarchical >= 0.5))
        except RasterError:
            svg = chosen.svg
        else:
            outcome = replace(outcome, ssim=found.ssim, colour=found.colour, edge=found.edge, lost=found.lost, n_bytes=len(svg.encode()))
    if not chosen.is_minified or svg != chosen.svg:
        svg = minified(svg, width, height)
    return checked(sized(svg, *logo.size) if logo.size is not None else svg), outcome


class Alternatives:
    """The others of all pictures of one run of ``optimize``; does nothing without a ``folder``."""

    def __init__(self, folder: Path | None, palette: Palette) -> None:
        self._folder = folder
        self.palette = palette
        self.rows: dict[str, dict[str, dict[str, Any]]] = {}

    @property
    def is_kept(self) -> bool:
        return self._folder is not None

    @property
    def is_plain(self) -> bool:
        """Whether SVGs may be minified before they are chosen: what recolours them reads them as they were made."""
        return not self.palette.changes_colours

    def add(self, logo: Logo, name: str, candidates: Sequence[Finalist], prefer: str, result: Finalist) -> None:
        """Write what differs from the result. ``name``: of the picture's SVG in the folder of results."""
        if self._folder is None:
            return
        others = {"defaults": candidates[0]} | {kind: finalists.choose(candidates, kind) for kind in PREFERENCES if kind and kind != prefer}
        row: dict[str, dict[str, Any]] = {}
        for kind, other in others.items():
            if other is result or not other.svg:
                continue
            palette = replace(self.palette, max_colours=0, merge=0.0, brand=()) if kind == "defaults" else self.palette
            svg, outcome = finished(logo, other, palette)
            write_aside(self._folder / kind / name, svg)
            row[kind] = {
                "visual_gain": finalists.visual_gain(outcome, candidates[0].outcome),
                "ssim": outcome.ssim,
                "colour": outcome.colour,
                "edge": outcome.edge,
                "bytes": outcome.n_bytes,
                "file_bytes": len(svg),
                "made_by": other.made_by,
            }
        self.rows[name] = row

    def write(self) -> None:
        """The list, as far as pictures are done."""
        if self._folder is not None:
            write_aside(self._folder / TABLE, json.dumps({"v": 1, "pictures": self.rows}).encode())
