"""A Ray cluster asked by a process of its own, so that whoever asks needs neither Ray nor a connection that stays open.

Guarantee: whatever goes wrong is one text of a few lines.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
from typing import Any

from core.paths import PROJECT

log = logging.getLogger("tracewright")
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
    return answer(ended.returncode, ended.stdout, ended.stderr)


def answer(code: int, told: str, complaints: str) -> dict[str, Any] | str:
    """What a command that ended with a code and these outputs says: its last line, or the reason after the last ``error:`` that begins a line."""
    _, found, reason = ("\n" + complaints).rpartition("\nerror: ")
    if code and found:
        return reason.strip()
    with contextlib.suppress(ValueError, IndexError):
        if not code and isinstance(read := json.loads(told.splitlines()[-1]), dict):
            return read
    log.warning("the test of a Ray cluster ended with code %d: %s", code, complaints.strip()[-2000:] or "it said nothing")
    return "the test failed; see the console's log"
