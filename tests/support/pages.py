"""Pages without a browser: what they show, and the console behind them."""

from __future__ import annotations

import time

from streamlit.testing.v1 import AppTest

from core.runs.run_dir import RunDir
from pages.server import service
from pages.views.shell import SECTIONS

PAGES = {name: title for section in SECTIONS.values() for name, title in section.items()}


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
