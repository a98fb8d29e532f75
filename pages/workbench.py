"""Tune one picture by hand: parameters on sliders with a live trace and its gain; save, download or copy as code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import PictureError
from core.logos import favourites
from core.logos.dataset import digest_of
from core.logos.favourites import Favourite
from core.logos.intake import decode_upload
from core.logos.pictures import FORMATS, decode_picture
from core.logos.procedural import CATEGORIES, make_logo
from core.runs.run_dir import RunDir
from core.scheduling import review
from core.scheduling.batch import Batch, batches_folder
from core.search.baselines import BASELINES
from core.tracing.params import DEFAULTS, NAMES, SPECS, Params, ParamSpec
from core.tracing.picture import Picture, fit
from core.tracing.pipeline import MODES, Mode, Pipeline
from pages.views import tables
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.intake import given_files
from pages.views.links import choose, setting_of, setting_text, write_address
from pages.views.run_choice import choose_run
from pages.views.shell import begin, path_of, room_for, say
from pages.views.text import plain
from pages.views.viewer import inspect
from pages.views.viewer.versions import Version, Versions, version_of
from storage import queries

MAX_SIDE = 1024
BUILTIN_SEED, N_SAMPLES = 7, 60  # of the built-in set
SAMPLES = {f"{category}-{index:03d}": (category, index) for category in CATEGORIES for index in range(N_SAMPLES)}
PLAIN, MODE, TRACE_SIZE = "bench.plain", "bench.mode", "traced_at"
VALUES = "values"  # of the address: where the sliders are, unless that is where they began
TRACE_SIZES = (256, 512, 1024, 1536, 2048)
console = begin("Workbench")


@st.cache_resource(max_entries=16, show_spinner="Reading the picture …")
def uploaded_picture(data: bytes, side: int, trace_size: int) -> Picture:
    return Picture(fit(decode_upload(data, None, svg_side=2 * side).pixels, side), Pipeline(trace_size=trace_size))


@st.cache_resource(max_entries=16, show_spinner=False)
def sample_picture(name: str, side: int, trace_size: int) -> Picture:
    svg = make_logo(BUILTIN_SEED, *SAMPLES[name]).svg.encode()
    return Picture(fit(decode_picture(svg, None, svg_side=2 * side), side), Pipeline(trace_size=trace_size))


def key_of(name: str) -> str:
    return f"bench.{name}"


def put(params: Params, mode: str = "spline") -> None:
    """Move the sliders."""
    for spec, value in zip(SPECS, params.clamped().as_tuple(), strict=True):
        st.session_state[key_of(spec.name)] = int(value) if spec.is_integer else float(value)
    st.session_state[PLAIN], st.session_state[MODE] = params.is_plain, mode


def slider(spec: ParamSpec) -> None:
    """One parameter; a switch where it has but two values."""
    if spec.n_values == 2:
        st.segmented_control(
            spec.name, [int(spec.low), int(spec.high)], key=key_of(spec.name), required=True, help=spec.meaning,
            format_func=lambda value: "cut out" if value else "stacked",
        )  # fmt: skip
        return
    kind = int if spec.is_integer else float
    step = 1 if spec.is_integer else 0.1 if spec.high > 2 else 0.025
    label = f"{spec.name} ({spec.unit})"
    st.slider(label, kind(spec.low), kind(spec.high), key=key_of(spec.name), step=kind(step), help=spec.meaning)


def from_sample() -> tuple[Picture, str, str, dict[str, Params]]:
    """One of the built-in logos: something to try without a run and without a picture."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = choose("Logo", list(SAMPLES), "sample", show=lambda n: n)
        side, trace_size = longest_side(), traced_at()
    picture = sample_picture(name, side, trace_size)
    return picture, digest_of(picture.source), name, {}


