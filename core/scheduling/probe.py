"""A Ray cluster asked by a process of its own, so that whoever asks needs neither Ray nor a connection that stays open.

Guarantee: whatever goes wrong is one text of a few lines.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from core.paths import PROJECT

TEST_S = 120


def ask(address: str) -> dict[str, Any] | str:
    """What the command ``cluster`` says of an address, or why it can't be used."""
    command = [sys.executable, "-m", "core", "cluster", "--json", "--", address]
    try:
        ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=TEST_S)
    except subprocess.TimeoutExpired:
        return f"the Ray cluster at {address} has not answered for {TEST_S} s"
    except OSError as error:
        return f"the test could not be started: {error}"
    if ended.returncode:
        _, found, reason = ended.stderr.rpartition("error: ")
        return reason.strip() if found else "the test failed; see the console's log"
    return dict(json.loads(ended.stdout.splitlines()[-1]))
