"""The tabs of the page Search: what a study's trials say, as charts with their tables. Asks core/studies/analysis.py, draws by charts/studies.py."""

from __future__ import annotations

import time

import pandas as pd
import streamlit as st

from core.errors import StudyError
from core.studies import analysis
from core.studies.space import encoded
from core.studies.study import StudyConfig, StudyDir
from pages.views import chart_box, downloads
from pages.views.charts import studies as charts
from pages.views.links import choose
from pages.views.study_view import ON_FRONT, TITLES, StudyView, axis_ends, front_points
from storage import export

MOST_LINES = 300  # trials that are drawn as lines: the best, and of the rest the newest
MOST_POINTS = 4000
METHODS = {"ped-anova": "PED-ANOVA", "fanova": "fANOVA"}


def objective(config: StudyConfig) -> int:
    """Which of several objectives is looked at; its place."""
    if len(config.objectives) == 1:
        return 0
    return config.objectives.index(choose("Objective", config.objectives, "objective", show=lambda name: TITLES[name]))  # type: ignore[arg-type]


def progress(view: StudyView) -> None:
    """How far it came: history, intermediate values."""
    with st.grid(2, min_column_width=380, gap="medium") as cells:
        with cells.cell():
            found = pd.DataFrame(analysis.history(view.most(MOST_POINTS), view.config, view.place))
            if found.empty:
                st.caption("Waiting for the first trial with a result.")
            else:
                chart_box.show(
                    charts.history(found, view.title), "history", "History", found, note="The line is the best so far", can_pin=False
                )
        with cells.cell():
            rows, domain = analysis.intermediate(view.most(MOST_LINES))
            if rows:
                frame = pd.DataFrame(rows)
                is_cut = domain is not None and (frame["value"] < domain[0]).any()
                note = "Starts and pruned trials below the axis are cut off" if is_cut else ""
                told = " · ".join(filter(None, (note, view.note(MOST_LINES))))
                chart_box.show(
                    charts.intermediate(frame, domain), "intermediate", "Gain at each evaluation", frame, note=told, can_pin=False
                )
            elif len(view.config.objectives) > 1:
                st.caption("With several objectives trials are not pruned, so there are no intermediate values.")


def settings(view: StudyView) -> None:
    """Which settings matter, and in what way."""
    if len(analysis.complete(view.trials)) < 2:
        st.caption("This needs two complete trials.")
        return
    with st.grid(2, min_column_width=380, gap="medium") as cells:
        with cells.cell():
            _importance(view)
        with cells.cell():
            _parallel(view)
    st.markdown("**One setting at a time**")
    _slices(view)
    if len(view.config.space) > 1:
        _contour(view)


@st.cache_data(max_entries=40, max_size="20MB", show_spinner="Computing importance …")
def _shares(path: str, _study: StudyDir, _config: StudyConfig, method: str, place: int, _n_finished: int) -> dict[str, float] | str:
    """Kept by the number of trials that had ended (``_n_finished`` is part of ``path``): it takes a moment."""
    try:
        return analysis.importances(_study, _config, method, place)  # type: ignore[arg-type]
    except StudyError as error:
        return str(error)


def _importance(view: StudyView) -> None:
    n = sum(trial.is_finished for trial in view.trials)
    wanted = choose("Importance by", ["ped-anova", "fanova", "both"], "importance", show=lambda m: METHODS.get(m, "both, side by side"))
    rows, problems = [], []
    for method in METHODS if wanted == "both" else [wanted]:
        shares = _shares(f"{view.study.path}#{n}", view.study, view.config, method, view.place, n)
        if isinstance(shares, str):
            problems.append(shares)
        else:
            rows += [{"setting": name, "share": share, "method": METHODS[method]} for name, share in shares.items()]
    for problem in problems:
        st.info(problem)
    if rows:
        frame = pd.DataFrame(rows)
        note = "PED-ANOVA: what distinguishes the best tenth. fANOVA: what explains the differences between all trials"
        chart_box.show(charts.importance(frame), "study-importance", "Importance", frame, note=note, can_pin=False)


def _parallel(view: StudyView) -> None:
    lines = pd.DataFrame(analysis.parallel(view.most(MOST_LINES), view.config, view.place))
    ends = pd.DataFrame([row for name, dimension in view.config.space.items() for row in axis_ends(name, dimension)])
    chart = charts.parallel(lines, ends, view.title, view.is_larger_better)
    note = " · ".join(filter(None, ("Pale: pruned, or infeasible", view.note(MOST_LINES))))
    chart_box.show(chart, "parallel", "All settings together", lines, note=note, can_pin=False)


