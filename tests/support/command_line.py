"""``python -m core`` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.paths import ROOT


def core(*arguments: str, home, **more) -> subprocess.CompletedProcess:
    environment = os.environ | {"TRACEWRIGHT_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-m", "core", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, **more
    )
