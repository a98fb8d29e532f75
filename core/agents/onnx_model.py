"""Reads a model folder: the policy and the outcome model as ONNX, run by ONNX Runtime. Does not import torch.

The files are described in core/agents/onnx_export.py, which writes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.agents.model import Model
from core.agents.model_folder import read_folder
from core.agents.onnx_session import OnnxPolicy, session
from core.agents.sealed import damage_of
from core.environment.experience import N_TERMS, Array
from core.environment.spec import env_spec
from core.errors import DamagedFileError, RunError
from core.search.outcome_model import Outcomes, encode
from core.tracing.params import DEFAULTS, N_PARAMS


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
        RunError: a file is missing, damaged, or of another format, or a graph does not take and give what it should.
    """
    found = read_folder(folder)
    spec, deviation = env_spec(found.config), np.array(found.told["deviation"], dtype=np.float64)
    observation = np.zeros((1, spec.n_observation), np.float32)
    outcomes = None
    try:
        with damage_of("policy.onnx"):
            policy = OnnxPolicy(found.graphs["policy.onnx"])
            _check("policy.onnx", policy.actions(observation), (1, N_PARAMS))
        with damage_of("outcomes.onnx"):
            if "outcomes.onnx" in found.graphs:
                outcomes = OnnxOutcomes(found.graphs["outcomes.onnx"])
                _check("outcomes.onnx", outcomes.predict(observation[0], DEFAULTS.values()[None])[:1], (1, 1, N_TERMS))
    except DamagedFileError as error:
        raise RunError(f"{folder} is not a model that can be used: {error}; export it again") from error
    return Model(str(folder), found.config, spec, policy, deviation, outcomes)


def _check(name: str, given: Array, shape: tuple[int, ...]) -> None:
    if given.shape != shape or not np.isfinite(given).all():
        raise DamagedFileError(f"{name} is damaged: it gives numbers of shape {given.shape}, where {shape} finite ones are needed")
