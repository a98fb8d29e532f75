"""Methods against each other, the model as files, and ``optimize``: on a tiny agent that is really trained."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from core.agents.loading import SCATTER, find_checkpoint, load_model
from core.agents.onnx_export import export_model
from core.errors import ConfigError, RunError
from core.evaluation.comparison import Request, compare
from core.evaluation.files import find_pictures
from core.evaluation.finalists import PREFERENCES
from core.evaluation.optimize import Extras, optimize
from core.evaluation.tables import as_text, write_comparison
from core.logos.dataset import write_logos
from core.paths import trace_cache_file
from core.runs.records import read_config
from core.runs.run_dir import RunDir
from core.search.searchers import SEARCHES
from core.tracing.cache import TraceCache
from core.tracing.finish import sized
from core.tracing.judge import MAX_PSNR, edge_f1, fidelity, psnr
from core.tracing.minify import minified
from core.tracing.outcome import gain
from core.tracing.params import DEFAULTS, N_PARAMS
from core.tracing.picture import Picture
from core.tracing.pipeline import Pipeline
from core.tracing.raster import rasterizer
from tests.support.logos import draw_logo
from tests.support.paths import ROOT
from tests.support.runs import tiny_config

pytestmark = pytest.mark.xdist_group("evaluation")  # they share a home


def quiet(what: str, n_done: int, n_all: int) -> None:
    pass


@pytest.fixture
def trained(recordings) -> tuple[Path, Path, RunDir]:
    """(home, logos, run) of an agent with an outcome model: 1,280 conversions of twelve logos and their variants."""
    changes = {"n_envs": 64, "logos": {"variants": 1}, "outcome": {"members": 2, "units": 32, "epochs": 4}}
    run = recordings.original(tiny_config(recordings.logos, total_timesteps=1280, evaluation={"every_steps": 640}, **changes))
    return run.path.parent, recordings.logos, run


def test_every_method_has_its_conversions_and_the_same_command_the_same_figures(trained, tmp_path):
    home, folder, run = trained
    methods = ("default", "method1_raw", "single", "random", "tpe", "tpe_cold", "gp", "portfolio", "policy", "policy_search")
    searches = (*SEARCHES, "policy_search")
    request = Request(str(run.path), str(folder), "all", methods, (1, 3, 6))
    first = compare(request, home, quiet)
    data = first.as_dict()
    assert json.dumps(data) == json.dumps(compare(request, home, quiet).as_dict())
    assert data["n_logos"] == 12
    for method in methods:
        budgets = ["1", "3", "6"] if method in searches else ["1"]
        assert list(data["gain"][method]) == budgets
        means = [data["gain"][method][b]["mean"] for b in budgets]
        assert means == sorted(means)
        for b in budgets:
            found = data["gain"][method][b]
            assert found["low"] <= found["mean"] <= found["high"]
            assert set(found["by_category"]) == {"simple", "text", "gradient", "complex"}
            assert data["measures"][method][b]["regret"] >= 0
    assert data["gain"]["default"]["1"]["mean"] == 0
    assert data["measures"]["default"]["1"]["edge_f1"] == data["measures"]["default"]["1"]["edge_f1_default"]
    assert data["worth_tpe"]["tpe"]["6"] == pytest.approx(6.0)
    assert data["worth_tpe_cold"]["tpe_cold"]["6"] == pytest.approx(6.0)
    assert data["worth_tpe"]["tpe_cold"]["1"] < 1  # started cold, the first is not worth the one that is known to be good
    assert data["gain"]["policy"]["1"]["mean"] == data["gain"]["policy_search"]["1"]["mean"]
    single = data["gain"]["single"]["1"]["mean"]
    assert data["gain"]["tpe"]["1"]["mean"] == data["gain"]["gp"]["1"]["mean"] == single  # where both start
    paired = data["against_single"]["policy_search"]["6"]["difference"]
    assert paired == pytest.approx(data["gain"]["policy_search"]["6"]["mean"] - single)
    assert {"against_tpe", "against_gp", "against_portfolio"} < data.keys()
    # every figure of a search is that of its own best conversion, and no search had more than it was given
    for method, trajectories in first.trajectories.items():
        assert {len(trajectory.conversions) for trajectory in trajectories} == {6 if method in searches else 1}
    write_comparison(first, tmp_path / "out")
    rows = (tmp_path / "out" / "comparison.csv").read_text().splitlines()
    assert len(rows) == 1 + 12 * sum(len(b) for b in data["gain"].values())
    assert len(list((tmp_path / "out" / "tpe-6").glob("*.svg"))) == 12


def test_what_is_delivered_comes_of_the_larger_trace(trained, tmp_path):
    """Finer than what was searched; held against the vectors in place of what was searched. VTracer's defaults stay as they are."""
    home, _, run = trained
    write_logos(tmp_path / "logos", n_per_category=4, longest_side=64)
    asked = {"images": str(tmp_path / "logos"), "methods": ("default", "single"), "budgets": (1,), "work_size": 64, "vectors": True}
    settings = read_config(run)
    assert settings.pipeline.delivered_size > settings.pipeline.trace_size > 0
    searched, delivered = (compare(Request(str(run.path), **asked, delivered=is_delivered), home, quiet) for is_delivered in (False, True))
    before, after = (found.as_dict()["measures"] for found in (searched, delivered))
    assert "delivered" not in before["single"]["1"]
    assert after["single"]["1"]["delivered"]["bytes_share"] > before["single"]["1"]["bytes"] / before["single"]["1"]["bytes_default"]
    assert after["single"]["1"]["vector"]["visual_gain"] > before["single"]["1"]["vector"]["visual_gain"]
    assert after["default"]["1"]["delivered"] | {"share_visibly_worse": 0} == {
        "gain": 0, "bytes_share": 1, "nodes_share": 1, "share_visibly_worse": 0,
    }  # fmt: skip
    assert "as delivered" in as_text(delivered)
    write_comparison(delivered, tmp_path / "out")
    column = delivered.columns["single"][1]
    assert column.delivered is not None
    assert {file.read_text() for file in (tmp_path / "out" / "single-1").iterdir()} == {svg for _, svg in column.delivered}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"methods": ("magic",)}, "'magic' is not one of"),
        ({"methods": ("policy_search",)}, "needs --model"),
        ({"budgets": (0,), "methods": ("single",)}, "not whole numbers in"),
        ({"split": "some"}, "is not one of train"),
    ],
)
def test_what_cannot_be_compared_is_said(changes, text, tmp_path):
    with pytest.raises(ConfigError, match=text):
        compare(Request(None, "builtin", **changes), tmp_path, quiet)


