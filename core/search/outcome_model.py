"""What a conversion is likely to give, learned from an agent's own experience: an ensemble of small networks.

Input: the observation of a picture and the parameters. Output of each member: the learned terms of the gain
(ln of the visual error's ratio and of the bytes' ratio to VTracer's defaults), unweighted, so that it serves any
weights. Fitting needs torch; predicting needs NumPy alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.environment.experience import N_TERMS, Array, Experience
from core.tracing.outcome import FAILED_GAIN, LEARNED_TERMS, Weights
from core.tracing.params import DEFAULTS, SPECS

MIN_CONVERSIONS = 1024  # one batch
_CLIP = 3.0  # of standardised observations, and of the terms


def encode(params: NDArray[np.floating[Any]]) -> Array:
    """Parameters, shape (n, 10), as suits a network best, shape (n, N_ENCODED): switches first, then scaled figures."""
    p = np.asarray(params, dtype=np.float64)
    switches = [column for spec, v in zip(SPECS, p.T, strict=True) if spec.switches for column in spec.switches(v)]
    figures = [column for spec, v in zip(SPECS, p.T, strict=True) for figure in spec.figures for column in figure(v)]
    return np.stack([*switches, *figures], axis=1).astype(np.float32)


N_ENCODED = encode(DEFAULTS.values()[None]).shape[1]


@dataclass(frozen=True)
class Layer:
    """One affine map, ``weight`` of shape (n_out, n_in)."""

    weight: Array
    bias: Array


class Outcomes(ABC):
    """Predictions of the outcome of conversions."""

    @abstractmethod
    def predict(self, observation: Array, params: NDArray[np.floating[Any]]) -> Array:
        """The terms of ``params``, shape (n, 10), on the picture of ``observation``; shape (n_members, n, N_TERMS)."""

    def gains(self, observation: Array, params: NDArray[np.floating[Any]], weights: Weights) -> Array:
        """The gain that each member expects; shape (n_members, n). Terms that are not learned count nothing."""
        terms = self.predict(observation, params)
        first, *rest = (terms[..., place] * np.float32(getattr(weights, name)) for place, name in enumerate(LEARNED_TERMS))
        return sum(rest, first)


@dataclass(frozen=True)
class OutcomeModel(Outcomes):
    """``members``: the layers of each network, with SiLU between them."""

    mean: Array
    scale: Array
    members: tuple[tuple[Layer, ...], ...]

    def predict(self, observation: Array, params: NDArray[np.floating[Any]]) -> Array:
        picture = np.clip((observation - self.mean) / self.scale, -_CLIP, _CLIP)
        encoded = encode(params)
        found = []
        for layers in self.members:
            first = layers[0]
            n = len(picture)  # the picture's part of the first layer is the same for all of them
            x = encoded @ first.weight[:, n:].T + (first.weight[:, :n] @ picture + first.bias)
            for layer in layers[1:]:
                x = (x / (1 + np.exp(-x))) @ layer.weight.T + layer.bias
            found.append(x)
        return np.stack(found).astype(np.float32)

    def arrays(self) -> dict[str, Array]:
        """All numbers by name, for a file."""
        found = {"mean": self.mean, "scale": self.scale}
        for m, layers in enumerate(self.members):
            for k, layer in enumerate(layers):
                found |= {f"{m}.{k}.weight": layer.weight, f"{m}.{k}.bias": layer.bias}
        return found

    @classmethod
    def from_arrays(cls, arrays: dict[str, Any]) -> OutcomeModel:
        """The inverse of :meth:`arrays`; raises KeyError where one is missing."""
        members: list[tuple[Layer, ...]] = []
        while f"{len(members)}.0.weight" in arrays:
            layers: list[Layer] = []
            while f"{len(members)}.{len(layers)}.weight" in arrays:
                name = f"{len(members)}.{len(layers)}"
                layers.append(Layer(np.asarray(arrays[f"{name}.weight"]), np.asarray(arrays[f"{name}.bias"])))
            members.append(tuple(layers))
        return cls(np.asarray(arrays["mean"]), np.asarray(arrays["scale"]), tuple(members))


def fit(
    experience: Experience,
    seed: int,
    n_members: int = 4,
    units: int = 128,
    n_epochs: int = 12,
    n_layers: int = 3,
    batch: int = MIN_CONVERSIONS,
) -> OutcomeModel:
    """Fit an ensemble; each member has its own start and order. The same experience and seed give the same model.

    Raises:
        ValueError: fewer conversions than one batch holds.
    """
    import torch
    from torch import nn

    n = len(experience)
    if n < batch:
        raise ValueError(f"{n} conversions are too few to learn from; at least {batch} are needed")
    seen = experience.observations[np.unique(experience.pictures)]
    mean, scale = seen.mean(axis=0), seen.std(axis=0) + np.float32(1e-3)
    pictures = torch.from_numpy(np.clip((experience.observations - mean) / scale, -_CLIP, _CLIP).astype(np.float32))
    at = torch.from_numpy(experience.pictures.astype(np.int64))
    encoded = torch.from_numpy(encode(experience.params))
    terms = torch.from_numpy(np.clip(experience.terms, FAILED_GAIN, _CLIP).astype(np.float32))
    members: list[tuple[Layer, ...]] = []
    state = torch.get_rng_state()  # the agent's own numbers go on as if nothing had been fitted
    try:
        for member in range(n_members):
            torch.manual_seed(seed * 1000 + member)
            parts: list[nn.Module] = []
            width = pictures.shape[1] + N_ENCODED
            for _ in range(n_layers):
                parts += [nn.Linear(width, units), nn.SiLU(), nn.Dropout(0.1)]
                width = units
            network = nn.Sequential(*parts, nn.Linear(width, N_TERMS))
            optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2, fused=True)
            n_batches = n // batch
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=n_epochs * n_batches + 1)
            for _ in range(n_epochs):
                order = torch.randperm(n)
                for k in range(n_batches):
                    rows = order[k * batch : (k + 1) * batch]
                    told = network(torch.cat([pictures[at[rows]], encoded[rows]], dim=1))
                    loss = nn.functional.smooth_l1_loss(told, terms[rows], beta=0.3)
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    schedule.step()
            affine = [part for part in network if isinstance(part, nn.Linear)]
            members.append(tuple(Layer(a.weight.detach().numpy().copy(), a.bias.detach().numpy().copy()) for a in affine))
    finally:
        torch.set_rng_state(state)
    return OutcomeModel(mean.astype(np.float32), scale.astype(np.float32), tuple(members))
