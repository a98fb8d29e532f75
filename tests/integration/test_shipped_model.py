"""The model that ships: there, small, and better than VTracer's defaults on logos that it has never seen."""

import json
import os
import subprocess
import sys

from core.agents.loading import DEFAULT_MODEL, load_model
from core.evaluation.comparison import Request, compare
from core.paths import MODELS
from core.tracing.features import FEATURE_NAMES
from tests.support.paths import ROOT
from tests.support.requirements import need


def test_it_is_there_small_and_told_of(tmp_path):
    folder = MODELS / DEFAULT_MODEL
    assert {p.name for p in folder.iterdir()} == {"policy.onnx", "outcomes.onnx", "preprocess.json", "MODEL_CARD.md"}
    assert sum(p.stat().st_size for p in folder.iterdir()) < 1_000_000
    model = load_model(DEFAULT_MODEL, tmp_path)
    assert model.config.logos.path == "builtin"
    assert model.outcomes is not None
    card = (folder / "MODEL_CARD.md").read_text()
    assert str(len(FEATURE_NAMES)) in card
    assert "**Measured** on 60 real logos" in card  # each model that ships is measured


def test_it_beats_the_defaults_in_every_category_of_real_logos(home):
    need(os.environ.get("TRACEWRIGHT_LOGOS"), "real logos")
    request = Request(DEFAULT_MODEL, os.environ["TRACEWRIGHT_LOGOS"], "validation", ("single", "policy", "policy_search"), (1, 5))
    data = compare(request, home, lambda what, n, of: None).as_dict()
    gain = data["gain"]
    assert all(value > 0 for value in gain["policy"]["1"]["by_category"].values())
    assert gain["policy"]["1"]["mean"] > gain["single"]["1"]["mean"]
    assert gain["policy_search"]["5"]["mean"] > gain["policy"]["1"]["mean"] + 0.03
    for budget in ("1", "5"):
        measured = data["measures"]["policy_search"][budget]
        assert measured["edge_f1"] > measured["edge_f1_default"] - 0.01
        assert measured["psnr"] > measured["psnr_default"] - 0.1


def test_a_newcomer_gets_svgs_with_it(tmp_path, logo_folder):
    command = [sys.executable, "-m", "core", "optimize", str(logo_folder), "--out", str(tmp_path / "svgs"), "--budget", "3", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout.splitlines()[-1])
    assert data["n_done"] == 12
    assert data["mean_gain"] > 0
    assert len(list((tmp_path / "svgs").rglob("*.svg"))) == 12
