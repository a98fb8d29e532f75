"""An exported model away from here: runner.py in a process that may import its four packages alone gives the same choices and the same SVGs.

A dozen logos by default; TRACEWRIGHT_SLOW=1 takes 200. TRACEWRIGHT_RUNNER_PYTHON names another interpreter, of an environment that holds the
four packages (the export's requirements.txt) and nothing else.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from core.agents.loading import load_model
from core.agents.model import Model
from core.agents.registration import register
from core.environment.episode import Episode, PreparedLogo
from core.environment.spec import pipeline_of
from core.logos.dataset import write_logos
from core.logos.intake import read_picture
from core.models import registry
from core.packaging import bundle, folder
from core.tracing.finish import sized
from core.tracing.picture import Picture, fit
from tests.support.logos import draw_logo

IS_FULL = bool(os.environ.get("TRACEWRIGHT_SLOW"))
N_PER_CATEGORY = 50 if IS_FULL else 3
OTHER_PYTHON = os.environ.get("TRACEWRIGHT_RUNNER_PYTHON", "")
# Refuses every package that is installed here but the allowed ones, and this repository
BLOCKER = """
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ImportError(f"{name} must not be imported")

BLOCKED = set(sys.argv.pop(1).split(","))
sys.meta_path.insert(0, Blocker())
sys.argv.pop(0)
sys.path.insert(0, "")
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def with_what_they_need(packages: Iterable[str]) -> set[str]:
    """Distributions that come with these, by their normalised names."""
    found: set[str] = set()
    left = list(packages)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name not in found:
            found.add(name)
            needed = [line for line in metadata.requires(name) or [] if "extra ==" not in line]
            left += [re.match(r"[\w.-]+", line)[0] for line in needed]
    return found


def blocked() -> set[str]:
    """Top-level modules that are installed here and that the runner must do without."""
    allowed = with_what_they_need(bundle.PACKAGES)
    by_module = metadata.packages_distributions()
    others = {name for name, owners in by_module.items() if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & allowed}
    return {name for name in others if name.isidentifier()} - set(sys.stdlib_module_names) | {"core", "storage", "pages", "tests"}


def run_alone(exported: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The runner in an interpreter that sees nothing of the repository, in another working directory."""
    command = [str(exported / folder.RUNNER_FILE), *map(str, arguments)]
    start = [OTHER_PYTHON, "-I"] if OTHER_PYTHON else [sys.executable, "-I", "-c", BLOCKER, ",".join(sorted(blocked()))]
    elsewhere = exported.parent / "elsewhere"  # what it keeps for itself, such as what ONNX Runtime notes to tell its makers
    elsewhere.mkdir(exist_ok=True)
    environment = {key: value for key, value in os.environ.items() if key not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")}
    environment |= {"HOME": str(elsewhere), "TMPDIR": str(elsewhere)}
    ended = subprocess.run([*start, *command], cwd=exported.parent, env=environment, capture_output=True, text=True, timeout=3000)
    assert not list(elsewhere.rglob("*"))
    return ended


def here(model: Model, file: Path, trace_size: int | None = None) -> tuple[np.ndarray, dict[str, float], str]:
    """What the repository's own code makes of a file: action, parameters, SVG."""
    own = read_picture(file, None)
    pipeline = pipeline_of(model.config)
    pipeline = pipeline if trace_size is None else replace(pipeline, trace_size=trace_size)
    picture = Picture(fit(own, model.config.logos.work_size), pipeline)
    episode = Episode(PreparedLogo("", "", "", picture.features, picture.defaults), model.spec)
    action = model.policy.actions(episode.observation()[None])[0]
    params = episode.params_of(action)
    measured = picture.measure(params)
    measured = picture.by_defaults if measured.outcome.failure is not None else measured
    return action, params.as_dict(), sized(measured.trace.svg, own.shape[1], own.shape[0])


def assert_the_same(model: Model, rows: list[dict], trace_size: int | None = None) -> None:
    worst, other_params, other_svgs = 0.0, [], []
    for row in rows:
        action, params, svg = here(model, Path(row["file"]), trace_size)
        worst = max(worst, float(np.abs(action - np.array(row["action"])).max()))
        if params != pytest.approx(row["params"], rel=1e-4, abs=1e-4):
            other_params.append(row["file"])
        if svg.encode() != Path(row["svg"]).read_bytes():
            other_svgs.append(row["file"])
    print(
        f"{len(rows)} logos: largest difference of an action {worst:.2e}, {len(other_params)} other parameters, {len(other_svgs)} other SVGs"
    )
    assert worst <= 1e-4
    assert (other_params, other_svgs) == ([], [])


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """The model that ships, exported."""
    out = tmp_path_factory.mktemp("exported") / "a model"
    folder.export(registry.find("shipped", out), out, lambda what, n_done, n_all: None)
    return out


@pytest.fixture
def logos(tmp_path) -> Path:
    """Built-in logos, and some with alpha: a soft one, and one that is cut out."""
    write_logos(tmp_path / "pictures", 23, N_PER_CATEGORY, 400)
    for kind in range(2):
        pixels = np.asarray(draw_logo(kind, 300)).copy()
        alpha = np.where((pixels > 250).all(axis=2), 0, 255 if kind else 160).astype(np.uint8)
        Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "pictures" / f"clear {kind}.png")
    return tmp_path / "pictures"


