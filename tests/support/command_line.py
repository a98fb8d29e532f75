"""``python -m core`` in a process of its own, and the names of its commands."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from tests.support.paths import ROOT


def core(*arguments: str, home, **more) -> subprocess.CompletedProcess:
    environment = os.environ | {"TRACEWRIGHT_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "core", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, **more
    )


def commands(command: Any, name: str) -> list[str]:
    """The full names of a command: its own, or of a group those of all below it."""
    if hasattr(command, "commands"):
        return [found for below, inner in command.commands.items() for found in commands(inner, f"{name} {below}")]
    return [name]
