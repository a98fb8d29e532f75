"""The result of a batch: totals, downloads, the contact sheet, one picture large, and every figure as a table."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import PictureError, RunError, SvgError
from core.logos.intake import read_picture
from core.logos.uploads import Intake, Refused
from core.logos.vectors import own_vector
from core.paths import program
from core.scheduling import job, review
from core.scheduling.batch import Batch
from core.scheduling.review import Item
from core.tracing.params import DEFAULTS, NAMES
from core.tracing.picture import Picture, decode_png, fit
from pages.views import contact_sheet, downloads
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.charts.svg import Side, png_url, svg_url
from pages.views.components.mount import before_after
from pages.views.intake import show_intake
from pages.views.links import write_address
from pages.views.shell import say
from pages.views.text import bytes_text, gain_text, plain
from pages.views.viewer.vectors import against_the_vector

PAIRS = {"defaults | best": ("defaults", "best"), "original | best": ("original", "best"), "original | defaults": ("original", "defaults")}
TITLES = {"original": "original picture", "defaults": "VTracer's defaults", "best": "result"}
MAKERS = {"agent": "agent", "single": "best single setting", "refined": "clean edges and fills", "defaults": "Kept defaults"}
MADE_BY = {
    "agent": "The agent's choice is best.",
    "single": "The best single setting beats the agent's choice on this picture.",
    "refined": "Cleaning edges before VTracer and fitting colours and gradients after it, with one setting for all pictures, looks better than "
    "the agent's choice.",
    "defaults": "Kept defaults: no attempt looks better than VTracer's defaults.",
}
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
MEDIANS: dict[str, Any] = {
    "kind": "kind",
    "n": number("pictures"),
    "gain": number("visual gain", format="%+.3f", help="0 is equal to VTracer's defaults, 0.69 is half the visible error."),
    "bytes": number("bytes", format="localized"),
    "change": number("against the defaults", format="percent"),
    "colour": number("colour error", format="%.2f", help="Colour distance (CIELAB); about 2.3 is just noticeable."),
    "colour_default": number("colour error, defaults", format="%.2f"),
}
UNDO = "batch.undo"
PREFERENCES = {"smaller": "smaller file", "": "balanced", "faithful": "closer match"}
N_DELETED = 20  # deleted batches that are listed


@st.cache_data(max_entries=200, max_size="200MB", show_spinner=False)
def original(path: str, mtime: float, max_side: int) -> tuple[bytes, int, int]:
    """(PNG of the picture at work size, width, height)."""
    pixels = fit(read_picture(Path(path), None, svg_side=max_side), max_side)
    return Picture(pixels).png, pixels.shape[1], pixels.shape[0]


def results(which: Batch) -> None:
    """All of it; what was skipped first."""
    result = which.result()
    if result is None:
        return
    show_intake(with_skipped(which.intake(), result["skipped"]), which.batch_id)
    items = review.items(which)
    if not items:
        st.error("None of the pictures could be converted." if not result["results"] else "The SVGs of this batch are gone.")
        delete_button(which)
        return
    problem = review.read_choices(which).problem
    if problem:
        st.warning(plain(problem))
    totals(items)
    if n_lost := result["n_nodes_lost"]:
        nodes = "A node of the Ray cluster was lost" if n_lost == 1 else f"{n_lost} times a node of the Ray cluster was lost"
        st.info(f"{nodes} meanwhile; others did its work, and nothing is missing.", icon=":material/hub:")
    to_take(which, items)
    names = {item.name: item for item in items} | {item.picture: item for item in items}
    asked = st.query_params.get("picture")
    if asked in names:
        one(which, items, names[asked])
    elif asked:
        st.warning(plain(f"This batch has no picture {asked}."))
    contact_sheet.draw(which, items)
    with st.expander("All figures", icon=":material/table_rows:"):
        all_results(items)


def with_skipped(intake: Intake, skipped: list[dict[str, str]]) -> Intake:
    """What became of the files, with those that could not be read or converted."""
    reasons = {Path(item["file"]).name: item["reason"] for item in skipped}
    left = [item for item in intake.taken if item.name not in reasons]
    known = {item.name: item.given for item in intake.taken}
    refused = [Refused(known.get(name, name), reason) for name, reason in reasons.items()]
    return Intake(left, [*intake.refused, *refused], intake.passed_over)


def totals(items: Sequence[Item]) -> None:
    """Medians: a few large pictures, or a photograph, must not stand for the others."""
    found = contact_sheet.medians(items)
    first = found.iloc[0]
    with st.grid(4, min_column_width=130):
        st.metric("Pictures", f"{len(items)}", border=True, height="stretch")
        st.metric(
            "Median gain", gain_text(first["gain"]), border=True, height="stretch",
            help="Visual gain: structure, colour and edges relative to VTracer's defaults; 0 is equal, 0.69 is half the visible error.",
        )  # fmt: skip
        st.metric(
            "Median size", bytes_text(first["bytes"]), f"{first['change']:+.0%}", delta_color="inverse", border=True, height="stretch"
        )
        st.metric("Accepted", f"{sum(bool(item.choice) for item in items)} of {len(items)}", border=True, height="stretch")
    if len(found) > 1:
        with st.expander("Medians per kind of picture", icon=":material/category:"):
            st.dataframe(found, hide_index=True, placeholder="–", column_config=MEDIANS)
            if (found["kind"] == "photographs").any():
                st.caption("Photographs are counted apart: an SVG of few shapes can't show them well.")


def to_take(which: Batch, items: Sequence[Item]) -> None:
    """Downloads of a batch, and its deletion."""
    n_accepted = sum(bool(item.choice) for item in items)
    with st.container(horizontal=True):
        downloads.button(
            f"Accepted SVGs and CSV ({n_accepted})", lambda: review.archive(which), f"tracewright-{which.batch_id}.zip", "application/zip",
            icon=":material/folder_zip:", type="primary", key="zip.accepted", disabled=not n_accepted,
            help="" if n_accepted else "Accept results below first.",
        )  # fmt: skip
        downloads.button(
            "All SVGs and CSV", lambda: review.archive(which, only_accepted=False), f"tracewright-{which.batch_id}-all.zip",
            "application/zip", icon=":material/folder_zip:", key="zip",
        )  # fmt: skip
        downloads.button(
            "CSV", lambda: review.table(items, only_accepted=False), "optimized.csv", "text/csv",
            icon=":material/download:", key="csv",
        )  # fmt: skip
        delete_button(which)


def delete_button(which: Batch) -> None:
    button(
        "Delete", icon=":material/delete:", key="delete", on_click=delete, args=(which,), help="You can restore it within a week.",
    )  # fmt: skip


@acts("batch.delete")
def delete(which: Batch) -> None:
    """Out of the list, to be put back by what :func:`undo` offers."""
    try:
        gone: dict[str, str] = st.session_state.setdefault(UNDO, {})  # before: Streamlit may end this at any look into the session
        which.discard()
    except OSError as error:
        say(f"{which.batch_id} can't be deleted: {error.strerror}", ":material/warning:")
        return
    gone["batch"] = which.batch_id
    write_address(batch="", picture="")
    say("Deleted")


@acts("batch.cancel")
def cancel(which: Batch) -> None:
    which.cancel()


def undo(folder: Path) -> None:
    """What was just deleted, with the button that puts it back. ``folder``: of all batches."""
    batch_id = st.session_state.get(UNDO, {}).get("batch")
    if batch_id:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(f"Batch **{plain(batch_id)}** was deleted.")
            button("Undo", icon=":material/undo:", key="undo.button", on_click=_restore, args=(folder, batch_id))


def label(which: Batch) -> str:
    """When a batch was started, how many pictures it has, and what was asked for."""
    asked, result, when = which.request(), which.result(), which.batch_id
    if which.problem_with_files():
        return f"{which.batch_id} · damaged"
    with contextlib.suppress(ValueError):  # a folder that was renamed
        when = f"{datetime.strptime(which.batch_id[:15], '%Y%m%d-%H%M%S'):%b %d, %H:%M}"
    n = f"{result['n_done']} picture{'s'[: result['n_done'] != 1]}" if result else which.status().value.lower()
    return f"{when} · {n} · {asked.budget} attempt{'s'[: asked.budget != 1]}, {PREFERENCES.get(asked.prefer, asked.prefer)}"


def deleted(folder: Path) -> None:
    """What was deleted within the last week, each with the button that puts it back. ``folder``: of all batches."""
    found = job.discarded(folder)
    if not found:
        return
    with st.expander(f"Deleted batches ({len(found):,})", icon=":material/restore_from_trash:", key="deleted"):
        for batch_id in found[:N_DELETED]:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(plain(label(Batch(folder / job.TRASH / batch_id))), width="content")
                button("Restore", key=f"restore.{batch_id}", icon=":material/undo:", on_click=_restore, args=(folder, batch_id))
        if len(found) > N_DELETED:
            st.caption(f"{len(found) - N_DELETED:,} more; `{program()} batches list --deleted` lists all, `batches restore` restores each.")


@acts("batch.restore")
def _restore(folder: Path, batch_id: str) -> None:
    st.session_state.pop(UNDO, None)
    try:
        job.restore(folder, batch_id)
    except (RunError, OSError) as error:
        say(str(error), ":material/warning:")
        return
    write_address(batch=batch_id)
    say("Restored")


def all_results(items: Sequence[Item]) -> None:
    """Every picture's figures, best first; a row that is selected opens its picture."""
    table = pd.DataFrame([dict(item.row) | dict(item.shown.figures) for item in items])
    table["picture"] = [item.picture for item in items]
    table["name"] = [item.name for item in items]
    table["made by"] = [MAKERS.get(maker, maker) for maker in table["made_by"]]
    table["choice"] = [item.choice and review.CHOICES[item.choice] for item in items]
    gains = ["visual_gain", "gain"] if table["visual_gain"].notna().all() else ["gain"]
    columns = ["picture", "choice", "made by", *gains, *(c for c in COLUMNS if c in table)]
    if "remark" in table and table["remark"].astype(bool).any():
        columns.append("remark")
    table = table.sort_values(gains[0], ascending=False)
    names = list(table["name"])

    def selected() -> None:
        rows = st.session_state["figures"].selection.rows
        if rows:
            write_address(picture=names[rows[0]])

    st.dataframe(
        table[columns], hide_index=True, placeholder="–", column_config=COLUMN_CONFIG, key="figures", on_select=selected,
        selection_mode="single-row",
    )  # fmt: skip