def test_the_exported_model_chooses_as_the_checkpoint_does(trained, tmp_path):
    home, _, run = trained
    files = export_model(run.checkpoints / "last", tmp_path / "m")
    assert {f.name for f in files} == {"policy.onnx", "outcomes.onnx", "preprocess.json", "MODEL_CARD.md"}
    logos = read_config(run).logos.path
    assert os.path.isabs(logos)
    assert not [f.name for f in files if os.path.dirname(logos).encode() in f.read_bytes()]  # whoever gets it learns no folder of ours
    kept, shipped = load_model(str(run.checkpoints / "last"), home), load_model(str(tmp_path / "m"), home)
    rng = np.random.default_rng(0)
    observations = rng.uniform(-1, 2, (100, kept.spec.n_observation)).astype(np.float32)
    np.testing.assert_allclose(kept.policy.actions(observations), shipped.policy.actions(observations), atol=1e-5)
    params = kept.spec.actions.to_values(rng.uniform(-1, 1, (50, N_PARAMS)))
    assert kept.outcomes is not None
    assert shipped.outcomes is not None
    np.testing.assert_allclose(kept.outcomes.predict(observations[0], params), shipped.outcomes.predict(observations[0], params), atol=1e-4)
    np.testing.assert_array_equal(kept.deviation, shipped.deviation)
    assert kept.spec == shipped.spec
    (tmp_path / "m" / "policy.onnx").write_bytes(b"something else")
    with pytest.raises(RunError, match=r"policy.onnx is damaged"):
        load_model(str(tmp_path / "m"), home)


