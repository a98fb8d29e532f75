"""Where the parts of this installation lie. Imports nothing of ours."""

from __future__ import annotations

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PRESETS = PROJECT / "configs"
MODELS = PROJECT / "models"
BENCHMARKS = PROJECT / "docs" / "benchmarks.md"
PICTURES = PROJECT / "docs" / "pictures.md"
HOME_VARIABLE = "TRACEWRIGHT_HOME"


def runs_home() -> Path:
    """Where runs live: the environment's TRACEWRIGHT_HOME, else ``runs`` beside the package."""
    named = os.environ.get(HOME_VARIABLE)
    return Path(named) if named else PROJECT / "runs"


def saved_presets(home: Path) -> Path:
    """Presets that were made here, beside those that ship."""
    return home / "presets"


def trace_cache_file(home: Path) -> Path:
    """Outcomes of traces that several runs share."""
    return home / "cache" / "traces.sqlite"
