"""The contact sheet of a batch: every picture before and after, with what can be done with it; and which of them are shown.

What was chosen lies in the batch's own folder (core/scheduling/review.py); which pictures are shown, and which is open, in the address.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from core.errors import PictureError, RunError, SvgError
from core.logos.intake import read_picture
from core.names import download_name
from core.scheduling import review
from core.scheduling.batch import Batch
from core.scheduling.review import BEST, CLOSER, DEFAULTS, SMALLER, Item
from core.tracing.picture import Picture, fit
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.charts.svg import svg_url
from pages.views.components.mount import sheet
from pages.views.links import write_address
from pages.views.shell import say
from pages.views.text import bytes_text, gain_text

PAGE_SIZE = 24
ALL, LOOK, KEPT, CHANGED, OPEN = "all", "needs a look", "kept defaults", "largest change", "undecided"
FILTERS = (ALL, LOOK, KEPT, CHANGED, OPEN)
CHOICES = (
    (BEST, "Accept", "Take this result"),
    (DEFAULTS, "Keep defaults", "Take what VTracer's defaults give"),
    (CLOSER, "Closer match", "Take the closest of all attempts"),
    (SMALLER, "Smaller", "Take the smallest that still looks alike"),
)
_AFTER = {BEST: "after", DEFAULTS: "VTracer's defaults", CLOSER: "closer match", SMALLER: "smaller"}


@st.cache_data(max_entries=400, max_size="100MB", show_spinner=False)
def traced_by_defaults(path: str, mtime: float, max_side: int) -> bytes:
    """What VTracer's defaults give, for batches that did not keep it."""
    return Picture(fit(read_picture(Path(path), None, svg_side=max_side), max_side)).by_defaults.trace.svg.encode()


def by_defaults(batch: Batch, item: Item) -> bytes:
    """The SVG by VTracer's defaults; empty where there is none."""
    try:
        kept = item.versions.get(DEFAULTS)
        if kept is not None:
            return kept.read()
        file = batch.pictures / item.picture
        return traced_by_defaults(str(file), file.stat().st_mtime, batch.request().max_side)
    except (OSError, PictureError, SvgError):
        return b""


def gain_of(item: Item) -> float:
    """Visual gain of what is shown of a picture; the gain where a batch of before has no other."""
    found = item.figure("visual_gain")
    return float(item.row["gain"] if found is None else found)


def filtered(items: Sequence[Item], which: str) -> list[Item]:
    """The pictures that a filter leaves, in its order."""
    if which == LOOK:
        return [item for item in items if item.row.get("remark")]
    if which == KEPT:
        return [item for item in items if item.row["is_default"] or item.choice == DEFAULTS]
    if which == CHANGED:
        return sorted(items, key=lambda item: -_change(item))
    if which == OPEN:
        return [item for item in items if not item.choice]
    return list(items)


def _change(item: Item) -> float:
    """How far a result is from the defaults in looks and bytes, in logarithms of their ratios."""
    ratio = max(float(item.row["bytes"]), 1.0) / max(float(item.row["bytes_default"]), 1.0)
    return abs(float(item.row.get("visual_gain") or 0.0)) + abs(math.log(ratio))


def facts(item: Item) -> str:
    """ "+1.386 · 1.1 kB, −53%"."""
    n_bytes = float(item.figure("bytes"))
    change = n_bytes / max(float(item.row["bytes_default"]), 1.0) - 1
    return f"visual gain {gain_text(gain_of(item))} · {bytes_text(n_bytes)}, {change:+.0%}"


