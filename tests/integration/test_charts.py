"""The charts' common behaviour: ranges, gaps, outliers, bands, files; and every number that is shown twice."""

import io
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.runs.records import claim, write_label
from core.training.trainer import train
from pages.views import chart_box, report
from pages.views.chart_options import matching
from pages.views.charts import curves, plots
from pages.views.charts.curves import View
from pages.views.text import duration_text
from storage import export, queries, run_comparison
from tests.support.pages import caught_up, texts
from tests.support.paths import ROOT
from tests.support.runs import tiny_config


def series(means: list[float | None], n: int = 1) -> pd.DataFrame:
    m = pd.Series(means, dtype=float)
    return pd.DataFrame({"run_id": "r", "name": "x", "x": np.arange(len(m), dtype=float), "mean": m, "low": m - 1, "high": m + 1, "n": n})


def layers(chart) -> list[dict]:
    return chart.to_dict()["layer"]


def marks(chart) -> list[str]:
    return [layer["mark"]["type"] for layer in layers(chart)]


def test_a_gap_stays_a_gap_when_smoothed():
    smoothed = curves.smooth(series([1.0, None, 3.0]), 0.5)["smooth"]
    assert smoothed.isna().tolist() == [False, True, False]


def test_outliers_are_left_out_of_the_axis_only_when_asked():
    data = series([*np.linspace(0, 1, 200), 1000.0])
    kept = curves.y_scale(data[["mean"]], View(ignores_outliers=True)).to_dict()
    assert kept["domain"][1] < 2
    assert "domain" not in curves.y_scale(data[["mean"]], View(ignores_outliers=False)).to_dict()


def test_the_logarithmic_axis_takes_values_below_zero_too():
    assert curves.y_scale(series([1.0, 10.0])[["mean"]], View(is_log=True)).to_dict()["type"] == "log"
    assert curves.y_scale(series([-1.0, 10.0])[["mean"]], View(is_log=True)).to_dict()["type"] == "symlog"


def test_the_band_is_there_where_points_stand_for_several_values():
    wide = View(ignores_outliers=False)
    assert "area" in marks(curves.line(series([1.0, 50.0, 99.0], n=4), {"r": "#000000"}, wide, "y"))
    assert "area" not in marks(curves.line(series([1.0, 50.0, 99.0], n=1), {"r": "#000000"}, wide, "y"))
    assert "area" not in marks(curves.line(series([1.0, 50.0, 99.0], n=4), {"r": "#000000"}, View(has_band=False), "y"))
    assert chart_box.thinned(series([1.0, 2.0], n=4)) == "8 values in 2 points, each a mean"


def test_stages_stand_behind_the_curves_within_the_range_that_is_shown():
    stages = pd.DataFrame({"name": ["a", "b", "c"], "x": [0.0, 0.0, 10.0], "x2": [0.0, 10.0, 20.0]})
    drawn = layers(curves.line(series([1.0, 2.0]), {"r": "#000000"}, View(window=(5.0, 20.0)), "y", stages=stages))
    assert [layer["mark"]["type"] for layer in drawn[:4]] == ["rect", "text", "rect", "text"]  # a was skipped


def test_a_time_of_day_is_drawn_in_milliseconds():
    assert curves.shown_x(pd.DataFrame({"x": [2.0]}), "wall")["x"].tolist() == [2000.0]
    drawn = curves.line(series([1.0, 2.0]), {"r": "#000000"}, View(axis="wall"), "y").to_dict()
    assert drawn["layer"][0]["encoding"]["x"]["type"] == "temporal"


def test_runs_are_found_by_regular_expression_and_nonsense_is_taken_as_text():
    labels = {"1": "alpha", "2": "beta (", "3": "gamma"}
    assert matching("^(al|ga)", list(labels), labels) == ["1", "3"]
    assert matching("(", list(labels), labels) == ["2"]


