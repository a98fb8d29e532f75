"""The charts' common behaviour: ranges, gaps, outliers, bands, files; and every number that is shown twice."""

import io
import json
import subprocess
import sys

import pandas as pd
import pytest

from core.runs.records import claim
from pages.views.reports import kinds
from pages.views.reports.document import to_html
from pages.views.text import duration_text
from storage import export, queries, run_comparison
from tests.support.pages import caught_up, texts
from tests.support.paths import ROOT
from tests.support.runs import tiny_config


@pytest.fixture
def two_runs(console, recorded):
    runs = [recorded(name=f"seed {seed}", seed=seed) for seed in (1, 2)]
    for run in runs:
        caught_up(console, run)
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
    (progress,) = page.get("progress")
    assert f"{duration_text(figures.loc[one.run_id, 'minutes'])} of training" in progress.proto.text
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
    assert f'agent, best evaluation</th><td class="n">1</td><td class="n">{shown[one.run_id]}' in written


def test_a_report_of_a_run_without_an_evaluation(console, logo_folder):
    run = claim(console.home, tiny_config(logo_folder, name="empty"))
    assert b"has not been evaluated yet" in to_html(kinds.build("run", kinds.Request(console.store, [run])))
