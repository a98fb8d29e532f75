"""For people who have logos and want better SVGs: drop pictures, get the best SVGs the agent finds, download those that please."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import ConfigError, ParamError, RunError
from core.logos.samples import N_SAMPLES, sample_logos
from core.models import registry
from core.runs.rounds import known_runs
from core.scheduling import batch
from core.scheduling.batch import Batch, BatchStatus, Request, batches_folder
from core.tracing.palette import MOST_COLOURS, palette_of
from pages.views import batch_result, cluster
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.intake import UPLOAD_HELP, done_with_given, given_files, show_intake, waiting_files
from pages.views.links import choose, drop_parameters, write_address
from pages.views.shell import begin, path_of, show_toasts
from pages.views.text import duration_text, plain
from storage import queries

BACKGROUNDS = {"keep": "keep", "remove": "around the logo", "everywhere": "also in its holes"}
N_RECENT = 8
MOST_RUNS = 20  # that are offered as models, the best
_STARTING, _PER_S = 0.08, 0.01  # of the bar: what getting ready may fill, and per second of it
console = begin("Optimize")
batches = batch.all_batches(console.home)
asked_for = st.query_params.get("batch")


def models() -> dict[str, str]:
    """{model: label}: the default, the registered models, then runs by best gain."""
    runs, gains = known_runs(console.home), queries.best_gains(console.store)
    own = dict(itertools.islice(((run_id, f"{run_id} (gain {gain:+.3f})") for run_id, gain in gains if run_id in runs), MOST_RUNS))
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
def begin_batch(make: Callable[[], Batch]) -> None:
    given = waiting_files(console.home)
    try:
        made = make()
    except RunError as error:
        done_with_given(console.home)  # there is no picture among them
        st.error(plain(str(error)))
        return
    except (ConfigError, OSError) as error:
        st.error(plain(str(error)))
        return
    if given is not None:
        given.drop()  # at once: Streamlit may end this at any look into the session, and what was begun must not wait to be begun again
    done_with_given(console.home)
    write_address(batch=made.batch_id, picture="")
    drop_parameters("show")
    st.rerun()


def palette() -> dict[str, Any]:
    """The palette's fields of a request; an error under what can't be read, and nothing changed by it."""
    with st.expander("Colours and background", icon=":material/palette:"):
        with st.grid(2, min_column_width=150):
            most = st.number_input(
                "Colours at most",
                0,
                MOST_COLOURS,
                0,
                key="max_colours",
                bind="query-params",
                help="0 means any number. Small areas take the nearest colour.",
            )
            merge = st.number_input(
                "Merge within",
                0.0,
                50.0,
                0.0,
                1.0,
                key="merge",
                bind="query-params",
                help="CIELAB distance; about 2.3 is just noticeable, 10 a different shade.",
            )
        brand = st.text_input(
            "Brand colours", key="brand", bind="query-params", placeholder="#0f6e84, #ffffff", help="Only these are used: each colour takes the nearest of them.",
            max_chars=1000,
        )  # fmt: skip
        background = st.segmented_control(
            "Remove the background", list(BACKGROUNDS), default="keep", format_func=lambda b: BACKGROUNDS[b], key="background", required=True, bind="query-params",
            help="The colour along the picture's border becomes transparent.",
        )  # fmt: skip
        fields = {"max_colours": int(most), "merge": float(merge), "brand": brand.strip(), "background": str(background)}
        try:
            palette_of(**fields)  # type: ignore[arg-type]
        except ParamError as error:
            st.error(plain(str(error)))
            return {}
        return fields


def form() -> tuple[list[tuple[str, Path]], Request]:
    """What is to be optimized, (name, path) of each, and how."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        files = given_files(console.home, "files", "Pictures or ZIP files", UPLOAD_HELP)
        fields = palette()
    with right:
        known = models()
        about = "A model trained on logos like yours gives better results."
        model = choose("Model", list(known), "model", show=lambda m: known[m], help=about)
        budget = st.slider(
            "Attempts per image",
            1,
            100,
            10,
            key="budget",
            bind="query-params",
            help="More attempts find better SVGs but take longer; 1 uses the agent's first choice.",
        )
        prefer = st.segmented_control(
            "Prioritise", list(batch_result.PREFERENCES), format_func=lambda p: batch_result.PREFERENCES[p], default="", key="prefer", required=True, bind="query-params",
            help="Balance file size against visual match. Unless you choose smaller file, no result looks visibly worse than VTracer's defaults.",
        )  # fmt: skip
        address = cluster.field()
    return files, Request(model, int(budget), str(prefer), **fields, cluster=address)


