"""The data sets: their logos with category and split, near-duplicates and broken files; creating and editing sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import LogosError
from core.logos import sets
from core.logos.dataset import BUILTIN, SPLITS, Logo, LogoSet, load_logos
from core.logos.procedural import CATEGORIES, make_logo
from core.logos.similar import Pair, near_duplicates
from core.runs.folders import check_readable, folders_of_runs
from core.tracing.features import FEATURE_NAMES, N_SIMPLE_FEATURES, picture_features
from core.tracing.picture import encode_png
from pages.views import chart_box, downloads
from pages.views.access import acts
from pages.views.buttons import button, locked
from pages.views.charts import plots
from pages.views.charts.svg import png_url, svg_url
from pages.views.intake import UPLOAD_HELP, done_with_given, given_files, show_intake
from pages.views.links import choose, drop_parameters, write_address
from pages.views.shell import begin, path_of, say
from pages.views.text import plain
from storage import export

PER_PAGE = 36
SHOWN_FEATURES = ("edge_density", "unique_colors", "complexity", "soft_share", "thickness", "log_regions_3")
console = begin("Logos")


def sources() -> dict[str, str]:
    """{path: what it is called}: the built-in set, own sets, and what runs were trained on."""
    found = {BUILTIN: "built-in logos"} | {str(path): f"{path.name} (own set)" for path in sets.all_sets(console.home)}
    for path in folders_of_runs(console.home):
        found.setdefault(path, path)
    other = st.query_params.get("path", "")
    if other and other not in found:
        found[other] = other
    return found


def stamp(path: str) -> int:
    """Changes with what is in a folder."""
    folder = Path(path)
    return 0 if path == BUILTIN or not folder.is_dir() else max(p.lstat().st_mtime_ns for p in (folder, *folder.iterdir()))


@st.cache_resource(max_entries=6, show_spinner="Reading the logos …")
def read(path: str, _stamp: int) -> tuple[LogoSet, list[Pair]]:
    found = load_logos(path, 256, stays_inside=True)
    return found, near_duplicates(found.logos)


@st.cache_resource(max_entries=6, show_spinner="Measuring the logos …")
def measured(path: str, stamped: int) -> pd.DataFrame:
    """A row of features per logo of a set that was read."""
    logos = read(path, stamped)[0].logos
    with ThreadPoolExecutor() as threads:
        values = list(threads.map(lambda logo: astuple(picture_features(logo.flat))[:N_SIMPLE_FEATURES], logos))
    table = pd.DataFrame(values, columns=list(FEATURE_NAMES[:N_SIMPLE_FEATURES]))
    table.insert(0, "logo", [logo.name for logo in logos])
    table.insert(1, "category", [logo.category for logo in logos])
    table.insert(2, "split", [logo.split for logo in logos])
    return table


@dataclass(frozen=True)
class Loaded:
    """A set with what is known of it."""

    path: str
    stamp: int
    logos: LogoSet
    pairs: list[Pair]


def picture(logo: Logo) -> str:
    return png_url(encode_png(logo.pixels))


@acts("logos.relabel")
def relabel(path: str, name: str, key: str, what: str) -> None:
    value = str(st.session_state[key])
    try:
        sets.relabel(console.home, path, name, **{what: value})
    except (LogosError, OSError) as error:
        say(str(error), ":material/warning:")
    else:
        say(f"{name} is now {value}")


def pick(name: str) -> None:
    write_address(logo=name)


def browse(path: str, found: LogoSet) -> None:
    """All pictures, filtered; the one that was clicked with why it is where it is."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.pills("Category", CATEGORIES, selection_mode="multi", key="category", bind="query-params")
        split = st.pills("Split", SPLITS, selection_mode="multi", key="split", bind="query-params")
        text = st.text_input("Find", placeholder="logo name", key="find", bind="query-params", width=180)
    shown = [
        logo
        for logo in found.logos
        if (not wanted or logo.category in wanted) and (not split or logo.split in split) and text.lower() in logo.name.lower()
    ]
    if not shown:
        st.info("No matching logos. Clear the category, the split or the search.")
        return
    name = choose("Logo", [logo.name for logo in shown], "logo", width=300)
    logo = next(logo for logo in shown if logo.name == name)
    with st.grid(3, min_column_width=220, gap="medium") as cells:
        with cells.cell(), st.container(border=True):
            st.image(picture(logo), width="stretch", alt=logo.name)
        with cells.cell(column_span=2):
            st.markdown(f"**{plain(logo.name)}** · {logo.category} · {logo.split}")
            st.caption(sets.why(logo))
            if sets.is_own(console.home, path):
                for what, options, current in (("category", CATEGORIES, logo.category), ("split", SPLITS, logo.split)):
                    key = f"label.{what}.{name}"
                    st.session_state[key] = current
                    st.segmented_control(
                        what.capitalize(),
                        options,
                        key=key,
                        required=True,
                        on_change=relabel,
                        args=(path, name, key, what),
                        **locked("logos.relabel"),
                    )
            else:
                st.caption("To change categories, create your own set first, under Make a set.")
            one = picture_features(logo.flat)
            st.dataframe(
                pd.DataFrame({"feature": SHOWN_FEATURES, "value": [float(getattr(one, f)) for f in SHOWN_FEATURES]}),
                hide_index=True,
                column_config={"value": st.column_config.NumberColumn(format="%.4g")},
            )
    n_pages = (len(shown) - 1) // PER_PAGE + 1
    page = st.pagination(n_pages, key="logos_page") if n_pages > 1 else 1
    with st.grid("auto", min_column_width=110, border=True, vertical_alignment="center") as grid:
        for item in shown[(page - 1) * PER_PAGE : page * PER_PAGE]:
            with grid.cell():
                st.image(picture(item), width="stretch", alt=item.name)
                st.button(plain(item.name), key=f"pick.{item.name}", on_click=pick, args=(item.name,), type="tertiary", width="stretch")