def longest_side() -> int:
    return int(
        st.select_slider(
            "Longest side",
            [128, 256, 512, MAX_SIDE],
            512,
            key="side",
            bind="query-params",
            help="Size in pixels at which results are compared.",
        )
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def retraced(digest: str, trace_size: int, _picture: Picture) -> Picture:
    """A run's picture, to be traced at another size."""
    return Picture(_picture.source, replace(_picture.pipeline, trace_size=trace_size))


def traced_at(default: int = 1024) -> int:
    about = "Size in pixels that VTracer works at: the picture is enlarged and its edges are cleaned. Larger looks better but takes longer."
    return int(
        st.select_slider(
            "Traced at", sorted({*TRACE_SIZES, default}), default, key=f"{TRACE_SIZE}_{default}", help=about, bind="query-params"
        )
    )


def from_upload() -> tuple[Picture, str, str, dict[str, Params]] | None:
    """(picture, digest, name, settings to start from)."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        about = f"Supported: {', '.join(sorted(set(FORMATS.values())))}."
        given = given_files(console.home, "bench.file", "A picture", about, is_one=True)
        side, trace_size = longest_side(), traced_at()
    if not given:
        st.info("Drop a picture above, or choose a logo of a run to start from the agent's choice.", icon=":material/upload:")
        return None
    name, path = given[-1]
    try:
        picture = uploaded_picture(path.read_bytes(), side, trace_size)
    except (OSError, PictureError) as error:
        st.error(plain(f"{name} can't be used: {error}"))
        return None
    return picture, digest_of(picture.source), name.rsplit(".", 1)[0], {}


def from_batch() -> tuple[Picture, str, str, dict[str, Params]] | None:
    """A picture that Optimize was given, from what it chose; named by the address."""
    batch = Batch(batches_folder(console.home) / Path(st.query_params.get("batch", "")).name)
    asked = st.query_params.get("picture", "")
    item = next((each for each in review.items(batch) if asked in (each.picture, each.name)), None)
    if item is None:
        st.warning(plain(f"There is no picture {asked or 'named'} in batch {batch.batch_id}; open one from the Optimize page."))
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side, trace_size = longest_side(), traced_at()
    try:
        picture = uploaded_picture((batch.pictures / item.picture).read_bytes(), side, trace_size)
    except (OSError, PictureError) as error:
        st.error(plain(f"{item.picture} can't be used: {error}"))
        return None
    values = [float(item.row.get(name, default)) for name, default in zip(NAMES, DEFAULTS.values(), strict=True)]
    start = Params.from_values(values).with_values(is_plain=bool(item.row["is_default"]))
    return picture, digest_of(picture.source), item.picture.rsplit(".", 1)[0], {"the result": start}


def from_run(ids: list[str], runs: dict[str, RunDir], labels: dict[str, str]) -> tuple[Picture, str, str, dict[str, Params]] | None:
    with st.grid(2, min_column_width=220):
        run_id = choose_run("Run", ids, "run", labels)
        evaluations = queries.evaluations(console.store, [run_id])
        if evaluations.empty:
            st.warning("This run was deleted a moment ago. Choose another.")
            return None
        steps = [str(int(s)) for s in evaluations["step"]]
        best = str(int(evaluations.loc[evaluations["gain"].idxmax(), "step"]))
        step = int(st.query_params["at"]) if st.query_params.get("at") in steps else int(best)
        rows = queries.evaluated_logos(console.store, run_id, step).set_index("logo", drop=False)
        name = choose("Logo", sorted(rows.index), "logo", show=lambda n: f"{n}  ({rows.loc[n, 'gain']:+.3f})")
    row: Any = rows.loc[name]
    versions = Versions(console, runs[run_id], row, labels)
    if versions.picture is None:
        st.warning("The picture file no longer exists; choose another logo.")
        return None
    picture = versions.picture
    size = traced_at(picture.pipeline.trace_size)
    if size != picture.pipeline.trace_size:
        picture = retraced(versions.digest, size, picture)
    return picture, versions.digest, name, {"the agent's choice": Params.from_values([float(row[n]) for n in NAMES])}


runs = tables.newest_first(console.home)
evaluated = queries.runs_with_pictures(console.store)
ids = [run_id for run_id in runs if run_id in evaluated]
labels = tables.all_names(console.home)
ways = {
    "a logo of a run": lambda: from_run(ids, runs, labels),
    "a built-in logo": from_sample,
    "a picture of my own": from_upload,
} | ({"a picture of a batch": from_batch} if "batch" in st.query_params else {})
if not ids:
    ways.pop("a logo of a run")
way = st.segmented_control("Work on", list(ways), default=next(iter(ways)), key="source", bind="query-params", required=True)
found = ways[str(way)]()
if found is None:
    st.stop()
picture, digest, name, starts = found
chosen = {baseline.label: baseline.choose(picture.features) for baseline in BASELINES.values()}
starts |= {label: params for label, params in chosen.items() if params == params.clamped().with_values(is_plain=params.is_plain)}
kept = favourites.read(console.home, digest)
first = next(iter(starts))
is_begun = key_of(NAMES[0]) in st.session_state  # else the address may have what the sliders were at before a reload
if st.session_state.get("bench.digest") != (digest, first) or not is_begun:
    asked = None if is_begun else setting_of(st.query_params.get(VALUES, ""))
    put(*(asked or (starts[first], "spline")))
    st.session_state["bench.digest"] = (digest, first)


def start_from() -> None:
    """Put the sliders where a known setting has them."""
    chosen = str(st.session_state.get("bench.start"))
    if chosen in starts:
        put(starts[chosen])
    for favourite in kept:
        if chosen == f"saved: {favourite.name}":
            put(favourite.setting, favourite.mode)


@acts("favourite.save", is_drawn=True)
def keep(favourite: Favourite) -> None:
    favourites.keep(console.home, favourite)
    say(f"Saved as {favourite.name}")
    st.rerun()


@acts("favourite.delete")
def drop(favourite: Favourite) -> None:
    favourites.drop(console.home, favourite)
    say(f"Removed {favourite.name}")


grid = st.grid(3, min_column_width=180, gap="medium")  # at 900 pixels too a slider moves beside what it changes
stage, sliders = grid.cell(column_span=2), grid.cell()
with sliders:
    st.selectbox("Start from", [*starts, *(f"saved: {f.name}" for f in kept)], key="bench.start", on_change=start_from)
    for spec in SPECS:
        slider(spec)
    st.toggle("VTracer only", key=PLAIN, help="Plain VTracer: no enlarging or edge cleaning, and one flat colour per region.")
    st.selectbox("mode", list(MODES), key=MODE, help="How outlines are drawn; the agent always uses spline.")
    chosen_params = Params.from_values([float(st.session_state[key_of(n)]) for n in NAMES])
    chosen_params = chosen_params.with_values(is_plain=bool(st.session_state[PLAIN]))
    mode = st.session_state[MODE]
mode_now: Mode = mode if mode in MODES else "spline"
begun = starts[first].clamped().with_values(is_plain=starts[first].is_plain)
now = setting_text(chosen_params, mode_now)
if now == setting_text(begun, "spline"):
    write_address(**{VALUES: ""})
elif st.query_params.get(VALUES) != now:
    write_address(**{VALUES: now})
against = {"start": first, "original": "original picture"}
with stage:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side = st.segmented_control(
            "Compare with",
            list(against),
            format_func=lambda k: against[k],
            default="start",
            key="against",
            required=True,
            bind="query-params",
        )
        over = inspect.choose_cover()
    room = room_for("viewer", inspect.VIEWER_HEIGHT)
    mine = version_of(picture, digest, "by hand", chosen_params, mode_now)
    base = version_of(picture, digest, first, starts[first])
    with room():
        other = base if side == "start" else Version(against["original"], picture.png)
        inspect.viewer(f"bench/{digest}", picture, other, mine, over, "bench.viewer")
    stats = inspect.facts(picture, mine, 4)
    if base.gain is not None and mine.gain is not None and base.params is not None:
        difference = mine.gain - base.gain
        if abs(difference) < 5e-4:
            st.caption(f"Equal to {first}, gain {base.gain:+.3f}.")
        else:
            st.caption(f"**{abs(difference):.3f} {'better' if difference > 0 else 'worse'}** than {first}, gain {base.gain:+.3f}.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        inspect.download(mine, f"{name}-by-hand", "svg.mine", type="primary")
        called = st.text_input("Save as", placeholder="name", key="bench.name", width=200)
        favourite = Favourite(
            called.strip()[:60], digest, name, chosen_params.as_tuple(), mode_now, mine.gain or 0.0, is_plain=chosen_params.is_plain
        )
        if button(  # no callback: that would save what was drawn last, rather than what the sliders say
            "Save",
            does="favourite.save",
            icon=":material/star:",
            key=f"bench.keep.{digest}",
            disabled=not called.strip() or bool(mine.problem),
        ):
            keep(favourite)
    for f in kept:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(f.name)}** · gain {f.gain:+.3f}")
            button("Remove", icon=":material/close:", key=f"bench.drop.{f.name}", on_click=drop, args=(f,), type="tertiary")
    if stats is not None:
        with st.expander(f"{len(stats.palette)} colours", icon=":material/palette:"):
            inspect.palette(stats)
    with st.expander("Copy as code", icon=":material/code:", expanded=True):
        inspect.commands(chosen_params, picture, mode_now)
if way == "a logo of a run":
    st.page_link(
        path_of("gallery"),
        label="This logo in the Gallery",
        icon=":material/imagesmode:",
        query_params={"run": st.query_params.get("run", ids[0]), "logo": name},
    )
