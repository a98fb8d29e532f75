"""Model folders as whoever made them may have damaged them or worse: one line each, nothing hangs, nothing else is opened."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from core.agents.model_folder import PREPROCESS_FILE
from core.agents.onnx_model import read_model
from core.errors import RunError
from core.models.registry import SHIPPED_FOLDER
from tests.support.damages import OF_SEALED_FILE, refusal

FILES = (PREPROCESS_FILE, "policy.onnx", "outcomes.onnx")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED_FOLDER, tmp_path / "model"))


def refused(folder: Path) -> str:
    return refusal(read_model, folder, RunError)


def reseal(folder: Path, **changes: Any) -> None:
    """Whoever makes a model makes its checksums too."""
    told = json.loads((folder / PREPROCESS_FILE).read_bytes()) | changes
    if "checksums" not in changes:
        told["checksums"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in told["checksums"]}
    (folder / PREPROCESS_FILE).write_text(json.dumps(told))


def test_the_model_that_ships_can_be_read(folder):
    assert read_model(folder).name == str(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", OF_SEALED_FILE.values(), ids=OF_SEALED_FILE)
@pytest.mark.timeout(20)
def test_any_damage_to_a_file(folder, name, damage):
    damage(folder / name)
    refused(folder)
    if name != PREPROCESS_FILE and (folder / name).is_file() and not (folder / name).is_symlink():
        reseal(folder)
        assert name in refused(folder)


@pytest.mark.parametrize(
    "sums",
    [
        [], "x", None, 3, {}, {"policy.onnx": 3}, {"policy.onnx": ""}, {"/dev/zero": "0" * 64}, {"/dev/zero": ""},
        {"../../etc/passwd": "0" * 64}, {"policy.onnx/../policy.onnx": "0" * 64}, {"": "0" * 64}, {"outcomes.onnx": "0" * 64},
    ],
)  # fmt: skip
def test_checksums_that_name_what_they_must_not(folder, sums, monkeypatch):
    opened = watched(monkeypatch)
    reseal(folder, checksums=sums)
    refused(folder)
    assert {Path(path).parent for path in opened} == {folder}


def watched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are opened from here on."""
    opened: list[str] = []
    for module in (os, io):
        monkeypatch.setattr(module, "open", _noting(module.open, opened))
    return opened


def _noting(own: Callable[..., Any], opened: list[str]) -> Callable[..., Any]:
    def note(path: Any, *rest: Any, **more: Any) -> Any:
        opened.append(os.fspath(path))
        return own(path, *rest, **more)

    return note


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 99}, {"format": None}, {"format": "1" * 10_000}, {"parameters": 3}, {"parameters": []}, {"features": {}}, {"config": []},
        {"config": {"version": 99}}, {"deviation": []}, {"deviation": ["x"] * 10}, {"deviation": [float("nan")] * 10},
        {"deviation": [-1.0] * 10}, {"deviation": [1e300] * 10}, {"deviation": None},
    ],
)  # fmt: skip
def test_what_preprocess_says_that_can_not_be(folder, changes):
    reseal(folder, **changes)
    refused(folder)


def graph(nodes: list[onnx.NodeProto], shape: tuple[int, ...] = (1, 10), initializers: tuple[onnx.TensorProto, ...] = ()) -> bytes:
    given = [helper.make_tensor_value_info("observation", TensorProto.FLOAT, [None, None])]
    gives = [helper.make_tensor_value_info("action", TensorProto.FLOAT, list(shape))]
    made = helper.make_graph(nodes, "policy", given, gives, initializer=list(initializers))
    return bytes(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString())


def constant(values: list[float], shape: tuple[int, ...]) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["action"], value=helper.make_tensor("c", TensorProto.FLOAT, shape, values))


def outside() -> bytes:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, (1, 10), [0.0] * 10)
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../../etc/passwd"
    return graph([helper.make_node("Identity", ["w"], ["action"])], initializers=(tensor,))


def endless() -> bytes:
    inside = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["x"], ["y"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    yes = helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True]))
    return graph([yes, helper.make_node("Loop", ["", "yes", "observation"], ["action"], body=inside)])


GRAPHS: dict[str, Callable[[], bytes]] = {
    "another shape": lambda: graph([constant([0.0] * 3, (1, 3))], (1, 3)),
    "no numbers": lambda: graph([constant([float("nan")] * 10, (1, 10))]),
    "an operator that there is not": lambda: graph([helper.make_node("Nothing", ["observation"], ["action"])]),
    "tensors in another file": outside,
    "a loop without an end": endless,
}


@pytest.mark.parametrize("name", FILES[1:])
@pytest.mark.parametrize("made", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.timeout(20)
def test_graphs_that_are_none_of_ours(folder, name, made):
    (folder / name).write_bytes(made())
    reseal(folder)
    assert name in refused(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_observation": "x"}, {"n_observation": None}, {"versions": []}, {"versions": None}, {"versions": {"torch": 2}}, {"centre": 3},
        {"centre": [1.0]}, {"centre": {"max_colors": "x"}},
    ],
)  # fmt: skip
def test_what_a_card_is_made_of_is_checked_as_it_is_read(folder, changes):
    reseal(folder, **changes)
    assert PREPROCESS_FILE in refused(folder)
