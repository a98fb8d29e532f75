"""The versions of a picture that the viewer can show on either side: the original, fixed methods, and the results of runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.environment.spec import pipeline_of
from core.errors import ConfigError, LogosError, RasterError, SvgError
from core.logos import favourites
from core.logos.vectors import vector_named
from core.runs.folders import check_readable
from core.runs.records import peek_config
from core.runs.run_dir import RunDir
from core.search.baselines import method1
from core.tracing.allowed import checked
from core.tracing.outcome import gain as gain_of
from core.tracing.params import BEST_SINGLE, DEFAULTS, NAMES, Params
from core.tracing.picture import Measured, Picture, decode_png, encode_png
from core.tracing.pipeline import Mode, Pipeline
from core.tracing.raster import rasterizer
from core.tracing.svg_stats import SvgStats, difference, outlines, svg_stats
from pages.server.service import Console
from pages.views.charts.svg import Side, png_url, svg_url
from storage import queries

COVERS = {
    "none": "nothing",
    "absolute": "difference in colour",
    "structure": "difference in structure (1 − SSIM)",
    "edges": "edges lost (red) and added (blue)",
    "paths": "outlines and nodes",
}
ORIGINAL, DEFAULT, METHOD1, SINGLE, AGENT = "original", "defaults", "method1", "single", "agent"


@dataclass(frozen=True)
class Version:
    """One SVG of a picture, or the picture itself (``params`` None, no figures)."""

    title: str
    data: bytes
    params: Params | None = None
    ssim: float | None = None
    gain: float | None = None
    n_paths: int = 0
    colour: float | None = None
    edge: float | None = None
    problem: str = ""

    @property
    def side(self) -> Side:
        return Side(self.title, svg_url(self.data) if self.params is not None else png_url(self.data))


@st.cache_resource(max_entries=64, show_spinner=False)
def _picture(path: str, mtime_ns: int, _pipeline: Pipeline, key: str) -> Picture:
    data = Path(path).read_bytes()
    return Picture(decode_png(data), _pipeline)


def picture_of(path: Path | None, pipeline: Pipeline) -> Picture | None:
    """A picture at work size with its reference and defaults; None where its file is gone or no picture."""
    if path is None:
        return None
    try:
        return _picture(str(path), path.stat().st_mtime_ns, pipeline, pipeline.key)
    except (OSError, ValueError):
        return None


def run_pipeline(run: RunDir) -> Pipeline:
    """What stands around VTracer in a run's conversions; today's where its config can't be read."""
    try:
        return pipeline_of(peek_config(run))
    except ConfigError:
        return Pipeline()


@st.cache_data(max_entries=400, max_size="200MB", show_spinner=False)
def _measured(_picture: Picture, digest: str, params: tuple[float, ...], is_plain: bool, pipeline: str, mode: Mode) -> Measured:
    return _picture.measure(Params.from_values(list(params)).with_values(is_plain=is_plain), mode=mode)


def measured(picture: Picture, digest: str, params: Params, mode: Mode = "spline") -> Measured:
    """A trace of a picture, made once."""
    return _measured(picture, digest, params.as_tuple(), params.is_plain, picture.pipeline.key, mode)


