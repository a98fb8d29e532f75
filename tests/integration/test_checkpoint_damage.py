"""Checkpoints as whoever made them may have damaged them or worse: one line each, nothing hangs."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.agents.checkpoint import load_ppo, read_checkpoint
from core.environment.episode import N_PICTURE
from core.errors import CheckpointError
from core.runs.records import read_log_tail
from core.runs.run_dir import CHECKSUMS_FILE, ROLLOUT_FILE
from core.runs.status import Status, run_state
from core.tracing.params import N_PARAMS
from core.training.trainer import train
from tests.support.command_line import core
from tests.support.damages import OF_SEALED_FILE, refusal

FILES = ("policy.pt", "state.json", "config.yaml", "outcomes.npz")


@pytest.fixture
def folder(recorded, tmp_path) -> Path:
    """A whole checkpoint, with the arrays of an outcome model that has no members."""
    made = Path(shutil.copytree(recorded(total_timesteps=256).checkpoints / "last", tmp_path / "checkpoint"))
    np.savez(made / "outcomes.npz", mean=np.zeros(3), scale=np.ones(3))
    reseal(made)
    load_ppo(made)
    return made


def reseal(folder: Path) -> None:
    """Whoever makes a checkpoint makes its checksums too."""
    files = [file for file in sorted(folder.iterdir()) if file.name != CHECKSUMS_FILE and file.is_file()]
    (folder / CHECKSUMS_FILE).write_text(json.dumps({file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}))


def refused(folder: Path) -> str:
    return refusal(load_ppo, folder, CheckpointError)


@pytest.mark.parametrize("name", [*FILES, CHECKSUMS_FILE])
@pytest.mark.timeout(60)
def test_any_damage_to_a_file(folder, name, tmp_path):
    for what, damage in OF_SEALED_FILE.items():
        if name == CHECKSUMS_FILE and what == "a link elsewhere":
            continue  # with what it said before: it is read as text and names nothing but what may be named
        copy = Path(shutil.copytree(folder, tmp_path / what))
        damage(copy / name)
        refused(copy)
        if (name, what) == ("config.yaml", "half of it"):
            continue  # YAML too, of fewer settings, if its checksum is made to fit
        if name != CHECKSUMS_FILE and (copy / name).is_file() and not (copy / name).is_symlink():
            reseal(copy)
            assert name in refused(copy), what


ROWS = {"observations": (N_PICTURE,), "actions": (N_PARAMS,), "rewards": (), "episode_starts": (), "values": (), "log_probs": ()}


def rollout(n_steps: int = 3, n_envs: int = 4, dtype: type = np.float32, fill: float = 0.0, **shapes: tuple[int, ...]) -> dict[str, Any]:
    return {name: np.full((n_steps, n_envs, *shape), fill, dtype) for name, shape in (ROWS | shapes).items()}


def with_rollout(folder: Path, arrays: dict[str, Any]) -> Path:
    np.savez(folder / ROLLOUT_FILE, **arrays)
    reseal(folder)
    return folder


def test_an_open_rollout_is_read_by_who_goes_on_with_it_and_missed_by_nobody_else(folder, tmp_path):
    with_rollout(folder, rollout())
    assert read_checkpoint(folder)[1]["rollout"]["observations"].shape == (3, 4, N_PICTURE)
    for what, damage in OF_SEALED_FILE.items():
        copy = Path(shutil.copytree(folder, tmp_path / what))
        damage(copy / ROLLOUT_FILE)
        with pytest.raises(CheckpointError, match=ROLLOUT_FILE):
            read_checkpoint(copy)
        load_ppo(copy)


@pytest.mark.parametrize(
    "arrays",
    [
        {}, {"rewards": np.float32(1)}, rollout(0), rollout(9), rollout(n_envs=5), rollout(dtype=np.float64), rollout(fill=np.nan),
        rollout(actions=(9,)), rollout(more=()), rollout() | {"values": np.array([["x"] * 4] * 3)}, rollout() | {"values": np.array([None])},
    ],
)  # fmt: skip
def test_a_rollout_that_can_not_be(folder, arrays):
    with pytest.raises(CheckpointError, match=r"rollout\.npz is damaged") as caught:
        read_checkpoint(with_rollout(folder, arrays))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("sums", [[], {"/dev/zero": ""}, {"/dev/zero": "0" * 64}, {"../../etc/passwd": "0" * 64}, {"state.json": 3}])
def test_checksums_that_name_what_they_must_not(folder, sums):
    (folder / CHECKSUMS_FILE).write_text(json.dumps(sums))
    refused(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 99}, {"v": None}, {"step": "soon"}, {"step": -1}, {"step": 1e400}, {"agent": []}, {"agent": {}},
        {"agent": {"n_updates": -1, "normaliser": None}},
    ],
)  # fmt: skip
def test_a_state_that_can_not_be(folder, change):
    state = json.loads((folder / "state.json").read_text()) | change
    (folder / "state.json").write_text(json.dumps(state))
    reseal(folder)
    assert "state.json" in refused(folder)


class Opens:
    """What runs code where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, ("unpickled-by-a-model", "w")


def weights(made: Any) -> bytes:
    file = io.BytesIO()
    torch.save(made, file)
    return file.getvalue()


def bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("archive/data.pkl", bytes(50_000_000))
    return file.getvalue()


@pytest.mark.parametrize(
    "made",
    [
        lambda good: pickle.dumps(Opens()),
        lambda good: weights({"policy": Opens(), "optimizer": {}}),
        lambda good: weights([1, 2]),
        lambda good: weights(good | {"policy": {}}),
        lambda good: weights(good | {"policy": {name: tensor * float("nan") for name, tensor in good["policy"].items()}}),
        lambda good: weights(good | {"policy": {name: tensor[..., :1] for name, tensor in good["policy"].items()}}),
        lambda good: weights(good | {"optimizer": {"state": 3, "param_groups": 5}}),
        lambda good: bomb(),
    ],
)  # fmt: skip
def test_weights_that_are_none_of_ours(folder, made):
    file = folder / "policy.pt"
    file.write_bytes(made(torch.load(file, weights_only=True)))
    reseal(folder)
    refused(folder)
    assert not Path("unpickled-by-a-model").exists()


def test_a_run_whose_checkpoints_have_a_false_state_fails_with_one_line(recorded, home):
    run = recorded(total_timesteps=256)
    for name in run.checkpoint_names():
        state = json.loads((run.checkpoints / name / "state.json").read_text())
        state["rng"]["numpy"] = ["MT19937", [1, 2], 3, 4, 5]
        (run.checkpoints / name / "state.json").write_text(json.dumps(state))
        reseal(run.checkpoints / name)
        read_checkpoint(run.checkpoints / name)
    with pytest.raises(CheckpointError, match=r"state.json is damaged"):
        train(run, resume=True)
    state = run_state(run)
    assert state.status is Status.FAILED
    assert "state.json is damaged" in state.reason
    assert not [line for line in read_log_tail(run, 50) if "Traceback" in line]


def test_the_command_line_says_it_in_one_line(folder, logo_folder, home):
    (folder / "policy.pt").write_bytes(b"\x80\x04garbage")
    reseal(folder)
    for command in (
        ["optimize", str(logo_folder), "--model", str(folder)],
        ["export", str(folder), "--format", "onnx", "--out", str(home)],
        ["models", "register", str(folder)],
    ):
        done = core(*command, home=home)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "policy.pt is damaged" in done.stderr
