"""A model as files that anyone can use without unpickling: ``policy.onnx``, ``outcomes.onnx``, ``preprocess.json``, a card.

``policy.onnx``: observation (n, n_observation) to action (n, 10) in [-1, 1], standardising and clipping included.
``outcomes.onnx``: observation (n, n_observation) and encoded parameters (n, 20) to terms (members, n, 2).
``preprocess.json``: what both also need: the order of features, action 0, ranges, the policy's deviation, checksums.
"""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.agents.checkpoint import load_ppo
from core.agents.heads import Head
from core.agents.model_folder import FORMAT, PREPROCESS_FILE
from core.agents.ppo import Policy, deviation_of
from core.config.config import RunConfig
from core.environment.episode import N_PICTURE
from core.environment.experience import N_TERMS
from core.environment.spec import env_spec, reward_formula
from core.files import write_aside
from core.paths import program
from core.search.outcome_model import N_ENCODED, OutcomeModel
from core.tracing.features import FEATURE_NAMES
from core.tracing.params import N_PARAMS, SPECS

PARAMETER_FIELDS = ("name", "low", "high", "default", "is_integer", "unit", "meaning")  # of each, for whoever runs the model elsewhere

CLIP = 3.0
_OPSET = 17
_PACKAGES = ("torch", "stable-baselines3", "vtracer", "thorvg-python", "opencv-python-headless", "numpy")


class _Graph:
    """An ONNX graph under construction: nodes in order, numbers by name."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.numbers: list[Any] = []

    def add(self, kind: str, *inputs: str | NDArray[Any], **attributes: Any) -> str:
        """Add a node; arrays become initializers. Returns the name of its output."""
        from onnx import helper, numpy_helper

        names = []
        for value in inputs:
            if isinstance(value, str):
                names.append(value)
            else:
                names.append(f"number{len(self.numbers)}")
                self.numbers.append(numpy_helper.from_array(np.asarray(value, order="C"), names[-1]))
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def bytes(self, inputs: dict[str, int], output: str, name: str, shape: list[str | int]) -> bytes:
        """The finished model; ``inputs``: their widths."""
        import onnx
        from onnx import TensorProto, helper

        self.nodes.append(helper.make_node("Identity", [output], [name]))
        taken = [helper.make_tensor_value_info(key, TensorProto.FLOAT, ["n", width]) for key, width in inputs.items()]
        given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)]
        graph = helper.make_graph(self.nodes, name, taken, given, self.numbers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9, producer_name="tracewright")
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def _number(value: float) -> NDArray[np.float32]:
    return np.array(value, dtype=np.float32)


def policy_onnx(policy: Policy) -> bytes:
    """The deterministic policy as a graph."""
    graph, (layers, activation, normaliser) = _Graph(), policy.parts()
    x = "observation"
    if normaliser is not None:
        mean, deviation, clip = normaliser
        x = graph.add("Div", graph.add("Sub", x, mean), deviation)
        x = graph.add("Clip", x, _number(-clip), _number(clip))
    for k, layer in enumerate(layers):
        x = graph.add("Gemm", x, layer.weight, layer.bias, transB=1)
        if k + 1 < len(layers):
            x = graph.add({"tanh": "Tanh", "relu": "Relu", "elu": "Elu"}[activation], x)
    if any(head.actions for head in policy.heads):
        x = graph.add("Concat", *(_chosen(graph, x, head) for head in policy.heads), axis=1)
    x = graph.add("Clip", x, _number(-1), _number(1))
    return graph.bytes(
        {"observation": layers[0].weight.shape[1] if normaliser is None else len(normaliser[0])}, x, "action", ["n", N_PARAMS]
    )


def _chosen(graph: _Graph, output: str, head: Head) -> str:
    """A head's action, shape (n, 1): its mean, or the action of its likeliest value."""
    bounds = [np.array([value], dtype=np.int64) for value in (head.first, head.first + head.width, 1)]
    columns = graph.add("Slice", output, *bounds)
    if not head.actions:
        return columns
    return graph.add("Gather", np.array(head.actions, dtype=np.float32), graph.add("ArgMax", columns, axis=1, keepdims=1))


