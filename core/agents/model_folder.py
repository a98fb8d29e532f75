"""A model folder's files, read and checked: what core/agents/onnx_export.py writes. Imports neither torch nor ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.agents.sealed import MB, damage_of, read_part, read_sealed
from core.config.config import RunConfig
from core.config.text import validate
from core.errors import ConfigError, DamagedFileError, RunError
from core.tracing.features import FEATURE_NAMES
from core.tracing.params import N_PARAMS, NAMES

FORMAT = 1
PREPROCESS_FILE = "preprocess.json"
_NEEDED = ("policy.onnx",)
_LIMITS = {"policy.onnx": 100 * MB, "outcomes.onnx": 100 * MB}  # ours are below 1 MB
_MAX_DEVIATION = 1e3
_FOREIGN = {  # as protobuf writes them: what could read other files, or never end
    b"\x0a\x08location": "tensors that lie in other files",
    b"\x22\x04Loop": "a loop",
    b"\x22\x04Scan": "a loop",
    b"\x22\x02If": "a branch",
}


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
        return _read(folder)
    except (DamagedFileError, ConfigError) as error:
        raise RunError(f"{folder} is not a model that can be used: {str(error).splitlines()[0]}; export it again") from error


def _read(folder: Path) -> ModelFolder:
    with damage_of(PREPROCESS_FILE):
        told = json.loads(read_part(folder, PREPROCESS_FILE, MB))
        if told["format"] != FORMAT:
            raise DamagedFileError(f"it has the model format {str(told['format'])[:20]}, and this version reads {FORMAT}")
        if [parameter["name"] for parameter in told["parameters"]] != list(NAMES) or told["config"].get("version", 1) < 2:
            raise DamagedFileError("it was made by an older version with other parameters and another score")
        if told["features"] != list(FEATURE_NAMES):
            raise DamagedFileError("it was trained on features other than those of this version")
        deviation = [float(value) for value in told["deviation"]]
        if len(deviation) != N_PARAMS or not all(0 <= value < _MAX_DEVIATION for value in deviation):
            raise DamagedFileError(f"{PREPROCESS_FILE} is damaged: its deviations are not {N_PARAMS} numbers from 0 to {_MAX_DEVIATION}")
        _check_what_a_card_tells(told)
        sums = told["checksums"]
    graphs = read_sealed(folder, sums, _LIMITS, _NEEDED)
    for name, data in graphs.items():
        if found := next((word for word in _FOREIGN if word in data), None):
            raise DamagedFileError(f"{name} holds {_FOREIGN[found]}, which no exported model does")
    return ModelFolder(told, validate(told["config"]), graphs)


def _check_what_a_card_tells(told: Mapping[str, Any]) -> None:
    """What nothing is chosen by, but an exported folder's texts are made of."""
    versions = told.get("versions", {})
    if not isinstance(told["n_observation"], int) or not isinstance(versions, dict):
        raise DamagedFileError(f"{PREPROCESS_FILE} is damaged: its n_observation is no number, or its versions are no list of names")
    if not all(isinstance(value, str) for value in versions.values()):
        raise DamagedFileError(f"{PREPROCESS_FILE} is damaged: one of its versions is no text")
    centre = told["centre"]
    if centre is not None and not (isinstance(centre, dict) and all(isinstance(value, int | float) for value in centre.values())):
        raise DamagedFileError(f"{PREPROCESS_FILE} is damaged: its centre is no number for each parameter")