def test_a_run_stands_for_its_last_checkpoint_unless_its_best_was_clearly_better(trained, tmp_path):
    home, _, run = trained
    other = RunDir(tmp_path / "other")
    shutil.copytree(run.path, other.path)
    lines = other.events_file.read_text().splitlines()
    for better, stands in ((0.5 * SCATTER, "last"), (2 * SCATTER, "best")):
        ended = json.loads(lines[-1])
        ended["data"]["best_gain"] = ended["data"]["gain"] + better
        other.events_file.write_text("\n".join([*lines[:-1], json.dumps(ended)]) + "\n")
        assert find_checkpoint(str(other.path), home) == other.checkpoints / stands
    assert find_checkpoint(str(other.checkpoints / "best"), home) == other.checkpoints / "best"


def test_reading_a_shipped_model_needs_no_torch(trained, tmp_path):
    _, _, run = trained
    export_model(run.checkpoints / "last", tmp_path / "m")
    code = "import sys; from pathlib import Path; from core.agents.loading import load_model; import core.evaluation.optimize;"
    code += f"load_model({str(tmp_path / 'm')!r}, Path('.')); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr


def pictures(tmp_path: Path) -> Path:
    """Five good files (two of one name), a broken, an empty and a huge one."""
    folder = tmp_path / "in"
    (folder / "other").mkdir(parents=True)
    for i in range(4):
        draw_logo(i).save(folder / f"logo {i}.png")
    draw_logo(5).save(folder / "other" / "logo 1.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    (folder / "empty.jpg").write_bytes(b"")
    Image.new("1", (9000, 8000)).save(folder / "huge.png")
    return folder


def test_optimize_writes_the_best_and_skips_what_it_cannot_read(trained, tmp_path):
    home, _, run = trained
    folder = pictures(tmp_path)
    files, missing = find_pictures([folder, tmp_path / "nowhere", folder / "logo 0.png"])
    assert [m.reason for m in missing] == ["no such file or folder"]
    assert len(files) == 8
    told: list[int] = []
    done = optimize(files, load_model(str(run.path), home), 4, "", 64, tmp_path / "out", home, lambda what, n, of: told.append(n))
    assert sorted(Path(s.source).name for s in done.skipped) == ["broken.png", "empty.jpg", "huge.png"]
    assert all(s.reason for s in done.skipped)
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.svg")) == [
        "logo 0.svg", "logo 1.svg", "logo 2.svg", "logo 3.svg", "other/logo 1.svg",
    ]  # fmt: skip
    assert told == sorted(told)
    for result in done.results:
        assert result.visual_gain >= 0
        assert not result.outcome.is_visibly_worse(result.defaults)
        pixels = np.asarray(Image.open(result.file).convert("RGB"))
        svg = Path(result.svg).read_text()
        if result.is_default:
            assert result.params == DEFAULTS
        picture = Picture(pixels, Pipeline(trace_size=result.trace_size))
        measured = picture.measure(result.params)
        own = minified(measured.trace.svg, pixels.shape[1], pixels.shape[0])
        assert svg == sized(own, pixels.shape[1], pixels.shape[0])
        assert len(svg.encode()) == result.file_bytes
        assert measured.outcome.ssim == result.outcome.ssim
    assert len((tmp_path / "out" / "optimized.csv").read_text().splitlines()) == 1 + len(done.results)


