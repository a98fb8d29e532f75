"""Checkpoints: an agent saved to a folder that resumes exactly and loads without unpickling. Needs torch.

A checkpoint folder is written aside and renamed: ``policy.pt`` (weights and optimiser, read with weights_only),
``state.json`` (random generators, environments, curriculum, counters, normaliser), ``config.yaml``, ``rollout.npz`` where
a stop wrote it in the middle of a rollout, and ``checksums.json``. Guarantee: a folder that exists is complete; one whose checksums differ is refused.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import random
import secrets
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from core.agents.model import Model
from core.agents.ppo import Policy, SpacesOnly, build_agent, deviation_of, wrap
from core.agents.rollout import MAX_ROLLOUT_BYTES, pack_open_rollout, unpack_open_rollout
from core.agents.sealed import MB, check_unpacked, damage_of, read_sealed
from core.config.config import RunConfig
from core.config.text import parse_yaml, to_yaml, validate
from core.environment.spec import env_spec
from core.errors import CheckpointError, ConfigError, DamagedFileError
from core.files import read_json
from core.runs.run_dir import CHECKSUMS_FILE, ROLLOUT_FILE
from core.search.outcome_model import OutcomeModel
from core.tracing.params import N_OLD_PARAMS, N_PARAMS, NAMES

CHECKPOINT_VERSION = 1
OUTCOMES_FILE = "outcomes.npz"
_NEEDED = ("policy.pt", "state.json", "config.yaml")
# ours are below 10 MB
_LIMITS = {"policy.pt": 500 * MB, "state.json": 200 * MB, "config.yaml": MB, OUTCOMES_FILE: 200 * MB, ROLLOUT_FILE: MAX_ROLLOUT_BYTES}


def save_checkpoint(folder: Path, agent: PPO, config: RunConfig, extra: dict[str, Any], keep_old_as: str = "") -> None:
    """Write a checkpoint folder, replacing one of the same name, with the rollout that the agent has open. ``extra``: the trainer's own
    plain data.

    Raises:
        CheckpointError: the open rollout is too large.
    """
    weights = io.BytesIO()  # torch's own writing to a file hides a full disk behind an error of another kind
    torch.save({"policy": agent.policy.state_dict(), "optimizer": agent.policy.optimizer.state_dict()}, weights)
    state = {"v": CHECKPOINT_VERSION, "step": agent.num_timesteps, "agent": _agent_state(agent), "rng": _rng_state(), **extra}
    rollout = pack_open_rollout(agent)

    def write(aside: Path) -> None:
        (aside / "policy.pt").write_bytes(weights.getvalue())
        (aside / "state.json").write_text(json.dumps(state), encoding="utf-8")
        (aside / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
        if rollout is not None:
            (aside / ROLLOUT_FILE).write_bytes(rollout)

    _put(folder, write, keep_old_as)


def copy_checkpoint(source: Path, folder: Path, keep_old_as: str = "") -> None:
    """Replace one checkpoint by a copy of another."""
    _put(folder, lambda aside: shutil.copytree(source, aside, dirs_exist_ok=True), keep_old_as)


def _put(folder: Path, write: Callable[[Path], object], keep_old_as: str = "") -> None:
    """Have a folder written under a temporary name, sealed with checksums, and moved into place."""
    folder.parent.mkdir(exist_ok=True)  # never the run's own folder, which would bring a deleted run back
    aside = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    aside.mkdir()
    try:
        write(aside)
        _seal(aside)
        _swap(aside, folder, keep_old_as)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _seal(folder: Path) -> None:
    """Write the checksums of all files, and flush everything to disk."""
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
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(internal), gauss],
        "numpy": [str(name), keys.tolist(), int(position), int(has_gauss), float(cached)],  # type: ignore[union-attr]
        "torch": base64.b64encode(torch.get_rng_state().numpy().tobytes()).decode(),
    }


def restore_rng(state: dict[str, Any]) -> None:
    """Restore Python's, NumPy's and torch's random generators."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, cached))
    torch.set_rng_state(torch.from_numpy(np.frombuffer(base64.b64decode(state["torch"]), dtype=np.uint8).copy()))


def read_checkpoint(folder: Path) -> tuple[RunConfig, dict[str, Any]]:
    """The config and state of a checkpoint folder, checked; where it has an open rollout, the state holds its arrays as "rollout".

    Raises:
        CheckpointError: missing or damaged, or of a version that this one does not read.
    """
    config, state, files = _read(folder, with_rollout=True)
    state["rollout"] = None
    if ROLLOUT_FILE in files:
        try:
            state["rollout"] = unpack_open_rollout(files[ROLLOUT_FILE], config)
        except DamagedFileError as error:
            raise CheckpointError(f"{folder}: {error}; use another checkpoint") from error
    return config, state


