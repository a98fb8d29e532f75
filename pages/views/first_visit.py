"""What a newcomer sees before anything is pressed: one sample logo before and after, and the two ways to begin.

Guarantee: nothing is traced or trained to draw it; the sample is two SVGs of the package (core/logos/samples.py's "gradient-000" under
VTracer's defaults, and as Optimize delivers it).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import streamlit as st

from core.config.config import RunConfig
from core.config.text import load_config, presets
from core.errors import ConfigError, RunError
from core.logos.samples import N_SAMPLES, sample_logos
from core.runs.requirements import estimated_minutes
from core.scheduling import batch
from pages.server.service import Console
from pages.views import actions, take_home
from pages.views.access import acts
from pages.views.buttons import button, pressed
from pages.views.charts.svg import Side, svg_url
from pages.views.components.mount import before_after
from pages.views.shell import path_of
from pages.views.text import duration_text, plain
from storage import queries

_FOLDER = Path(__file__).parent / "components"
_SAMPLE_SIDE = 384  # pixels
_VIEWER_HEIGHT = 270  # pixels: with both cards in a window 900 high


def duration_of(console: Console, preset: str) -> str:
    """How long a preset takes on this machine: "about 2 min 20 s"; "a few minutes" where the preset can't be read."""
    try:
        path = presets()[preset]
        config = _config(path, path.stat().st_mtime_ns)
    except (ConfigError, KeyError, OSError):
        return "a few minutes"
    return f"about {duration_text(estimated_minutes(config, queries.usual_rate(console.store)))}"


@lru_cache(maxsize=8)
def _config(path: Path, _mtime_ns: int) -> RunConfig:
    return load_config(path)


@acts("batch.start", is_drawn=True)
def try_samples(console: Console) -> None:
    """Optimize the sample logos, and go to the page that shows it."""
    try:
        made = batch.start(console.home, list(sample_logos()), batch.Request())
    except (RunError, OSError) as error:
        st.error(plain(f"The sample logos can't be optimized: {error}"))
        return
    st.switch_page(path_of("optimize"), query_params={"batch": made.batch_id})


def first_visit(console: Console) -> None:
    """The sample, and two equal cards."""
    before, after = ((_FOLDER / f"sample_{name}.svg").read_bytes() for name in ("defaults", "result"))
    st.markdown(
        "**From a picture to a clean SVG.** VTracer has a handful of parameters, and the best values differ from logo to logo. "
        "An agent chooses them for each one. Move the divider: one 384-pixel PNG, traced twice."
    )
    left, right = Side(f"VTracer's defaults, {len(before):,} bytes", svg_url(before)), Side(f"result, {len(after):,} bytes", svg_url(after))
    before_after("sample", left, right, _SAMPLE_SIDE, _SAMPLE_SIDE, key="sample", pixels_high=_VIEWER_HEIGHT)
    with st.grid(2, min_column_width=280, gap="medium") as grid:
        pass
    with grid.cell(), st.container(border=True, height="stretch", key="card-logos"):
        st.subheader("I have logos")
        st.markdown("Drop pictures, get SVGs, keep the ones you like. Works at once with the built-in model; nothing leaves this machine.")
        with st.container(horizontal=True, vertical_alignment="center"):
            if pressed("Optimize my logos", type="primary", icon=":material/auto_fix_high:", key="first.optimize"):
                st.switch_page(path_of("optimize"))
            if button(f"Try {N_SAMPLES} sample logos", does="batch.start", icon=":material/category:", key="first.samples"):
                try_samples(console)
    with grid.cell(), st.container(border=True, height="stretch", key="card-train"):
        st.subheader("I train models")
        st.markdown(
            f"The quick run trains an agent on the 240 built-in logos: {duration_of(console, 'quick')} on this machine. "
            "Watch its reward rise, then compare its SVGs."
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            if button("Start the quick run", does="run.start", type="primary", icon=":material/play_arrow:"):
                actions.start_preset(console, "quick")
            if pressed("Set up your own run", icon=":material/tune:", key="first.new"):
                st.switch_page(path_of("new_run"))
            take_home.open_button("import")