TO_BE_KILLED = """
import sys
from pathlib import Path
from core.agents.loading import load_model
from core.evaluation.files import find_pictures
from core.evaluation.optimize import Extras, optimize

folder, run, home, out = map(Path, sys.argv[1:])

def progress(what, n_done, n_all):
    if n_done > 3.5 / 8 * n_all:
        print("there", flush=True)
        sys.stdin.read()

optimize(find_pictures([folder])[0], load_model(str(run), home), 3, "", 64, out, home, progress, extras=Extras(alternatives=out / "others", group=2))
"""


def test_optimize_that_was_killed_goes_on_and_gives_the_same(trained, tmp_path):
    """SIGKILL in the midst of a group."""
    home, _, run = trained
    folder = pictures(tmp_path)
    files, _ = find_pictures([folder])
    model, told = load_model(str(run.path), home), []

    def call(out, progress=quiet):
        return optimize(files, model, 3, "", 64, out, home, progress, extras=Extras(alternatives=out / "others", group=2))

    command = [sys.executable, "-c", TO_BE_KILLED, *map(str, (folder, run.path, home, tmp_path / "out"))]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "there\n"
        process.kill()
    first = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.svg")}
    done = call(tmp_path / "out", lambda what, n, of: told.append(n / of))
    assert 2 <= len(first) == done.n_kept < 5
    assert told[0] == done.n_kept / 8
    assert all(path.stat().st_mtime_ns == written for path, written in first.items())
    whole = call(tmp_path / "whole")
    assert whole.n_kept == 0
    assert [r.as_dict() | {"svg": ""} for r in done.results] == [r.as_dict() | {"svg": ""} for r in whole.results]
    for name in ("optimized.parquet", "others/alternatives.json"):
        assert (tmp_path / "out" / name).is_file()
    assert (tmp_path / "out/others/alternatives.json").read_bytes() == (tmp_path / "whole/others/alternatives.json").read_bytes()
    svgs = [{p.relative_to(out): p.read_bytes() for p in out.rglob("*.svg")} for out in (tmp_path / "out", tmp_path / "whole")]
    assert svgs[0] == svgs[1]
    table = pq.read_table(tmp_path / "out" / "optimized.parquet").to_pylist()
    assert table == [r.as_dict() for r in done.results]
    assert not list((tmp_path / "out").glob(".*"))


COMPARISON_TO_BE_KILLED = """
import sys
from pathlib import Path
from core.evaluation.comparison import Request, compare

def progress(what, n_done, n_all):
    if what == "random" and n_done > 70:
        print("there", flush=True)
        sys.stdin.read()

compare(Request(None, sys.argv[1], "all", ["random"], [8], 32), Path(sys.argv[2]), progress)
"""