def draw(batch: Batch, items: Sequence[Item]) -> None:
    """Filters, the button that accepts, and a page of cards."""
    n_look, n_kept, n_open = (len(filtered(items, which)) for which in (LOOK, KEPT, OPEN))
    numbers = {ALL: len(items), LOOK: n_look, KEPT: n_kept, OPEN: n_open}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        which = st.segmented_control(
            "Show", FILTERS, default=ALL, key="show", bind="query-params", required=True,
            format_func=lambda f: f"{f} ({numbers[f]})" if f in numbers else f,
        )  # fmt: skip
        wanted = filtered(items, str(which))
        undecided = [item for item in wanted if not item.choice]
        label = f"Accept all {len(undecided)}" if len(undecided) == len(items) else f"Accept the other {len(undecided)}"
        button(
            label, icon=":material/done_all:", key="accept", disabled=not undecided, on_click=choose, args=(batch, {i.name: BEST for i in undecided}),
            help="Accepts the results shown that you have not decided on.",
        )  # fmt: skip
    if not wanted:
        st.info(
            {LOOK: "No result needs a look.", KEPT: "None kept VTracer's defaults.", OPEN: "Every picture is decided."}.get(str(which), "")
        )
        return
    n_pages = max(math.ceil(len(wanted) / PAGE_SIZE), 1)
    page = st.pagination(n_pages, key="sheet.page") if n_pages > 1 else 1
    shown = wanted[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]
    n_taken = sum(bool(item.choice) for item in items)
    said = f"{n_taken} of {len(items)} accepted. Both sides at one zoom; click a picture to look closer."
    sheet(said, [_card(batch, item) for item in shown], CHOICES, "sheet", lambda: _chosen(batch), _opened)


def _card(batch: Batch, item: Item) -> dict[str, Any]:
    note = str(item.row.get("remark") or "")
    try:
        after = item.shown.read()
    except (OSError, SvgError) as error:
        after, note = b"", f"can't be shown: {error}"
    return {
        "name": item.name,
        "file": download_name(Path(item.name).name),
        "picture": item.picture,
        "before": svg_url(by_defaults(batch, item) or after),
        "after": svg_url(after),
        "after_label": _AFTER[item.shown.choice],
        "facts": facts(item),
        "note": note,
        "choice": item.choice,
        "offered": list(item.versions),
        "workbench": "workbench?" + urlencode({"source": "a picture of a batch", "batch": batch.batch_id, "picture": item.picture}),
    }


@acts("batch.choose")
def choose(batch: Batch, chosen: dict[str, str]) -> None:
    """Keep choices; why they can't be kept is a toast."""
    try:
        review.choose(batch, chosen)
    except (RunError, OSError) as error:
        say(str(error), ":material/warning:")


def _chosen(batch: Batch) -> None:
    told = st.session_state["sheet"].chose
    if told:
        choose(batch, {str(told["name"]): str(told["choice"])})


def _opened() -> None:
    told = st.session_state["sheet"].opened
    if told:
        write_address(picture=str(told["name"]))


def medians(items: Sequence[Item]) -> pd.DataFrame:
    """Medians per kind, photographs last and in no other row: kind, pictures, visual gain, bytes, change, colour, colour by the defaults."""
    rows = [
        {
            "kind": str(item.row.get("kind") or "not known"),
            "gain": gain_of(item),
            "bytes": float(item.figure("bytes")),
            "change": float(item.figure("bytes")) / max(float(item.row["bytes_default"]), 1.0) - 1,
            "colour": item.figure("colour"),
            "colour_default": item.row.get("colour_default"),
        }
        for item in items
    ]
    frame = pd.DataFrame(rows)
    logos = frame[frame["kind"] != "photograph"]
    groups = [("all logos", logos)] if len(logos) else []
    groups += [(str(kind), part) for kind, part in logos.groupby("kind")] if logos["kind"].nunique() > 1 else []
    photographs = frame[frame["kind"] == "photograph"]
    groups += [("photographs", photographs)] if len(photographs) else []
    figures = ["gain", "bytes", "change", "colour", "colour_default"]
    return pd.DataFrame([{"kind": name, "n": len(part)} | part[figures].astype(float).median().to_dict() for name, part in groups])