class Versions:
    """Of one logo of one evaluation. ``row``: of :func:`storage.queries.evaluated_logos`."""

    def __init__(self, console: Console, run: RunDir, row: Any, labels: dict[str, str]) -> None:
        self._console, self._run, self._row, self._labels = console, run, row, labels
        self.digest = str(row.digest)
        self.picture = picture_of(run.own(run.picture_file(self.digest)), run_pipeline(run))

    @cached_property
    def vector(self) -> str | None:
        """The vector that the picture was made of, where it is known."""
        try:
            logos = peek_config(self._run).logos
            check_readable(logos.path, self._console.home)
        except (ConfigError, LogosError):
            return None
        return vector_named(str(self._row.logo), str(self._row.category), logos.path, logos.builtin_seed, logos.n_per_category, True)

    @cached_property
    def history(self) -> pd.DataFrame:
        """Every evaluation of the same picture, in any run."""
        return queries.picture_history(self._console.store, self.digest)

    @cached_property
    def _favourites(self) -> list[favourites.Favourite]:
        """Saved settings of the picture, once: another tab may remove one while this page is drawn."""
        return list(favourites.read(self._console.home, self.digest))

    @cached_property
    def titles(self) -> dict[str, str]:
        """{key: title} of what there is, for a choice."""
        found = {
            ORIGINAL: "original picture",
            DEFAULT: "VTracer's defaults",
            METHOD1: "Method 1",
            SINGLE: "best single setting",
            AGENT: "agent",
        }
        own = self.history[(self.history["run_id"] == self._run.run_id) & (self.history["step"] != self._row.step)]
        found |= {f"step.{int(r.step)}": f"agent at step {int(r.step):,} ({r.gain:+.3f})" for r in own.itertuples()}
        others = self.history[self.history["run_id"] != self._run.run_id]
        if len(others):
            best = others.loc[others.groupby("run_id")["gain"].idxmax()]
            found |= {f"run.{r.run_id}": f"{self._labels.get(str(r.run_id), r.run_id)}, best ({r.gain:+.3f})" for r in best.itertuples()}
        found |= {f"kept.{k}": f"saved: {f.name} ({f.gain:+.3f})" for k, f in enumerate(self._favourites)}
        return found

    def get(self, key: str) -> Version:
        """A version by its key; one that can't be shown says why in ``problem``."""
        title = self.titles.get(key, key)
        if self.picture is None:
            return Version(title, b"", problem="the picture file no longer exists")
        kind, _, which = key.partition(".")
        if kind == ORIGINAL:
            return Version(title, self.picture.png)
        if kind == AGENT:
            return self._recorded(title, self._run, self._row)
        if kind == "step":
            rows = self.history[(self.history["run_id"] == self._run.run_id) & (self.history["step"] == int(which))]
            return self._first(title, self._run, rows)
        if kind == "run":
            rows = self.history[self.history["run_id"] == which].sort_values("gain", ascending=False, kind="stable")
            return self._first(title, RunDir(self._console.home / which), rows)
        if kind == "kept":
            kept = self._favourites[int(which)]
            return self.traced(title, kept.setting, kept.mode)  # type: ignore[arg-type]
        fixed = {DEFAULT: DEFAULTS, SINGLE: BEST_SINGLE}
        return self.traced(title, fixed[kind] if kind in fixed else method1(self.picture.features))

    def _first(self, title: str, run: RunDir, rows: pd.DataFrame) -> Version:
        """Of results of a run; it may have none of this picture."""
        row = next(rows.itertuples(), None)
        return self._recorded(title, run, row) if row is not None else Version(title, b"", problem="the run has no result for this picture")

    def _recorded(self, title: str, run: RunDir, row: Any) -> Version:
        """From a run's folder; where the SVG was not kept it is made again."""
        params = Params.from_values([float(getattr(row, name)) for name in NAMES])
        if row.failure and not pd.isna(row.failure):
            return Version(title, b"", params, problem=f"the conversion failed ({row.failure})")
        data = (kept_svg(run, str(row.svg)) if row.svg else b"") or self.traced(title, params).data
        return Version(title, data, params, float(row.ssim), float(row.gain), int(row.paths), _known(row.colour), _known(row.edge))

    def traced(self, title: str, params: Params, mode: Mode = "spline") -> Version:
        """Made here and now."""
        assert self.picture is not None
        return version_of(self.picture, self.digest, title, params, mode)


def kept_svg(run: RunDir, relative: str) -> bytes:
    """An SVG that a run has kept, as its log names it; nothing where it is gone, or is none that a tracer of ours draws."""
    path = run.inside(relative) if relative else None
    try:
        return checked(path.read_bytes()) if path is not None else b""
    except (OSError, SvgError):
        return b""


def kept_picture(run: RunDir, digest: str) -> bytes:
    """The PNG of a run's picture; nothing where it is gone."""
    try:
        path = run.own(run.picture_file(digest))
        return path.read_bytes() if path is not None else b""
    except OSError:
        return b""


def _known(value: Any) -> float | None:
    """A figure that logs of before may lack."""
    return None if pd.isna(value) else float(value)


def version_of(picture: Picture, digest: str, title: str, params: Params, mode: Mode = "spline") -> Version:
    """A picture traced here and now."""
    found = measured(picture, digest, params, mode)
    outcome = found.outcome
    if outcome.failure is not None:
        return Version(title, found.trace.svg.encode(), params, problem=f"the conversion failed ({outcome.failure})")
    worth = gain_of(outcome, picture.defaults).total
    return Version(title, found.trace.svg.encode(), params, outcome.ssim, worth, outcome.n_paths, outcome.colour, outcome.edge)


def cover(picture: Picture, version: Version, kind: str) -> Side | None:
    """The overlay on a version: a difference to the original, or its outlines. None for nothing, or where it can't be drawn."""
    if kind == "none" or version.params is None or not version.data:
        return None
    height, width = picture.pixels.shape[:2]
    if kind == "paths":
        return Side(COVERS[kind], svg_url(outlines(version.data.decode(), width, height).encode()))
    try:
        drawn = rasterizer().draw(version.data, width, height, picture.ground)
    except RasterError:
        return None
    return Side(COVERS[kind], png_url(_rgba_png(difference(picture.pixels, drawn, kind))))


def _rgba_png(pixels: Any) -> bytes:
    import cv2

    ok, buffer = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA))
    return bytes(buffer) if ok else encode_png(pixels[..., :3])


def stats_of(picture: Picture, version: Version) -> SvgStats | None:
    """Paths, nodes, colours and sizes; None for the original."""
    if version.params is None or not version.data:
        return None
    height, width = picture.pixels.shape[:2]
    return svg_stats(version.data.decode(), width, height)
