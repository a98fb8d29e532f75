"""Keys and addresses of other trackers: only from the environment or ``.streamlit/secrets.toml``, which no repository holds.

Guarantee: no text that passes :func:`masked` holds one, so none reaches a log, an event or a place file.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from core.errors import DamagedFileError, TrackerError
from core.files import read_text
from core.paths import secrets_file

SECRET = ("WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
OPEN = ("WANDB_BASE_URL", "WANDB_ENTITY", "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME")
_IN_ADDRESS = re.compile(r"//[^/@\s]+@")  # user:password@ of an address
_MIN_LENGTH = 6  # a shorter value is a placeholder, and would mask half of a sentence


def load_credentials(environment: MutableMapping[str, str] | None = None, path: Path | None = None) -> None:
    """Put into the environment what the secrets file has and the environment has not: where the packages look for it.

    Raises:
        TrackerError: the file is damaged.
    """
    environment = os.environ if environment is None else environment
    path = path or secrets_file()
    try:
        text = read_text(path)
        found = tomllib.loads(text) if text else {}
    except (DamagedFileError, tomllib.TOMLDecodeError) as error:
        reason = type(error).__name__ if isinstance(error, tomllib.TOMLDecodeError) else str(error)  # its text may quote a line
        raise TrackerError(f"{path.parent.name}/{path.name} can't be read ({reason}); fix it, or set the environment variables") from None
    for name in (*SECRET, *OPEN):
        value = found.get(name)
        if name not in environment and isinstance(value, str) and value:
            environment[name] = value


def masked(text: str, environment: Mapping[str, str] | None = None) -> str:
    """A text without the values of secrets and without the user and password of an address."""
    environment = os.environ if environment is None else environment
    for name in SECRET:
        value = environment.get(name, "")
        if len(value) >= _MIN_LENGTH:
            text = text.replace(value, "…")
    return _IN_ADDRESS.sub("//…@", text)
