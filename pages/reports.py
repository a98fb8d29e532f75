"""Reports: saved ones, new ones for chosen runs or a study, and trends across runs."""

from __future__ import annotations

import time
from datetime import datetime

import streamlit as st

from core.config.installation import Settings, read_settings
from core.errors import ConfigError, RunError, StudyError
from core.reports import kept, pdf
from core.reports.kept import Report
from core.studies.study import all_studies
from pages.server import kept_reports, start_document
from pages.views import actions, chart_box, downloads, tables
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.links import choose
from pages.views.reports import across, kinds
from pages.views.reports.document import to_html
from pages.views.reports.study_facts import runs_of
from pages.views.run_choice import choose_runs
from pages.views.shell import begin, path_of, say
from pages.views.text import bytes_text, plain

PAGE_SIZE = 12
ICONS = {"end": ":material/flag:", "stage": ":material/stairs:", "day": ":material/today:", "week": ":material/date_range:"}
console = begin("Reports")
runs = tables.newest_first(console.home)
names = tables.all_names(console.home)
studies = {study.study_id: study for study in all_studies(console.home)}
found = kept.all_reports(console.home)
if not runs and not found and not studies:
    actions.invite(console, "A report summarises a run in one self-contained file. There are no runs yet; start one.")


@acts("report.delete")
def delete(report: Report) -> None:
    try:
        kept.delete(report)
    except OSError as error:
        say(f"It could not be deleted: {error.strerror}", ":material/warning:")
        return
    st.session_state["undo_report"] = (report.name, report.about.title)


@acts("report.restore")
def restore(name: str) -> None:
    st.session_state.pop("undo_report", None)
    try:
        say(f"{kept.restore(console.home, name).about.title} restored")
    except (RunError, OSError) as error:
        say(str(error), ":material/warning:")


@acts("report.print")
def print_it(report: Report) -> None:
    try:
        pdf.write_pdf(report.html_file, report.pdf_file)
    except (RunError, OSError) as error:
        say(str(error), ":material/warning:")


@acts("report.make", is_drawn=True)
def make(chosen: list[str], kind: str, study_id: str = "") -> None:
    """Make a report of chosen runs, or of a study, and keep it."""
    try:
        study = studies[study_id] if study_id else None
        wanted = [runs[run_id] for run_id in chosen] if study is None else runs_of(study)
        document = kinds.build(kind, kinds.Request(console.store, wanted, study=study))
        now = time.time()
        about = kept.About(kind, document.title, list(document.runs), now, summary=document.summary, study=document.study)
        kept.keep(console.home, to_html(document, now), about)
    except (ConfigError, RunError, StudyError, OSError) as error:
        st.error(f"The report could not be made: {plain(str(error))}")
        return
    say(f"Report ready: {document.title}")
    st.rerun()


