"""Actions of buttons: start, stop, pause, resume, fork, queue, rename, delete; each reports its result in a toast, never as a traceback."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config.config import RunConfig
from core.config.text import load_config, presets
from core.errors import ConfigError, RunError
from core.runs import trash
from core.runs.records import peek_config, read_label, write_command, write_label
from core.runs.requirements import check_preflight
from core.runs.run_dir import RunDir
from core.runs.status import check_steerable, run_state
from core.scheduling import local, queue
from pages.server.service import Console
from pages.views.access import acts
from pages.views.reports import kinds
from pages.views.reports.document import to_html
from pages.views.shell import path_of, say
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
        if st.button("Start the quick run", type="primary", icon=":material/play_arrow:"):
            start_preset(console, "quick")
        st.page_link(path_of("runs"), label="All runs")
    st.stop()


@acts("run.stop")
def stop(run: RunDir, force: bool = False) -> None:
    _tell(lambda: local.stop(run, force), "Killed" if force else "Stopping; the last checkpoint is kept")


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
    name = str(st.session_state.get(key, "")).strip()[:80]
    _tell(lambda: write_label(run, name, read_label(run).get("note", "")), f"Renamed to {name}" if name else "Name removed")


@acts("run.delete")
def delete(run: RunDir) -> None:
    """Out of everything; the Runs page offers to put it back."""
    st.session_state["undo"] = ("delete", run.run_id)
    _tell(lambda: trash.discard(run), f"Deleted {run.run_id}")


@acts("run.archive")
def archive(run: RunDir, is_archived: bool = True) -> None:
    st.session_state["undo"] = ("archive", run.run_id) if is_archived else None
    _tell(lambda: trash.archive(run, is_archived), f"{run.run_id} {'archived' if is_archived else 'unarchived'}")


@acts("run.restore")
def restore(console: Console, run_id: str) -> None:
    st.session_state["undo"] = None
    _tell(lambda: trash.restore(console.home, run_id), f"{run_id} restored")


@acts("trash.empty")
def empty_trash(console: Console) -> None:
    st.session_state["undo"] = None
    _tell(lambda: trash.empty(console.home), "Deleted for good")


def _tell(act: object, done: str) -> None:
    try:
        act()  # type: ignore[operator]
    except (RunError, OSError) as error:
        say(str(error), ":material/warning:")
    else:
        say(done)


def export_buttons(store: Store, run: RunDir, key: str) -> None:
    """A run's report and the CSV of its tables; each is made only when its button is pressed."""
    run_id = run.run_id
    st.download_button(
        "report.html",
        data=lambda: to_html(kinds.build("run", kinds.Request(store, [run]))),
        file_name=f"{run_id}-report.html",
        mime="text/html",
        on_click="ignore",
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
        st.download_button(
            f"{table}.csv",
            data=lambda table=table: export.table_csv(store, run, table),  # type: ignore[misc]
            file_name=f"{run_id}-{table}.csv",
            mime="text/csv",
            disabled=n == 0,
            on_click="ignore",
            key=f"{key}.csv.{table}",
            width="stretch",
            icon=":material/download:",
        )
    st.page_link(
        path_of("runs"), label="JSON, Parquet, whole run", icon=":material/folder_zip:", query_params={"take": "export", "of": run_id},
        help="All tables in any format with a data dictionary, or the run as an archive for another installation.",
    )  # fmt: skip
