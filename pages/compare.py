"""Compares runs: curves on one axis, differing settings, figures, and a paired comparison by logo."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from core.config.config import RunConfig
from core.config.fields import flat
from core.errors import ConfigError
from core.paths import program
from core.runs import baseline_run
from core.runs.records import peek_config
from core.runs.status import run_state
from pages.views import actions, chart_box, downloads, gone, many_runs, tables
from pages.views.chart_options import options, run_list, zoom_state
from pages.views.charts import curves, plots
from pages.views.charts import groups as group_charts
from pages.views.charts.svg import png_url, svg_url
from pages.views.links import choose, write_address
from pages.views.live.run_view import view_to_end
from pages.views.run_choice import choose_runs
from pages.views.shell import begin, path_of, room_for
from pages.views.text import plain
from pages.views.viewer import together
from pages.views.viewer.versions import kept_svg
from storage import export, queries, run_comparison, sensitivity

N_WORST = 4
console = begin("Compare")
runs = tables.newest_first(console.home)
evaluated = queries.evaluated_runs(console.store)
ids = [run_id for run_id in runs if run_id in evaluated]
gone.tell_deleted(console, st.query_params.get_all("run"))
if len(ids) < 2:
    actions.invite(console, "You need two evaluated runs to compare. Start another one.")
names = tables.all_names(console.home)
base = baseline_run.read(console.home)
base = base if base in ids else None

if "run" not in st.query_params:
    write_address(run=[base, next(i for i in ids if i != base)] if base else ids[:2])
with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="compare-choice"):
    shown = choose_runs("Runs", ids, "run", names)
    drawn = run_list(ids, shown, names, "run") if shown else []
    view = options()
if not shown:
    st.info("Choose runs above to plot them together.")
    st.stop()
old = [run_id for run_id in shown if tables.is_scored_otherwise(runs[run_id])]
if old and len(old) < len(shown):
    st.warning(f"{plain(', '.join(names[run_id] for run_id in old))}: {tables.OLD_SCORE}.")
view = view_to_end(view, [runs[run_id] for run_id in drawn])
colours = curves.run_colours(drawn, list(runs))
figures = run_comparison.figures(console.store, shown)
groups, _ = sensitivity.evaluated_groups(console.store, [runs[run_id] for run_id in drawn])


def settings_of(run_id: str) -> dict[str, Any]:
    try:
        return flat(peek_config(runs[run_id]))
    except ConfigError:
        return {}


def differing() -> pd.DataFrame:
    """One row per setting that differs between the runs, one column per run."""
    of_run = {run_id: settings_of(run_id) for run_id in shown}
    keys = [key for key in flat(RunConfig()) if key not in ("name", "note")]
    lines = []
    for key in keys:
        values = {run_id: of_run[run_id].get(key) for run_id in shown}
        if len({json.dumps(value, sort_keys=True, default=str) for value in values.values()}) > 1:
            lines.append({"setting": key} | {names[run_id]: _text(value) for run_id, value in values.items()})
    return pd.DataFrame(lines)


def _text(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else json.dumps(value) if isinstance(value, list | dict) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def is_folded() -> bool:
    """Whether the seeds of a config are drawn as one curve; asked only where a config has several, on an axis that runs share."""
    if all(len(group.runs) < 2 for group in groups) or view.axis == "wall":
        return False
    return st.toggle(
        "Merge seeds of the same config",
        key="fold",
        bind="query-params",
        help="Shows the interquartile mean of runs that differ only in their seed, with its 95% interval, up to the step that all of them have reached.",
    )


def folded(frame: pd.DataFrame, value: str, title: str) -> tuple[curves.Chart, pd.DataFrame]:
    found = sensitivity.bands(frame, groups, value)
    return group_charts.band_lines(found, group_charts.group_colours([group.label for group in groups]), view, title), found


def draw_curves() -> None:
    zoom_state(view)
    by_group = is_folded()
    with st.grid(2, min_column_width=380, gap="medium") as cells:
        with cells.cell():
            gain_room = room_for("gain", curves.HEIGHT + 90)
        with cells.cell():
            reward_room = room_for("reward", curves.HEIGHT + 90)
    with gain_room():
        frame = queries.evaluations(console.store, drawn, view.axis)  # type: ignore[arg-type]
        if view.window is not None:
            frame = frame[frame["x"].between(*view.window)]
        chart: curves.Chart = curves.evaluation_line(frame, colours, view, names)
        if by_group:
            chart, frame = folded(frame, "gain", group_charts.GAIN)
        chart_box.show(chart, "gain", "Gain on validation logos", frame, view, can_pin=False)
    with reward_room():
        series = queries.episode_series(console.store, drawn, "training_gain", view.axis, curves.points_for(len(drawn)), view.window)  # type: ignore[arg-type]
        chart = curves.line(series, colours, view, "reward", labels=names, height=curves.HEIGHT + 40)
        if by_group:
            chart, series = folded(curves.smooth(series, view.smoothing), "smooth", "reward")
        chart_box.show(chart, "reward", "Reward per episode", series, view, can_pin=False)


FIGURE_COLUMNS = {
    "best_gain": st.column_config.NumberColumn("best gain", format="%+.3f"),
    "against": st.column_config.NumberColumn("against baseline", format="%+.3f", help="Best gain less that of the baseline run."),
    "interval": st.column_config.TextColumn("95% interval", help="Of the mean over the validation logos, by bootstrap."),
    "best_step": st.column_config.NumberColumn("at step", format="localized"),
    "final_gain": st.column_config.NumberColumn("final gain", format="%+.3f"),
    "ssim": st.column_config.NumberColumn("SSIM", format="%.4f"),
    "colour": st.column_config.NumberColumn("colour error", format="%.2f", help="Mean colour distance (CIELAB)."),
    "edge": st.column_config.NumberColumn("edge error", format="%.4f", help="How much edges differ (GMSD)."),
    "bytes": st.column_config.NumberColumn("bytes", format="%.0f"),
    "minutes": st.column_config.NumberColumn("minutes", format="%.1f"),
    "n_logos": st.column_config.NumberColumn("logos"),
}


def figure_table() -> None:
    st.subheader("Figures")
    held = None if base is None else run_comparison.figures(console.store, [base])["best_gain"].iloc[0]
    table = figures.assign(
        against=[
            None if held is None or i == base else gain - held for i, gain in zip(figures["run_id"], figures["best_gain"], strict=True)
        ],
        run=[names[i] for i in figures["run_id"]],
        interval=[
            f"{low:+.3f} to {high:+.3f}" if low == low else "–" for low, high in zip(figures["gain_low"], figures["gain_high"], strict=True)
        ],
        status=[run_state(runs[i]).status.value.lower() for i in figures["run_id"]],
    )
    if base is not None:
        st.caption(f"Baseline run: **{plain(names[base])}**, best gain {held:+.3f}.")
    st.dataframe(
        table[
            [
                "run",
                "status",
                "best_gain",
                *(["against"] if base else []),
                "interval",
                "best_step",
                "final_gain",
                "ssim",
                "colour",
                "edge",
                "bytes",
                "minutes",
                "n_logos",
            ]
        ],
        hide_index=True,
        placeholder="–",
        column_config=FIGURE_COLUMNS,
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        downloads.button(
            "figures.csv",
            export.to_csv(figures),
            "figures.csv",
            "text/csv",
            icon=":material/download:",
            key="csv.figures",
        )
        st.page_link(
            path_of("runs"), label="Export these runs", icon=":material/folder_zip:", query_params={"take": "export", "of": shown},
            help="Download their tables in any format, or the complete runs.",
        )  # fmt: skip


def difference_table() -> None:
    st.subheader("Differing settings")
    table = differing()
    if table.empty:
        st.caption("Only the name differs.")
        return
    st.dataframe(table, hide_index=True, placeholder="–")
    if len(shown) < 3:
        return
    setting = choose("Group by", ["–", *table["setting"]], "group")
    if setting == "–":
        return
    groups: dict[str, list[str]] = {}
    for run_id in shown:
        groups.setdefault(f"{setting} = {_text(settings_of(run_id).get(setting))}", []).append(run_id)
    found = run_comparison.grouped(console.store, groups)
    note = "Mean over the runs of each group; the band spans its worst to its best run"
    chart_box.show(plots.group_lines(found), "groups", f"Runs grouped by {setting}", found, note=note, can_pin=False)


def logo_by_logo() -> None:
    if len(shown) < 2:
        st.caption("Choose a second run above.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        start = base if base in shown else shown[0]
        first = choose("From", shown, "from", default=start, show=lambda i: names[i])
        second = choose("To", shown, "to", default=next(i for i in shown if i != start), show=lambda i: names[i])
    if first == second:
        st.caption("Choose two different runs.")
        return
    both = run_comparison.by_logo(console.store, first, second)
    found = run_comparison.compare_pair(both)
    if found is None:
        st.info("These two runs have no validation logos in common.")
        return
    with st.grid(4, min_column_width=235):
        st.metric(
            "Mean difference",
            f"{found.difference:+.3f}",
            help=f"95% interval {found.low:+.3f} to {found.high:+.3f}, by bootstrap over the logos.",
            border=True,
        )
        st.metric("95% interval", f"{found.low:+.3f} … {found.high:+.3f}", border=True)
        st.metric(
            "Wins · ties · losses", f"{found.wins} · {found.ties} · {found.losses}", help="A difference below 0.005 is a tie.", border=True
        )
        p_text = "–" if found.p_value is None else f"{found.p_value:.3f}" if found.p_value >= 0.001 else "< 0.001"
        st.metric(
            "p",
            p_text,
            help="Two-sided Wilcoxon signed-rank test over the logos: the probability of a difference this large by chance.",
            border=True,
        )
    st.caption(f"{found.verdict(f'**{plain(names[second])}**')}, on {found.n_logos} logos, each run at its best evaluation.")
    if (both["difference"] < 0).any():
        st.markdown(f"**Where {plain(names[second])} lost most**")
        for _, row in both[both["difference"] < 0].head(N_WORST).iterrows():
            worst(row, first, second)
    st.dataframe(
        both[["logo", "category", "gain_a", "gain_b", "difference", "result", "ssim_a", "ssim_b", "bytes_a", "bytes_b"]],
        hide_index=True,
        placeholder="–",
        height=320,
        column_config={name: st.column_config.NumberColumn(format="%+.3f") for name in ("gain_a", "gain_b", "difference")}
        | {name: st.column_config.NumberColumn(format="%.4f") for name in ("ssim_a", "ssim_b")},
    )
    downloads.button(
        "logos.csv", export.to_csv(both.drop(columns=["svg_a", "svg_b"])), f"{first}-against-{second}.csv", "text/csv",
        icon=":material/download:", key="csv.logos",
    )  # fmt: skip


def worst(row: Any, first: str, second: str) -> None:
    """One logo: the picture, and what either run made of it."""
    picture = runs[second].own(runs[second].picture_file(str(row["digest"])))
    original = picture.read_bytes() if picture is not None and picture.is_file() else None
    sides = [
        ("picture", png_url(original) if original else None),
        (f"{plain(names[first])}: {row['gain_a']:+.3f}", _svg(kept_svg(runs[first], str(row["svg_a"])))),
        (f"{plain(names[second])}: {row['gain_b']:+.3f}", _svg(kept_svg(runs[second], str(row["svg_b"])))),
    ]
    with st.container(border=True):
        st.markdown(f"**{plain(str(row['logo']))}** · {plain(str(row['category']))} · {row['difference']:+.3f}")
        for cell, (label, url) in zip(st.columns(3), sides, strict=True):
            with cell:
                if url is None:
                    st.caption(f"{label}: no file was saved")
                else:
                    st.image(url, caption=label, width="stretch", alt=label)


def _svg(data: bytes) -> str | None:
    return svg_url(data) if data else None


draw_curves()
TABS = ["Figures and settings", "Logo by logo", "Over time", "Seeds", "Efficiency", "Importance"]
tab_all, tab_pair, tab_time, tab_seeds, tab_cost, tab_importance = st.tabs(TABS, key="tab", bind="query-params")
if tab_all.open:
    with tab_all:
        figure_table()
        difference_table()
if tab_pair.open:
    with tab_pair:
        logo_by_logo()
if tab_time.open:
    with tab_time:
        together.panel(console, [runs[run_id] for run_id in drawn], names)
if tab_seeds.open:
    with tab_seeds:
        many_runs.seeds_section(console, groups, names)
if tab_cost.open:
    with tab_cost:
        many_runs.efficiency_section(console, groups, names)
if tab_importance.open:
    with tab_importance:
        many_runs.importance_section(console, list(runs.values()))
st.caption(
    f"From the event logs in `{Path(console.home).name}`. Same as `{program()} runs compare`, `groups`, `efficiency` and `importance`."
)
gone.watch(console, shown)
