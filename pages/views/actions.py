"""Actions of buttons: start, stop, pause, resume, fork, queue, rename, delete; each reports its result in a toast, never as a traceback."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from core.config.config import RunConfig
from core.config.text import load_config, presets
from core.errors import ConfigError, RunError
from core.runs import baseline_run, trash
from core.runs.records import MAX_NAME, peek_config, read_label, write_command, write_label
from core.runs.requirements import check_preflight
from core.runs.run_dir import RunDir
from core.runs.status import check_steerable, run_state
from core.scheduling import local, queue
from pages.server.service import Console
from pages.views import downloads
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.reports import kinds
from pages.views.reports.document import to_html
from pages.views.shell import path_of, say
from pages.views.tables import display_name
from pages.views.text import plain
from storage import export, queries
from storage.store import Store


@acts("run.start", is_drawn=True)
def start(console: Console, config: RunConfig) -> None:
    """Put a run into the queue, which starts it at once where it fits, and go to its live page."""
    try:
        check_preflight(config, console.home)
        run = queue.submit(console.home, config)
    except (OSError, RunError) as error:
        st.error(plain(f"The run could not be started: {error}"))
        return
    console.scheduler.wake()
    st.switch_page(path_of("live"), query_params={"run": run.run_id})


def start_preset(console: Console, name: str) -> None:
    try:
        config = load_config(presets()[name])
    except (ConfigError, KeyError) as error:
        st.error(plain(f"The preset {name} can't be used: {error}"))
        return
    start(console, config)


@acts("run.fork", is_drawn=True)
def fork(console: Console, parent: RunDir, checkpoint: str, config: RunConfig) -> None:
    """Put a fork into the queue and go to its live page."""
    try:
        run = queue.fork(console.home, parent, checkpoint, config)
    except (OSError, RunError) as error:
        st.error(plain(f"The fork could not be made: {error}"))
        return
    console.scheduler.wake()
    st.switch_page(path_of("live"), query_params={"run": run.run_id})


def fork_with(console: Console, parent: RunDir, changes: dict[str, Any]) -> None:
    """Fork a run from its best checkpoint with a remedy's settings."""
    try:
        names = parent.checkpoint_names()
        checkpoint = "best" if "best" in names else names[0] if names else ""
        if not checkpoint:
            raise RunError(f"{parent.run_id} has no checkpoint yet")
        config = queue.fork_config(parent, checkpoint, [f"{key}={value}" for key, value in changes.items()])
    except (OSError, RunError, ConfigError) as error:
        st.error(plain(f"The fork could not be made: {error}"))
        return
    fork(console, parent, checkpoint, config)


def is_over(run: RunDir) -> bool:
    return run_state(run).status.is_finished


def has_stages(run: RunDir) -> bool:
    """Whether a run goes through a curriculum."""
    try:
        return peek_config(run).curriculum.enabled
    except ConfigError:
        return False


def invite(console: Console, text: str) -> None:
    """Explain why a page is empty and offer the button that fills it. Ends the page."""
    st.info(text)
    with st.container(horizontal=True):
        if button("Start the quick run", does="run.start", type="primary", icon=":material/play_arrow:"):
            start_preset(console, "quick")
        st.page_link(path_of("runs"), label="All runs")
    st.stop()


@acts("run.stop")
def stop(run: RunDir, force: bool = False) -> None:
    _tell(lambda: local.stop(run, force), "Killed" if force else "Stopping; nothing is lost, and it resumes exactly there")


@acts("run.pause")
def pause(run: RunDir) -> None:
    _tell(lambda: local.pause(run), "Pausing after the current step")


@acts("run.continue")
def proceed(run: RunDir) -> None:
    _tell(lambda: local.proceed(run), "Continuing")


@acts("run.resume")
def resume(console: Console, run: RunDir, checkpoint: str = "") -> None:
    """Into the queue, which starts it at once where it fits."""
    _tell(lambda: queue.resume(run, checkpoint), f"Resumes from {checkpoint or 'the last checkpoint'} as soon as capacity allows")
    console.scheduler.wake()


@acts("queue.cancel")
def cancel(run: RunDir) -> None:
    _tell(lambda: queue.cancel(run), "Removed from the queue")


@acts("queue.move")
def move(console: Console, run: RunDir, place: queue.Place) -> None:
    _tell(lambda: queue.move(run, place), "Next in the queue" if place == "first" else "Moved")
    console.scheduler.wake()


@acts("run.steer")
def steer(run: RunDir, command: str) -> None:
    """Give a running curriculum a command."""

    def act() -> None:
        check_steerable(run)
        write_command(run, command)

    _tell(act, "Takes effect at the run's next update")


