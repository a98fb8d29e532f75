"""What buttons do: start, stop, resume, rename, delete; each tells its result in a toast, never in a traceback."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from core.runs.config import ConfigError, RunConfig
from core.runs.config_text import load_config
from core.runs.launchers import local
from core.runs.run_dir import RunDir, RunError
from core.runs.status import check_steerable
from pages.views.shell import path_of
from storage import export, queries
from storage.store import Store

PRESETS = Path(__file__).resolve().parents[2] / "configs"


def presets() -> dict[str, Path]:
    """{name: file} of the YAML presets, the quick one first."""
    found = {path.stem: path for path in sorted(PRESETS.glob("*.yaml"))}
    return {name: found[name] for name in sorted(found, key=lambda n: (n != "quick", n != "recommended", n))}


def start(home: Path, config: RunConfig) -> None:
    """Start a run and go to its live page."""
    try:
        run = local.start(home, config)
    except (OSError, RunError) as error:
        st.error(f"The run could not be started: {error}")
        return
    st.switch_page(path_of("live"), query_params={"run": run.run_id})


def start_preset(home: Path, name: str) -> None:
    try:
        config = load_config(presets()[name])
    except (ConfigError, KeyError) as error:
        st.error(f"The preset {name} can't be used: {error}")
        return
    start(home, config)


def invite(home: Path, text: str) -> None:
    """What an empty page says: why it is empty, and the one button that fills it. Ends the page."""
    st.info(text)
    with st.container(horizontal=True):
        if st.button("Start the quick run", type="primary", icon=":material/play_arrow:"):
            start_preset(home, "quick")
        st.page_link(path_of("runs"), label="All runs")
    st.stop()


def stop(run: RunDir, force: bool = False) -> None:
    _tell(lambda: local.stop(run, force), "Killed" if force else "Stopping; it keeps its last checkpoint")


def resume(run: RunDir) -> None:
    _tell(lambda: local.resume(run), "Resuming from the last checkpoint")


def steer(run: RunDir, command: str) -> None:
    """Give a running curriculum a command."""

    def act() -> None:
        check_steerable(run)
        run.write_command(command)

    _tell(act, "The run acts on it at its next update")


def rename(run: RunDir, key: str) -> None:
    name = str(st.session_state.get(key, "")).strip()[:80]
    _tell(lambda: run.write_label(name, run.read_label().get("note", "")), f"Renamed to {name}" if name else "Name removed")


def delete(run: RunDir) -> None:
    _tell(lambda: local.delete(run), f"Deleted {run.run_id}")


def _tell(act: object, done: str) -> None:
    try:
        act()  # type: ignore[operator]
    except (RunError, OSError) as error:
        st.toast(str(error), icon="⚠️")
    else:
        st.toast(done)


def export_buttons(store: Store, run_id: str, key: str) -> None:
    """CSV of a run's tables; a table is read only when its button is pressed."""
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
            data=lambda table=table: export.to_csv(export.TABLES[table](store, run_id)),  # type: ignore[misc]
            file_name=f"{run_id}-{table}.csv",
            mime="text/csv",
            disabled=n == 0,
            on_click="ignore",
            key=f"{key}.csv.{table}",
            width="stretch",
            icon=":material/download:",
        )