def outcomes_onnx(outcomes: OutcomeModel) -> bytes:
    """The ensemble as one graph."""
    graph = _Graph()
    picture = graph.add("Div", graph.add("Sub", "observation", outcomes.mean), outcomes.scale)
    picture = graph.add("Clip", picture, _number(-CLIP), _number(CLIP))
    both = graph.add("Concat", picture, "encoded", axis=1)
    members = []
    for layers in outcomes.members:
        x = both
        for k, layer in enumerate(layers):
            x = graph.add("Gemm", x, layer.weight, layer.bias, transB=1)
            if k + 1 < len(layers):
                x = graph.add("Mul", x, graph.add("Sigmoid", x))
        members.append(graph.add("Unsqueeze", x, np.array([0], dtype=np.int64)))
    stacked = graph.add("Concat", *members, axis=0)
    return graph.bytes({"observation": len(outcomes.mean), "encoded": N_ENCODED}, stacked, "terms", [len(members), "n", N_TERMS])


def model_card(config: RunConfig, step: int, n_outcomes: int) -> str:
    """What a user should know of a model before trusting it."""
    c = config.logos
    source = "only the built-in procedural logos" if c.path == "builtin" else f"the logos in {Path(c.path).name}"
    more = f", plus {c.add_builtin} built-in logos per category" if c.add_builtin and c.path != "builtin" else ""
    return f"""# Model card: {config.name or "a Tracewright agent"}

**What it does.** Chooses VTracer's {N_PARAMS} parameters for a logo from {len(FEATURE_NAMES)} picture features and the outcome of
VTracer's defaults on it. `policy.onnx` makes one conversion; `outcomes.onnx` chooses the settings for further ones.

**Trained on** {source}{more}, {c.variants} variants of each (rotated, cropped, recoloured, scaled down), longest side
{c.work_size} pixels; {step:,} environment steps of PPO, seed {config.seed}; outcome model of {n_outcomes} networks on the same
conversions. Reward: {reward_formula(config)}.

**Reproduce it with** `{program()} train` with the config in `preprocess.json` (same seed, same packages) and
`{program()} export RUN --format onnx`.

**Measure it** on your own logos: `{program()} evaluate --model FOLDER --images DIR --split all --methods
default,single,tpe,policy,policy_search`.

**Limits.** Logos and flat pictures, opaque or transparent, of 64 to 1,024 pixels; photographs are unlike anything in its training data. It
lowers the visual error on average, not on every picture: `{program()} optimize` falls back on VTracer's defaults where
nothing was better. It knows VTracer {metadata.version("vtracer")}; another version may cluster colours otherwise.
"""


def _without_folders(config: RunConfig) -> dict[str, Any]:
    """The config for whoever receives the model: a folder of logos by its name alone, which reveals nothing about the machine."""
    told: dict[str, Any] = config.model_dump(mode="json")
    told["logos"]["path"] = Path(config.logos.path).name
    return told


def export_model(checkpoint: Path, out: Path) -> list[Path]:
    """Write a checkpoint's policy and outcome model to ``out``, with a card; returns the files."""
    config, agent, outcomes = load_ppo(checkpoint)
    card = model_card(config, agent.num_timesteps, len(outcomes.members) if outcomes is not None else 0)
    spec = env_spec(config)
    files = {"policy.onnx": policy_onnx(Policy(agent))}
    if outcomes is not None:
        files["outcomes.onnx"] = outcomes_onnx(outcomes)
    told = {
        "format": FORMAT,
        "features": list(FEATURE_NAMES),
        "n_observation": spec.n_observation,
        "n_picture": N_PICTURE,
        "parameters": [{key: getattr(spec, key) for key in PARAMETER_FIELDS} for spec in SPECS],
        "centre": spec.centre.as_dict() if spec.centre is not None else None,
        "deviation": [float(v) for v in deviation_of(agent)],
        "config": _without_folders(config),
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "checksums": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    files[PREPROCESS_FILE] = (json.dumps(told, indent=1) + "\n").encode()
    files["MODEL_CARD.md"] = card.encode()
    for name, data in files.items():
        write_aside(out / name, data)
    return [out / name for name in files]