def _read(folder: Path, with_rollout: bool = False) -> tuple[RunConfig, dict[str, Any], dict[str, bytes]]:
    """Config, state and the content of all files; of an open rollout only for who goes on with it, so that damage to it costs nobody
    else anything."""
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is not a checkpoint (there is no such folder)")
    try:
        sums = read_json(folder / CHECKSUMS_FILE)
        if isinstance(sums, dict) and not with_rollout:
            sums.pop(ROLLOUT_FILE, None)
        files = read_sealed(folder, sums, _LIMITS, _NEEDED)
        with damage_of("config.yaml", ConfigError):
            told = parse_yaml(files["config.yaml"].decode("utf-8"), "config.yaml")
            if not told:
                raise DamagedFileError("config.yaml is damaged: it is empty")
            config = validate(told)
        with damage_of("state.json"):
            state = json.loads(files["state.json"])
            _check_state(state)
    except (DamagedFileError, ConfigError) as error:
        raise CheckpointError(f"{folder}: {str(error).splitlines()[0]}; use another checkpoint") from error
    if config.version < 2 or state.get("param_names", list(NAMES)) != list(NAMES):
        raise CheckpointError(
            f"{folder} was written by an older version, whose agents chose {len(state.get('param_names', NAMES[:N_OLD_PARAMS]))} parameters "
            f"with another score; this version chooses {N_PARAMS}. Clone the run to start a new one"
        )
    return config, state, files


def _check_state(state: Any) -> None:
    """That it is of this version, and holds what every reader takes from it."""
    version = state["v"]
    if version != CHECKPOINT_VERSION:
        raise DamagedFileError(f"state.json has version {str(version)[:20]}; this version of Tracewright reads {CHECKPOINT_VERSION}")
    saved = state["agent"]
    if not 0 <= int(state["step"]) < 2**62 or int(saved["n_updates"]) < 0 or "normaliser" not in saved:
        raise DamagedFileError("state.json is damaged: its counters are out of range")


def load_weights(folder: Path, agent: PPO, state: dict[str, Any], data: bytes | None = None) -> None:
    """Put a checkpoint's weights, optimiser, normaliser and counters into ``agent``. ``data``: of policy.pt, where it has been read.

    Raises:
        CheckpointError: damaged, or of other networks.
    """
    weights = _weights(folder, _read(folder)[2]["policy.pt"] if data is None else data, agent.device)
    try:
        agent.policy.load_state_dict(weights["policy"])
        agent.policy.optimizer.load_state_dict(weights["optimizer"])
    except Exception as error:  # whatever torch makes of tensors that are not of these networks
        raise CheckpointError(f"{folder} does not fit this config: {str(error).splitlines()[0][:200]}") from error
    try:
        with damage_of("state.json"):
            _restore_counters(agent, state)
    except DamagedFileError as error:
        raise CheckpointError(f"{folder}: {error}; use another checkpoint") from error


def _weights(folder: Path, data: bytes, device: torch.device) -> dict[str, Any]:
    """What policy.pt holds, none of it unpickled, every number of the networks finite."""
    try:
        check_unpacked("policy.pt", data)
        with damage_of("policy.pt"):
            weights: dict[str, Any] = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
            if not all(bool(torch.isfinite(tensor).all()) for tensor in weights["policy"].values()):
                raise DamagedFileError("policy.pt is damaged: its networks hold numbers that are not finite")
    except DamagedFileError as error:
        raise CheckpointError(f"{folder}: {error}; use another checkpoint") from error
    return weights


def _restore_counters(agent: PPO, state: dict[str, Any]) -> None:
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
    """Put a checkpoint's weights, optimiser and normaliser into an agent that keeps its own counters; returns the checkpoint's step.

    Raises:
        CheckpointError: missing or damaged.
    """
    _, state, files = _read(folder)
    n_steps, n_updates = agent.num_timesteps, agent._n_updates
    load_weights(folder, agent, state, files["policy.pt"])
    agent.num_timesteps, agent._n_updates = n_steps, n_updates
    return int(state["step"])


def load_ppo(folder: Path) -> tuple[RunConfig, PPO, OutcomeModel | None]:
    """A checkpoint's config, its agent on the CPU, and its outcome model if it has one."""
    config, state, files = _read(folder)
    config = config.model_copy(update={"device": "cpu"})
    spec = env_spec(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a rollout of one environment, which nobody is going to make
        agent = build_agent(config, wrap(config, DummyVecEnv([lambda: SpacesOnly(spec.n_observation)])))
    load_weights(folder, agent, state, files["policy.pt"])
    return config, agent, _outcomes(folder, files.get(OUTCOMES_FILE))


def _outcomes(folder: Path, data: bytes | None) -> OutcomeModel | None:
    if data is None:
        return None
    try:
        check_unpacked(OUTCOMES_FILE, data)
        with damage_of(OUTCOMES_FILE), np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return OutcomeModel.from_arrays(dict(arrays))
    except DamagedFileError as error:
        raise CheckpointError(f"{folder}: {error}; use another checkpoint") from error


def load_agent(folder: Path) -> Model:
    """A checkpoint, ready to choose parameters."""
    config, agent, outcomes = load_ppo(folder)
    return Model(str(folder), config, env_spec(config), Policy(agent), deviation_of(agent), outcomes)


def add_outcome_model(folder: Path, outcomes: OutcomeModel) -> None:
    """Add an outcome model to an existing checkpoint."""

    def write(aside: Path) -> None:
        shutil.copytree(folder, aside, dirs_exist_ok=True)
        np.savez(aside / OUTCOMES_FILE, **outcomes.arrays())  # type: ignore[arg-type]

    _put(folder, write)
