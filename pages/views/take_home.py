"""Export and import: the export form for a selection of runs, and the import of archives.

Which of the two is open, and of which runs, is in the page's address. What is made lies in the home's cache for an hour.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import StopException

from core.errors import TracewrightError
from core.paths import program
from core.runs.archive import pack
from core.runs.run_dir import RunDir
from core.runs.unpack import import_archive
from pages.server.service import Console
from pages.views import downloads, tables
from pages.views.access import acts
from pages.views.buttons import button, pressed
from pages.views.intake import drop_uploads, uploader_key
from pages.views.links import write_address
from pages.views.run_choice import choose_runs
from pages.views.shell import path_of
from pages.views.text import bytes_text, plain
from storage import export

PANEL, RUNS = "take", "of"  # parameters of the address
FORMS = {"csv": "CSV", "json": "JSON", "parquet": "Parquet", "archive": "Whole runs"}
SAYS = {
    "csv": "For spreadsheets and most tools. With several runs, the first column is the run ID.",
    "json": "One list of objects per table.",
    "parquet": "Small, typed and exact. Read directly by pandas, Polars and DuckDB.",
    "archive": f"One ZIP with the log, settings, checkpoints, pictures and SVGs of each run. Use Import or `{program()} import` on another "
    "installation to load it.",
}
HELP = {
    "episodes": "One row per episode",
    "metrics": "Losses, speed, rewards: one row per value",
    "evaluations": "One row per logo of an evaluation",
    "summary": "One row per evaluation",
    "parameters": "VTracer parameters tried",
    "events": "Stages, baselines, alerts, checkpoints, endings",
    "settings": "Every setting with its default",
}
TABLES_HELP = "\n".join(f"- **{kind}**: {text}" for kind, text in HELP.items())
KEPT_S = 3600.0
MAX_DOWNLOAD_BYTES = 10**9  # what a browser is given; more is for the command line
MAX_UPLOAD_MB = 1000


def open_button(panel: Literal["export", "import"], runs: Sequence[str] = ()) -> None:
    """The button that opens a panel, of these runs."""
    label, icon = {"export": ("Export", ":material/folder_zip:"), "import": ("Import", ":material/upload:")}[panel]
    text = (
        "Export the listed runs as tables or complete archives." if panel == "export" else "Import runs exported by another installation."
    )
    if pressed(label, icon=icon, key=f"open.{panel}", help=text, disabled=panel == "export" and not runs):
        write_address(**{PANEL: panel, RUNS: list(runs) if panel == "export" else ""})
        st.rerun()


def panel(console: Console) -> None:
    """The panel that the address names; none else."""
    which = st.query_params.get(PANEL)
    if which in ("export", "import"):
        with st.container(border=True, key=f"take-{which}"):
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                st.subheader("Export runs" if which == "export" else "Import runs")
                if pressed("Close", icon=":material/close:", key="take.close", type="tertiary"):
                    write_address(**{PANEL: "", RUNS: ""})
                    st.session_state.pop("take.imported", None)
                    st.rerun()
            (_export if which == "export" else _import)(console)


@st.fragment
def _export(console: Console) -> None:
    runs = tables.newest_first(console.home)
    names = tables.all_names(console.home)
    chosen = choose_runs("Runs", list(runs), RUNS, names, placeholder="Choose runs")
    with st.container(horizontal=True, gap="medium"):
        form = str(st.segmented_control("As", list(FORMS), format_func=lambda f: FORMS[f], default="csv", key="take.form", required=True))
        kinds = list(export.KINDS)
        if form != "archive":
            kinds = list(st.pills("Tables", kinds, selection_mode="multi", default=kinds, key="take.kinds", help=TABLES_HELP, wrap=True))
    st.caption(SAYS[form])
    asked = (tuple(chosen), form, tuple(kinds) if form != "archive" else ())
    is_made = (st.session_state.get("take.made") or {}).get("asked") == asked
    if pressed(
        "Prepare download",
        type="secondary" if is_made else "primary",
        icon=":material/folder_zip:",
        key="take.make",
        disabled=not (chosen and kinds),
    ):
        _prepare(console, [runs[i] for i in chosen], form, kinds, asked)
    made: dict[str, Any] | None = st.session_state.get("take.made")
    if made is None or made["asked"] != asked:
        return
    if made["error"]:
        st.error(plain(made["error"]))
        return
    for line in made["left_out"]:
        st.warning(f"Skipped: {plain(line)}")
    path: Path = made["path"]
    if not path.is_file():
        st.info("The download has expired after an hour. Prepare it again.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        downloads.button(
            f"Download {path.name}, {bytes_text(path.stat().st_size)}", path.read_bytes, path.name, "application/zip",
            icon=":material/download:", type="primary", key="take.download",
        )  # fmt: skip
        st.caption(made["says"])


@acts("export.prepare", is_drawn=True)
def _prepare(console: Console, runs: list[RunDir], form: str, kinds: list[str], asked: object) -> None:
    st.session_state["take.made"] = _made(console, runs, form, kinds, asked)


def _made(console: Console, runs: list[RunDir], form: str, kinds: list[str], asked: object) -> dict[str, Any]:
    """Make the zip, with its progress in sight: its path, or why there is none."""
    bar = st.progress(0.0, text="Reading")

    def told(what: str, n_done: int, n_all: int) -> None:
        bar.progress(min(n_done / n_all, 1.0) if n_all else 0.0, text=f"{plain(what)}: {n_done:,} of {n_all:,}")

    made: dict[str, Any] = {"asked": asked, "error": "", "left_out": [], "says": ""}
    try:
        folder = _folder(console)
        name = runs[0].run_id if len(runs) == 1 else f"{len(runs)}-runs"
        if form == "archive":
            packed = pack(runs, folder / f"{name}.zip", told)
            made |= {
                "path": packed.path,
                "left_out": packed.left_out,
                "says": f"{packed.n_files:,} files, {bytes_text(packed.n_bytes)} unpacked",
            }
        else:
            done = export.export_runs(runs, form, folder / "files", kinds, told, opened=lambda _: contextlib.nullcontext(console.store))
            bar.progress(1.0, text="Packing")
            path = folder / f"{name}-{form}.zip"
            export.bundle(done, path)
            shutil.rmtree(folder / "files", ignore_errors=True)
            rows = {kind: n for kind, (_, n) in done.files.items() if kind in kinds}
            says = "Rows: " + ", ".join(f"{kind} {n:,}" for kind, n in rows.items()) + "; includes a data dictionary"
            made |= {"path": path, "left_out": [f"{run}: {why}" for run, why in done.left_out.items()], "says": says}
        if made["path"].stat().st_size > MAX_DOWNLOAD_BYTES:
            made["error"] = (
                f"{bytes_text(made['path'].stat().st_size)} is too large for a browser download; use: {program()} export RUN --format {form}"
            )
            made["path"].unlink()
    except (TracewrightError, OSError) as error:
        made["error"] = str(error)
    bar.empty()
    return made


def _folder(console: Console) -> Path:
    """A new folder for what is made; those of an hour ago go."""
    above = console.home / "cache" / "exports"
    above.mkdir(parents=True, exist_ok=True)
    for old in above.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - old.stat().st_mtime > KEPT_S:
                shutil.rmtree(old)
    return Path(tempfile.mkdtemp(dir=above))


@st.fragment
def _import(console: Console) -> None:
    st.caption(
        "Archives made by Export, here or elsewhere. Names, sizes and checksums are checked first, and nothing is executed. "
        f"Runs that already exist are left unchanged. For larger archives, use `{program()} import FILE`."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        files = st.file_uploader(
            "Archives",
            type="zip",
            accept_multiple_files=True,
            key=uploader_key("take.files"),
            max_upload_size=MAX_UPLOAD_MB,
            label_visibility="collapsed",
        )
    name = (
        st.text_input("Name", key="take.as", max_chars=100, placeholder="As in the archive", width=280, on_change="ignore")
        if len(files) == 1
        else ""
    )
    if button("Import", does="run.import", type="primary", icon=":material/upload:", key="take.import", disabled=not files):
        st.session_state.pop("take.imported", None)
        _import_all(console, files, name.strip())
        done = st.session_state.get("take.imported")  # None where it was refused
        if done and not any(is_error for _, _, is_error in done):
            drop_uploads("take.files", files)  # else another name may do
        st.rerun()  # the list below has it too
    for ids, line, is_error in st.session_state.get("take.imported", []):
        if is_error:
            st.error(plain(line))
            continue
        st.success(plain(line))
        with st.container(horizontal=True):
            for run_id in ids:
                st.page_link(path_of("live"), label=f"Open {run_id}", icon=":material/monitoring:", query_params={"run": run_id})


@acts("run.import")
def _import_all(console: Console, files: Sequence[Any], name: str) -> None:
    bar = st.progress(0.0, text="Reading")
    found: list[tuple[list[str], str, bool]] = []
    st.session_state["take.imported"] = (
        found  # before: if the page is left meanwhile, Streamlit ends this at the next look into the session
    )
    found.extend(_imported(console, file, name, bar) for file in files)
    bar.empty()


def _imported(console: Console, file: Any, name: str, bar: DeltaGenerator) -> tuple[list[str], str, bool]:
    """(run ids, what to say, whether it failed) of one upload."""

    def told(what: str, n_done: int, n_all: int) -> None:
        with contextlib.suppress(StopException):  # somebody went to another page; what was asked for is done all the same
            bar.progress(min(n_done / n_all, 1.0) if n_all else 0.0, text=f"{plain(file.name)}: {plain(what)}, {n_done:,} of {n_all:,}")

    try:
        folder = _folder(console)
        try:
            path = folder / "upload.zip"
            with path.open("wb") as to:
                shutil.copyfileobj(file, to)
            found = import_archive(path, console.home, name, told)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except (TracewrightError, OSError) as error:
        return [], str(error).replace("upload.zip", file.name), True
    return [each.run.run_id for each in found], "; ".join(each.told for each in found), False