def _slices(view: StudyView) -> None:
    rows = pd.DataFrame(analysis.slices(view.most(MOST_POINTS), view.config, view.place))
    with st.grid(3, min_column_width=280, gap="medium") as cells:
        for name, dimension in view.config.space.items():
            part = rows[rows["setting"] == name]
            if part.empty:
                continue
            choices = [str(encoded(choice)) for choice in dimension.choices] if dimension.choices is not None else None
            with cells.cell():
                chart = charts.slice_of(part, name, view.title, dimension.log, choices)
                chart_box.show(chart, f"slice.{name}", name, part, can_pin=False)


def _contour(view: StudyView) -> None:
    names = list(view.config.space)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        x = choose("Two settings", names, "x", default=names[0])
        others = [name for name in names if name != x]
        y = choose("against", others, "y", default=others[0])
    cells, points = analysis.contour(view.most(MOST_POINTS), view.config, x, y, view.place)
    dims = view.config.space[x], view.config.space[y]
    labels = tuple([str(encoded(choice)) for choice in d.choices] if d.choices is not None else [] for d in dims)
    chart = charts.contour(
        pd.DataFrame(cells), pd.DataFrame(points), (x, y), (dims[0].log, dims[1].log), labels, view.title, view.is_larger_better  # type: ignore[arg-type]
    )  # fmt: skip
    note = "Colours between trials are interpolated" if cells else "Areas appear with four or more complete trials"
    chart_box.show(chart, "contour", f"{x} and {y}", pd.DataFrame(points), note=note, can_pin=False)


def trade_off(view: StudyView) -> int | None:
    """Two objectives against each other; returns the trial that was clicked."""
    config, done = view.config, analysis.complete(view.trials)
    if not done:
        st.caption("Waiting for the first complete trial.")
        return None
    if len(config.objectives) > 2:
        x = choose("X axis", config.objectives, "across", default=config.objectives[1], show=lambda name: TITLES[name])
        y = choose("Y axis", [name for name in config.objectives if name != x], "up", show=lambda name: TITLES[name])
    else:
        x, y = config.objectives[1], config.objectives[0]
    points, line = front_points(view.trials, config, x, y)
    chart = charts.front(points, line, (TITLES[x], TITLES[y]))
    n = int((points["on_front"] == ON_FRONT).sum())
    note = f"{n} trials are on the Pareto front: no other trial beats them in every objective. Click one to select it"
    found = chart_box.choose(chart, "front", "Trade-off", points, "pick", note=note)
    return int(found["number"]) if found else None


def trials(view: StudyView, names: dict[str, str]) -> None:
    """When each was worked on, and all of them as a table. ``names``: the address of each run's live page."""
    newest = list(view.trials[-MOST_LINES:])
    spans = pd.DataFrame(analysis.timeline(newest, time.time()))
    if not spans.empty:
        note = f"the newest {MOST_LINES}" if len(view.trials) > MOST_LINES else ""
        chart_box.show(charts.timeline(spans), "timeline", "Timeline", spans, note=note, can_pin=False)
    frame = pd.DataFrame(analysis.table(view.trials, view.config))
    shown = frame.assign(run=[names.get(str(run)) for run in frame["run"]]).iloc[::-1]
    number = st.column_config.NumberColumn
    columns = {
        "trial": number(width=60),
        "on_front": st.column_config.CheckboxColumn("front" if len(view.config.objectives) > 1 else "best", width=60),
        "gain": number(format="%+.3f", help="Of its best evaluation."),
        "step": number("at step", format="localized"),
        "minutes": number(format="%.1f"),
        "bytes": number(format="%.0f"),
        "share_worse": number("looks worse", format="percent", help="Share of validation logos that look worse than with the defaults."),
        "run": st.column_config.LinkColumn("run", display_text="open", width=70),
        "reason": st.column_config.TextColumn("outcome", width=260),
    }
    st.dataframe(shown, hide_index=True, placeholder="–", height=min(38 + 35 * len(shown), 460), column_config=columns, lazy=True)
    downloads.button(
        "trials.csv", lambda: export.to_csv(frame), f"{view.study.study_id}-trials.csv", "text/csv", icon=":material/download:",
        key="csv.trials",
    )  # fmt: skip
