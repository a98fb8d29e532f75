"""Hyperparameter search: studies whose trials are runs, their results, and use of the best trial."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.config.config import RunConfig
from core.errors import ConfigError, LogosError, RunError, StudyError
from core.logos.dataset import load_logos
from core.paths import program
from core.runs.requirements import check_preflight, estimated_minutes, has_open_end
from core.studies import analysis, study, winners
from core.studies.samplers import trial_config
from core.studies.storage import TrialRow, read_trials
from core.studies.study import StudyConfig, StudyDir, StudyStatus, all_studies, study_yaml, validate_study
from pages.views import downloads, study_charts, study_form
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.chart_box import redraw_if_asked
from pages.views.links import choose, drop_parameters, write_address
from pages.views.shell import begin, path_of, redraw_when, say, show_toasts
from pages.views.study_view import SHORT, StudyView
from pages.views.text import bytes_text, duration_text, gain_text, plain
from storage import queries

COLOURS = {
    StudyStatus.NEW: "gray",
    StudyStatus.RUNNING: "blue",
    StudyStatus.COMPLETED: "green",
    StudyStatus.STOPPED: "orange",
    StudyStatus.FAILED: "red",
    StudyStatus.INTERRUPTED: "orange",
}
N_CHOICES = 40
PICKED = "front.picked"  # in the session: (study, trial) that is picked in its trade-off
console = begin("Search")
known = {found.study_id: found for found in all_studies(console.home)}


@acts("study.start", is_drawn=True)
def start(config: StudyConfig, base: RunConfig) -> None:
    """Make a study and have a process of its own work on it."""
    try:
        load_logos(base.logos.path, 32, n_per_category=base.logos.n_per_category)
        check_preflight(base, console.home)
        made = study.create(console.home, config, base)
        winners.work_in_background(made)
    except (LogosError, RunError, StudyError, OSError) as error:
        st.error(plain(f"The study could not be started: {error}"))
        return
    write_address(study=made.study_id, trial="")
    drop_parameters("tab")
    st.session_state["fold_form"] = True  # what was started stands below it
    st.rerun()


def new_study() -> None:
    """The form, and what it comes to."""
    if st.session_state.pop("fold_form", False):
        st.session_state["new"] = False
    box = st.expander("New study", icon=":material/add:", expanded=not known, key="new", on_change="rerun")
    if not box.open:
        return
    with box:
        wanted = study_form.draw(console.home)
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            if wanted is not None:
                config, base = wanted
                trial = trial_config(config, base)
                minutes, about = estimated_minutes(trial, queries.usual_rate(console.store)), "up to" if has_open_end(trial) else "about"
                n = f"{config.n_trials} trials" if config.n_trials else "as many trials as fit"
                most = f"; all of them {about} **{duration_text(minutes * config.n_trials)}**, less with pruning" if config.n_trials else ""
                with st.container(width="stretch", gap="xxsmall"):
                    st.markdown(f"**{n}** over {len(config.space)} settings. One takes {about} **{duration_text(minutes)}**{most}.")
                    st.caption("Each trial is a run: it is queued, can be watched live, and remains available for comparison.")
            if (
                button("Start", does="study.start", type="primary", icon=":material/play_arrow:", disabled=wanted is None, key="start")
                and wanted
            ):
                start(*wanted)
            if wanted is not None:
                text = f"config: {st.session_state.get('study.config', 'recommended')}\n{study_yaml(wanted[0])}"
                downloads.button(
                    "study.yaml", text, "study.yaml", "application/yaml", icon=":material/download:", key="study.download",
                    help=f"For `{program()} search --config study.yaml`.",
                )  # fmt: skip


def act(what: object, done: str) -> None:
    """Perform a button's action and report the result in a toast."""
    try:
        what()  # type: ignore[operator]
    except (ConfigError, StudyError, RunError, OSError) as error:
        say(str(error), ":material/warning:")
    else:
        say(done)
    st.session_state["redraw"] = True  # of the whole page, also from within its fragment


@acts("study.stop")
def stop(found: StudyDir) -> None:
    act(found.want_stop, "Stopping; live trials keep their checkpoints")


@acts("study.train")
def train(found: StudyDir, trial: TrialRow) -> None:
    act(lambda: winners.train_in_full(console.home, found, trial), f"Trial {trial.number} is queued with the full budget")
    console.scheduler.wake()


