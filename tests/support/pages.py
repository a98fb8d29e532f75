"""Pages without a browser: what they show, and the console behind them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamlit.testing.v1 import AppTest

from core.runs.records import read_log_tail
from core.runs.run_dir import RunDir
from core.runs.status import Status, run_state
from core.scheduling import local
from pages.server import registry, service
from storage import queries
from tests.support.runs import tiny_config

PAGES = {page.name: page.title for page in registry.PAGES}


def caught_up(console: service.Console, run: RunDir, timeout: float = 30.0) -> None:
    """Wait until the ingest has read all that is in the run's log."""
    deadline = time.monotonic() + timeout
    while console.store.offsets().get(run.run_id, -1) < run.events_file.stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def texts(page: AppTest) -> str:
    """All that a page says in words."""
    found = [
        e.value for kind in ("markdown", "caption", "info", "warning", "error", "success", "subheader", "title") for e in page.get(kind)
    ]
    return "\n".join(str(value) for value in found)


@contextmanager
def live_run(console: service.Console, logo_folder: Path) -> Iterator[RunDir]:
    """A run of which the console has metrics already; ended by force if the test did not end it."""
    run = local.start(console.home, tiny_config(logo_folder, total_timesteps=500_000))
    deadline = time.monotonic() + 60
    while not queries.counts(console.store, run.run_id)["metrics"]:
        assert time.monotonic() < deadline, read_log_tail(run)
        time.sleep(0.05)
    yield run
    if not run_state(run).status.is_finished:
        local.stop(run, force=True)
    while run_state(run).status is Status.RUNNING:
        time.sleep(0.05)
