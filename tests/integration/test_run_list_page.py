"""The list of runs as a page: a baseline, groups, several at once, and what was deleted elsewhere."""

import pytest

from core.runs import baseline_run, shelf, trash
from core.runs.records import read_tags
from core.runs.run_dir import RunDir
from pages.views.runs.choices import TABLE_FILE
from tests.support.pages import caught_up, texts


@pytest.fixture
def two(console, recorded) -> list[RunDir]:
    """Two seeds of one config."""
    runs = [recorded(name=f"seed {seed}", seed=seed) for seed in (1, 2)]
    for run in runs:
        caught_up(console, run)
    return runs


def test_every_gain_is_held_against_the_baseline(visit, two):
    page = visit("runs")
    page.button(key=f"baseline.{two[0].run_id}").click().run()
    assert baseline_run.read(two[0].path.parent) == two[0].run_id
    assert ":violet-badge[:material/flag: Baseline]" in texts(page)
    deltas = [m.value for m in page.markdown if m.value.startswith("**+") or m.value.startswith("**-")]
    assert sum("[" in text for text in deltas) == 1  # the baseline itself is held against nothing
    live = visit("live", run=two[1].run_id)
    (best,) = [m for m in live.metric if m.label == "Best validation gain"]
    assert best.delta.endswith("against baseline")
    compared = visit("compare")
    assert compared.query_params["run"] == [two[0].run_id, two[1].run_id]
    assert list(compared.dataframe[0].value["against"].isna()) == [True, False]
    page.button(key=f"baseline.{two[0].run_id}").click().run()
    assert baseline_run.read(two[0].path.parent) is None
    assert not page.exception


def test_seeds_fold_into_one_line_that_leads_to_their_band(visit, two, home):
    page = visit("runs")
    page.selectbox(key="fold").set_value("seeds").run()
    assert "2 runs: 2 completed" in texts(page)
    assert f"name.{two[0].run_id}" not in {field.key for field in page.text_input}
    key = f"unfold.seeds:{shelf.facts_of(two[0]).group}"
    page.button(key=key).click().run()
    assert f"name.{two[0].run_id}" in {field.key for field in page.text_input}
    assert (home / TABLE_FILE).is_file()
    assert "2 runs: 2 completed" in texts(visit("runs"))  # kept for the next visit
    band = visit("compare", run=[run.run_id for run in two], fold="true")
    assert band.toggle(key="fold").value
    assert not band.exception


def test_several_runs_are_deleted_and_put_back_in_another_tab(visit, two):
    page, other, live = visit("runs"), visit("runs"), visit("live", run=two[0].run_id)
    for run in two:
        page.checkbox(key=f"pick.{run.run_id}").check().run()
    assert "**2 selected**" in texts(page)
    page.button(key="picked.delete").click().run()
    assert not any(run.path.exists() for run in two)
    live.run()
    assert "was deleted. You can restore it within a week." in texts(live)
    assert [button.label for button in live.button if button.label in ("Stop", "Pause", "Resume")] == []
    other.run()
    other.button(key="undo.button").click().run()
    assert all(run.path.exists() for run in two)
    assert not trash.discarded(two[0].path.parent)
    live.run()
    assert "was deleted" not in texts(live)
    assert live.selectbox(key="run").value == two[0].run_id
    assert [one.exception for one in (page, other, live) if one.exception] == []


def test_tags_and_notes_show_as_they_were_typed(visit, two):
    page = visit("runs", columns=["tags", "note"])
    page.text_input(key=f"tags.{two[0].run_id}").set_value("night, $x$ *b*").run()
    page.text_area(key=f"note.{two[0].run_id}").set_value("![](http://x) {{y}}").run()
    assert read_tags(two[0]) == ("night", "$x$ *b*")
    assert r"\#night \#\$x\$ \*b\*" in texts(page)
    assert r"\!\[\]\(http\://x\) \{\{y\}\}" in texts(page)
    page.text_input(key="find").set_value("#night").run()
    assert [box.key for box in page.checkbox if box.key.startswith("pick.")] == [f"pick.{two[0].run_id}"]


def test_a_new_run_takes_no_selection(visit, two, recorded):
    page = visit("live")
    shown = page.selectbox(key="run").value
    newer = recorded(total_timesteps=32)
    newer.path.rename(newer.path.with_name("20990101-000000-newer"))
    page.run()
    assert page.selectbox(key="run").value == shown
    assert any(option.startswith("tiny") for option in page.selectbox(key="run").options)
