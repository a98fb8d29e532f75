"""The curriculum of a run: stages, gates and forgetting; replays of other rules on the same episodes; saved curricula."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from core.config.config import CurriculumConfig, RunConfig
from core.config.text import problems
from core.curriculum import library
from core.curriculum.replay import replay
from core.errors import ConfigError
from core.runs import shelf
from core.runs.event_types import StageEvaluation
from core.runs.records import peek_config
from pages.views import actions, chart_box, downloads, forms, gone, tables
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.charts import curves, plots
from pages.views.charts.curves import View
from pages.views.event_text import decision_text
from pages.views.links import choose, wanted, write_address
from pages.views.live import charts
from pages.views.live.run_view import RunView
from pages.views.run_choice import choose_run
from pages.views.shell import begin, path_of, say
from pages.views.text import plain
from storage import export, queries

console = begin("Curriculum")
runs = tables.newest_first(console.home)
names = tables.all_names(console.home)


def report(run_id: str) -> None:
    """What happened, stage by stage."""
    try:
        rules = peek_config(runs[run_id]).curriculum
    except ConfigError as error:
        st.error(plain(str(error)))
        return
    found = export.curriculum_report(console.store, run_id, rules)
    if not found["stages"]:
        st.info("This run has not started its first stage.")
        return
    is_over = actions.is_over(runs[run_id])
    stage_figures(found, rules, is_over)
    stage_table(run_id, found["stages"], is_over)
    stage_charts(run_id)


def stage_figures(found: dict[str, Any], config: CurriculumConfig, is_over: bool) -> None:
    stages = found["stages"]
    n_passed = sum(row["reason"] in ("passed", "skipped") for row in stages)
    worst = min((found["change_since_stage_end"] or {}).values(), default=None)
    with st.grid(4, min_column_width=235):  # a stage's name is long
        st.metric(
            "Stages passed", f"{n_passed} of {len(config.stages)}", help="Passed, or skipped because the agent already met their targets."
        )
        st.metric("Last stage" if is_over else "Current stage", stages[-1]["stage"])
        st.metric("Episodes", f"{sum(row['episodes'] for row in stages):,}")
        st.metric(
            "Most forgotten",
            "–" if worst is None else "0%" if worst >= 0 else f"{worst:+.0%}",
            help="Largest drop in the share of logos that meet a stage's targets since that stage ended.",
        )


def stage_table(run_id: str, stages: list[dict[str, Any]], is_over: bool) -> None:
    """One row per stage, and the same as a CSV."""
    open_stage = "run ended here" if is_over else "in progress"
    table = pd.DataFrame(stages)
    outcomes = [
        decision_text(row["reason"], row["why"], row["reached"], row["episodes"]) if row["reason"] else open_stage for row in stages
    ]
    table.insert(5, "outcome", outcomes)
    table = table.drop(columns=["reason", "why"]).rename(columns={"share_now": "logos meeting it now", "change_since_end": "since its end"})
    percents = ["gate", "reached", "logos meeting it now", "since its end"]
    columns: dict[str, Any] = {name: st.column_config.NumberColumn(name, format="%.0f %%") for name in percents[:3]} | {
        "minutes": st.column_config.NumberColumn("minutes", format="%.1f"),
        "episodes": st.column_config.NumberColumn("episodes", format="localized"),
        "since its end": st.column_config.NumberColumn(
            "since its end", format="%+.0f %%", help="Change of that share since the stage ended; below 0 means forgetting."
        ),
        "outcome": st.column_config.TextColumn("outcome", width="large"),
    }
    shown = table.assign(**{name: 100 * table[name].astype(float) for name in percents})
    st.dataframe(shown, hide_index=True, placeholder="–", column_config=columns)
    downloads.button(
        "Completion report",
        lambda: export.to_csv(table),
        f"{run_id}-curriculum.csv",
        "text/csv",
        icon=":material/download:",
        key="csv",
    )


def stage_charts(run_id: str) -> None:
    view = View(axis="episode", smoothing=0.6)
    run_view = RunView(console, runs[run_id], [run_id], list(runs), view, curves.run_colours([run_id], list(runs)), names, None)
    with st.grid(2, min_column_width=380, gap="medium") as cells:
        for chart in (charts.gain, charts.gate, charts.success):
            with cells.cell():
                chart(run_view)
        with cells.cell():
            kept = forgetting(run_id)
            if kept.empty:
                st.caption("Retention of earlier stages is measured at the end of each stage.")
            else:
                note = "The deterministic policy on the logos of each stage"
                chart_box.show(plots.kept_lines(kept), "forgetting", "Retention by stage", kept, note=note, can_pin=False)


def forgetting(run_id: str) -> pd.DataFrame:
    """stage, step, share (of logos that meet the stage's demands)."""
    found = [(e.step, e.data) for e in queries.events_of(console.store, run_id, [StageEvaluation]) if isinstance(e.data, StageEvaluation)]
    rows = [{"stage": name, "step": step, "share": share} for step, measured in found for name, share in measured.shares.items()]
    return pd.DataFrame(rows, columns=["stage", "step", "share"])


def editor(data: dict[str, Any], version: str) -> CurriculumConfig | None:
    """The rules and stages as a form; None while they are not valid."""
    holder = {"curriculum": data}
    errors: dict[str, str] = st.session_state.get(f"errors.{version}", {})
    forms.fields(["curriculum.window", "curriculum.min_episodes"], holder, version, errors, 2)
    data["stages"] = forms.stage_editor(data["stages"], version)
    with st.expander("More rules"):
        shown = ("curriculum.window", "curriculum.min_episodes")
        forms.fields([name for name in forms.section_names("curriculum") if name not in shown], holder, version, errors, 3)
    try:
        return RunConfig.model_validate({"curriculum": data | {"enabled": True}}).curriculum
    except ValidationError as error:
        for _, text in problems(error):
            st.error(text)
        return None


def rules() -> None:
    """Edit rules, see what they would have done, save them."""
    kept = library.names(console.home)
    sources = (
        {"plan": "the default four stages"}
        | {f"run:{i}": f"run {names[i]}" for i in with_stages}
        | {f"file:{n}": f"file {n}" for n in kept}
    )
    first = f"run:{run_id}" if run_id else "plan"
    start = choose("Start from", list(sources), "rules", first, lambda s: sources[s], width=360)
    kind, _, which = start.partition(":")
    try:
        base = (
            library.read(console.home, which)
            if kind == "file"
            else peek_config(runs[which]).curriculum
            if kind == "run"
            else CurriculumConfig()
        )
    except ConfigError as error:
        st.error(plain(str(error)))
        return
    edited = editor(base.model_dump(mode="json"), f"curriculum.{start}")
    if edited is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Save as", placeholder="name", key="keep_as", width=260)
        if button("Save", does="curriculum.save", icon=":material/save:", key=f"keep.{start}", disabled=not name):
            keep(name, edited)  # no callback: that would save what was drawn last
        if kind == "file":
            button("Delete the file", icon=":material/delete:", key=f"drop.{which}", on_click=drop, args=(which,))
            st.page_link(path_of("new_run"), label="Train with it", icon=":material/play_arrow:", query_params={"curriculum": which})
    what_if(edited)


@acts("curriculum.save", is_drawn=True)
def keep(name: str, edited: CurriculumConfig) -> None:
    try:
        path = library.write(console.home, name.strip(), edited)
    except (ConfigError, OSError) as error:
        st.error(plain(str(error)))
        return
    say(f"Saved as {path.name}; use it on New run or with train --curriculum")
    write_address(rules=f"file:{name.strip()}")
    st.rerun()


@acts("curriculum.delete")
def drop(name: str) -> None:
    library.delete(console.home, name)
    write_address(rules="")
    say(f"Deleted {name}")


def what_if(edited: CurriculumConfig) -> None:
    """The rules above over what a run did."""
    st.subheader("What these rules would have done")
    if not ids:
        st.caption("There is no run yet to replay them on.")
        return
    which = choose("Replay the episodes of", ids, "over", run_id or ids[0], lambda i: names[i], width=360)
    episodes = queries.episode_outcomes(console.store, which)
    turns = replay(edited, zip(episodes["ssim"], episodes["gain"], strict=True))
    rows = [
        {"episode": t.episode, "stage": t.stage, "decision": t.kind.replace("_", " "), "why": t.why, "ends the stage": t.ends_stage}
        for t in turns
    ]
    if not rows:
        st.caption(
            f"No stage would have ended within {len(episodes):,} episodes; the run would still be in {plain(edited.stages[0].name)}."
        )
        return
    ends = [row["episode"] for row in rows if row["ends the stage"]]
    reached = edited.stages[min(len(ends), len(edited.stages) - 1)].name
    st.markdown(
        f"**{len(ends)} stage{'s' * (len(ends) != 1)} ended** within {len(episodes):,} episodes; the run would now be in **{reached}**."
    )
    st.dataframe(rows, hide_index=True, column_config={"why": st.column_config.TextColumn(width="large")})
    st.caption("Replayed on the recorded episodes. Under different rules the agent would have seen other logos and learned differently.")


ids = list(runs)
with_stages = [
    run_id for run_id, one in shelf.look_all(console.home).items() if one.facts.has_curriculum and run_id in runs and run_id in names
]
run_id = ""
begun_with = wanted("run", with_stages)
gone.stop_if_deleted(console, begun_with)
if with_stages:
    if begun_with not in with_stages:
        st.warning(f"{plain(names.get(begun_with, begun_with))} has no stages, so the newest run with a curriculum is shown.")
    run_id = choose_run("Run", with_stages, "run", names, begun_with, width=420)
    tab_report, tab_rules = st.tabs(["What happened", "Rules and replay"], key="tab", bind="query-params")
    if tab_report.open:
        with tab_report:
            report(run_id)
    if tab_rules.open:
        with tab_rules:
            rules()
else:
    st.info("No run has used a curriculum yet. Build one here, save it and train with it, or start from a preset on New run.")
    rules()
gone.watch(console, [run_id] if run_id else [])