@pytest.mark.timeout(3600 if IS_FULL else 240)
def test_the_runner_alone_chooses_and_draws_as_the_repository_does(exported, logos, tmp_path):
    ended = run_alone(exported, logos, "--out", tmp_path / "svgs", "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert len(told["results"]) == 4 * N_PER_CATEGORY + 2
    assert {row["made_by"] for row in told["results"]} == {"policy"}
    assert_the_same(load_model("shipped", tmp_path), told["results"])


def test_the_runner_traces_at_the_size_that_is_asked_for(exported, logos, tmp_path):
    files = sorted(logos.glob("simple/*.png"))[:1] + sorted(logos.glob("gradient/*.png"))[:1]
    ended = run_alone(exported, *files, "--out", tmp_path / "svgs", "--trace-size", 1024, "--json")
    assert ended.returncode == 0, ended.stderr
    assert_the_same(load_model("shipped", tmp_path), json.loads(ended.stdout.splitlines()[-1])["results"], 1024)


def test_a_trained_run_is_registered_exported_and_chooses_as_its_checkpoint_does(recorded, home, tmp_path):
    """Of several conversions per episode the runner makes the first."""
    run = recorded(env={"max_steps": 2})
    entry = register(run.run_id, home, "mine")
    folder.export(entry, tmp_path / "out", lambda what, n_done, n_all: None)
    assert (tmp_path / "out" / registry.SB3_FILE).stat().st_size > 10_000
    files = [tmp_path / f"{kind}.png" for kind in range(3)]
    for kind, file in enumerate(files):
        draw_logo(kind, 64).save(file)
    ended = run_alone(tmp_path / "out", *files, "--out", tmp_path / "svgs", "--json")
    assert ended.returncode == 0, ended.stderr
    assert_the_same(load_model(str(run.path), home), json.loads(ended.stdout.splitlines()[-1])["results"])


def test_the_blocker_keeps_the_repository_and_its_packages_out(exported, tmp_path):
    """Without which the tests above would say nothing."""
    told = blocked()
    assert {"core", "PIL", "scipy", "torch", "pydantic", "thorvg_python", "skimage", "stable_baselines3"} <= told
    assert not told & {"numpy", "cv2", "onnxruntime", "vtracer"}
    script = tmp_path / "script.py"
    script.write_text("import PIL", encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-I", "-c", BLOCKER, ",".join(sorted(told)), str(script)], capture_output=True, text=True, timeout=60
    )
    assert "PIL must not be imported" in ended.stderr


def test_bad_pictures_are_skipped_with_a_reason_and_the_others_are_made(exported, tmp_path):
    good, broken, plain = tmp_path / "good.png", tmp_path / "broken.png", tmp_path / "plain.png"
    draw_logo(1, 64).save(good)
    broken.write_bytes(good.read_bytes()[:60])
    cv2.imwrite(str(plain), np.full((32, 32, 3), 7, np.uint8))
    ended = run_alone(exported, broken, good, plain, tmp_path / "none.png", "--out", tmp_path / "svgs", "--json")
    told = json.loads(ended.stdout.splitlines()[-1])
    assert ended.returncode == 1
    assert [Path(row["svg"]).name for row in told["results"]] == ["good.svg"]
    reasons = {Path(row["file"]).name: row["reason"] for row in told["skipped"]}
    assert reasons["plain.png"] == "it has only one colour, so there is nothing to trace"
    assert "unreadable image" in reasons["broken.png"]
    assert "No such file" in reasons["none.png"]
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda out: (out / "policy.onnx").write_bytes(b"x"), "policy.onnx' is damaged (its checksum differs)"),
        (lambda out: (out / "preprocess.json").write_text("{}"), "is damaged: KeyError"),
        (lambda out: (out / "preprocess.json").write_text("{"), "is damaged"),
        (lambda out: (out / "preprocess.json").write_bytes(b"\xff"), "is damaged"),
        (lambda out: (out / "policy.onnx").unlink(), "holds no model (No such file or directory: policy.onnx)"),
    ],
)
def test_a_damaged_model_is_one_clear_line_of_the_runner(exported, tmp_path, damage, told, capsys, monkeypatch):
    """In this process, where the runner's source is the same."""
    from core.packaging import runner

    folder.export(registry.find("shipped", tmp_path), tmp_path / "out", lambda what, n_done, n_all: None)
    damage(tmp_path / "out")
    draw_logo(1, 64).save(tmp_path / "logo.png")
    monkeypatch.setattr(cv2, "setNumThreads", lambda n: None)
    assert runner.main([str(tmp_path / "logo.png"), "--out", str(tmp_path / "svgs"), "--model", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert told.replace("'", "") in error
    assert error.count("\n") == 1


def test_the_bundle_holds_each_module_as_it_stands(exported):
    """But for its imports; so nothing can drift apart."""
    text = (exported / folder.RUNNER_FILE).read_text(encoding="utf-8")
    for name in bundle.modules():
        source = bundle.path_of(name).read_text(encoding="utf-8")
        code = [line for line in source.splitlines() if not line.strip().startswith(("from ", "import "))]
        at = text.index(f'_SOURCES["{name.replace("core.", "bundled.", 1)}"]')
        part = text[at : text.index("\n'''", at)].splitlines()
        ours = [line for line in part if not line.strip().startswith(("from ", "import "))][0:]
        assert ours[1:] == code[1:], name
        assert importlib.import_module(name)
