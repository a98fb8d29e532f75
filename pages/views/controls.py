"""What can be done with a run in its state: the same buttons on every page, and the queue as a list."""

from __future__ import annotations

import streamlit as st

from core.runs.records import is_pause_wanted
from core.runs.run_dir import RunDir
from core.runs.status import Status
from core.scheduling import local, queue
from pages.server.service import Console
from pages.views import actions, tables
from pages.views.buttons import button, pressed
from pages.views.shell import path_of
from pages.views.text import plain

CHECKPOINTS = {"last": "the last", "best": "the best", "previous": "the second to last"}


def checkpoint_name(name: str) -> str:
    """ "step 8,192" for a periodic one."""
    return f"step {int(name.removeprefix('step-')):,}" if name.startswith("step-") else CHECKPOINTS.get(name, name)


STOP_HELP = "Nothing is lost: every step so far is saved, and Resume goes on exactly from here."


def kill_help(n_lost: int | None) -> str:
    """What a kill keeps and what it discards; ``n_lost``: steps since the last checkpoint, where known."""
    kept = "the last checkpoint is kept" + (f", and the {n_lost:,} steps since then are discarded" if n_lost else "")
    return f"The run was asked to stop. If it doesn't, kill it: {kept}."


def buttons(console: Console, row: tables.RunRow, key: str, is_large: bool = False, n_lost: int | None = None) -> None:
    """The next thing one would do with a run, large on its own page; ``n_lost``: steps since its last checkpoint, where known."""
    run, status = row.run, row.state.status
    if status.is_live:
        if status is Status.PAUSED:
            button("Continue", key=f"{key}continue", on_click=actions.proceed, args=(run,), icon=":material/play_arrow:", type="primary")
        elif is_large:
            pause(row, key)
        left = local.kill_in_s(run)
        if left is None:
            button("Stop", key=f"{key}stop", on_click=actions.stop, args=(run,), icon=":material/stop:", help=STOP_HELP)
        else:
            label = f"Kill in {left:.0f} s" if left > 0 else "Kill"
            button(
                label,
                key=f"{key}stop",
                on_click=actions.stop,
                args=(run, True),
                icon=":material/bolt:",
                disabled=left > 0,
                help=kill_help(n_lost),
            )
    elif status is Status.QUEUED:
        button(
            "Cancel", key=f"{key}cancel", on_click=actions.cancel, args=(run,), icon=":material/close:", help="Remove it from the queue."
        )
    elif status.can_resume:
        label = "Resume" if run.events_file.exists() else "Start"
        button(
            label, key=f"{key}resume", on_click=actions.resume, args=(console, run), icon=":material/play_arrow:",
            type="primary" if is_large else "secondary",
        )  # fmt: skip


def pause(row: tables.RunRow, key: str) -> None:
    """Only where it is not asked for already."""
    if row.state.status is Status.RUNNING and not is_pause_wanted(row.run):
        help_text = "Pauses after the current step; the run keeps its memory and cores."
        button("Pause", key=f"{key}pause", on_click=actions.pause, args=(row.run,), icon=":material/pause:", help=help_text)


def resume_choice(console: Console, row: tables.RunRow, key: str) -> None:
    """Go on from another checkpoint than the last, here or as a run of its own."""
    names = row.run.checkpoint_names()
    if not names:
        return
    name = st.selectbox("Checkpoint", names, format_func=checkpoint_name, key=f"{key}checkpoint")
    with st.container(horizontal=True):
        if row.state.status.can_resume:
            button(
                "Resume from here", key=f"{key}resume_from", on_click=actions.resume, args=(console, row.run, name), icon=":material/play_arrow:",
                help="Continues from this checkpoint; later steps are repeated.",
            )  # fmt: skip
        if pressed(
            "Fork", key=f"{key}fork", icon=":material/fork_right:", help="Starts a new run from this checkpoint, with other settings."
        ):
            st.switch_page(path_of("new_run"), query_params={"fork": row.run.run_id, "from": name})


def queue_list(console: Console, names: dict[str, str]) -> int:
    """What waits, why, and buttons that change the order; returns how many wait."""
    waiting = queue.waiting(console.home)
    for place, (run, _) in enumerate(waiting):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            name = names.get(run.run_id, run.run_id)
            st.page_link(path_of("live"), label=f"{place + 1}. **{plain(name)}**", query_params={"run": run.run_id}, width="content")
            st.caption(plain(_with_names(tables.state_of(run).reason, names)), width="stretch")
            with st.container(horizontal=True, gap="small", width="content"):
                _move(console, run, "first", ":material/vertical_align_top:", "Run next", place == 0)
                _move(console, run, "up", ":material/arrow_upward:", "Earlier", place == 0)
                _move(console, run, "down", ":material/arrow_downward:", "Later", place == len(waiting) - 1)
                button(
                    "",
                    key=f"queue.cancel.{run.run_id}",
                    on_click=actions.cancel,
                    args=(run,),
                    icon=":material/close:",
                    help="Remove it from the queue",
                )
    return len(waiting)


def _move(console: Console, run: RunDir, place: queue.Place, icon: str, help_text: str, is_there: bool) -> None:
    button(
        "",
        key=f"queue.{place}.{run.run_id}",
        on_click=actions.move,
        args=(console, run, place),
        icon=icon,
        help=help_text,
        disabled=is_there,
    )


def _with_names(text: str, names: dict[str, str]) -> str:
    for run_id, name in names.items():
        text = text.replace(run_id, name)
    return text
