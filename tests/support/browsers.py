"""A real browser: how it is started, and pictures of what it shows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def keep_picture(page: Any, name: str) -> None:
    """A picture of what a person sees at the end of a task, where a folder for them is named (``make pictures``)."""
    folder = os.environ.get("TRACEWRIGHT_PICTURES", "")
    if folder:
        page.wait_for_timeout(1500)  # charts fade in
        page.screenshot(path=str(Path(folder) / f"{name}.png"))
