"""Everything that is known of one picture as error against bytes, with the front, and any point to be seen and copied."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.logos import favourites
from core.paths import trace_cache_file
from core.tracing.cache import known_of
from core.tracing.outcome import gain, visual_error
from core.tracing.params import DEFAULTS, HIGH, LOW, NAMES, Params
from core.tracing.picture import Picture
from pages.server.service import Console
from pages.views import chart_box
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.charts import plots
from pages.views.charts.pareto import front_of
from pages.views.shell import room_for
from pages.views.text import plain
from pages.views.viewer import inspect
from pages.views.viewer.versions import METHOD1, Version, Versions, measured, version_of

N_MORE = 40
_COLUMNS = ["kind", "bytes", "error", "gain", *NAMES]


def points_of(console: Console, versions: Versions, row: Any, tried: list[tuple[float, ...]]) -> pd.DataFrame:
    """kind, bytes, error, gain, the parameters, place; failed conversions are left out.

    All that is known: evaluations of any run, what baselines, searches and Optimize tried (the trace cache), favourites, and
    what was tried here.
    """
    picture = versions.picture
    assert picture is not None
    rows: list[dict[str, Any]] = []

    def add(kind: str, error: float, n_bytes: float, worth: float, params: Any) -> None:
        rows.append(
            {"kind": kind, "bytes": n_bytes, "error": max(error, 1e-4), "gain": worth} | dict(zip(NAMES, map(float, params), strict=True))
        )

    for params in tried:
        outcome = measured(picture, versions.digest, Params.from_values(list(params))).outcome
        if outcome.failure is None:
            add("tried", outcome.visual, outcome.n_bytes, gain(outcome, picture.defaults).total, params)
    known = versions.history[versions.history["failure"].isna() & versions.history["colour"].notna()]
    for r in known.itertuples():
        is_agent = r.run_id == row.run_id and r.step == row.step
        add(
            "agent" if is_agent else "evaluation",
            visual_error(1 - float(r.ssim), float(r.colour), float(r.edge)),
            float(r.bytes),
            float(r.gain),
            [getattr(r, n) for n in NAMES],
        )
    for f in favourites.read(console.home, versions.digest):
        outcome = measured(picture, versions.digest, f.setting, f.mode).outcome  # type: ignore[arg-type]
        if outcome.failure is None:
            add("favourite", outcome.visual, outcome.n_bytes, gain(outcome, picture.defaults).total, f.setting.as_tuple())
    method1 = versions.get(METHOD1)
    if method1.ssim is not None and method1.params is not None:
        found = measured(picture, versions.digest, method1.params).outcome
        add("Method 1", found.visual, len(method1.data), method1.gain or 0.0, method1.params.as_tuple())
    base = picture.defaults
    add("defaults", base.visual, base.n_bytes, 0.0, DEFAULTS.as_tuple())
    seen = {_setting(r[n] for n in NAMES) for r in rows}
    others, rows = rows, []
    for setting, outcome in known_of(trace_cache_file(console.home), versions.digest + picture.pipeline.key):
        if outcome.failure is None and _setting(setting.as_tuple()) not in seen:
            add("search", outcome.visual, outcome.n_bytes, gain(outcome, picture.defaults).total, setting.as_tuple())
    rows += others  # what is marked lies above
    frame = pd.DataFrame(rows, columns=_COLUMNS).drop_duplicates(subset=["kind", *NAMES]).reset_index(drop=True)
    return frame.assign(place=range(len(frame)))


def _setting(values: Iterable[float]) -> tuple[float, ...]:
    """Parameters, to be told apart from others."""
    return tuple(round(float(v), 6) for v in values)


def explore(picture: Picture, digest: str, around: Params, n_before: int) -> list[tuple[float, ...]]:
    """Half anywhere in the ranges, half close to the agent's choice; each is traced. Shows how far it is."""
    rng = np.random.default_rng(n_before)
    bar = st.progress(0.0, text=f"Tracing {N_MORE} more settings")
    found = []
    for k in range(N_MORE):
        values = rng.uniform(LOW, HIGH) if k % 2 else np.clip(around.values() + rng.normal(0, 0.12, len(LOW)) * (HIGH - LOW), LOW, HIGH)
        params = Params.from_values(values)
        measured(picture, digest, params)
        found.append(params.as_tuple())
        bar.progress((k + 1) / N_MORE, text=f"Tracing {N_MORE} more settings: {k + 1}")
    bar.empty()
    return found


@acts("picture.trace", is_drawn=True)
def _try_more(name: str, tried: list[tuple[float, ...]], picture: Picture, digest: str, around: Params) -> None:
    tried += explore(picture, digest, around, len(tried))


def panel(console: Console, versions: Versions, row: Any, name: str) -> None:
    """The chart, and the point that was clicked beside it."""
    picture = versions.picture
    if picture is None:
        st.warning("The picture file no longer exists.")
        return
    tried: list[tuple[float, ...]] = st.session_state.setdefault("tried", {}).setdefault(versions.digest, [])
    agent = versions.get("agent")
    if button(
        f"Try {N_MORE} more settings",
        does="picture.trace",
        icon=":material/add:",
        key="explore",
        help="Converts the picture now; half of the settings are close to the agent's choice.",
    ):
        _try_more(name, tried, picture, versions.digest, agent.params or DEFAULTS)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        room = room_for("trade-off", 480)
    points = points_of(console, versions, row, tried)
    with room():
        chart = plots.trade_off(points, front_of(points))
        note = f"{len(points)} known conversions. Dashed: the Pareto front of size and error. Click a point to view it."
        picked = chart_box.choose(chart, "trade-off", f"Error against bytes: {name}", points, "pick", note)
    place = int(picked["place"]) if picked and "place" in picked and int(picked["place"]) < len(points) else None
    with right:
        if place is None:
            shown: Version = agent
            st.markdown("**The agent's choice**")
        else:
            params = Params.from_values([float(points.loc[place, n]) for n in NAMES])
            params = params.with_values(is_plain=points.loc[place, "kind"] == "defaults")
            shown = version_of(picture, versions.digest, str(points.loc[place, "kind"]), params)
            st.markdown(
                f"**{shown.title}**: gain {shown.gain or 0:+.3f}, {int(points.loc[place, 'bytes']):,} bytes, visual error {points.loc[place, 'error']:.3f}"
            )
        if shown.problem:
            st.warning(plain(f"Can't be shown: {shown.problem}."))
        elif shown.params is not None:
            st.image(shown.side.url, width="stretch", alt=shown.title)
            inspect.commands(shown.params, picture)
            inspect.download(shown, f"{name}-{shown.title.replace(' ', '-')}", "svg.point")
