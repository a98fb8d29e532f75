"""Every conversion of a training, kept for the outcome model: appended to ``experience.bin`` in the run's folder.

Rows of :data:`N_COLUMNS` float32: the picture's place among the run's pictures, the parameters, the learned terms of
the gain. Written just before a checkpoint that names the number of rows: rows beyond it are dropped on resume, as their
steps are repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.environment.preparation import Preparations
from core.tracing.outcome import LEARNED_TERMS
from core.tracing.params import N_PARAMS, Params
from core.workers.pool import WorkerPool

N_TERMS = len(LEARNED_TERMS)
Array = NDArray[np.float32]
N_COLUMNS = 1 + N_PARAMS + N_TERMS
Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Experience:
    """Conversions to learn from: ``pictures`` are rows of ``observations``."""

    observations: Array  # (n_pictures, n_observation)
    pictures: NDArray[np.int64]  # (n,)
    params: Array  # (n, N_PARAMS)
    terms: Array  # (n, N_TERMS), FAILED_GAIN and 0 where a conversion failed

    def __len__(self) -> int:
        return len(self.pictures)


class ExperienceLog:
    """Rows since the last :meth:`write`, and how many were written before."""

    def __init__(self) -> None:
        self.n_written = 0
        self._rows: list[tuple[float, ...]] = []
        self._of_step: dict[int, tuple[float, ...]] = {}

    def add(self, environment: int, picture: int, params: Params, terms: Sequence[float]) -> None:
        """A conversion of the step that is being taken. ``terms``: the learned ones, without weights."""
        self._of_step[environment] = (picture, *params.as_tuple(), *terms)

    def end_step(self) -> None:
        """Keep the step's conversions by environment, so that the file does not depend on which worker was first."""
        self._rows.extend(self._of_step[environment] for environment in sorted(self._of_step))
        self._of_step.clear()

    def write(self, path: Path) -> None:
        """Append to the file; rows beyond those that count are cut off first."""
        data = np.array(self._rows, dtype="<f4").reshape(-1, N_COLUMNS)
        with path.open("r+b" if path.exists() else "wb") as file:
            file.truncate(self.n_written * N_COLUMNS * 4)
            file.seek(0, 2)
            file.write(data.tobytes())
        self.n_written += len(data)
        self._rows.clear()


def read_experience(path: Path, n_rows: int) -> Rows:
    """The first ``n_rows`` rows (fewer where the file is shorter), shape (n, N_COLUMNS)."""
    if not path.exists():
        return np.zeros((0, N_COLUMNS), np.float32)
    data = np.fromfile(path, dtype="<f4", count=n_rows * N_COLUMNS)
    return data[: len(data) // N_COLUMNS * N_COLUMNS].reshape(-1, N_COLUMNS)


def experience_of(rows: Rows, logos: Preparations, pool: WorkerPool) -> Experience:
    """Rows with what the agent saw of their pictures; pictures that can't be prepared again are left out."""
    pictures, at = np.unique(rows[:, 0].astype(np.int64), return_inverse=True)
    logos.prepare(pool, [int(i) for i in pictures if not logos.is_ready(int(i))])
    known = np.array([logos.is_ready(int(i)) for i in pictures])
    observations = np.stack([logos[int(i)].picture_observation for i in pictures[known]])
    kept, place = known[at], np.cumsum(known) - 1
    return Experience(observations, place[at[kept]], rows[kept, 1:-N_TERMS], rows[kept, -N_TERMS:])
