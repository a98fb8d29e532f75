"""The Curriculum, Logos and Workbench pages, and how charts are chosen on Live, without a browser."""

import re
import shutil

import pytest

from core.curriculum import library
from core.environment.spec import pipeline_of
from core.logos import favourites
from core.paths import trace_cache_file
from core.runs.records import read_config
from core.runs.run_dir import RunDir
from core.tracing.cache import Cached, TraceCache
from core.tracing.outcome import Outcome
from core.tracing.params import DEFAULTS, Params
from pages.views.live import charts, run_view
from storage import queries
from tests.support.pages import caught_up, texts


@pytest.fixture
def ended(console, recorded):
    """A run that went through its stages."""
    stages = [
        {
            "name": "first",
            "categories": ["simple"],
            "target_ssim": 0.0,
            "required_gain": -5.0,
            "max_episodes": 400,
            "success_threshold": 0.5,
        },
        {"name": "second", "target_ssim": 1.0, "required_gain": 5.0, "max_episodes": 4000, "success_threshold": 0.9},
    ]
    rules = {"enabled": True, "window": 8, "min_episodes": 16, "probe": False, "ends_run": False, "stages": stages}
    run = recorded(curriculum=rules)
    caught_up(console, run)
    return run


def test_the_stages_of_a_run_on_every_axis(console, ended):
    spans = queries.stage_spans(console.store, ended.run_id)
    assert list(spans["name"]) == ["first", "second"]
    assert list(spans["reason"]) == ["passed", ""]
    assert spans["n_episodes"].iloc[0] == 16
    for axis in ("step", "episode", "minutes", "wall"):  # between an end and the next beginning is a moment, but no step
        assert spans[axis].iloc[0] <= spans[f"{axis}_end"].iloc[0] <= spans[axis].iloc[1] <= spans[f"{axis}_end"].iloc[1]
    for axis in ("step", "episode"):
        assert spans[f"{axis}_end"].iloc[0] == spans[axis].iloc[1]
    assert spans["episode_end"].iloc[1] == queries.counts(console.store, ended.run_id)["episodes"]
    shares = console.store.query("SELECT step, value FROM metrics WHERE name = 'curriculum/success_share' ORDER BY step")
    assert spans["success_share"].iloc[1] == shares["value"].iloc[-1]  # of now, not a mean of the last updates


def test_a_decision_is_a_point_of_its_own_on_the_curve_of_its_gate(visit, console, ended):
    spans = queries.stage_spans(console.store, ended.run_id)
    shares = queries.metric_series(console.store, [ended.run_id], ["curriculum/success_share"])
    stages = run_view.stages_of(console.store, ended.run_id)
    drawn = charts.with_decisions(shares, stages[stages["is_over"]])
    assert len(drawn) == len(shares) + 1
    assert drawn["x"].is_monotonic_increasing
    assert spans["success_share"].iloc[0] in list(drawn.loc[drawn["x"] == spans["step_end"].iloc[0], "mean"])
    page = visit("curriculum", run=ended.run_id)
    assert not page.exception
    assert list(page.dataframe[0].value["reached"]) == pytest.approx([100 * share for share in spans["success_share"]])


def test_the_curriculum_page_tells_what_happened_and_keeps_rules(visit, console, ended):
    page = visit("curriculum", run=ended.run_id)
    assert not page.exception
    metrics = {m.label: m.value for m in page.metric}
    assert metrics["Stages passed"] == "1 of 2"
    assert metrics["Last stage"] == "second"
    page = visit("curriculum", run=ended.run_id, tab="Rules and replay")
    assert not page.exception
    assert "**1 stage ended** within 96 episodes; the run would now be in **second**." in texts(page)
    page.text_input(key="keep_as").set_value("mine").run()
    page.button(key=f"keep.run:{ended.run_id}").click().run()
    assert not page.exception
    assert library.names(console.home) == ["mine"]
    assert library.read(console.home, "mine").stages == read_config(ended).curriculum.stages
    page = visit("new_run", curriculum="mine")
    assert not page.exception
    assert "With the curriculum mine." in texts(page)
    page = visit("curriculum", tab="Rules and replay", rules="file:mine")
    page.button(key="drop.mine").click().run()
    assert library.names(console.home) == []


def test_the_workbench_starts_from_the_agent_and_keeps_favourites(visit, console, ended):
    page = visit("workbench", run=ended.run_id)
    assert not page.exception
    logo = page.selectbox(key="logo").value
    best = int(queries.run_totals(console.store, ended.run_id)["best_step"])
    chosen = queries.evaluated_logos(console.store, ended.run_id, best).set_index("logo").loc[logo]
    assert page.slider(key="bench.color_precision").value == int(chosen["color_precision"])
    assert {m.label: m.value for m in page.metric}["SSIM"] == f"{chosen['ssim']:.4f}"  # traced again, it is what the run measured
    page.selectbox(key="bench.start").set_value("VTracer's defaults").run()
    assert page.slider(key="bench.corner_threshold").value == DEFAULTS.corner_threshold
    assert {m.label: m.value for m in page.metric}["Gain"] == "+0.000"
    page.slider(key="bench.color_precision").set_value(3).run()
    assert "--params 3," in page.code[0].value
    page.text_input(key="bench.name").set_value("three bits").run()
    next(button for button in page.button if str(button.key).startswith("bench.keep")).click().run()
    assert [f.params[0] for f in favourites.read(console.home)] == [3.0]
    page.button(key="bench.drop.three bits").click().run()
    assert favourites.read(console.home) == []
    assert not page.exception


