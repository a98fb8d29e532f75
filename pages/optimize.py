"""For people who have logos and want better SVGs: drop pictures, get the best SVGs the agent finds, download them."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import PictureError, RunError, SvgError
from core.logos.intake import read_picture
from core.logos.procedural import CATEGORIES, make_logo
from core.logos.uploads import Intake, Refused
from core.logos.vectors import own_vector
from core.models import registry
from core.runs.run_dir import all_runs
from core.runs.status import overview
from core.scheduling import batch
from core.scheduling.batch import Batch, BatchStatus, Request
from core.tracing.allowed import checked
from core.tracing.params import DEFAULTS, NAMES
from core.tracing.picture import Picture, decode_png, fit
from pages.views.access import acts
from pages.views.charts.svg import Side, png_url, svg_url
from pages.views.components.mount import before_after
from pages.views.intake import UPLOAD_HELP, show_intake
from pages.views.links import choose, drop_parameters
from pages.views.shell import begin, path_of, say, show_toasts
from pages.views.text import bytes_text, duration_text, gain_text, plain
from pages.views.viewer.vectors import against_the_vector

PREFERENCES = {"smaller": "smaller file", "": "balanced", "faithful": "closer match"}
PAIRS = {"defaults | best": ("defaults", "best"), "original | best": ("original", "best"), "original | defaults": ("original", "defaults")}
MAKERS = {"agent": "agent", "single": "best single setting", "refined": "clean edges and fills", "defaults": "Kept defaults"}
MADE_BY = {
    "agent": "The agent's choice is best.",
    "single": "The best single setting beats the agent's choice on this picture.",
    "refined": "Cleaning edges before VTracer and fitting colours and gradients after it, with one setting for all pictures, looks better than "
    "the agent's choice.",
    "defaults": "Kept defaults: no attempt looks better than VTracer's defaults.",
}
TITLES = {"original": "original picture", "defaults": "VTracer's defaults", "best": "result"}
N_RECENT = 8
N_REMARKS = 5
number = st.column_config.NumberColumn
COLUMN_CONFIG: dict[str, Any] = {
    "visual_gain": number("visual gain", format="%+.3f", help="Structure, colour and edges combined."),
    "gain": number(
        "gain", format="%+.3f", help="What the agent is trained for: visual gain plus a tenth of the logarithm of the size ratio."
    ),
    "ssim_default": number("SSIM, defaults", format="%.4f"),
    "ssim": number("SSIM", format="%.4f"),
    "colour_default": number("colour error, defaults", format="%.2f"),
    "colour": number("colour error", format="%.2f"),
    "bytes_default": number("bytes, defaults", format="localized"),
    "bytes": number("bytes", format="localized"),
    "nodes_default": number("nodes, defaults", format="localized"),
    "nodes": number("nodes", format="localized"),
}
COLUMNS = [c for c in COLUMN_CONFIG if c not in ("visual_gain", "gain")]
N_SAMPLES, SAMPLE_SEED = 8, 11
console = begin("Optimize")
batches = batch.all_batches(console.home)


def models() -> dict[str, str]:
    """{model: label}: the default, the registered models, then runs by best gain."""
    rows = [row for row in map(overview, all_runs(console.home)) if row["best_gain"] is not None]
    rows.sort(key=lambda row: -row["best_gain"])
    own = {row["run_id"]: f"{row['run_id']} (gain {row['best_gain']:+.3f})" for row in rows[:20]}
    entries = registry.models(console.home)
    kept = {
        e.model_id: f"{e.model_id}{f' (gain {e.record.gain.mean:+.3f})' if e.record.gain else ''}"
        for e in entries
        if e.record and not e.is_default
    }
    used = next((entry for entry in entries if entry.is_default), entries[-1])
    default = {"default": "Built-in model" if used.is_shipped else f"Default model, {used.model_id}"}
    return default | kept | ({} if used.is_shipped else {registry.SHIPPED: "Built-in model"}) | own


@acts("batch.start", is_drawn=True)
def begin_batch(make: Any) -> None:
    try:
        made = make()
    except (RunError, OSError) as error:
        st.error(plain(str(error)))
        return
    drop_parameters("batch", "picture")
    st.query_params["batch"] = made.batch_id
    st.rerun()


def samples() -> list[tuple[str, bytes]]:
    """Procedural logos of every category that the built-in model was not trained on."""
    made = [make_logo(SAMPLE_SEED, category, index) for category in CATEGORIES for index in range(N_SAMPLES // len(CATEGORIES))]
    return [(f"{logo.name}.svg", logo.svg.encode()) for logo in made]


@acts("batch.delete")
def delete(which: Batch) -> None:
    which.delete()
    drop_parameters("batch", "picture")
    say("Deleted")


@acts("batch.cancel")
def cancel(which: Batch) -> None:
    which.cancel()


left, right = st.columns([3, 2], gap="large")
with left:
    files = st.file_uploader(
        "Pictures or ZIP files",
        help=UPLOAD_HELP,
        accept_multiple_files=True,
        key="files",
    )
with right:
    known = models()
    model = st.selectbox(
        "Model", list(known), format_func=lambda m: known[m], key="model", help="A model trained on logos like yours gives better results."
    )
    budget = st.slider(
        "Attempts per image",
        1,
        100,
        10,
        key="budget",
        help="More attempts find better SVGs but take longer; 1 uses the agent's first choice.",
    )
    prefer = st.segmented_control(
        "Prioritise", list(PREFERENCES), format_func=lambda p: PREFERENCES[p], default="", key="prefer", required=True,
        help="Balance file size against visual match. Unless you choose smaller file, no result looks visibly worse than VTracer's defaults.",
    )  # fmt: skip
    request = Request(str(model), int(budget), str(prefer))
    shown = next(
        (b for b in batches if b.batch_id == st.query_params.get("batch")),
        next((b for b in batches if not b.problem_with_files()), batches[0] if batches else None),
    )
    with st.container(horizontal=True):
        if st.button("Optimize", type="primary", icon=":material/auto_fix_high:", disabled=not files, key="go"):
            begin_batch(lambda: batch.start(console.home, [(f.name, f.getvalue()) for f in files], request))
        is_other = shown is not None and shown.status() is not BatchStatus.WORKING and request != shown.request()
        help_text = "Use the settings above."
        if (
            shown is not None
            and is_other
            and not files
            and st.button("Optimize again", icon=":material/replay:", key="again", help=help_text)
        ):
            before = shown
            begin_batch(lambda: batch.again(console.home, before, request))

if shown is None:
    st.info(
        "Drop pictures above, then press Optimize. No training needed, and nothing leaves this machine.",
        icon=":material/upload:",
    )
    if not files and st.button(f"Try it with {N_SAMPLES} sample logos", icon=":material/category:", key="samples"):
        begin_batch(lambda: batch.start(console.home, samples(), request))
    st.stop()


def batch_label(batch_id: str) -> str:
    found = Batch(console.home / "batches" / batch_id)
    asked, result, when = found.request(), found.result(), batch_id
    if found.problem_with_files():
        return f"{batch_id} · damaged"
    with contextlib.suppress(ValueError):  # a folder that was renamed
        when = f"{datetime.strptime(batch_id[:15], '%Y%m%d-%H%M%S'):%b %d, %H:%M}"
    n = f"{result['n_done']} pictures" if result else found.status().value.lower()
    return f"{when} · {n} · {asked.budget} attempts, {PREFERENCES.get(asked.prefer, asked.prefer)}"


@st.cache_data(max_entries=200, show_spinner=False)
def faces(path: str, mtime: float, max_side: int) -> tuple[bytes, str, int, int]:
    """(PNG of the picture at work size, SVG under VTracer's defaults, width, height)."""
    pixels = fit(read_picture(Path(path), None, svg_side=max_side), max_side)
    picture = Picture(pixels)
    return picture.png, picture.by_defaults.trace.svg, pixels.shape[1], pixels.shape[0]


@st.fragment(run_every="1s" if shown.status() is BatchStatus.WORKING else None)
def working(which: Batch) -> None:
    show_toasts()
    status = which.status()
    if status is not BatchStatus.WORKING:
        st.rerun()
    now = which.progress()
    left_text = f", about {duration_text(now.left_s / 60)} left" if now.left_s is not None and now.left_s >= 1 else ""
    share = now.n_done / now.n_all if now.n_all else 0.0
    st.progress(min(share, 1.0), text=f"{now.what}: {now.n_done} of {now.n_all}{left_text}" if now.n_all else "Getting ready")
    st.button("Cancel", icon=":material/close:", key="cancel", on_click=cancel, args=(which,))


def results(which: Batch) -> None:
    result = which.result()
    if result is None:
        return
    rows = result["results"]
    show_intake(with_skipped(which.intake(), result["skipped"]), which.batch_id)
    if not rows:
        st.error("None of the pictures could be converted.")
        return
    table = pd.DataFrame(rows)
    table["picture"] = [Path(file).name for file in table["file"]]
    table["made by"] = [MAKERS.get(maker, maker) for maker in table["made_by"]]
    totals(result, table)
    to_take(which)
    if "remark" in table and (noted := table[table["remark"].astype(bool)]) is not None and len(noted):
        more = f"; and {len(noted) - N_REMARKS} more, in the table below" if len(noted) > N_REMARKS else ""
        told = zip(noted["picture"][:N_REMARKS], noted["remark"][:N_REMARKS], strict=True)
        st.warning(plain("; ".join(f"{name}: {what}" for name, what in told) + more + "."))
    one(which, table)
    all_results(table)


def with_skipped(intake: Intake, skipped: list[dict[str, str]]) -> Intake:
    """What became of the files, with those that could not be read or converted."""
    reasons = {Path(item["file"]).name: item["reason"] for item in skipped}
    left = [item for item in intake.taken if item.name not in reasons]
    known = {item.name: item.given for item in intake.taken}
    refused = [Refused(known.get(name, name), reason) for name, reason in reasons.items()]
    return Intake(left, [*intake.refused, *refused], intake.passed_over)


def totals(result: dict[str, Any], table: pd.DataFrame) -> None:
    with st.grid(4, min_column_width=130):
        st.metric("Pictures", f"{len(table)}", border=True, height="stretch")
        seen = result.get("mean_visual_gain")
        st.metric(
            "Mean visual gain" if seen is not None else "Mean gain",
            gain_text(seen if seen is not None else result["mean_gain"]),
            help="Structure, colour and edges relative to VTracer's defaults; 0 is equal, 0.69 is half the visible error.",
            border=True,
            height="stretch",
        )
        change = result["bytes"] / max(result["bytes_default"], 1) - 1
        st.metric("Bytes", bytes_text(result["bytes"]), f"{change:+.0%}", delta_color="inverse", border=True, height="stretch")
        if "colour" in table:
            off = table["colour"].mean() - table["colour_default"].mean()
            about = "Mean colour distance (CIELAB); about 2.3 is just noticeable."
            st.metric(
                "Mean colour error", f"{table['colour'].mean():.2f}", f"{off:+.2f}", delta_color="inverse", border=True, height="stretch",
                help=about,
            )  # fmt: skip
        else:
            likeness = table["ssim"].mean() - table["ssim_default"].mean()
            st.metric("Mean SSIM", f"{table['ssim'].mean():.4f}", f"{likeness:+.4f}", border=True, height="stretch")


def to_take(which: Batch) -> None:
    """Downloads of a batch, and its deletion."""
    with st.container(horizontal=True):
        st.download_button(
            "All SVGs and CSV", which.archive, f"tracewright-{which.batch_id}.zip", "application/zip", on_click="ignore",
            icon=":material/folder_zip:", type="primary", key="zip",
        )  # fmt: skip
        csv = which.out / "optimized.csv"
        if csv.is_file():
            st.download_button(
                "CSV", csv.read_bytes(), "optimized.csv", "text/csv", on_click="ignore", icon=":material/download:", key="csv"
            )
        st.button(
            "Delete", icon=":material/delete:", key="delete", on_click=delete, args=(which,), help="Deletes these pictures and their SVGs."
        )


def all_results(table: pd.DataFrame) -> None:
    """Every picture's figures, best first; columns that a batch of before has not are left out, as is an empty one of remarks."""
    gains = ["visual_gain", "gain"] if table["visual_gain"].notna().all() else ["gain"]
    columns = ["picture", "made by", *gains, *(c for c in COLUMNS if c in table)]
    if "remark" in table and table["remark"].astype(bool).any():
        columns.append("remark")
    st.dataframe(table[columns].sort_values(gains[0], ascending=False), hide_index=True, placeholder="–", column_config=COLUMN_CONFIG)


def one(which: Batch, table: pd.DataFrame) -> None:
    """One picture under the slider."""
    names = list(table["picture"])
    gains = dict(zip(names, table["visual_gain"].fillna(table["gain"]), strict=True))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = choose("Picture", names, "picture", show=lambda n: f"{n}  ({gains[n]:+.3f})", width=360)
        at = names.index(name)

        def go(to: int) -> None:
            st.query_params["picture"] = names[to % len(names)]

        st.button("Previous", icon=":material/chevron_left:", on_click=go, args=(at - 1,), key="previous")
        st.button("Next", icon=":material/chevron_right:", on_click=go, args=(at + 1,), key="next")
        pair = st.segmented_control("Compare", list(PAIRS), default="defaults | best", key="pair", bind="query-params", required=True)
    row = table.iloc[at]
    grid = st.grid(3, min_column_width=230, gap="medium")
    picture, facts = grid.cell(column_span=2), grid.cell()
    svg_file, picture_file = which.out / Path(row["svg"]).name, which.pictures / Path(row["file"]).name  # nothing outside the batch
    sides: dict[str, str] = {}
    with picture:
        try:
            png, default_svg, width, height = faces(str(picture_file), picture_file.stat().st_mtime, which.request().max_side)
            sides = {"original": png_url(png), "defaults": svg_url(default_svg.encode()), "best": svg_url(checked(svg_file.read_bytes()))}
        except (OSError, PictureError, SvgError) as error:
            st.warning(plain(f"{name} can't be shown: {error}."))
        else:
            a, b = PAIRS[str(pair)]
            before_after(f"{which.batch_id}/{name}", Side(TITLES[a], sides[a]), Side(TITLES[b], sides[b]), width, height, key="slider")
    with facts:
        with st.grid(2, min_column_width=110):
            has_looks = pd.notna(row["visual_gain"])
            st.metric("Visual gain" if has_looks else "Gain", gain_text(row["visual_gain"] if has_looks else row["gain"]))
            st.metric("SSIM", f"{row['ssim']:.4f}", f"{row['ssim'] - row['ssim_default']:+.4f}")
            if "colour" in row:
                off = row["colour"] - row["colour_default"]
                st.metric("Colour error", f"{row['colour']:.2f}", f"{off:+.2f}", delta_color="inverse")
                st.metric("Edge error", f"{row['edge']:.3f}", f"{row['edge'] - row['edge_default']:+.3f}", delta_color="inverse")
            st.metric("Bytes", bytes_text(row["bytes"]), f"{row['bytes'] / max(row['bytes_default'], 1) - 1:+.0%}", delta_color="inverse")
            st.metric("Conversions", f"{row['n_conversions']}")
        if sides:
            svg = svg_file.read_text(encoding="utf-8", errors="replace")
            against_the_vector(own_vector(picture_file), f"{which.batch_id}/{name}", decode_png(png), svg, default_svg)
        st.caption(MADE_BY.get(row["made_by"], ""))
        lines = ["| parameter | defaults | chosen |", "| --- | ---: | ---: |"]
        lines += [f"| {n} | {d:.4g} | {row[n]:.4g} |" for n, d in zip(NAMES, DEFAULTS.values(), strict=True) if n in row]
        st.markdown("\n".join(lines))
        if sides:
            st.download_button(
                "SVG", svg_file.read_bytes(), svg_file.name, "image/svg+xml", on_click="ignore", icon=":material/download:", key="svg"
            )


st.divider()
with st.container(horizontal=True, vertical_alignment="bottom"):
    batch_id = choose("Batch", [b.batch_id for b in batches[:N_RECENT]] or [shown.batch_id], "batch", show=batch_label, width=460)
shown = next(b for b in batches if b.batch_id == batch_id)
status = shown.status()
if status is not BatchStatus.DONE:
    show_intake(shown.intake(), shown.batch_id)  # a batch that is done says it with what could not be converted
if problem := shown.problem_with_files():
    st.error(plain(problem), icon=":material/broken_image:")
    st.button("Delete", icon=":material/delete:", key="delete", on_click=delete, args=(shown,))
elif status is BatchStatus.WORKING:
    working(shown)
elif status is BatchStatus.FAILED:
    st.error(plain(f"This batch failed: {shown.problem() or 'it was killed before it finished'}"))
    st.button("Delete", icon=":material/delete:", key="delete", on_click=delete, args=(shown,))
elif status is BatchStatus.CANCELLED:
    st.info("This batch was cancelled.")
    st.button("Delete", icon=":material/delete:", key="delete", on_click=delete, args=(shown,))
else:
    results(shown)
st.caption("Train an agent on logos like yours:")
st.page_link(path_of("new_run"), label="New run", icon=":material/tune:")
