"""The viewer and its surroundings: both sides, overlay, figures, palette, parameters and code."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.tracing.params import DEFAULTS, NAMES, Params
from core.tracing.picture import Picture
from core.tracing.pipeline import Mode
from core.tracing.snippets import as_command, as_python, as_tracewright
from core.tracing.svg_stats import SvgStats
from pages.views import downloads
from pages.views.components.mount import before_after
from pages.views.links import choose
from pages.views.text import bytes_text, gain_text, plain
from pages.views.viewer.versions import COVERS, Version, cover, stats_of

N_SWATCHES = 24
VIEWER_HEIGHT = 520  # pixels, with what stands below it


def choose_cover() -> str:
    """The overlay on the right side; stored in the page's address."""
    help_text = "Shown on top of the right side; drag the divider to reveal it."
    return choose("Overlay", list(COVERS), "cover", "none", lambda k: COVERS[k], help=help_text, width=230)


def viewer(shown: str, picture: Picture, left: Version, right: Version, over: str, key: str) -> None:
    """The two sides with the divider between them."""
    for version in (left, right):
        if version.problem:
            st.warning(plain(f"{version.title} can't be shown: {version.problem}."))
            return
    height, width = picture.pixels.shape[:2]
    before_after(shown, left.side, right.side, width, height, key, cover(picture, right, over))


def facts(picture: Picture, version: Version, n_columns: int = 2) -> SvgStats | None:
    """Figures of a version against VTracer's defaults."""
    found = stats_of(picture, version)
    if found is None or version.ssim is None:
        st.caption("The original picture has no paths." if version.params is None else "No figures: the conversion failed.")
        return None
    base = picture.by_defaults
    n_default = max(base.outcome.n_bytes, 1)
    with st.grid(n_columns, min_column_width=100):
        st.metric("Gain", gain_text(version.gain), help="Relative to VTracer's defaults on this logo; 0 is equal, 0.69 is half the error.")
        likeness, size = version.ssim - base.outcome.ssim, found.n_bytes / n_default - 1  # no arrow where nothing differs
        st.metric("SSIM", f"{version.ssim:.4f}", f"{likeness:+.4f}" if abs(likeness) >= 5e-5 else None)
        if version.colour is not None:
            off = version.colour - base.outcome.colour
            st.metric(
                "Colour error", f"{version.colour:.2f}", f"{off:+.2f}" if abs(off) >= 5e-3 else None, delta_color="inverse",
                help="Mean colour distance (CIELAB); about 2.3 is just noticeable.",
            )  # fmt: skip
        if version.edge is not None:
            off = version.edge - base.outcome.edge
            st.metric(
                "Edge error", f"{version.edge:.3f}", f"{off:+.3f}" if abs(off) >= 5e-4 else None, delta_color="inverse",
                help="How much edges differ (GMSD); 0 means identical.",
            )  # fmt: skip
        st.metric(
            "Bytes", bytes_text(found.n_bytes), f"{size:+.0%}" if abs(size) >= 0.005 else None, delta_color="inverse",
            help=f"{found.n_bytes:,} bytes; {found.n_gzipped:,} when served gzipped.",
        )  # fmt: skip
        st.metric("Gzipped", bytes_text(found.n_gzipped))
        more = version.n_paths - base.outcome.n_paths
        st.metric("Paths", f"{version.n_paths:,}", f"{more:+,d}" if more else None, delta_color="inverse")
        st.metric("Nodes", f"{found.n_nodes:,}", help="Segment end points over all paths.")
    return found


def parameter_table(left: Version, right: Version) -> None:
    """The parameters of both sides; what differs is bold."""
    sides = [v for v in (left, right) if v.params is not None] or [Version("VTracer's defaults", b"", DEFAULTS)]
    if len(sides) == 1 and sides[0].params != DEFAULTS:
        sides.insert(0, Version("VTracer's defaults", b"", DEFAULTS))
    lines = [f"| parameter | {' | '.join(v.title.split(' (')[0] for v in sides)} |", "| --- |" + " ---: |" * len(sides)]
    for i, name in enumerate(NAMES):
        values = [float(v.params.as_tuple()[i]) for v in sides if v.params is not None]
        differ = any(abs(value - values[0]) > 1e-6 for value in values)
        lines.append(f"| {name} | " + " | ".join(f"**{v:.4g}**" if differ and k else f"{v:.4g}" for k, v in enumerate(values)) + " |")
    st.markdown("\n".join(lines))


def palette(found: SvgStats) -> None:
    """The colours with their areas, largest first."""
    cells = "".join(
        f'<span title="{s.colour}: {s.share:.1%} of the area, {s.n_paths} paths" style="display:inline-flex;align-items:center;gap:6px;margin:0 12px 6px 0;'
        f'font-size:12px"><i style="width:16px;height:16px;border-radius:4px;border:1px solid #8886;background:{s.colour}"></i>'
        f"{s.colour} · {s.share:.1%} · {s.n_paths}</span>"
        for s in found.palette[:N_SWATCHES]
    )
    st.html(f"<div>{cells}</div>")
    more = len(found.palette) - N_SWATCHES
    st.caption(
        f"{len(found.palette)} colours, with share of the area and number of paths."
        + (f" {more} smaller colours are not shown." if more > 0 else "")
    )


def commands(params: Params, picture: Picture, mode: Mode = "spline") -> None:
    """The same trace as code, to copy."""
    own = as_tracewright(params, picture.pipeline, max(picture.source.shape[:2]), mode)
    if not params.is_plain:
        st.code(own, language="bash", wrap_lines=True)
        return
    ours, python, shell = st.tabs(["Tracewright", "Python", "VTracer's command line"])
    with ours:
        st.code(own, language="bash", wrap_lines=True)
    with python:
        st.code(as_python(params, mode), language="python")
    with shell:
        st.code(as_command(params, mode), language="bash", wrap_lines=True)
        st.caption("VTracer's command line has no max_iterations option; everything else is the same.")


def download(version: Version, file: str, key: str, **more: Any) -> None:
    """A version as a file."""
    is_svg = version.params is not None
    downloads.button(
        f"SVG: {version.title.split(' (')[0]}" if is_svg else "PNG: original", version.data, f"{file}.{'svg' if is_svg else 'png'}",
        "image/svg+xml" if is_svg else "image/png", disabled=not version.data, icon=":material/download:", key=key, **more,
    )  # fmt: skip
