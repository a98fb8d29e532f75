"""The PPO agent: built from a config, its learning-rate schedule, and its deterministic policy. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from core.agents.groups import GroupBuffer
from core.agents.heads import Head, MixedDistribution, MixedPolicy, heads_of, spread
from core.agents.rollout import OpenBuffer, ResumablePPO
from core.config.config import PPOConfig, RunConfig
from core.environment.experience import Array
from core.environment.spec import env_spec
from core.search.outcome_model import Layer
from core.tracing.params import N_PARAMS

ACTIVATIONS: dict[str, type[torch.nn.Module]] = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "elu": torch.nn.ELU}


def learning_rate(config: PPOConfig) -> Callable[[float], float]:
    """Schedule over the progress remaining, which goes from 1 to 0."""
    start, end = config.learning_rate, config.lr_end
    if config.lr_schedule == "linear":
        return lambda left: end + (start - end) * max(left, 0.0)
    if config.lr_schedule == "cosine":
        return lambda left: end + (start - end) * (1 - math.cos(math.pi * max(left, 0.0))) / 2
    return lambda left: start


def build_agent(config: RunConfig, env: VecEnv) -> ResumablePPO:
    """A fresh PPO; seeds torch, NumPy and Python as stable-baselines3 does."""
    p = config.ppo
    heads = heads_of(env_spec(config).centre) if p.heads == "mixed" else None
    return ResumablePPO(
        "MlpPolicy" if heads is None else MixedPolicy,
        env,
        learning_rate=learning_rate(p),
        n_steps=p.n_steps,
        batch_size=p.batch_size,
        n_epochs=p.n_epochs,
        gamma=p.gamma,
        gae_lambda=p.gae_lambda,
        clip_range=p.clip_range,
        clip_range_vf=p.clip_range_vf,
        normalize_advantage=p.normalize_advantage,
        ent_coef=p.ent_coef,
        vf_coef=p.vf_coef,
        max_grad_norm=p.max_grad_norm,
        target_kl=p.target_kl,
        rollout_buffer_class=GroupBuffer if p.group_size > 1 else OpenBuffer,
        policy_kwargs=({} if heads is None else {"heads": heads})
        | {
            "net_arch": {"pi": p.net_arch_pi, "vf": p.net_arch_vf},
            "activation_fn": ACTIVATIONS[p.activation],
            "log_std_init": p.log_std_init,
            "optimizer_kwargs": {"eps": 1e-5, "fused": True},  # stable-baselines3's epsilon; one kernel a step
        },
        seed=config.seed,
        device=config.device,
    )


def wrap(config: RunConfig, env: VecEnv) -> VecEnv:
    """Add the normaliser where the config wants one."""
    p = config.ppo
    if p.normalize_observation or p.normalize_reward:
        return VecNormalize(env, norm_obs=p.normalize_observation, norm_reward=p.normalize_reward, gamma=p.gamma)
    return env


class Policy:
    """The deterministic policy: observations in, actions out. Safe to use beside training."""

    def __init__(self, agent: PPO) -> None:
        self._agent = agent

    def actions(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Shape (n, n_observation) to (n, 10), each in [-1, 1]."""
        env = self._agent.get_env()
        if isinstance(env, VecNormalize):
            observations = env.normalize_obs(observations)  # type: ignore[assignment]
        actions, _ = self._agent.predict(observations, deterministic=True)
        return np.clip(actions, -1, 1)

    @property
    def heads(self) -> tuple[Head, ...]:
        """What the last layer's columns mean."""
        return _heads(self._agent)

    def parts(self) -> tuple[list[Layer], str, tuple[Array, Array, float] | None]:
        """The policy's affine layers, the activation between them, and mean, deviation and clip of its normaliser."""
        policy, env = self._agent.policy, self._agent.get_env()
        modules = [*policy.mlp_extractor.policy_net, policy.action_net]
        layers = [
            Layer(m.weight.detach().cpu().numpy().copy(), m.bias.detach().cpu().numpy().copy())
            for m in modules
            if isinstance(m, torch.nn.Linear)
        ]
        kind = next(name for name, activation in ACTIVATIONS.items() if any(isinstance(m, activation) for m in modules))
        if not isinstance(env, VecNormalize) or not env.norm_obs:
            return layers, kind, None
        rms = cast(Any, env.obs_rms)
        deviation = np.sqrt(np.asarray(rms.var) + env.epsilon)
        return layers, kind, (np.asarray(rms.mean, np.float32), deviation.astype(np.float32), float(env.clip_obs))


class SpacesOnly(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Spaces and nothing else: all that building a policy needs of an environment."""

    def __init__(self, n_observation: int) -> None:
        self.observation_space = gym.spaces.Box(-3.0, 3.0, (n_observation,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (N_PARAMS,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        return np.zeros(self.observation_space.shape or (0,), dtype=np.float32), {}


def _heads(agent: PPO) -> tuple[Head, ...]:
    of_policy = agent.policy.action_dist
    return of_policy.heads if isinstance(of_policy, MixedDistribution) else heads_of(None, is_mixed=False)


def deviation_of(agent: PPO) -> NDArray[np.float64]:
    """The policy's spread of each action, shape (10,); for a categorical one, what an untrained Gaussian would have."""
    return spread(_heads(agent), cast(torch.Tensor, agent.policy.log_std), math.exp(agent.policy.log_std_init))
