"""Charts of many runs: what they draw, and what they leave out."""

from __future__ import annotations

import math

import pandas as pd

from pages.views import chart_box
from pages.views.charts import curves, groups
from pages.views.charts.curves import View


def bands(n_groups: int, low: float = 0.1) -> pd.DataFrame:
    rows = [(f"g{i}", float(x), 0.2, low, 0.3, 3) for i in range(n_groups) for x in range(2)]
    return pd.DataFrame(rows, columns=["group", "x", "value", "low", "high", "n_runs"])


def marks(chart) -> list[str]:
    return [layer["mark"]["type"] for layer in chart.to_dict()["layer"]]


def test_a_group_is_a_line_with_a_band_and_can_be_zoomed():
    chart = groups.band_lines(bands(2), groups.group_colours(["g0", "g1"]), View())
    assert marks(chart) == ["area", "line", "circle"]
    assert curves.ZOOM in chart_box._params(chart)
    assert chart.to_dict()["layer"][1]["encoding"]["color"]["scale"]["domain"] == ["g0", "g1"]


def test_single_seeds_have_no_band_and_many_groups_none_either():
    assert "area" not in marks(groups.band_lines(bands(2, math.nan), groups.group_colours(["g0", "g1"]), View()))
    many = [f"g{i}" for i in range(curves.MOST_BANDS + 1)]
    assert "area" not in marks(groups.band_lines(bands(len(many)), groups.group_colours(many), View()))


def test_no_curve_yet_is_an_empty_chart():
    empty = bands(0)
    assert marks(groups.band_lines(empty, {}, View())) == ["line", "circle"]


def test_groups_stand_below_each_other_the_best_first_with_their_seeds():
    figures = pd.DataFrame({"group": ["b", "a"], "n_seeds": [2, 1], "iqm": [0.5, 0.2], "low": [0.4, math.nan], "high": [0.6, math.nan]})
    runs = pd.DataFrame({"group": ["b", "b", "a"], "run": ["1", "2", "3"], "gain": [0.4, 0.6, 0.2]})
    drawn = groups.group_intervals(figures, runs, groups.group_colours(["a", "b"])).to_dict()
    assert [layer["mark"]["type"] for layer in drawn["layer"]] == ["rule", "point", "point"]
    assert drawn["layer"][0]["encoding"]["y"]["sort"] == ["b", "a"]


def test_a_share_that_is_not_known_is_no_bar():
    rows = pd.DataFrame(
        {"setting": ["a", "b"], "explained": [0.5, None], "ped_anova": [0.7, 0.3], "p_value": [0.01, 1.0], "best": ["1", "x"]}
    )
    chart = groups.importance_bars(rows)
    assert chart.data.groupby("setting")["share"].count().to_dict() == {"a": 2, "b": 1}
    assert chart.to_dict()["encoding"]["y"]["sort"] == ["a", "b"]