@acts("run.rename")
def rename(run: RunDir, key: str) -> None:
    name = str(st.session_state.get(key, "")).strip()[:MAX_NAME]
    _tell(lambda: write_label(run, name, read_label(run).get("note", "")), f"Renamed to {name}" if name else "Name removed")


@acts("run.tag")
def tag(run: RunDir, key: str) -> None:
    """Give a run the tags of a field, in which they are separated by commas."""
    wanted = str(st.session_state.get(key, "")).split(",")
    _tell(lambda: baseline_run.write_tags(run, [text.lstrip("#") for text in map(str.strip, wanted)]), "Tags saved")


@acts("run.note")
def note(run: RunDir, key: str) -> None:
    text = str(st.session_state.get(key, ""))
    _tell(lambda: baseline_run.write_note(run, text), "Note saved")


@acts("run.baseline")
def set_baseline(console: Console, run: RunDir | None) -> None:
    """Have every run held against this one; None for against none."""
    done = f"Runs are now held against {display_name(run)}" if run else "There is no baseline run any more"
    _tell(lambda: baseline_run.choose(console.home, run.run_id if run else None), done)


def delete(runs: Sequence[RunDir]) -> None:
    """Out of everything; every open list of runs offers to put them back."""
    _each(_delete, runs, "Deleted")


def archive(runs: Sequence[RunDir], is_archived: bool = True) -> None:
    done = _each(_archive if is_archived else _unarchive, runs, "Archived" if is_archived else "Unarchived")
    st.session_state["archived_last"] = [run.run_id for run in done] if is_archived else []


def restore(console: Console, run_ids: str | Sequence[str]) -> None:
    ids = [run_ids] if isinstance(run_ids, str) else run_ids
    _each(_restore, [RunDir(console.home / run_id) for run_id in ids], "Restored")


Done = list[RunDir]


@acts("run.delete")
def _delete(run: RunDir, done: Done) -> None:
    _do(lambda: trash.discard(run), run, done)


@acts("run.archive")
def _archive(run: RunDir, done: Done) -> None:
    _do(lambda: trash.archive(run), run, done)


@acts("run.archive")
def _unarchive(run: RunDir, done: Done) -> None:
    _do(lambda: trash.archive(run, False), run, done)


@acts("run.restore")
def _restore(run: RunDir, done: Done) -> None:
    _do(lambda: trash.restore(run.path.parent, run.run_id), run, done)


def _do(act: Callable[[], object], run: RunDir, done: Done) -> None:
    """``done``: takes the run where it goes well; else it is said why it does not."""
    try:
        act()
    except (RunError, OSError) as error:
        say(str(error), ":material/warning:")
    else:
        done.append(run)


def _each(act: Callable[[RunDir, Done], None], runs: Sequence[RunDir], said: str) -> Done:
    """Do something with each of several runs, each of them an action of its own; returns those for which it went well."""
    names = {run.run_id: display_name(run) for run in runs}  # before they are gone
    done: Done = []
    for run in runs:
        act(run, done)
    if done:
        say(f"{said} {names[done[0].run_id] if len(done) == 1 else f'{len(done)} runs'}")
    return done


@acts("trash.empty")
def empty_trash(console: Console) -> None:
    _tell(lambda: trash.empty(console.home), "Deleted for good")


def _tell(act: object, done: str) -> None:
    try:
        act()  # type: ignore[operator]
    except (RunError, ConfigError, OSError) as error:
        say(str(error), ":material/warning:")
    else:
        say(done)


def export_buttons(store: Store, run: RunDir, key: str) -> None:
    """A run's report and the CSV of its tables; each is made only when its button is pressed."""
    run_id = run.run_id
    downloads.button(
        "report.html",
        data=lambda: to_html(kinds.build("run", kinds.Request(store, [run]))),
        file_name=f"{run_id}-report.html",
        mime="text/html",
        key=f"{key}.report",
        width="stretch",
        icon=":material/summarize:",
        help="Figures, curves, stages, findings, logos and settings in one self-contained page.",
    )
    counts = queries.counts(store, run_id)
    labels = {
        "episodes": counts["episodes"],
        "metrics": counts["metrics"],
        "evaluations": counts["evaluated"],
        "summary": counts["evaluations"],
    }
    for table, n in labels.items():
        downloads.button(
            f"{table}.csv",
            data=lambda table=table: export.table_csv(store, run, table),
            file_name=f"{run_id}-{table}.csv",
            mime="text/csv",
            disabled=n == 0,
            key=f"{key}.csv.{table}",
            width="stretch",
            icon=":material/download:",
        )
    st.page_link(
        path_of("runs"), label="JSON, Parquet, whole run", icon=":material/folder_zip:", query_params={"take": "export", "of": run_id},
        help="All tables in any format with a data dictionary, or the run as an archive for another installation.",
    )  # fmt: skip
