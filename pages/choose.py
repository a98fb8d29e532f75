"""Blind comparison of two SVGs of one picture in random order. Answers are stored and shown as a share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import PictureError
from core.evaluation import choices
from core.evaluation.choices import Choice
from core.logos.intake import read_picture
from core.scheduling import batch
from core.tracing.picture import Picture, fit
from pages.views import actions, downloads, tables
from pages.views.access import acts
from pages.views.charts.svg import png_url, svg_url
from pages.views.components.mount import chooser
from pages.views.links import choose
from pages.views.run_choice import offered
from pages.views.shell import begin, room_for, say
from pages.views.viewer.versions import AGENT, DEFAULT, METHOD1, SINGLE, Versions
from storage import queries

RESULT = "result"
CHOOSER_HEIGHT = 560  # pixels, with its buttons
TITLES = {
    DEFAULT: "VTracer's defaults", SINGLE: "best single setting", METHOD1: "Method 1", AGENT: "the run's agent", RESULT: "result from Optimize",
}  # fmt: skip
console = begin("Choose")


@dataclass(frozen=True)
class Pair:
    """A picture to choose on. ``make``: the picture (PNG), the SVGs of both methods, width, height; None where one can't be shown."""

    logo: str
    category: str
    digest: str
    make: Callable[[str, str], tuple[bytes, bytes, bytes, int, int] | None]


def pairs_of_run(run_id: str) -> list[Pair]:
    """The logos of a run's best evaluation."""
    evaluations = queries.evaluations(console.store, [run_id])
    if evaluations.empty:  # deleted a moment ago
        return []
    rows = queries.evaluated_logos(console.store, run_id, int(evaluations.loc[evaluations["gain"].idxmax(), "step"]))

    def make(row: Any, a: str, b: str) -> tuple[bytes, bytes, bytes, int, int] | None:
        versions = Versions(console, runs[run_id], row, labels)
        one, two = versions.get(a), versions.get(b)
        if versions.picture is None or one.problem or two.problem:
            return None
        height, width = versions.picture.source.shape[:2]
        return versions.picture.png, one.data, two.data, width, height

    return [Pair(str(row.logo), str(row.category), str(row.digest), partial(make, row)) for row in rows.itertuples()]


@st.cache_resource(max_entries=32, show_spinner=False)
def batch_picture(path: str, mtime_ns: int, max_side: int) -> Picture:
    return Picture(fit(read_picture(Path(path), None, svg_side=max_side), max_side))


def pairs_of_batch(batch_id: str) -> list[Pair]:
    """The pictures of a batch of Optimize."""
    which = batch.Batch(batch.batches_folder(console.home) / batch_id)

    def make(row: dict[str, Any], a: str, b: str) -> tuple[bytes, bytes, bytes, int, int] | None:
        svg, file = which.out / Path(row["svg"]).name, which.pictures / Path(row["file"]).name  # nothing outside the batch
        try:
            picture = batch_picture(str(file), file.stat().st_mtime_ns, which.request().max_side)
            data = {RESULT: svg.read_bytes(), DEFAULT: picture.by_defaults.trace.svg.encode()}
        except (OSError, PictureError):
            return None
        return picture.png, data[a], data[b], picture.source.shape[1], picture.source.shape[0]

    result = which.result() or {"results": []}
    return [
        Pair(Path(row["file"]).stem, "", Path(row["file"]).name, partial(make, row)) for row in result["results"] if not row["is_default"]
    ]


runs = tables.newest_first(console.home)
with_pictures = queries.runs_with_pictures(console.store)
labels = tables.all_names(console.home)
ids = [run_id for run_id in runs if run_id in with_pictures]
named = [st.query_params.get(key, "").rpartition(before)[2] for key, before in (("source", "run/"), ("one", "run."), ("other", "run."))]
ids = offered(ids, "choice", labels, named)
sources = {f"run/{run_id}": f"run {labels.get(run_id, run_id)} · {run_id}" for run_id in ids}
batches = [found for found in batch.all_batches(console.home) if not found.problem_with_files() and found.result()]
sources |= {f"batch/{found.batch_id}": f"Optimize · {found.batch_id}" for found in batches}
if not sources:
    actions.invite(console, "Nothing to choose from yet. You need a run with an evaluation, or a batch from Optimize.")

with st.grid(3, min_column_width=200):
    source = choose("Pictures", list(sources), "source", show=lambda key: sources[key])
    kind, _, source_id = source.partition("/")
    if kind == "run":
        titles = {key: TITLES[key] for key in (AGENT, DEFAULT, SINGLE, METHOD1)}
        titles |= {f"run.{other}": f"best of run {labels.get(other, other)}" for other in ids if other != source_id}
    else:
        titles = {key: TITLES[key] for key in (RESULT, DEFAULT)}
    one = choose("First method", list(titles), "one", show=lambda key: titles[key])
    other = choose("Second method", list(titles), "other", DEFAULT, show=lambda key: titles[key])


def name_of(key: str) -> str:
    """A method as it is stored: an agent by its run, Optimize's result by its batch."""
    return source_id if key in (AGENT, RESULT) else key.removeprefix("run.")


