"""Before and after: every validation logo of an evaluation, any two versions side by side, its history and its trade-offs."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from core.runs.run_dir import RunDir
from core.tracing.params import NAMES
from pages.views import actions, downloads, gone, tables
from pages.views.charts.svg import svg_url
from pages.views.components.mount import scrubber
from pages.views.links import choose, wanted, write_address
from pages.views.run_choice import choose_run
from pages.views.shell import begin, path_of, room_for
from pages.views.text import bytes_text, plain
from pages.views.viewer import film, inspect, pareto
from pages.views.viewer.vectors import against_the_vector
from pages.views.viewer.versions import AGENT, DEFAULT, Versions, kept_picture, kept_svg
from storage import export, queries

SORTS = {
    "largest gain": ("gain", False),
    "smallest gain": ("gain", True),
    "most bytes saved": ("saved", False),
    "largest SSIM": ("ssim", False),
    "smallest SSIM": ("ssim", True),
    "largest colour error": ("colour", False),
    "largest edge error": ("edge", False),
    "name": ("logo", True),
}
PER_PAGE = 24
SCRUBBER_HEIGHT = 470  # pixels
MAX_FRAMES, MAX_FRAME_BYTES = 60, 6_000_000  # of the scrubber, all together

console = begin("Gallery")
runs = tables.newest_first(console.home)
evaluated = queries.runs_with_pictures(console.store)
ids = [run_id for run_id in runs if run_id in evaluated]
begun_with = wanted("run", ids)
gone.stop_if_deleted(console, begun_with)
if not ids:
    actions.invite(console, "Nothing to compare yet. A run's SVGs appear here after its first evaluation, seconds after it starts.")

labels = tables.all_names(console.home)
if begun_with not in ids:
    st.warning(f"{plain(labels.get(begun_with, begun_with))} has no evaluation, so the newest evaluated run is shown.")
with st.grid(3, min_column_width=190):
    run_id = choose_run("Run", ids, "run", labels, begun_with)
    evaluations = queries.evaluations(console.store, [run_id]).drop_duplicates("step", keep="last")
    if evaluations.empty:
        st.warning("This run was deleted a moment ago. Choose another.")
        st.stop()
    best = int(evaluations.loc[evaluations["gain"].idxmax(), "step"])
    gains = dict(zip(evaluations["step"], evaluations["gain"], strict=True))
    steps = [int(s) for s in evaluations["step"]]
    step = int(
        choose(
            "Evaluation",
            [str(s) for s in steps],
            "at",
            str(best),
            lambda s: f"step {int(s):,}: gain {gains[int(s)]:+.3f}" + (" (best)" if int(s) == best else ""),
        )
    )
    sort = st.selectbox("Sort by", list(SORTS), key="sort", bind="query-params")

run: RunDir = runs[run_id]
logos = queries.evaluated_logos(console.store, run_id, step)
logos["saved"] = 1 - logos["bytes"] / logos["bytes_default"].clip(lower=1)
column, ascending = SORTS[sort]
logos = logos.sort_values(column, ascending=ascending, kind="stable")
categories = sorted(logos["category"].unique())
bar = st.container(horizontal=True, vertical_alignment="bottom")
with bar:
    chosen = st.pills("Category", categories, selection_mode="multi", key="category", bind="query-params")
    text = st.text_input("Find", placeholder="logo name", key="logo_find", bind="query-params", width=110)
    only_worse = st.toggle("Worse than the defaults", key="worse", bind="query-params")
shown = logos[logos["category"].isin(chosen)] if chosen else logos
shown = shown[shown["logo"].str.contains(text, case=False, regex=False)] if text else shown
shown = shown[shown["gain"] < 0] if only_worse else shown
if shown.empty:
    st.info("No matching logos. Clear the category, the search or the switch.")
    st.stop()

names = list(shown["logo"])
gains_of = dict(zip(logos["logo"], logos["gain"], strict=True))


def go(to: int) -> None:
    write_address(logo=names[to % len(names)])


with bar:
    name = choose("Logo", names, "logo", show=lambda n: f"{n}  ({gains_of[n]:+.3f})", width=200)
    at = names.index(name)
    with st.container(horizontal=True, width="content"):
        st.button("Previous", icon=":material/chevron_left:", on_click=go, args=(at - 1,), key="previous")
        st.button("Next", icon=":material/chevron_right:", on_click=go, args=(at + 1,), key="next")
row: Any = shown.iloc[at]
versions = Versions(console, run, row, labels)


def swap(a: str, b: str) -> None:
    write_address(left=b, right=a)


def compare_tab() -> None:
    """Any two versions with the divider between them."""
    keys = list(versions.titles)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        left_key = choose("Left", keys, "left", DEFAULT, lambda k: versions.titles[k], width=230)
        right_key = choose("Right", keys, "right", AGENT, lambda k: versions.titles[k], width=230)
        st.button("Swap", icon=":material/swap_horiz:", on_click=swap, args=(left_key, right_key), key="swap")
        over = inspect.choose_cover()
    grid = st.grid(3, min_column_width=230, gap="medium")
    stage, beside = grid.cell(column_span=2), grid.cell()
    with stage:
        room = room_for("viewer", inspect.VIEWER_HEIGHT)
    left, right = versions.get(left_key), versions.get(right_key)
    picture = versions.picture
    with room():
        if picture is None:
            st.warning("The picture file no longer exists.")
            return
        inspect.viewer(f"{run_id}/{name}", picture, left, right, over, "viewer")
        with st.container(horizontal=True):
            inspect.download(right, f"{name}-{right_key}", "svg.right")
            inspect.download(left, f"{name}-{left_key}", "svg.left")
            st.page_link(
                path_of("workbench"),
                label="Tune by hand",
                icon=":material/tune:",
                query_params={"run": run_id, "at": str(step), "logo": name},
            )
    with beside:
        found = inspect.facts(picture, right)
        if found is not None:
            against_the_vector(
                versions.vector, versions.digest, picture.pixels, right.data.decode(errors="replace"), picture.by_defaults.trace.svg
            )
        inspect.parameter_table(left, right)
    if found is not None:
        with st.expander(f"{len(found.palette)} colours", icon=":material/palette:"):
            inspect.palette(found)
    if right.params is not None:
        with st.expander("Copy as code", icon=":material/code:"):
            inspect.commands(right.params, picture)


def time_tab() -> None:
    """One logo over all evaluations."""
    room = room_for("scrubber", SCRUBBER_HEIGHT)
    own = versions.history[versions.history["run_id"] == run_id]
    frames: list[dict[str, Any]] = []
    n_bytes = 0
    every = max(1, -(-len(own) // MAX_FRAMES))
    for place, r in enumerate(own.itertuples()):
        version = versions.get(AGENT if r.step == step else f"step.{int(r.step)}")
        if (place % every and place != len(own) - 1) or n_bytes + len(version.data) > MAX_FRAME_BYTES:
            continue
        n_bytes += len(version.data)
        values = {"gain": float(r.gain), "bytes": float(r.bytes)} | {n: float(getattr(r, n)) for n in NAMES}
        said = f"step {int(r.step):,} · gain {r.gain:+.3f} · {int(r.bytes):,} bytes"
        frames.append({"step": int(r.step), "said": said, "url": svg_url(version.data) if version.data else "", "values": values})
    if len(frames) < 2:
        room().info("Only one evaluation so far. The history starts with the second.")
        return
    with room():
        scrubber(f"{run_id}/{name}", name, ["gain", "bytes", *NAMES], frames, "scrubber")
    told = "" if len(frames) == len(own) else f" {len(frames)} of {len(own)} evaluations."
    st.caption(f"What the agent chose for this logo at each evaluation. Play, drag, or click a curve.{told}")
    film.panel(console, run, name, sorted(logos["logo"].unique()), {i: labels.get(i, i) for i in ids if i != run_id})


tab_compare, tab_time, tab_trade = st.tabs(["Compare", "Over time", "Trade-off"], key="view", bind="query-params")
if tab_compare.open:
    with tab_compare:
        compare_tab()
if tab_time.open:
    with tab_time:
        time_tab()
if tab_trade.open:
    with tab_trade:
        pareto.panel(console, versions, row, name)


def errors_text(table: pd.DataFrame) -> str:
    """Mean colour and edge error beside the defaults'; empty for runs of before these were kept."""
    if table["colour"].isna().all():
        return ""
    return (
        f"mean colour error {table['colour'].mean():.2f} (defaults {table['colour_default'].mean():.2f}), "
        f"edge error {table['edge'].mean():.3f} (defaults {table['edge_default'].mean():.3f}); "
    )