def overview(found: Loaded) -> None:
    """Figures, then the pictures."""
    counts(found.logos, found.pairs)
    for note in found.logos.notes:
        st.warning(plain(note), icon=":material/swap_horiz:")
    browse(found.path, found.logos)


def counts(found: LogoSet, pairs: list[Pair]) -> None:
    by = found.counts()
    rows = [{"category": c} | splits | {"all": sum(splits.values())} for c, splits in by.items()]
    with st.grid(4, min_column_width=130):
        st.metric("Logos", f"{len(found.logos):,}")
        st.metric("Skipped", f"{len(found.skipped):,}", help="Unusable files and duplicates.")
        st.metric("Look alike", f"{len(pairs):,}", help="Pairs of nearly identical logos.")
        across = sum(pair.crosses_splits for pair in pairs)
        st.metric(
            "across splits",
            f"{across:,}",
            help="One of the pair is used for training, the other for measuring, so results look better than they are.",
        )
    st.dataframe(rows, hide_index=True)


def features(found: Loaded) -> None:
    """How hard the logos are, by category."""
    table = measured(found.path, found.stamp)
    feature = st.selectbox("Feature", FEATURE_NAMES[:N_SIMPLE_FEATURES], index=0, key="feature", bind="query-params", width=260)
    data = table[["logo", "category", "split", str(feature)]].rename(columns={str(feature): "value"})
    chart_box.show(plots.spread(data, str(feature)), f"feature-{feature}", f"{feature} by category", data, can_pin=False)
    st.dataframe(table, hide_index=True, height=320, lazy=True)
    downloads.button("features.csv", lambda: export.to_csv(table), "features.csv", "text/csv", icon=":material/download:", key="csv")


def alike(found: Loaded) -> None:
    """What looks nearly the same."""
    pairs = found.pairs
    if not pairs:
        st.success("No two logos in this set look nearly the same.", icon=":material/check:")
        return
    st.caption("Nearly identical pairs, most similar first. Pairs across splits make results look better than they are.")
    for pair in pairs[:24]:
        with st.container(border=True), st.container(horizontal=True, vertical_alignment="center"):
            for logo in (pair.a, pair.b):
                st.image(picture(logo), width=96, alt=logo.name)
                st.markdown(f"**{plain(logo.name)}**  \n{logo.category} · {logo.split}")
            st.badge(
                f"{pair.ssim:.0%} alike",
                color="orange" if pair.crosses_splits else "gray",
                icon=":material/warning:" if pair.crosses_splits else None,
            )
    if len(pairs) > 24:
        st.caption(f"{len(pairs) - 24} more.")


def left_out(found: Loaded) -> None:
    """Broken files and copies."""
    skipped = found.logos.skipped
    if not skipped:
        st.success("Every file in this set can be used.", icon=":material/check:")
        return
    st.dataframe([{"file": Path(s.source).name, "reason": s.reason, "where": s.source} for s in skipped], hide_index=True)


def show_instead(path: str, at_last: Callable[[], None] = lambda: None) -> None:
    """Show another set in the next run of the page, from its start. ``at_last``: to do before, where Streamlit may end this run."""
    st.session_state["logos.show"] = path
    at_last()
    st.rerun()


