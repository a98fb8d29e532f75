"""A model folder's files, read and checked: what core/agents/onnx_export.py writes. Imports neither torch nor ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config.config import RunConfig
from core.config.text import validate
from core.errors import RunError
from core.tracing.features import FEATURE_NAMES
from core.tracing.params import NAMES

FORMAT = 1
PREPROCESS_FILE = "preprocess.json"


@dataclass(frozen=True)
class ModelFolder:
    """``told``: the content of preprocess.json; ``graphs``: policy.onnx, and outcomes.onnx where there is one."""

    told: Mapping[str, Any]
    config: RunConfig
    graphs: Mapping[str, bytes]


def read_folder(folder: Path) -> ModelFolder:
    """Read a model folder.

    Raises:
        RunError: a file is missing, damaged, or of another format.
    """
    try:
        told = json.loads((folder / PREPROCESS_FILE).read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise RunError(f"{folder} has the model format {told['format']}; this version reads {FORMAT}: export the model again")
        if [parameter["name"] for parameter in told["parameters"]] != list(NAMES) or told["config"].get("version", 1) < 2:
            raise RunError(f"{folder} was made by an older version with other parameters and another score; train or export it again")
        if told["features"] != list(FEATURE_NAMES):
            raise RunError(f"{folder} was trained on different features from those of this version; export or train it again")
        graphs = {name: (folder / name).read_bytes() for name in told["checksums"]}
        for name, digest in told["checksums"].items():
            if hashlib.sha256(graphs[name]).hexdigest() != digest:
                raise RunError(f"{folder / name} is damaged (its checksum differs); export the model again")
        return ModelFolder(told, validate(told["config"]), graphs)
    except OSError as error:
        raise RunError(f"{folder} is not a model ({error.strerror}: {Path(error.filename or '').name})") from error
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RunError(f"{folder / PREPROCESS_FILE} is damaged: {error}") from error