st.divider()
summary = evaluations[evaluations["step"] == step].iloc[0]
with st.container(horizontal=True, vertical_alignment="center"):
    st.markdown(
        f"**{len(shown)} logos**, mean gain **{shown['gain'].mean():+.3f}**; {(shown['gain'] > 0).mean():.0%} better than the defaults; "
        f"mean SSIM {shown['ssim'].mean():.4f} (defaults {shown['ssim_default'].mean():.4f}); {errors_text(shown)}mean size {bytes_text(shown['bytes'].mean())} (defaults {bytes_text(shown['bytes_default'].mean())})"
    )
    downloads.button(
        "CSV",
        lambda: export.to_csv(shown.drop(columns=["run_id", "saved"])),
        f"{run_id}-step-{step}.csv",
        "text/csv",
        icon=":material/download:",
        key="csv",
    )


def pick(logo: str) -> None:
    write_address(logo=logo)


n_pages = (len(shown) - 1) // PER_PAGE + 1
page = st.pagination(n_pages, key="gallery_page") if n_pages > 1 else 1
with st.grid("auto", min_column_width=150, border=True, vertical_alignment="center") as grid:
    for item in shown.iloc[(page - 1) * PER_PAGE : page * PER_PAGE].itertuples():
        data = kept_svg(run, str(item.svg)) if item.svg else kept_picture(run, str(item.digest))
        with grid.cell():
            if data:
                st.image(svg_url(data) if item.svg else data, width="stretch", alt=str(item.logo))
            st.button(
                f"{plain(str(item.logo))} · {item.gain:+.2f}",
                key=f"pick.{item.logo}",
                on_click=pick,
                args=(item.logo,),
                type="tertiary",
                width="stretch",
            )
gone.watch(console, [run_id])