def take_up() -> None:
    """What :func:`show_instead` asked for, before any widget is drawn: only then may their values change."""
    wanted = st.session_state.pop("logos.show", None)
    if wanted is not None:
        for key, value in {"path": "", "find": "", "category": [], "split": [], "tab": "Logos"}.items():
            if key in st.session_state:
                st.session_state[key] = value
        drop_parameters("path", "find", "category", "split", "tab")  # of widgets that were not drawn
        write_address(set=wanted, logo="")


@acts("logos.add", is_drawn=True)
def made(name: str, make: Callable[[], Path], what: str, at_last: Callable[[], None] = lambda: None) -> None:
    """Make a set and show it, or say why not."""
    try:
        folder = make()
    except (LogosError, OSError) as error:
        st.error(plain(str(error)))
        return
    say(f"{what} {folder.name}")
    show_instead(str(folder), at_last)


def add(name: str, files: Sequence[tuple[str, Path]]) -> Path:
    """Add pictures to a set; what became of each is shown with the set."""
    added = sets.add_pictures(console.home, name, files)
    st.session_state["logos.intake"] = (str(added.folder), added.intake)
    return added.folder


@acts("logos.delete", is_drawn=True)
def delete_set(path: str) -> None:
    try:
        sets.delete(console.home, path)
    except (LogosError, OSError) as error:
        st.error(plain(str(error)))
        return
    say(f"Deleted {Path(path).name}")
    show_instead(BUILTIN)


def maker(path: str) -> None:
    """New sets: of pictures, or procedural ones."""
    with st.grid(2, min_column_width=320, gap="large") as cells:
        with cells.cell():
            st.subheader("From pictures")
            own = sets.is_own(console.home, path)
            name = st.text_input(
                "Name of the set",
                value=Path(path).name if own else "",
                key="set.name",
                help="If a set with this name exists, the pictures are added to it.",
            )
            files = given_files(console.home, "set.files", "Pictures or ZIP files", UPLOAD_HELP)
            if button(
                "Add to set",
                does="logos.add",
                type="primary",
                icon=":material/add_photo_alternate:",
                key="set.add",
                disabled=not (files and name.strip()),
            ):
                made(name, lambda: add(name.strip(), files), "Added to", lambda: done_with_given(console.home))
            if own:
                sure = st.checkbox(f"Delete {plain(Path(path).name)} and its pictures", key=f"set.sure.{path}")
                if button("Delete", does="logos.delete", icon=":material/delete:", key=f"set.delete.{path}", disabled=not sure):
                    delete_set(path)
        with cells.cell():
            st.subheader("Procedural")
            called = st.text_input("Name of the new set", key="made.name")
            seed = int(st.number_input("Seed", 0, 2**31 - 1, 7, key="made.seed"))
            n = int(st.number_input("Logos per category", 4, 5000, 60, key="made.n"))
            with st.grid(4, min_column_width=80):
                for category in CATEGORIES:
                    with st.container(border=True):
                        st.image(
                            svg_url(make_logo(seed, category, int(np.random.default_rng(seed).integers(0, n))).svg.encode()),
                            width="stretch",
                            alt=f"A {category} logo",
                        )
                        st.caption(category)
            if button("Create set", does="logos.add", icon=":material/auto_awesome:", key="made.go", disabled=not called.strip()):
                with st.spinner(f"Drawing {4 * n} logos …"):
                    made(called, lambda: sets.make_procedural(console.home, called.strip(), seed, n), "Made")


take_up()
known = sources()
with st.container(horizontal=True, vertical_alignment="bottom"):
    chosen_path = choose("Set", list(known), "set", show=lambda p: known[p], width=420)
    st.text_input(
        "Another folder",
        placeholder="/path/to/a/folder",
        key="path",
        bind="query-params",
        width=260,
        help="A path on the machine that runs the console: in the home, of a run that was started here, or listed under Settings.",
    )
    st.page_link(path_of("new_run"), label="New run", icon=":material/play_arrow:")
typed = str(st.session_state.get("path") or "")
path = typed if typed else chosen_path
problem = ""
loaded = None
try:
    check_readable(path, console.home)
    stamped = stamp(path)
    loaded = Loaded(path, stamped, *read(path, stamped))
except (LogosError, OSError) as error:
    problem = str(error)
tabs = st.tabs(["Logos", "Features", "Look alike", "Skipped", "Make a set"], key="tab", bind="query-params")
of_set, intake = st.session_state.get("logos.intake", ("", None))
if intake is not None and of_set == path:
    show_intake(intake, "set")
if problem:
    st.error(plain(problem))
elif loaded is not None:
    for tab, draw in zip(tabs, (overview, features, alike, left_out), strict=False):
        if tab.open:
            with tab:
                draw(loaded)
if tabs[-1].open:
    with tabs[-1]:
        maker(path)
