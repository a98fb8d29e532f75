"""Where the parts of this installation lie. Imports nothing of ours.

In a checkout everything lies in the repository, runs too. In a package that was installed (``pipx install .``) the modules and app.py lie in
site-packages, the data that the repository has beside them below ``core/shipped``, and runs in the user's own folder for data. Guarantee:
nothing is written into an installed package.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]  # where core, pages, storage and app.py lie
_PACKED = PROJECT / "core" / "shipped"  # laid out by pyproject.toml; a checkout has none
IS_PACKAGED = _PACKED.is_dir()
PRESETS = (_PACKED if IS_PACKAGED else PROJECT) / "configs"
MODELS = (_PACKED if IS_PACKAGED else PROJECT) / "models"
CONSOLE_CONFIG = _PACKED / "streamlit" / "config.toml" if IS_PACKAGED else PROJECT / ".streamlit" / "config.toml"
_DOCUMENTS = Path() if IS_PACKAGED else PROJECT / "docs"  # which a package does not have: then the working folder
BENCHMARKS = _DOCUMENTS / "benchmarks.md"
PICTURES = _DOCUMENTS / "pictures.md"
SCALE = _DOCUMENTS / "scale.md"
HOME_VARIABLE = "TRACEWRIGHT_HOME"


def runs_home() -> Path:
    """Where runs live, as an absolute path: the environment's TRACEWRIGHT_HOME, else ``runs`` in the repository or, for a package, in the
    user's folder for data."""
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named).absolute()
    return (_user_data() if IS_PACKAGED else PROJECT) / "runs"


def _user_data() -> Path:
    """The folder for what programs keep for a user, after the XDG specification, and where macOS has it."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "tracewright"
    named = os.environ.get("XDG_DATA_HOME", "")
    return (Path(named) if os.path.isabs(named) else Path.home() / ".local" / "share") / "tracewright"


def secrets_file() -> Path:
    """Where Streamlit, and so the trackers, look for keys: in the repository or, for a package, in the user's home."""
    return (Path.home() if IS_PACKAGED else PROJECT) / ".streamlit" / "secrets.toml"


def program() -> str:
    """What starts the command line, for hints: an isolated package has its own command alone."""
    return "tracewright" if IS_PACKAGED else "python -m core"


def how_to_install(extra: str) -> str:
    """The command that installs what only some need; ``extra``: bench, ray, search or trackers, as the files requirements-*.txt are called."""
    if not IS_PACKAGED:
        return f"pip install -r requirements-{extra}.txt"
    wanted = [line.partition(";")[0].strip() for line in metadata.requires("tracewright") or () if re.search(rf"extra == .{extra}\b", line)]
    return f"{shlex.quote(sys.executable)} -m pip install {' '.join(wanted)}"


def licence() -> str:
    """Tracewright's own licence, whole."""
    packed = metadata.distribution("tracewright").read_text("licenses/LICENSE") if IS_PACKAGED else None
    return packed if packed is not None else (PROJECT / "LICENSE").read_text(encoding="utf-8")


def saved_presets(home: Path) -> Path:
    """Presets that were made here, beside those that ship."""
    return home / "presets"


def trace_cache_file(home: Path) -> Path:
    """Outcomes of traces that several runs share."""
    return home / "cache" / "traces.sqlite"
