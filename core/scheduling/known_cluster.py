"""The Ray cluster that a test reached last: forms begin with its address.

``<home>/cluster.json``; one that is missing or damaged stands for the cluster that this machine has joined.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from core.config.workers import WorkersConfig, workers_on
from core.errors import ConfigError
from core.files import write_aside
from core.runs.small_files import read_or_none

FILE = "cluster.json"
JOINED = WorkersConfig().address


@dataclass(frozen=True)
class _Known:
    address: Annotated[str, Field(min_length=1, max_length=200)]


def remember(home: Path, address: str) -> None:
    """Keep the address of a cluster that was reached."""
    home.mkdir(parents=True, exist_ok=True)
    write_aside(home / FILE, json.dumps({"v": 1, "address": address}).encode())


def remembered(home: Path) -> str:
    """Its address; "auto", the cluster that this machine has joined, where none is known."""
    found = read_or_none(home / FILE, _Known)
    try:
        return workers_on(WorkersConfig(), found.address).address if found else JOINED
    except ConfigError:
        return JOINED