@acts("preset.save")
def keep(found: StudyDir, trial: TrialRow) -> None:
    name = str(st.session_state.get("preset.name", "")).strip()
    act(lambda: winners.keep_as_preset(console.home, found, trial, name), f"Saved as preset {name}; find it on New run")


@acts("study.continue")
def go_on(found: StudyDir, config: StudyConfig) -> None:
    """Continue, with as many trials in all as the field says."""

    def more() -> None:
        wanted = st.session_state.get("more.trials")
        if wanted and wanted != config.n_trials:
            found.write_config(validate_study(config.model_dump() | {"n_trials": int(wanted)}, found.base()))
        winners.work_in_background(found)

    act(more, "Continuing")


@acts("study.delete")
def delete(found: StudyDir) -> None:
    act(lambda: study.delete(found), "Study deleted; the runs of its trials stay")
    drop_parameters("tab")
    write_address(study="", trial="")  # last: Streamlit may end a callback there


def figures(found: StudyDir, config: StudyConfig, trials: list[TrialRow]) -> None:
    """How it stands, in five numbers."""
    counts = analysis.counts(trials)
    best = analysis.best(trials, config)
    n_done = sum(trial.is_finished for trial in trials)
    with st.grid(5, min_column_width=150):
        st.metric("Trials", f"{n_done} of {config.n_trials}" if config.n_trials else str(n_done), border=True)
        st.metric(
            "Pruned",
            str(counts.get("PRUNED", 0)),
            border=True,
            help=f"Ended early because they fell behind. Failed: {counts.get('FAIL', 0)}.",
        )
        value = "–" if best is None else _figure(config.objectives[0], best.values[0])
        st.metric(f"Best {SHORT[config.objectives[0]]}", value, border=True, help=None if best is None else f"Trial {best.number}.")
        worse = None if best is None else best.attrs.get("share_worse")
        st.metric(
            "Looks worse",
            "–" if worse is None else f"{worse:.0%}",
            border=True,
            help="Share of the best trial's results that look worse than those of the defaults.",
        )
        st.metric("Time", duration_text(found.spent_s() / 60), border=True)
    if config.n_trials:
        st.progress(min(n_done / config.n_trials, 1.0))


def _figure(name: str, value: float) -> str:
    return {"gain": gain_text, "minutes": duration_text, "bytes": bytes_text}[name](value)


def controls(found: StudyDir, config: StudyConfig, status: StudyStatus) -> None:
    """Stop, or go on; delete."""
    if status is StudyStatus.RUNNING:
        button(
            "Stop", key="stop", icon=":material/stop:", on_click=stop, args=(found,),
            disabled=found.is_stop_wanted(), help="Live trials keep every step so far and resume there when the study continues.",
        )  # fmt: skip
        return
    with st.popover("Continue", icon=":material/play_arrow:"):
        st.number_input("Total trials", value=config.n_trials, step=1, min_value=1, key="more.trials")
        button("Continue", key="continue", type="primary", on_click=go_on, args=(found, config))
    with st.popover("Delete", icon=":material/delete:"):
        st.caption("The study is deleted for good; the runs of its trials stay.")
        button("Delete the study", key=f"delete.{found.study_id}", on_click=delete, args=(found,))


