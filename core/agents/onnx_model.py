"""A model folder read again: the policy and the outcome model as ONNX, run by ONNX Runtime. Imports no torch.

The files are described in core/agents/onnx_export.py, which writes them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.agents.model import Model
from core.agents.onnx_session import OnnxPolicy, session
from core.config.text import validate
from core.environment.experience import Array
from core.environment.spec import env_spec
from core.errors import RunError
from core.search.outcome_model import Outcomes, encode
from core.tracing.features import FEATURE_NAMES
from core.tracing.params import NAMES

FORMAT = 1
PREPROCESS_FILE = "preprocess.json"


class OnnxOutcomes(Outcomes):
    """The ensemble from ``outcomes.onnx``."""

    def __init__(self, data: bytes) -> None:
        self._session = session(data)

    def predict(self, observation: Array, params: NDArray[np.floating[Any]]) -> Array:
        repeated = np.broadcast_to(observation.astype(np.float32), (len(params), len(observation)))
        return np.asarray(self._session.run(None, {"observation": np.ascontiguousarray(repeated), "encoded": encode(params)})[0])


def read_model(folder: Path) -> Model:
    """Load a model folder.

    Raises:
        RunError: a file is missing, damaged, or of another format.
    """
    try:
        told = json.loads((folder / PREPROCESS_FILE).read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise RunError(f"{folder} has the model format {told['format']}; this version reads {FORMAT}: export the model again")
        if [parameter["name"] for parameter in told["parameters"]] != list(NAMES) or told["config"].get("version", 1) < 2:
            raise RunError(f"{folder} was made by an older version, for other parameters and another score; train or export it again")
        if told["features"] != list(FEATURE_NAMES):
            raise RunError(f"{folder} was trained on other features than this version computes; export or train it again")
        files = {name: (folder / name).read_bytes() for name in told["checksums"]}
        for name, digest in told["checksums"].items():
            if hashlib.sha256(files[name]).hexdigest() != digest:
                raise RunError(f"{folder / name} is damaged (its checksum differs); export the model again")
        config = validate(told["config"])
        outcomes = OnnxOutcomes(files["outcomes.onnx"]) if "outcomes.onnx" in files else None
        return Model(str(folder), config, env_spec(config), OnnxPolicy(files["policy.onnx"]), np.array(told["deviation"]), outcomes)
    except OSError as error:
        raise RunError(f"{folder} is no model ({error.strerror}: {Path(error.filename or '').name})") from error
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise RunError(f"{folder / 'preprocess.json'} is damaged: {error}") from error