def one(which: Batch, items: Sequence[Item], item: Item) -> None:
    """One picture under the slider, where the contact sheet was clicked."""
    names = [each.name for each in items]
    at = names.index(item.name)

    def go(to: int) -> None:
        write_address(picture=names[to % len(names)])

    def picked() -> None:
        write_address(picture=st.session_state["picture.open"])

    st.session_state["picture.open"] = item.name
    with st.container(border=True, key="large"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            told = {each.name: f"{each.picture}  ({contact_sheet.gain_of(each):+.3f})" for each in items}
            st.selectbox("Picture", names, key="picture.open", format_func=lambda n: told[n], on_change=picked, width=340)
            st.button("Previous", icon=":material/chevron_left:", on_click=go, args=(at - 1,), key="previous")
            st.button("Next", icon=":material/chevron_right:", on_click=go, args=(at + 1,), key="next")
            pair = st.segmented_control("Compare", list(PAIRS), default="defaults | best", key="pair", bind="query-params", required=True)
            st.button("Close", icon=":material/close:", on_click=write_address, kwargs={"picture": ""}, key="close", type="tertiary")
        grid = st.grid(3, min_column_width=230, gap="medium")
        picture, facts = grid.cell(column_span=2), grid.cell()
        with picture:
            faces = _viewer(which, item, str(pair))
        with facts:
            _facts(which, item, faces)


def _viewer(which: Batch, item: Item, pair: str) -> tuple[bytes, bytes] | None:
    """Draw the viewer; (PNG of the picture, SVG by the defaults), or None where the picture can't be shown."""
    file = which.pictures / item.picture
    try:
        png, width, height = original(str(file), file.stat().st_mtime, which.request().max_side)
        base, best = contact_sheet.by_defaults(which, item), item.shown.read()
    except (OSError, PictureError, SvgError) as error:
        st.warning(plain(f"{item.picture} can't be shown: {error}."))
        return None
    sides = {"original": png_url(png), "defaults": svg_url(base), "best": svg_url(best)}
    a, b = PAIRS[pair]
    before_after(f"{which.batch_id}/{item.name}", Side(TITLES[a], sides[a]), Side(TITLES[b], sides[b]), width, height, key="slider")
    return png, base


def _facts(which: Batch, item: Item, faces: tuple[bytes, bytes] | None) -> None:
    row = item.row
    with st.grid(2, min_column_width=110):
        has_looks = row.get("visual_gain") is not None
        st.metric("Visual gain" if has_looks else "Gain", gain_text(contact_sheet.gain_of(item)))
        ssim = item.figure("ssim")
        st.metric("SSIM", f"{ssim:.4f}", f"{ssim - row['ssim_default']:+.4f}")
        if "colour" in row:
            colour, edge = item.figure("colour"), item.figure("edge")
            st.metric("Colour error", f"{colour:.2f}", f"{colour - row['colour_default']:+.2f}", delta_color="inverse")
            st.metric("Edge error", f"{edge:.3f}", f"{edge - row['edge_default']:+.3f}", delta_color="inverse")
        n_bytes = item.figure("bytes")
        st.metric("Bytes", bytes_text(n_bytes), f"{n_bytes / max(row['bytes_default'], 1) - 1:+.0%}", delta_color="inverse")
        st.metric("Conversions", f"{row['n_conversions']}")
    if faces is not None:
        png, base = faces
        svg = item.shown.read()
        against_the_vector(
            own_vector(which.pictures / item.picture), f"{which.batch_id}/{item.name}/{item.shown.choice}", decode_png(png),
            svg.decode(errors="replace"), base.decode(errors="replace"),
        )  # fmt: skip
        downloads.button("SVG", svg, item.shown.path.name, "image/svg+xml", icon=":material/download:", key="svg")
    st.caption(MADE_BY.get(str(item.figure("made_by")), ""))
    with st.expander("Parameters"):
        lines = ["| parameter | defaults | result |", "| --- | ---: | ---: |"]
        lines += [f"| {n} | {d:.4g} | {row[n]:.4g} |" for n, d in zip(NAMES, DEFAULTS.values(), strict=True) if n in row]
        st.markdown("\n".join(lines))