def test_the_workbench_is_in_its_address(visit):
    page = visit("workbench", source="a built-in logo", sample="text-001")
    assert "values" not in page.query_params
    page.slider(key="bench.color_precision").set_value(3).run()
    page.selectbox(key="bench.mode").set_value("polygon").run()
    told = page.query_params["values"]
    again = visit("workbench", source="a built-in logo", sample="text-001", values=told)
    assert again.slider(key="bench.color_precision").value == 3
    assert again.selectbox(key="bench.mode").value == "polygon"
    assert again.code[0].value == page.code[0].value
    again.selectbox(key="sample").set_value("text-002").run()  # another logo begins where it begins
    assert again.slider(key="bench.color_precision").value == DEFAULTS.color_precision
    assert "values" not in again.query_params
    assert not again.exception


@pytest.mark.parametrize(
    "values", ["", "x", "3,spline", "nan" + 9 * ",1" + ",spline", "inf" + 9 * ",1" + ",spline", 10 * "9e99," + "spiral"]
)
def test_values_of_an_address_that_are_none_change_nothing(visit, values):
    page = visit("workbench", source="a built-in logo", sample="text-001", values=values)
    assert not page.exception
    assert page.slider(key="bench.color_precision").value == DEFAULTS.color_precision


def test_the_gallery_shows_other_steps_runs_and_methods(visit, console, ended):
    for left, right in (("method1", "single"), ("step.0", "agent"), ("original", "defaults")):
        page = visit("gallery", run=ended.run_id, at="96", left=left, right=right, cover="structure")
        assert not page.exception
        assert page.selectbox(key="left").value == left
        assert not page.warning
    for view in ("Over time", "Trade-off"):
        assert not visit("gallery", run=ended.run_id, view=view).exception


def test_the_trade_off_shows_what_searches_found(visit, console, ended):
    def n_known() -> int:
        page = visit("gallery", run=ended.run_id, view="Trade-off")
        assert not page.exception
        return int(re.search(r"(\d+) known conversions", texts(page)).group(1))

    before = n_known()
    best = int(queries.run_totals(console.store, ended.run_id)["best_step"])
    digests = set(queries.evaluated_logos(console.store, ended.run_id, best)["digest"])
    key = pipeline_of(read_config(ended)).key
    cache = TraceCache(trace_cache_file(console.home))  # as "python -m core evaluate" leaves it
    for digest in digests:
        for n, failure in enumerate((None, None, "blank")):
            cache.put(digest + key, Params(8, 7 + n, 61), Cached(Outcome(0.9, 500, 4, 0.1, failure)), is_lasting=True)
    cache.close()
    assert n_known() == before + 2


def test_what_is_shown_on_live_is_in_its_address(visit, console, ended):
    page = visit("live", run=ended.run_id, x="clock", log="true", outliers="false", zoom="10~60", pin="pair")
    assert not page.exception
    assert page.selectbox(key="x").value == "clock"
    assert page.toggle(key="log").value is True
    assert page.toggle(key="outliers").value is False
    page = visit("live", run=ended.run_id, zoom="10~60")
    assert "Zoomed to step 10 to 60." in texts(page)
    page.button(key="zoom.reset").click().run()
    assert "Zoomed to" not in texts(page)
    page = visit("live", run=ended.run_id, zoom="nonsense", x="nonsense")
    assert not page.exception
    page = visit("live", run=ended.run_id, pin="pair")
    assert "color_precision and layer_difference" in texts(page)
    page = visit("live", run=ended.run_id, match="no such run")
    assert "No run matches." in texts(page)
    assert not page.exception


def test_live_follows_the_latest_run_and_hides_others(visit, console, ended):
    for name in ("aaa", "zzz"):
        shutil.copytree(ended.path, console.home / name)
        caught_up(console, RunDir(console.home / name))
    page = visit("live", run="aaa")
    assert page.selectbox(key="run").value == "aaa"
    page = visit("live", run="aaa", follow="true")
    assert page.selectbox(key="run").value == "zzz"
    page = visit("live", run="zzz", **{"with": "aaa"})
    both = page.get("vega_lite_chart")[1].proto.SerializeToString()
    page = visit("live", run="zzz", hide="aaa", **{"with": "aaa"})
    assert not page.exception
    assert len(page.get("vega_lite_chart")[1].proto.SerializeToString()) < len(both)
    page = visit("live", run="zzz", match="^aaa$|20")
    page.button(key="match.add").click().run()
    assert sorted(page.multiselect(key="with").value) == sorted(["aaa", ended.run_id])


def test_a_set_that_was_made_is_shown_whatever_was_chosen_before(visit):
    page = visit("logos", tab="Make a set", find="x", category="text")
    page.text_input(key="made.name").set_value("fresh set")
    page.number_input(key="made.n").set_value(4)
    page = page.run()
    page.button(key="made.go").click()
    page = page.run()
    assert not page.exception
    assert not page.error
    assert str(page.query_params["set"]).rstrip("']").endswith("fresh set")
    assert "find" not in page.query_params
    assert page.selectbox[0].value.endswith("fresh set")


def test_a_version_is_held_against_the_vector_that_its_picture_was_made_of(visit, console, recordings):
    """Where it is known: of built-in logos, and of SVGs that are optimized."""
    run = recordings.tiny(console.home, logos={"path": "builtin", "n_per_category": 4, "work_size": 64})
    caught_up(console, run)
    page = visit("gallery", run=run.run_id)
    assert not page.exception
    page.toggle(key="vector").set_value(True).run(timeout=90)
    assert not page.exception
    assert {"Visual gain", "FLIP", "Structure", "Colour", "Edges"} <= {metric.label for metric in page.metric}


def test_choose_says_which_pictures_cannot_be_compared(visit, ended):
    for path in ended.path.rglob("*.png"):
        path.unlink()
    page = visit("choose", source=f"run/{ended.run_id}")
    assert not page.exception
    assert "can't be compared" in texts(page)
    assert "You have compared" not in texts(page)
