"""The PPO agent: built from a config, and saved to a folder that resumes exactly and loads without unpickling.

A checkpoint folder is written aside and renamed: ``policy.pt`` (weights and optimiser, read with weights_only),
``state.json`` (random generators, environments, curriculum, counters, normaliser), ``config.yaml`` and
``checksums.json``. Guarantee: a folder that exists is whole; one whose checksums differ is refused.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
import random
import secrets
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

from core.config.config import PPOConfig, RunConfig
from core.config.text import parse_yaml, to_yaml, validate
from core.environment.experience import Array
from core.environment.spec import env_spec
from core.errors import CheckpointError
from core.learning.model import Model
from core.runs.run_dir import CHECKSUMS_FILE
from core.search.outcome_model import Layer, OutcomeModel
from core.tracing.params import N_PARAMS

CHECKPOINT_VERSION = 1
OUTCOMES_FILE = "outcomes.npz"
_ACTIVATIONS: dict[str, type[torch.nn.Module]] = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "elu": torch.nn.ELU}


def learning_rate(config: PPOConfig) -> Callable[[float], float]:
    """Schedule over the progress remaining, which goes from 1 to 0."""
    start, end = config.learning_rate, config.lr_end
    if config.lr_schedule == "linear":
        return lambda left: end + (start - end) * max(left, 0.0)
    if config.lr_schedule == "cosine":
        return lambda left: end + (start - end) * (1 - math.cos(math.pi * max(left, 0.0))) / 2
    return lambda left: start


def build_agent(config: RunConfig, env: VecEnv) -> PPO:
    """A fresh PPO; seeds torch, NumPy and Python as stable-baselines3 does."""
    p = config.ppo
    return PPO(
        "MlpPolicy",
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
        policy_kwargs={
            "net_arch": {"pi": p.net_arch_pi, "vf": p.net_arch_vf},
            "activation_fn": _ACTIVATIONS[p.activation],
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
        """Shape (n, n_observation) to (n, 7), each in [-1, 1]."""
        env = self._agent.get_env()
        if isinstance(env, VecNormalize):
            observations = env.normalize_obs(observations)  # type: ignore[assignment]
        actions, _ = self._agent.predict(observations, deterministic=True)
        return np.clip(actions, -1, 1)

    def parts(self) -> tuple[list[Layer], str, tuple[Array, Array, float] | None]:
        """The policy's affine layers, the activation between them, and mean, deviation and clip of its normaliser."""
        policy, env = self._agent.policy, self._agent.get_env()
        modules = [*policy.mlp_extractor.policy_net, policy.action_net]
        layers = [
            Layer(m.weight.detach().cpu().numpy().copy(), m.bias.detach().cpu().numpy().copy())
            for m in modules
            if isinstance(m, torch.nn.Linear)
        ]
        kind = next(name for name, activation in _ACTIVATIONS.items() if any(isinstance(m, activation) for m in modules))
        if not isinstance(env, VecNormalize) or not env.norm_obs:
            return layers, kind, None
        rms = cast(Any, env.obs_rms)
        deviation = np.sqrt(np.asarray(rms.var) + env.epsilon)
        return layers, kind, (np.asarray(rms.mean, np.float32), deviation.astype(np.float32), float(env.clip_obs))


def save_checkpoint(folder: Path, agent: PPO, config: RunConfig, extra: dict[str, Any], keep_old_as: str = "") -> None:
    """Write a checkpoint folder, replacing one of the same name. ``extra``: plain data of the trainer's."""
    weights = io.BytesIO()  # torch's own writing to a file hides a full disk behind an error of another kind
    torch.save({"policy": agent.policy.state_dict(), "optimizer": agent.policy.optimizer.state_dict()}, weights)
    state = {"v": CHECKPOINT_VERSION, "step": agent.num_timesteps, "agent": _agent_state(agent), "rng": _rng_state(), **extra}

    def write(aside: Path) -> None:
        (aside / "policy.pt").write_bytes(weights.getvalue())
        (aside / "state.json").write_text(json.dumps(state), encoding="utf-8")
        (aside / "config.yaml").write_text(to_yaml(config), encoding="utf-8")

    _put(folder, write, keep_old_as)


def copy_checkpoint(source: Path, folder: Path, keep_old_as: str = "") -> None:
    """Put a copy of a checkpoint in the place of another."""
    _put(folder, lambda aside: shutil.copytree(source, aside, dirs_exist_ok=True), keep_old_as)


def _put(folder: Path, write: Callable[[Path], object], keep_old_as: str = "") -> None:
    """Have a folder written aside, sealed with checksums, and put in its place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    aside.mkdir()
    try:
        write(aside)
        _seal(aside)
        _swap(aside, folder, keep_old_as)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _seal(folder: Path) -> None:
    """Write the checksums of all files, and everything to the disk."""
    (folder / CHECKSUMS_FILE).unlink(missing_ok=True)
    sums = {file.name: _digest(file) for file in sorted(folder.iterdir())}
    (folder / CHECKSUMS_FILE).write_text(json.dumps(sums), encoding="utf-8")
    for file in folder.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def _swap(aside: Path, folder: Path, keep_old_as: str) -> None:
    """Put ``aside`` in the place of ``folder``, whose old state is kept under another name or dropped. A crash in
    between leaves the old one under that name."""
    old = folder.with_name(keep_old_as or f"{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    aside.rename(folder)
    if not keep_old_as:
        shutil.rmtree(old, ignore_errors=True)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _agent_state(agent: PPO) -> dict[str, Any]:
    env = agent.get_env()
    normaliser: dict[str, Any] | None = None
    if isinstance(env, VecNormalize):
        normaliser = {
            name: {"mean": np.asarray(rms.mean).tolist(), "var": np.asarray(rms.var).tolist(), "count": float(rms.count)}
            for name, rms in cast(list[tuple[str, Any]], [("obs", env.obs_rms), ("ret", env.ret_rms)])
            if rms is not None
        }
        normaliser["returns"] = env.returns.tolist()
    return {
        "n_updates": agent._n_updates,
        "episode_starts": None if agent._last_episode_starts is None else np.asarray(agent._last_episode_starts).tolist(),
        "ep_info": list(agent.ep_info_buffer or []),
        "normaliser": normaliser,
    }


def _rng_state() -> dict[str, Any]:
    version, internal, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # type: ignore[misc]
    return {
        "python": [version, list(internal), gauss],
        "numpy": [str(name), keys.tolist(), int(position), int(has_gauss), float(cached)],  # type: ignore[union-attr]
        "torch": base64.b64encode(torch.get_rng_state().numpy().tobytes()).decode(),
    }


def restore_rng(state: dict[str, Any]) -> None:
    """Put Python's, NumPy's and torch's generators back."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(torch.from_numpy(np.frombuffer(base64.b64decode(state["torch"]), dtype=np.uint8).copy()))


