"""The policy's heads: a categorical one for each parameter whose values are few and unlike each other, a Gaussian for the rest. Needs torch.

One bit of colour more or less, or shapes cut out instead of stacked, is a jump and not a matter of degree: a Gaussian would cross what lies between. All
actions stay numbers in [-1, 1], so that nothing outside the policy depends on its heads.
Source: Tang and Agrawal, "Discretizing Continuous Action Space for On-Policy Optimization", 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.distributions import DiagGaussianDistribution, sum_independent_dims
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn
from torch.distributions import Categorical, Normal

from core.tracing.params import SPECS, ActionMap, Params

Tensor = torch.Tensor
FALL = 1.0  # of an untrained head's logits, per value away from the centre's: about even odds of the centre's own


@dataclass(frozen=True)
class Head:
    """One parameter's columns of the network's output: ``first`` to ``first`` + the number of ``actions``; without any, one mean.

    ``actions``: the action of each of its values, in order; ``centre``: the place of the value that an untrained policy prefers.
    """

    first: int
    actions: tuple[float, ...] = ()
    centre: int = 0

    @property
    def width(self) -> int:
        return max(len(self.actions), 1)


def heads_of(centre: Params | None, is_mixed: bool = True) -> tuple[Head, ...]:
    """One per parameter, in their order; all of them Gaussian unless ``is_mixed``."""
    actions = ActionMap(centre)
    middle = Params.from_values(list(actions.centre)).clamped()
    found: list[Head] = []
    first = 0
    for place, spec in enumerate(SPECS):
        if is_mixed and spec.switches is not None:
            values = range(int(spec.low), int(spec.high) + 1)
            of_values = tuple(float(actions.to_action(middle.with_values(**{spec.name: value}))[place]) for value in values)
            found.append(Head(first, of_values, int(getattr(middle, spec.name) - spec.low)))
        else:
            found.append(Head(first))
        first += found[-1].width
    return tuple(found)


class MixedDistribution(DiagGaussianDistribution):
    """Independent categorical and Gaussian actions, shape (n, 10); of the network's output, shape (n, sum of the heads' widths)."""

    def __init__(self, heads: tuple[Head, ...]) -> None:
        super().__init__(len(heads))
        self.heads = heads
        self._means = [head.first for head in heads if not head.actions]
        self._gaussian = [place for place, head in enumerate(heads) if not head.actions]
        self._values = {place: torch.tensor(head.actions) for place, head in enumerate(heads) if head.actions}

    def proba_distribution_net(self, latent_dim: int, log_std_init: float = 0.0) -> tuple[nn.Module, nn.Parameter]:
        width = sum(head.width for head in self.heads)
        return nn.Linear(latent_dim, width), nn.Parameter(torch.ones(len(self._gaussian)) * log_std_init, requires_grad=True)

    def proba_distribution(self, mean_actions: Tensor, log_std: Tensor) -> MixedDistribution:
        means = mean_actions[:, self._means]
        self.distribution: Any = Normal(means, torch.ones_like(means) * log_std.exp())
        self._categorical: dict[int, Any] = {
            place: Categorical(logits=mean_actions[:, head.first : head.first + head.width])
            for place, head in enumerate(self.heads)
            if head.actions
        }
        return self

    def log_prob(self, actions: Tensor) -> Tensor:
        total = sum_independent_dims(self.distribution.log_prob(actions[:, self._gaussian]))
        for place, of_place in self._categorical.items():
            values = self._values[place].to(actions.device)
            total = total + of_place.log_prob((actions[:, place, None] - values).abs().argmin(dim=1))
        return total

    def entropy(self) -> Tensor:
        total = sum_independent_dims(self.distribution.entropy())
        for of_place in self._categorical.values():
            total = total + of_place.entropy()
        return total

    def sample(self) -> Tensor:
        return self._put_together(self.distribution.rsample(), {place: of_place.sample() for place, of_place in self._categorical.items()})

    def mode(self) -> Tensor:
        return self._put_together(
            self.distribution.mean, {place: of_place.logits.argmax(dim=1) for place, of_place in self._categorical.items()}
        )

    def _put_together(self, gaussian: Tensor, chosen: dict[int, Tensor]) -> Tensor:
        actions = torch.empty((len(gaussian), len(self.heads)), dtype=gaussian.dtype, device=gaussian.device)
        actions[:, self._gaussian] = gaussian
        for place, at in chosen.items():
            actions[:, place] = self._values[place].to(gaussian.device)[at]
        return actions


class MixedPolicy(ActorCriticPolicy):
    """stable-baselines3's policy with these heads. ``heads``: of :func:`heads_of`."""

    def __init__(self, *args: Any, heads: tuple[Head, ...], **kwargs: Any) -> None:
        self._heads = heads
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        self.action_dist = MixedDistribution(self._heads)
        super()._build(lr_schedule)
        with torch.no_grad():
            for head in self._heads:
                for k in range(len(head.actions)):
                    self.action_net.bias[head.first + k] = -FALL * abs(k - head.centre)  # type: ignore[operator]


def spread(heads: tuple[Head, ...], log_std: Tensor, unlearned: float) -> NDArray[np.float64]:
    """The deviation of each action, shape (10,): the Gaussian ones' own; ``unlearned`` where a head has none."""
    learned = iter(log_std.detach().exp().cpu().numpy().astype(np.float64))
    return np.array([unlearned if head.actions else next(learned) for head in heads])