def of_the_best(found: StudyDir, config: StudyConfig, trials: list[TrialRow]) -> None:
    """Actions on the best trial, or on another."""
    candidates = {str(trial.number): trial for trial in analysis.ranked(trials, config, N_CHOICES)}
    if not candidates:
        st.caption("Once a trial meets the constraints, you can train it in full and save it as a preset.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = choose("Trial", list(candidates), "trial", show=lambda n: label(config, candidates[n]), width=300)
        trial = candidates[number]
        button(
            "Train with the full budget", key="train", type="primary", icon=":material/fitness_center:", on_click=train, args=(found, trial),
            help=f"Queues a run with its settings and {found.base().total_timesteps:,} steps.",
        )  # fmt: skip
        with st.popover("Save as preset", icon=":material/bookmark_add:"):
            st.text_input("Preset name", f"tuned-{trial.number}", key="preset.name", max_chars=40)
            button("Save", key="preset.keep", on_click=keep, args=(found, trial))
        run = found.run_of(trial.number)
        if run.exists():
            st.page_link(path_of("live"), label="Run", icon=":material/monitoring:", query_params={"run": run.run_id})
        others = [run.run_id for n in list(candidates)[:4] if (run := found.run_of(int(n))).exists()]
        if len(others) > 1:
            st.page_link(
                path_of("compare"), label="Compare best trials", icon=":material/compare_arrows:", query_params=[("run", i) for i in others]
            )
    st.caption(" · ".join(f"{plain(name)} **{plain(analysis.shown(value))}**" for name, value in trial.params.items()))


def label(config: StudyConfig, trial: TrialRow) -> str:
    told = ", ".join(_figure(name, value) for name, value in zip(config.objectives, trial.values, strict=True))
    return f"{trial.number}: {told}"


def about(found: StudyDir, config: StudyConfig) -> None:
    st.dataframe(analysis.legend(config.space), hide_index=True)
    st.caption("Same as on the command line, and with Optuna's dashboard")
    st.code(
        f"{program()} search show {found.study_id}\n{program()} search continue {found.study_id}\n"
        f"optuna-dashboard {found.journal.relative_to(found.home.parent) if found.journal.is_relative_to(found.home.parent) else found.journal.name}",
        language=None, wrap_lines=True,
    )  # fmt: skip
    with st.expander("Show the YAML"):
        st.code(study_yaml(config), language="yaml", height=360)


def tabs(found: StudyDir, config: StudyConfig, trials: list[TrialRow]) -> None:
    names = ["Progress", "Settings", *(["Trade-off"] if len(config.objectives) > 1 else []), "Trials", "About"]
    boxes = dict(zip(names, st.tabs(names, key="tab", bind="query-params"), strict=True))
    if boxes["About"].open:
        with boxes["About"]:
            about(found, config)
    if not trials:
        for name in names[:-1]:
            if boxes[name].open:
                boxes[name].caption("Waiting for the first trial.")
        return
    if boxes["Progress"].open:
        with boxes["Progress"]:
            study_charts.progress(StudyView(found, config, trials, study_charts.objective(config)))
    if boxes["Settings"].open:
        with boxes["Settings"]:
            study_charts.settings(StudyView(found, config, trials, study_charts.objective(config)))
    if "Trade-off" in boxes and boxes["Trade-off"].open:
        with boxes["Trade-off"]:
            picked = study_charts.trade_off(StudyView(found, config, trials))
            was_picked, st.session_state[PICKED] = st.session_state.get(PICKED), (found.study_id, picked)
            if picked is not None and was_picked != (found.study_id, picked):  # the chart keeps it; the field above may say another since
                write_address(trial=str(picked))
                st.rerun()
    if boxes["Trials"].open:
        with boxes["Trials"]:
            addresses = {run: f"live?run={run}" for trial in trials if (run := str(trial.attrs.get("run") or ""))}
            study_charts.trials(StudyView(found, config, trials), addresses)


def draw(found: StudyDir, config: StudyConfig) -> None:
    """A study as it stands now."""
    redraw_if_asked()
    show_toasts()
    status, reason = found.status()
    try:
        trials = read_trials(found)
    except StudyError as error:
        st.error(plain(str(error)))
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(status.value.capitalize(), color=COLOURS[status])  # type: ignore[arg-type]
        st.caption(plain(reason[:1].upper() + reason[1:]) or "Trials run from the queue as capacity allows.", width="stretch")
        st.page_link(
            path_of("reports"), label="Report", icon=":material/summarize:", query_params={"study": found.study_id}, width="content"
        )
        controls(found, config, status)
    figures(found, config, trials)
    of_the_best(found, config, trials)
    tabs(found, config, trials)


def show(found: StudyDir) -> None:
    try:
        config = found.config()
    except ConfigError as error:
        st.error(f"{found.study_id} can't be shown: {plain(str(error).splitlines()[0])}. Fix the file by hand, or delete the study.")
        return
    is_running = found.status()[0] is StudyStatus.RUNNING
    st.fragment(draw, run_every="3s" if is_running else None)(found, config)
    redraw_when(lambda: (found.status()[0] is StudyStatus.RUNNING) != is_running)


new_study()
if not known:
    st.info(
        "A study tries settings in many short runs to find which work best and which matter. Choose what to search above, then press Start."
    )
else:
    names = {study_id: f"{found.name()} · {study_id[:13]}" for study_id, found in known.items()}
    show(known[choose("Study", list(known), "study", show=lambda i: names[i])])
st.caption(f"From the journals in `{Path(console.home).name}/{study.FOLDER}`. Same as `{program()} search`.")