def test_a_comparison_that_was_killed_finds_what_it_did_in_the_cache(home, logo_folder):
    """All but the last 64 conversions, which wait for one transaction; what is made again would stand in a new row."""

    def rows() -> dict[bytes, int]:
        with closing(sqlite3.connect(trace_cache_file(home))) as file:
            return dict(file.execute("SELECT key, id FROM conversions WHERE svg IS NULL"))

    command = [sys.executable, "-c", COMPARISON_TO_BE_KILLED, str(logo_folder), str(home)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "there\n"
        process.kill()
    before = rows()
    assert len(before) >= 64
    compare(Request(None, str(logo_folder), "all", ["random"], [8], 32), home, quiet)
    after = rows()
    assert len(after) > len(before)
    again = [key for key in before if key in after and after[key] != before[key]]
    assert not again


def test_optimize_keeps_what_is_clear(trained, tmp_path):
    home, _, run = trained
    folder = tmp_path / "in"
    folder.mkdir()
    for name, colour in (("mark", (200, 30, 40)), ("white", (255, 255, 255))):
        picture = Image.new("RGBA", (64, 64), (*colour, 0))
        picture.paste((*colour, 255), (12, 12, 40, 50))
        picture.save(folder / f"{name}.png")
    files, _ = find_pictures([folder])
    done = optimize(files, load_model(str(run.path), home), 2, "", 64, tmp_path / "out", home, quiet)
    assert not done.skipped
    for result in done.results:
        drawn = rasterizer().draw_rgba(Path(result.svg).read_bytes(), 64, 64)
        assert drawn[2, 2, 3] == 0
        assert drawn[30, 30, 3] == 255


def test_an_svg_comes_out_at_the_size_that_it_says_it_has(trained, tmp_path):
    home, _, run = trained
    folder = tmp_path / "in"
    folder.mkdir()
    circle = '<circle cx="50" cy="50" r="30" fill="#06c"/>'
    for name, about in (("view", 'viewBox="0 0 300 100"'), ("own", 'width="60" height="20" viewBox="0 0 300 100"')):
        (folder / f"{name}.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {about}>{circle}</svg>')
    files, _ = find_pictures([folder])
    done = optimize(files, load_model(str(run.path), home), 2, "", 256, tmp_path / "out", home, quiet)
    sizes = {Path(result.file).stem: rasterizer().size(Path(result.svg).read_bytes()) for result in done.results}
    assert sizes == {"view": (300, 100), "own": (60, 20)}


def test_a_preference_changes_what_is_best(home, tmp_path):
    files, _ = find_pictures([pictures(tmp_path)])
    model = load_model("default", home)
    found = {p: optimize(files, model, 12, p, 64, tmp_path / (p or "both"), home, quiet) for p in PREFERENCES}
    n_bytes = {p: sum(r.outcome.n_bytes for r in done.results) for p, done in found.items()}
    assert n_bytes["smaller"] <= n_bytes["faithful"]
    for wanted, other in (("smaller", "faithful"), ("faithful", "smaller")):
        own, theirs = (sum(gain(r.outcome, r.defaults, PREFERENCES[wanted]).total for r in found[p].results) for p in (wanted, other))
        assert own > theirs


def test_optimize_on_the_command_line(trained, tmp_path):
    home, _, run = trained
    folder = pictures(tmp_path)

    def core(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "core", "optimize", *arguments]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, "TRACEWRIGHT_HOME": str(home)}
        )

    done = core(str(folder), "--model", str(run.path), "--budget", "2", "--max-side", "64", "--out", str(tmp_path / "o"), "--json")
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout.splitlines()[-1])
    assert (data["n_done"], data["n_skipped"]) == (5, 3)
    assert "skipped" in done.stderr
    for arguments, code, text in (
        ([str(folder), "--out", str(tmp_path / "o"), "--prefer", "cheaper"], 2, "'cheaper' is not one of smaller, faithful"),
        ([str(tmp_path / "nothing"), "--out", str(tmp_path / "o")], 2, "no picture in"),
        ([str(folder / "broken.png"), "--model", str(run.path), "--out", str(tmp_path / "o")], 1, "broken.png"),
    ):
        done = core(*arguments)
        assert done.returncode == code, done.stderr
        assert text in done.stderr
        assert "Traceback" not in done.stderr


def test_fidelity_is_one_for_equal_pictures_and_falls_with_damage():
    pixels = np.asarray(draw_logo(3).convert("RGB"))
    assert edge_f1(pixels, pixels) == 1
    assert psnr(pixels, pixels) == MAX_PSNR
    moved = np.roll(pixels, 6, axis=1)
    assert edge_f1(pixels, moved) < 0.9
    assert psnr(pixels, moved) < 40
    assert fidelity(pixels, "no svg").psnr == 0
    flat = np.full_like(pixels, 255)
    assert edge_f1(flat, flat) == 1
    assert edge_f1(pixels, flat) == 0


def test_the_best_gain_ever_seen_is_kept(tmp_path):
    cache = TraceCache(tmp_path / "c.sqlite")
    assert cache.best_gain("a", 0.2) == 0.2
    assert cache.best_gain("a", 0.1) == 0.2
    cache.close()
    again = TraceCache(tmp_path / "c.sqlite")
    assert again.best_gain("a", -1.0) == 0.2
    assert again.best_gain("b", -1.0) == -1.0
    again.close()