def form() -> None:
    """Choose runs and what the report is about them."""
    if not runs:
        st.caption("There are no runs to report on.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = choose_runs("Runs", list(runs), "run", names, placeholder="one, or several to compare")
        fitting = [name for name, kind in kinds.KINDS.items() if kind.of == "runs" and kind.least <= max(len(chosen), 1) <= kind.most]
        with_stages = len(chosen) == 1 and actions.has_stages(runs[chosen[0]])
        fitting = [name for name in fitting if name != "curriculum" or with_stages]
        if not fitting:
            st.caption(
                f"A report compares at most {max(kind.most for kind in kinds.KINDS.values() if kind.of == 'runs')} runs. Choose fewer."
            )
            return
        kind = choose("About", fitting, "kind", kinds.default_kind(max(len(chosen), 1)), lambda name: kinds.KINDS[name].label, width=220)
        if button("Make report", does="report.make", type="primary", icon=":material/summarize:", disabled=not chosen):
            with st.spinner("Making the report …"):
                make(chosen, kind)


def study_form() -> None:
    """Choose a study to report on, where there is one."""
    if not studies:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = {study_id: f"{study.name()} · {study_id[:13]}" for study_id, study in studies.items()}
        chosen = choose("Study", list(studies), "study", show=lambda study_id: shown[study_id], width=420)
        if button(
            "Make study report",
            does="report.make",
            icon=":material/manage_search:",
            help="What was searched, which trials are best, and which settings matter.",
        ):
            with st.spinner("Making the report …"):
                make([], "study", chosen)


def row(report: Report) -> None:
    about = report.about
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{plain(about.title)}**")
            st.badge(kept.TRIGGERS.get(about.trigger, about.trigger), icon=ICONS.get(about.trigger, ":material/person:"), color="gray")
            st.caption(f"{datetime.fromtimestamp(about.made):%b %d, %H:%M} · {bytes_text(report.n_bytes)}", width="content")
        if about.summary:
            st.caption(plain(about.summary))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            buttons(report)


def buttons(report: Report) -> None:
    url = f"{start_document.base_path()}{kept_reports.PATH}/{report.name}"
    st.link_button("Open", url, icon=":material/open_in_new:")
    downloads.button(
        "HTML", report.html_file.read_bytes, f"{report.name}.html", "text/html", icon=":material/download:",
        key=f"html.{report.name}", help="One self-contained file that works offline.",
    )  # fmt: skip
    if report.pdf_file.is_file():
        downloads.button(
            "PDF", report.pdf_file.read_bytes, f"{report.name}.pdf", "application/pdf", icon=":material/download:",
            key=f"pdf.{report.name}",
        )  # fmt: skip
    else:
        has_browser = pdf.find_browser() is not None
        help_text = "Takes a few seconds." if has_browser else f"Not available: {pdf.missing()}."
        button(
            "Make PDF", key=f"print.{report.name}", on_click=print_it, args=(report,), icon=":material/picture_as_pdf:",
            disabled=not has_browser, help=help_text,
        )  # fmt: skip
    there = [run_id for run_id in report.about.runs if run_id in runs]
    if report.about.study in studies:
        st.page_link(
            path_of("search"),
            label="Study",
            icon=":material/manage_search:",
            query_params={"study": report.about.study},
            width="content",
        )
    elif len(report.about.runs) == 1 and there:
        st.page_link(path_of("live"), label="Run", icon=":material/monitoring:", query_params={"run": there[0]}, width="content")
    button(
        "Delete", key=f"delete.{report.name}", on_click=delete, args=(report,), icon=":material/delete:", type="tertiary",
        help="You can restore it within a week.",
    )  # fmt: skip


def undo() -> None:
    """What was just deleted, with an undo button."""
    done = st.session_state.get("undo_report")
    if done:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(f"**{plain(done[1])}** was deleted.")
            button("Undo", icon=":material/undo:", key="undo.report", on_click=restore, args=(done[0],))


def deleted() -> None:
    gone = kept.deleted(console.home)
    if gone:
        with st.expander(f"{len(gone)} deleted report{'s' if len(gone) > 1 else ''}", icon=":material/delete:"):
            st.caption("Deleted for good after a week.")
            for report in gone[:20]:
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.markdown(f"{plain(report.about.title)} · {report.name}")
                    button("Restore", key=f"back.{report.name}", on_click=restore, args=(report.name,), type="tertiary")


def automatic() -> None:
    """Which reports are made automatically."""
    try:
        settings = read_settings(console.home).reports
    except ConfigError:
        settings = Settings().reports
    what = [*(["when a run or a study ends"] if settings.at_end else []), *(["when a stage ends"] if settings.at_stages else [])]
    what += {"none": [], "both": ["daily and weekly for all runs"]}.get(settings.summaries, [f"{settings.summaries} for all runs"])
    waiting = f" {console.reporter.n_waiting} pending." if console.reporter.n_waiting else ""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Made automatically: {', '.join(what)}.{waiting}" if what else "No reports are made automatically.", width="content")
        st.page_link(path_of("settings"), label="Change", icon=":material/settings:", width="content")


def reports() -> None:
    form()
    study_form()
    automatic()
    undo()
    for problem in kept.problems(console.home):
        st.warning(plain(problem), icon=":material/broken_image:")
    text = st.text_input("Find", placeholder="title, run, study or trigger", key="find", bind="query-params", width=280)
    shown = [
        report
        for report in found
        if text.lower()
        in f"{report.about.title} {' '.join(report.about.runs)} {report.about.study} {kept.TRIGGERS.get(report.about.trigger, '')}".lower()
    ]
    n_pages = max((len(shown) - 1) // PAGE_SIZE + 1, 1)
    page = st.pagination(n_pages, key="page") if n_pages > 1 else 1
    for report in shown[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]:
        row(report)
    if not shown:
        st.info(f"No report matches “{text}”." if text else "No reports yet. Choose a run above, then press *Make report*.")
    deleted()


def trends() -> None:
    """A figure from run to run, with its running average and a line through it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        column = choose("Figure", list(across.QUANTITIES), "figure", show=lambda name: across.QUANTITIES[name].label, width=320)
        chosen = choose_runs("Only these runs", list(runs), "of", names, placeholder="all")
    quantity = across.QUANTITIES[column]
    points = across.points(console.store, {run_id: names[run_id] for run_id in chosen or runs}, column)
    if len(points) < across.LEAST_RUNS:
        st.info("A trend needs at least two runs with this figure.")
        return
    chart, trend = across.chart(points, quantity)
    note = "One point per run, by start time. Solid: average of the last five; dashed: linear trend with its 95% interval"
    chart_box.show(chart, f"trend-{column}", quantity.label.capitalize(), points, note=note, can_pin=False)
    st.markdown(plain(across.told(trend, quantity)))


tab_kept, tab_trends = st.tabs(["Reports", "Trends"], key="tab", bind="query-params")
if tab_kept.open:
    with tab_kept:
        reports()
if tab_trends.open:
    with tab_trends:
        trends()
