"""A policy's graph in ONNX Runtime: observations in, actions out. Imports nothing of ours, so that it can stand alone.

core/packaging/bundle.py writes this very source into the runner of an exported model.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray


class OnnxPolicy:
    """Actions from ``policy.onnx``."""

    def __init__(self, data: bytes) -> None:
        self._session = session(data)

    def actions(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape (n, n_observation) to (n, 10), each in [-1, 1]."""
        return np.asarray(self._session.run(None, {"observation": observations})[0])


def session(data: bytes) -> Any:
    """A graph, ready to run on the CPU. Nothing is told to the makers of ONNX Runtime, who ask to be told by default; whoever wants that
    sets ORT_DISABLE_TELEMETRY=0."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, at the import
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # so small a network is fastest on one
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