def began_s(which: Batch) -> float:
    """Seconds since it was started."""
    try:
        return max(time.time() - (which.path / "request.json").stat().st_mtime, 0.0)
    except OSError:
        return 0.0


def working(which: Batch) -> None:
    """What is being done, from the first second, and a button that ends it."""
    show_toasts()
    if which.status() is not BatchStatus.WORKING:
        st.rerun()
    now = which.progress()
    left_text = f", about {duration_text(now.left_s / 60)} left" if now.left_s is not None and now.left_s >= 1 else ""
    done = now.n_done / now.n_all if now.n_all else 0.0
    ready = min(_STARTING, _PER_S * (1 + began_s(which)))  # the model and the pictures are being read
    share = max(ready, _STARTING + (1 - _STARTING) * done) if done else ready
    st.progress(min(share, 1.0), text=f"{now.what[:1].upper()}{now.what[1:]}: {min(share, 1.0):.0%}{left_text}")
    button("Cancel", icon=":material/close:", key="cancel", on_click=batch_result.cancel, args=(which,))


shown = next((b for b in batches if b.batch_id == asked_for), None)
newest = next((b for b in batches if not b.problem_with_files()), batches[0] if batches else None)
if asked_for and shown is None:
    instead = "; the newest is shown" if newest is not None else ""
    st.warning(plain(f"There is no batch {asked_for}{instead}. It may have been deleted."))
shown = shown or newest
batch_result.undo(batches_folder(console.home))
opened = st.expander(
    "Pictures and settings", expanded=shown is None, icon=":material/upload:", key=f"form.{'' if shown is None else shown.batch_id}"
)
with opened:
    files, request = form()
with st.container(horizontal=True, vertical_alignment="center"):
    if button("Optimize", does="batch.start", type="primary", icon=":material/auto_fix_high:", disabled=not files, key="go"):
        begin_batch(lambda: batch.start(console.home, files, request))
    is_other = shown is not None and shown.status() is not BatchStatus.WORKING and request != shown.request()
    if (
        shown is not None
        and is_other
        and not files
        and button(
            "Optimize again", does="batch.start", icon=":material/replay:", key="again", help="The same pictures with the settings above."
        )
    ):
        before = shown
        begin_batch(lambda: batch.again(console.home, before, request))
    if not files and button(f"Try {N_SAMPLES} sample logos", does="batch.start", icon=":material/category:", key="samples"):
        begin_batch(lambda: batch.start(console.home, list(sample_logos()), request))
if shown is None:
    stays = "" if request.cluster else ", and nothing leaves this machine"
    st.info(f"Drop pictures above, then press Optimize. No training needed{stays}.", icon=":material/upload:")
    batch_result.deleted(batches_folder(console.home))
    st.stop()
st.divider()
options = list(dict.fromkeys([*(b.batch_id for b in batches[:N_RECENT]), shown.batch_id]))
batch_id = choose(
    "Batch", options, "batch", default=shown.batch_id, width=460,
    show=lambda batch_id: batch_result.label(Batch(batches_folder(console.home) / batch_id)),
)  # fmt: skip
shown = Batch(batches_folder(console.home) / batch_id)
status = shown.status()
if status is not BatchStatus.DONE:
    show_intake(shown.intake(), shown.batch_id)  # a batch that is done says it with what could not be converted
if problem := shown.problem_with_files():
    st.error(plain(problem), icon=":material/broken_image:")
    batch_result.delete_button(shown)
elif status is BatchStatus.WORKING:
    st.fragment(working, run_every="1s")(shown)
elif status is BatchStatus.FAILED:
    st.error(plain(f"This batch failed: {shown.problem() or 'it was killed before it finished'}"))
    batch_result.delete_button(shown)
elif status is BatchStatus.CANCELLED:
    st.info("This batch was cancelled.")
    batch_result.delete_button(shown)
else:
    batch_result.results(shown)
batch_result.deleted(batches_folder(console.home))
st.caption("Train an agent on logos like yours:")
st.page_link(path_of("new_run"), label="New run", icon=":material/tune:")
