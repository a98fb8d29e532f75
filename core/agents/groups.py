"""Advantages of actions on one logo relative to each other: a baseline that knows the logo, shrunk towards the critic. Needs torch.

With several environments per logo the others' rewards show what the logo yields, which the critic can only predict from features. How much they
count follows from how far the critic is off for whole groups, and how much rewards within a group scatter, estimated again in every rollout.
Source: Shao et al., "DeepSeekMath" (group-relative advantages), 2024; here with a critic.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.agents.rollout import OpenBuffer


def group_relative(residuals: NDArray[np.float32], groups: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rewards minus the critic's predictions, shape (n,), minus the mean of the same for the rest of the group, times its weight.

    ``groups``: the group of each, shape (n,); one that is alone in its group is left as it is.
    """
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.bincount(places, weights=residuals)
    others = sizes[places] - 1
    has_others = others > 0
    if not has_others.any():
        return residuals
    of_others = np.where(has_others, (sums[places] - residuals) / np.maximum(others, 1), 0.0)
    shared = max(float((residuals * of_others)[has_others].mean()), 0.0)  # variance of what a group has in common: two members' covariance
    own = max(float((residuals[has_others] ** 2).mean()) - shared, 1e-8)
    weight = shared * others / (shared * others + own)  # of the mean of so many, as its best linear estimate
    return np.asarray(residuals - weight * of_others, dtype=np.float32)


class GroupBuffer(OpenBuffer):
    """The buffer for episodes of one step; environments that see the same picture in the same step are a group."""

    def compute_returns_and_advantage(self, last_values: torch.Tensor, dones: NDArray[Any]) -> None:
        super().compute_returns_and_advantage(last_values, dones)
        self.returns = self.rewards.copy()
        residuals = self.rewards - self.values
        for step in range(self.buffer_size):
            _, groups = np.unique(self.observations[step], axis=0, return_inverse=True)
            self.advantages[step] = group_relative(residuals[step], groups.reshape(-1))
