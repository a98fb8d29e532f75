"""Before and after: every validation logo of an evaluation, the defaults' SVG against the agent's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st
from PIL import Image

from core.runs.run_dir import RunDir, all_runs
from core.tracing.params import DEFAULTS, NAMES
from pages.views import actions, tables
from pages.views.links import choose
from pages.views.shell import begin
from pages.views.slider import before_after
from pages.views.svg import Side, png_url, svg_url
from storage import export, queries

SORTS = {
    "largest gain": ("gain", False),
    "smallest gain": ("gain", True),
    "most bytes saved": ("saved", False),
    "name": ("logo", True),
}
PER_PAGE = 24

console = begin("Gallery")
runs = sorted(all_runs(console.home), key=lambda run: run.run_id, reverse=True)
evaluated = {row[0] for row in console.store.rows("SELECT DISTINCT run_id FROM current_evaluated")}
ids = [run.run_id for run in runs if run.run_id in evaluated]
if not ids:
    actions.invite(console, "Nothing to compare yet: a run's SVGs appear here with its first evaluation, seconds after it starts.")

labels = {row.run.run_id: row.name for row in tables.run_rows(runs, queries.run_overview(console.store))}
wanted = st.query_params.get("run")
if wanted and wanted not in ids:
    st.warning(f"The run {wanted} has no evaluation to show yet; the newest that has one is shown.")
with st.grid(3, min_column_width=190):
    run_id = choose("Run", ids, "run", show=lambda i: f"{labels.get(i, i)}  ·  {i}", width=360)
    evaluations = queries.evaluations(console.store, [run_id])
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

run: RunDir = next(r for r in runs if r.run_id == run_id)
logos = queries.evaluated_logos(console.store, run_id, step)
logos["saved"] = 1 - logos["bytes"] / logos["bytes_default"].clip(lower=1)
column, ascending = SORTS[sort]
logos = logos.sort_values(column, ascending=ascending, kind="stable")
categories = sorted(logos["category"].unique())
with st.container(horizontal=True, vertical_alignment="bottom"):
    chosen = st.pills("Category", categories, selection_mode="multi", key="category", bind="query-params")
    text = st.text_input("Find", placeholder="logo name", key="logo_find", bind="query-params", width=220)
shown = logos[logos["category"].isin(chosen)] if chosen else logos
shown = shown[shown["logo"].str.contains(text, case=False, regex=False)] if text else shown
if shown.empty:
    st.info("No logo matches; clear the category or the search.")
    st.stop()


def read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path else None
    except OSError:
        return None


def sides(row: Any) -> dict[str, bytes | None]:
    """What can stand on either side: the picture, the defaults' SVG, the agent's."""
    return {
        "original": read(run.picture_file(row.digest)),
        "defaults": read(run.default_svg_file(row.digest)),
        "agent": read(run.inside(row.svg)) if row.svg else None,
    }


names = list(shown["logo"])
with st.container(horizontal=True, vertical_alignment="bottom"):
    gains_of = dict(zip(logos["logo"], logos["gain"], strict=True))
    name = choose("Logo", names, "logo", show=lambda n: f"{n}  ({gains_of[n]:+.3f})", width=360)
    at = names.index(name)

    def go(to: int) -> None:
        st.query_params["logo"] = names[to % len(names)]

    st.button("", icon=":material/chevron_left:", on_click=go, args=(at - 1,), help="Previous logo", key="previous")
    st.button("", icon=":material/chevron_right:", on_click=go, args=(at + 1,), help="Next logo", key="next")
    pair = st.segmented_control(
        "Compare",
        ["defaults | agent", "original | agent", "original | defaults"],
        default="defaults | agent",
        key="pair",
        bind="query-params",
        required=True,
    )

row = shown.iloc[at]
files = sides(row)
left_name, right_name = str(pair).split(" | ")
TITLES = {"original": "original picture", "defaults": "VTracer's defaults", "agent": "agent"}


def side(which: str) -> Side | None:
    data = files[which]
    if data is None:
        return None
    return Side(TITLES[which], png_url(data) if which == "original" else svg_url(data))


def parameter_table(defaults: list[float], agent: list[float]) -> str:
    """The seven of both sides; what the agent changed is bold."""
    lines = ["| parameter | defaults | agent |", "| --- | ---: | ---: |"]
    for name, theirs, ours in zip(NAMES, defaults, agent, strict=True):
        lines.append(f"| {name} | {theirs:.4g} | " + (f"**{ours:.4g}** |" if abs(ours - theirs) > 1e-6 else f"{ours:.4g} |"))
    return "\n".join(lines)


def size_of(png: bytes | None) -> tuple[int, int]:
    if png is None:
        return 256, 256
    import io

    with Image.open(io.BytesIO(png)) as image:
        return image.size


grid = st.grid(3, min_column_width=230, gap="medium")
picture, facts = grid.cell(column_span=2), grid.cell()
with picture:
    left, right = side(left_name), side(right_name)
    if left is None or right is None:
        lost = left_name if left is None else right_name
        why = f"its trace failed ({row.failure})" if lost == "agent" and row.failure else "its file is gone"
        st.warning(f"{TITLES[lost]}: nothing to show, {why}.")
    else:
        width, height = size_of(files["original"])
        before_after(f"{run_id}/{name}", left, right, width, height, key="slider")
with facts:
    with st.grid(2, min_column_width=110):
        st.metric("Gain", tables.gain_text(row.gain), help="Over VTracer's defaults on this logo; 0 is as good, 0.69 is half the error.")
        st.metric("SSIM", f"{row.ssim:.4f}", f"{row.ssim - row.ssim_default:+.4f}")
        st.metric("Bytes", tables.bytes_text(row.bytes), f"{row.bytes / max(row.bytes_default, 1) - 1:+.0%}", delta_color="inverse")
        more_paths = row.paths - row.paths_default
        st.metric("Paths", f"{row.paths}", f"{more_paths:+d}" if more_paths else None, delta_color="inverse")
    st.markdown(parameter_table(DEFAULTS.values().tolist(), [float(row[n]) for n in NAMES]))
    with st.container(horizontal=True):
        for which, icon in (("agent", ":material/download:"), ("defaults", ":material/download:")):
            data = files[which]
            st.download_button(
                f"SVG: {which}",
                data or b"",
                f"{name.replace('/', '_')}-{which}.svg",
                "image/svg+xml",
                disabled=data is None,
                on_click="ignore",
                icon=icon,
                key=f"svg.{which}",
            )

st.divider()
summary = evaluations[evaluations["step"] == step].iloc[0]
with st.container(horizontal=True, vertical_alignment="center"):
    st.markdown(
        f"**{len(shown)} logos**, mean gain **{shown['gain'].mean():+.3f}**; {(shown['gain'] > 0).mean():.0%} better than the defaults; "
        f"mean SSIM {shown['ssim'].mean():.4f} (defaults {shown['ssim_default'].mean():.4f}); mean size {tables.bytes_text(shown['bytes'].mean())} (defaults {tables.bytes_text(shown['bytes_default'].mean())})"
    )
    st.download_button(
        "CSV",
        lambda: export.to_csv(shown.drop(columns=["run_id", "saved"])),
        f"{run_id}-step-{step}.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
        key="csv",
    )


def pick(logo: str) -> None:
    st.query_params["logo"] = logo


n_pages = (len(shown) - 1) // PER_PAGE + 1
page = st.pagination(n_pages, key="gallery_page") if n_pages > 1 else 1
with st.grid("auto", min_column_width=150) as grid:
    for item in shown.iloc[(page - 1) * PER_PAGE : page * PER_PAGE].itertuples():
        data = read(run.inside(str(item.svg))) if item.svg else read(run.picture_file(str(item.digest)))
        with grid.cell(), st.container(border=True):
            if data is not None:
                st.image(svg_url(data) if item.svg else data, width="stretch")
            st.button(
                f"{item.logo} · {item.gain:+.2f}",
                key=f"pick.{item.logo}",
                on_click=pick,
                args=(item.logo,),
                type="tertiary",
                width="stretch",
            )