if one == other:
    st.info("Choose two different methods to compare their SVGs without knowing which is which.")
    st.stop()
a, b = name_of(one), name_of(other)
kept = choices.read(console.home)
if kept.problem or kept.n_bad:
    st.warning(kept.problem or f"{kept.n_bad} rows of {choices.FILE} can't be read and are ignored. Fix or delete them.")
answered = choices.between(kept.rows, a, b, source)
done = {row.digest for row in answered}
pairs = pairs_of_run(source_id) if kind == "run" else pairs_of_batch(source_id)
seed = st.session_state.setdefault("choose.seed", random.randrange(2**32))  # another order, and other sides, in every visit
order = sorted(pairs, key=lambda pair: random.Random(f"{seed}/{pair.digest}").random())


@acts("choice.answer")
def answer() -> None:
    """Store the answer, or undo the last one."""
    told, asked = st.session_state["chooser"].answer, st.session_state.get("choose.asked")
    if not isinstance(told, dict) or asked is None or told.get("id") != asked["id"]:
        return  # of a pair that is no longer shown
    value = told.get("value")
    if value == "back":
        last = next((row for row in reversed(choices.read(console.home).rows) if row.source == asked["source"]), None)
        if last is not None:
            choices.take_back(console.home, last)
            say("Last answer undone")
        return
    if value not in ("left", "right", "equal"):
        return
    left = asked["left"]
    right = "b" if left == "a" else "a"
    chosen: Any = {"left": left, "right": right, "equal": "equal"}[value]
    about = {key: asked[key] for key in ("source", "logo", "digest", "category", "a", "b")}
    choices.keep(console.home, Choice(ts=time.time(), left=left, answer=chosen, seconds=time.time() - asked["since"], **about))


def next_pair() -> tuple[tuple[Pair, tuple[bytes, bytes, bytes, int, int]] | None, int]:
    """(the first that has no answer yet and two different SVGs, how many before it lack one)."""
    n_lacking = 0
    for pair in order:
        if pair.digest not in done:
            made = pair.make(one, other)
            if made is not None and made[1] != made[2]:
                return (pair, made), n_lacking
            n_lacking += made is None
    return None, n_lacking


def nothing_left(n_lacking: int) -> None:
    """Why there is no pair to show."""
    if answered:
        st.success("You have compared every picture whose two SVGs differ. The results are below.", icon=":material/done_all:")
    elif n_lacking < len(pairs):
        st.info("Both methods give the same SVG for every picture they share; there is nothing to choose.", icon=":material/equal:")
    if n_lacking or not pairs:
        st.info(f"{n_lacking:,} of {len(pairs):,} pictures can't be compared: the picture, or one method's SVG of it, is missing.")


room = room_for("chooser", CHOOSER_HEIGHT)
found, n_lacking = next_pair()
with room():
    st.progress(len(done) / max(len(pairs), 1), text=f"{len(done)} of {len(pairs)} pictures answered")
    if found is None:
        nothing_left(n_lacking)
    else:
        pair, (png, svg_a, svg_b, width, height) = found
        shown = f"{source}/{a}/{b}/{pair.digest}/{len(kept.rows)}"
        left = "a" if random.Random(f"{seed}/{shown}").random() < 0.5 else "b"
        asked = st.session_state.get("choose.asked")
        if asked is None or asked["id"] != shown:
            st.session_state["choose.asked"] = {
                "id": shown, "left": left, "since": time.time(), "source": source, "logo": pair.logo, "digest": pair.digest,
                "category": pair.category, "a": a, "b": b,
            }  # fmt: skip
        first, second = (svg_a, svg_b) if left == "a" else (svg_b, svg_a)
        chooser(shown, png_url(png), svg_url(first), svg_url(second), (width, height), "chooser", answer)

if answered:
    if st.toggle("Show results", key="results", help="Off by default, so that earlier answers don't influence you."):
        table = pd.DataFrame([tally.as_dict() for tally in choices.tallies(answered)])
        if table["share"].notna().any():
            total = table.iloc[0]
            st.markdown(
                f"**{titles[one]}** was preferred in **{total['share']:.0%}** of the pairs with a preference "
                f"(95% interval {total['low']:.0%} to {total['high']:.0%})."
            )
        for column in ("share", "low", "high"):
            table[column] *= 100
        st.dataframe(
            table,
            hide_index=True,
            placeholder="–",
            column_config={
                "name": st.column_config.TextColumn("category"),
                "n_a": st.column_config.NumberColumn(titles[one]),
                "n_b": st.column_config.NumberColumn(titles[other]),
                "n_equal": st.column_config.NumberColumn("equal"),
                "share": st.column_config.NumberColumn("share of preferences", format="%.0f %%"),
                "low": st.column_config.NumberColumn("from", format="%.0f %%", help="95% interval."),
                "high": st.column_config.NumberColumn("to", format="%.0f %%"),
            },
        )
    file = console.home / choices.FILE
    if file.is_file():
        downloads.button("All answers as CSV", file.read_bytes(), choices.FILE, "text/csv", icon=":material/download:", key="csv")
