"""The charts' common behaviour: ranges, gaps, outliers, bands, colours, files."""

import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pages.views import chart_box
from pages.views.chart_options import matching
from pages.views.charts import curves, plots, svg
from pages.views.charts.curves import View
from pages.views.text import duration_text
from tests.support.paths import ROOT


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
    assert chart_box.thinned(series([1.0, 2.0], n=4)) == "8 values averaged into 2 points"


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


def test_level_lines_that_lie_close_share_one_label():
    lines = pd.DataFrame({"value": [0.0, 0.38, -0.41, -0.44], "label": ["defaults", "best", "random", "Method 1"]})
    _, text = curves.reference_lines(lines, pd.Series([-1.0, 0.3]))
    assert dict(zip(text.data["label"], text.data["value"], strict=True)) == {"random · Method 1": -0.44, "defaults": 0.0, "best": 0.38}


def test_smoothing_is_debiased():
    import pandas as pd

    series = pd.DataFrame({"run_id": "r", "name": "n", "x": range(5), "mean": [10.0] * 5})
    assert curves.smooth(series, 0.9)["smooth"].to_list() == pytest.approx([10.0] * 5)


def test_colours_of_runs_stay_when_others_are_shown():
    everyone = ["a", "b", "c"]
    assert curves.run_colours(["c"], everyone)["c"] == curves.run_colours(["a", "c"], everyone)["c"]


def test_an_svg_reaches_a_page_only_inside_a_data_url():
    url = svg.svg_url(b"<svg onload='x'><script>alert(1)</script></svg>")
    assert url.startswith("data:image/svg+xml;base64,")
    assert "script" not in url
    for script in (ROOT / "pages" / "views" / "components").glob("*.js"):
        assert "innerHTML" not in script.read_text()


@pytest.mark.parametrize(("minutes", "text"), [(0.5, "30 s"), (3.5, "3 min 30 s"), (125, "2 h 05 min")])
def test_durations_read_well(minutes, text):
    assert duration_text(minutes) == text


def test_a_chart_of_one_point_has_an_axis_of_some_length():
    import pandas as pd

    one = pd.DataFrame(
        {"run_id": ["r"], "step": [0], "x": [0.0], "gain": [0.1], "gain_low": [0.0], "gain_high": [0.2], "share_better": [0.5]}
    )
    drawn = curves.evaluation_line(one, {"r": "#000000"}, curves.View(), {}).to_dict()
    assert drawn["layer"][0]["encoding"]["x"]["scale"]["domain"] == [0.0, 1.0]


def test_failed_conversions_do_not_squash_a_young_reward_and_are_seen_at_the_edge():
    data = series(
        [0.2, 0.3, -3.0, 0.25, 0.3, 0.35, 0.3, 0.28, 0.31, 0.33, 0.3, 0.32, 0.35, 0.31, 0.3, 0.34, 0.3, 0.33, 0.3, 0.31, 0.34, 0.35]
    )
    drawn = layers(curves.line(data, {"r": "#000000"}, View(), "reward"))
    low, _ = next(layer["encoding"]["y"]["scale"]["domain"] for layer in drawn if "domain" in layer["encoding"]["y"].get("scale", {}))
    assert low > -1
    assert [layer["mark"]["shape"] for layer in drawn if layer["mark"].get("shape")] == ["triangle-down"]
    everything = layers(curves.line(data, {"r": "#000000"}, View(ignores_outliers=False), "reward"))
    assert not [layer for layer in everything if layer["mark"].get("shape")]


def test_a_curve_that_rises_steeply_keeps_its_start():
    data = series([*np.linspace(-2, 0, 12), *np.linspace(0, 0.3, 88)])
    low, high = curves.robust_range(data["mean"]) or (0.0, 0.0)
    assert (low, round(high, 3)) == (-2.0, 0.3)


def test_the_axis_goes_from_zero_to_the_end_that_is_known():
    def domain(view: View, points: list[float | None]) -> list[float] | None:
        scales = [layer["encoding"]["x"]["scale"] for layer in layers(curves.line(series(points), {"r": "#000000"}, view, "y"))]
        assert all(scale == scales[0] for scale in scales)  # or the layers would be drawn on different axes
        return scales[0].get("domain")

    assert domain(View(end=4096.0), [1.0]) == [0, 4096]
    assert domain(View(end=2.0), [1.0] * 9) == [0, 8]  # a run that went on beyond it
    assert domain(View(end=4096.0, window=(0.0, 5.0)), [1.0, 2.0]) is None
    assert domain(View(), [1.0, 2.0]) is None


def test_the_points_of_a_short_curve_are_drawn():
    def opacity(n: int) -> float:
        drawn = layers(curves.line(series([float(i % 3) for i in range(n)]), {"r": "#000000"}, View(), "y"))
        return next(layer["encoding"]["opacity"]["value"] for layer in drawn if layer["mark"]["type"] == "point")

    assert opacity(1) > 0.5
    assert opacity(curves.SPARSE + 1) == 0


def test_a_chart_is_another_every_five_minutes_each_at_its_own_moment(monkeypatch):
    chart = curves.line(series([1.0, 2.0]), {"r": "#000000"}, View(), "y")

    def marks(name: str) -> list[object]:
        found = []
        for second in range(0, 2 * chart_box.FRESH_S, 10):
            monkeypatch.setattr(chart_box, "time", SimpleNamespace(time=lambda second=second: 1e9 + second))
            found.append(chart_box.fresh(chart, name).usermeta["drawn"])
        return found

    names = ["gain", "reward", "explored"]
    changes = [[i for i in range(1, 60) if seen[i] != seen[i - 1]] for seen in map(marks, names)]
    assert all(len(found) == 2 and found[1] - found[0] == 30 for found in changes)
    assert len({found[0] for found in changes}) == len(names)
    assert "usermeta" not in chart.to_dict()


def test_a_legend_asks_for_as_much_width_as_its_names_take():
    few, many = (curves.legend_columns(names).expr for names in (["a", "b"], ["complex", "gradient", "simple", "text"]))
    asked = [int(expr.split("<")[1].split("?")[0]) for expr in (few, many)]
    assert asked[0] < 200 < 342 < asked[1] < 600  # of a chart on a phone, and of one on half a screen