def read_checkpoint(folder: Path) -> tuple[RunConfig, dict[str, Any]]:
    """The config and state of a checkpoint folder, checked.

    Raises:
        CheckpointError: missing or damaged.
    """
    try:
        sums = json.loads((folder / CHECKSUMS_FILE).read_text(encoding="utf-8"))
        for name, digest in sums.items():
            if _digest(folder / name) != digest:
                raise CheckpointError(f"{folder}: {name} is damaged (its checksum differs); use another checkpoint")
        config = validate(parse_yaml((folder / "config.yaml").read_text(encoding="utf-8"), str(folder / "config.yaml")))
        state: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{folder} is no checkpoint ({error.strerror}: {Path(error.filename or '').name})") from error
    except json.JSONDecodeError as error:
        raise CheckpointError(f"{folder} is damaged: {error}") from error
    return config, state


def load_weights(folder: Path, agent: PPO, state: dict[str, Any]) -> None:
    """Put a checkpoint's weights, optimiser, normaliser and counters into ``agent``."""
    weights = torch.load(folder / "policy.pt", map_location=agent.device, weights_only=True)
    try:
        agent.policy.load_state_dict(weights["policy"])
        agent.policy.optimizer.load_state_dict(weights["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise CheckpointError(f"{folder} does not fit this config: {str(error).splitlines()[0]}") from error
    agent.num_timesteps = int(state["step"])
    saved = state["agent"]
    agent._n_updates = int(saved["n_updates"])
    env = agent.get_env()
    if isinstance(env, VecNormalize) and saved["normaliser"]:
        for name, rms in (("obs", env.obs_rms), ("ret", env.ret_rms)):
            if rms is not None and name in saved["normaliser"]:
                kept = saved["normaliser"][name]
                rms.mean, rms.var, rms.count = np.array(kept["mean"]), np.array(kept["var"]), kept["count"]  # type: ignore[union-attr]
        env.returns = np.array(saved["normaliser"]["returns"])


def load_networks(folder: Path, agent: PPO) -> int:
    """Put a checkpoint's weights, optimiser and normaliser into an agent that goes on counting; returns their step.

    Raises:
        CheckpointError: missing or damaged.
    """
    _, state = read_checkpoint(folder)
    n_steps, n_updates = agent.num_timesteps, agent._n_updates
    load_weights(folder, agent, state)
    agent.num_timesteps, agent._n_updates = n_steps, n_updates
    return int(state["step"])


class _Spaces(gym.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Spaces and nothing else: what a policy needs of an environment to be built."""

    def __init__(self, n_observation: int) -> None:
        self.observation_space = gym.spaces.Box(-3.0, 3.0, (n_observation,), np.float32)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (N_PARAMS,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[NDArray[np.float32], dict[str, Any]]:
        return np.zeros(self.observation_space.shape or (0,), dtype=np.float32), {}


def load_ppo(folder: Path) -> tuple[RunConfig, PPO, OutcomeModel | None]:
    """A checkpoint's config, agent on the CPU, and outcome model where it has one."""
    config, state = read_checkpoint(folder)
    config = config.model_copy(update={"device": "cpu"})
    spec = env_spec(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a rollout of one environment, which nobody is going to make
        agent = build_agent(config, wrap(config, DummyVecEnv([lambda: _Spaces(spec.n_observation)])))
    load_weights(folder, agent, state)
    outcomes = None
    if (folder / OUTCOMES_FILE).is_file():
        with np.load(folder / OUTCOMES_FILE, allow_pickle=False) as arrays:
            outcomes = OutcomeModel.from_arrays(dict(arrays))
    return config, agent, outcomes


def load_agent(folder: Path) -> Model:
    """A checkpoint ready to choose."""
    config, agent, outcomes = load_ppo(folder)
    return Model(str(folder), config, env_spec(config), Policy(agent), deviation_of(agent), outcomes)


def deviation_of(agent: PPO) -> NDArray[np.float64]:
    """The policy's spread of each action, shape (7,)."""
    return agent.policy.log_std.detach().exp().cpu().numpy().astype(np.float64)  # type: ignore[union-attr, operator]


def add_outcome_model(folder: Path, outcomes: OutcomeModel) -> None:
    """Put an outcome model into a checkpoint that is there."""

    def write(aside: Path) -> None:
        shutil.copytree(folder, aside, dirs_exist_ok=True)
        np.savez(aside / OUTCOMES_FILE, **outcomes.arrays())  # type: ignore[arg-type]

    _put(folder, write)