def test_a_chart_is_saved_as_picture_drawing_and_page():
    chart = curves.line(series([1.0, 2.0, 1.5]), {"r": "#0072b2"}, View(), "y")
    assert Image.open(io.BytesIO(chart_box.saved(chart, "png", "a title"))).width > 1500
    assert b"a title" in chart_box.saved(chart, "svg", "a title")
    page = chart_box.saved(chart, "html", "a title").decode()
    assert page.lower().startswith("<!doctype html>")
    assert 'src="http' not in page  # all that it needs is inside


@pytest.mark.parametrize(
    "make",
    [
        lambda v: plots.success_lines(pd.DataFrame({"group": ["simple"], "x": [1.0], "success": [0.5], "gain": [0.1], "n": [9]}), v),
        lambda v: plots.gate(
            series([0.5]),
            pd.DataFrame({"x": [0.0], "x2": [1.0], "threshold": [0.7], "name": ["a"]}),
            pd.DataFrame({"x2": [1.0], "success_share": [0.75], "name": ["a"], "reason": ["passed"]}),
            v,
        ),
        lambda v: plots.quantile_bands(
            pd.DataFrame({"x": [1.0], "q05": [0.0], "q25": [1.0], "q50": [2.0], "q75": [3.0], "q95": [4.0], "n": [5]}), v, "y"
        ),
        lambda v: plots.term_areas(series([1.0, 2.0]).assign(name="reward/quality"), v),
    ],
)
@pytest.mark.parametrize("axis", ["step", "minutes", "wall"])
def test_every_time_line_can_be_zoomed_on_every_axis(make, axis):
    assert curves.ZOOM in chart_box._params(make(View(axis=axis)))


@pytest.fixture
def two_runs(console, logo_folder):
    runs = []
    for seed in (1, 2):
        run = claim(console.home, tiny_config(logo_folder, name=f"seed {seed}", seed=seed))
        train(run)
        caught_up(console, run)
        runs.append(run)
    return runs


def test_a_zoomed_series_has_all_its_points_in_the_range(console, two_runs):
    run_id = two_runs[0].run_id
    whole = queries.episode_series(console.store, [run_id], "training_gain", "step", 8)
    part = queries.episode_series(console.store, [run_id], "training_gain", "step", 8, (40, 60))
    assert part["x"].between(40, 60).all()
    inside = queries.episode_series(console.store, [run_id], "training_gain", "step", 10_000)
    assert int(part["n"].sum()) == int(inside.loc[inside["x"].between(40, 60), "n"].sum())
    assert len(part) > whole["x"].between(40, 60).sum()
    for axis in ("step", "episode", "minutes", "wall"):
        assert not queries.metric_series(console.store, [run_id], ["train/loss"], axis).empty  # type: ignore[arg-type]
        assert not queries.quantiles(console.store, run_id, "training_gain", axis).empty  # type: ignore[arg-type]
    pair = queries.param_pair(console.store, run_id, ("color_precision", 1, 8), ("layer_difference", 0, 128))
    assert int(pair["n"].sum()) == queries.counts(console.store, run_id)["episodes"]


