"""Reads a model folder: the policy and the outcome model as ONNX, run by ONNX Runtime. Does not import torch.

The files are described in core/agents/onnx_export.py, which writes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.agents.model import Model
from core.agents.model_folder import PREPROCESS_FILE, read_folder
from core.agents.onnx_session import OnnxPolicy, session
from core.environment.experience import Array
from core.environment.spec import env_spec
from core.errors import RunError
from core.search.outcome_model import Outcomes, encode


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
    found = read_folder(folder)
    outcomes = OnnxOutcomes(found.graphs["outcomes.onnx"]) if "outcomes.onnx" in found.graphs else None
    try:
        policy, deviation = OnnxPolicy(found.graphs["policy.onnx"]), np.array(found.told["deviation"])
    except KeyError as error:
        raise RunError(f"{folder / PREPROCESS_FILE} is damaged: {error}") from error
    return Model(str(folder), found.config, env_spec(found.config), policy, deviation, outcomes)