def command(console, *arguments: str) -> dict:
    done = subprocess.run([sys.executable, "-m", "core", *arguments, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_every_number_that_is_shown_twice_agrees(visit, console, two_runs, tmp_path):
    """Page, CSV and command line, each from a query of its own."""
    one, two = two_runs
    best = {run.run_id: queries.run_totals(console.store, run.run_id)["best_gain"] for run in two_runs}
    shown = {run_id: f"{gain:+.3f}" for run_id, gain in best.items()}
    # The command line and the exports
    for run in two_runs:
        assert command(console, "runs", "show", run.run_id)["best_gain"] == best[run.run_id]
        assert pd.DataFrame(export.summary(console.store, run.run_id))["gain"].max() == best[run.run_id]
    listed = {row["run_id"]: row["best_gain"] for row in command(console, "runs", "list")["runs"]}
    assert listed == best
    figures = run_comparison.figures(console.store, list(best)).set_index("run_id")
    assert {run_id: figures.loc[run_id, "best_gain"] for run_id in best} == best
    assert {run_id: figures.loc[run_id, "minutes"] for run_id in best} == {
        run_id: queries.run_totals(console.store, run_id)["minutes"] for run_id in best
    }
    # The pages
    page = visit("runs")
    assert all(f"**{gain}**" in texts(page) for gain in shown.values())
    page = visit("live", run=one.run_id)
    metrics = {m.label: m.value for m in page.metric}
    assert metrics["Best validation gain"] == shown[one.run_id]
    totals = queries.run_totals(console.store, one.run_id)
    assert metrics["Training time"] == duration_text(figures.loc[one.run_id, "minutes"])
    assert metrics["Episodes"] == f"{len(export.episodes(console.store, one.run_id)):,}" == f"{totals['episodes']:,}"
    page = visit("gallery", run=one.run_id)
    assert f"mean gain **{shown[one.run_id]}**" in texts(page)
    # One logo: the gallery, the CSV of evaluations, the comparison
    logo = page.selectbox(key="logo").value
    step = int(totals["best_step"])
    csv = pd.read_csv(io.BytesIO(export.to_csv(export.evaluations(console.store, one.run_id))))
    row = csv[(csv["logo"] == logo) & (csv["step"] == step)].iloc[0]
    metrics = {m.label: m.value for m in page.metric}
    assert metrics["Gain"] == f"{row['gain']:+.3f}"
    assert metrics["SSIM"] == f"{row['ssim']:.4f}"
    out = tmp_path / "duel.csv"
    told = command(console, "runs", "compare", one.run_id, two.run_id, "--out", str(out))
    both = run_comparison.by_logo(console.store, one.run_id, two.run_id)
    pair = run_comparison.compare_pair(both)
    assert pair is not None
    assert (told["wins"], told["ties"], told["losses"], told["difference"]) == (pair.wins, pair.ties, pair.losses, pair.difference)
    line = pd.read_csv(out).set_index("logo").loc[logo]
    assert line["gain_a"] == row["gain"]
    assert told["difference"] == pytest.approx(best[two.run_id] - best[one.run_id])
    # The report
    file = tmp_path / "report.html"
    told = command(console, "report", one.run_id, "--out", str(file))
    assert (told["best_gain"], told["episodes"]) == (best[one.run_id], totals["episodes"])
    written = file.read_text()
    assert f"<b>{shown[one.run_id]}</b>" in written
    assert f"{totals['episodes']:,} episodes" in written
    assert f'the agent, best evaluation<td class="n">{shown[one.run_id]}' in written


def test_a_report_needs_nothing_else_and_runs_nothing(console, two_runs, browse, tmp_path):
    """Names are text in it, and pictures are pictures, whatever they hold."""
    run = two_runs[0]
    write_label(run, "<script>document.title = 'run'</script>")
    file = tmp_path / "report.html"
    file.write_bytes(report.render(console.store, run))
    asked: list[str] = []
    page = browse()
    page.on("request", lambda r: None if r.url.startswith(("data:", "file:")) else asked.append(r.url))
    page.goto(file.as_uri())
    assert page.title() == "<script>document.title = 'run'</script> · Tracewright"
    shown = page.evaluate("[...document.images].map((i) => i.naturalWidth)")
    assert len(shown) > 3
    assert all(shown)
    assert not asked


def test_a_report_of_a_run_without_an_evaluation(console, logo_folder):
    run = claim(console.home, tiny_config(logo_folder, name="empty"))
    assert b"has not been evaluated yet" in report.render(console.store, run)


def test_level_lines_that_lie_close_share_one_label():
    lines = pd.DataFrame({"value": [0.0, 0.38, -0.41, -0.44], "label": ["defaults", "best", "random", "Method 1"]})
    _, text = curves.reference_lines(lines, pd.Series([-1.0, 0.3]))
    assert dict(zip(text.data["label"], text.data["value"], strict=True)) == {"random · Method 1": -0.44, "defaults": 0.0, "best": 0.38}
