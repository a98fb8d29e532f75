"""What is chosen of a batch: kept in its folder, read through damage, and packed without a path of the machine."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from core.errors import RunError
from core.scheduling import review
from core.scheduling.batch import Batch
from core.scheduling.job import JobStatus, folders, restore
from pages.views.contact_sheet import ALL, CHANGED, KEPT, LOOK, OPEN, filtered, medians
from tests.support.batches import made_up_batch, row, svg_of


@pytest.fixture
def made(tmp_path: Path) -> Batch:
    return made_up_batch(tmp_path)


def test_choices_outlive_the_reader_and_can_be_taken_back(made):
    review.choose(made, {"one.svg": review.CLOSER, "two.svg": review.BEST})
    assert {item.name: item.choice for item in review.items(made)} == {"one.svg": "faithful", "two.svg": "best", "=three.svg": ""}
    review.choose(made, {"two.svg": ""})
    assert review.read_choices(made).chosen == {"one.svg": "faithful"}


def test_the_zip_has_what_was_chosen_and_no_path_of_this_machine(made, tmp_path):
    review.choose(made, {"one.svg": review.CLOSER, "=three.svg": review.DEFAULTS})
    with zipfile.ZipFile(io.BytesIO(review.archive(made))) as archive:
        assert sorted(archive.namelist()) == ["=three.svg", "accepted.csv", "one.svg"]
        assert archive.read("one.svg").decode() == svg_of(20)
        lines = archive.read("accepted.csv").decode()
    assert str(tmp_path) not in lines
    assert lines.splitlines()[1].startswith("one.png,one.svg,faithful,0.5,0.9,")
    assert ",900,1000," in lines.splitlines()[1]
    assert lines.splitlines()[2].startswith("'=three.png,'=three.svg,defaults,")


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"choices": 3}', "\x00"])
def test_a_damaged_file_is_as_if_nothing_was_chosen_and_is_said(made, damage):
    (made.path / review.FILE).write_text(damage)
    found = review.read_choices(made)
    assert not found.chosen
    assert "choices.json" in found.problem
    assert "choose again" in found.problem
    review.choose(made, {"two.svg": review.BEST})
    assert review.read_choices(made) == review.Choices({"two.svg": "best"})


def test_one_bad_choice_costs_only_itself(made):
    (made.path / review.FILE).write_text('{"v": 1, "choices": {"one.svg": "best", "two.svg": "worst", "=three.svg": 7}}')
    found = review.read_choices(made)
    assert found.chosen == {"one.svg": "best"}
    assert "2 choices" in found.problem


def test_what_there_is_not_can_not_be_chosen(made):
    with pytest.raises(RunError, match=r"no picture 'four\.svg'"):
        review.choose(made, {"four.svg": review.BEST})
    with pytest.raises(RunError, match="'finest' is not one of"):
        review.choose(made, {"one.svg": "finest"})
    with pytest.raises(RunError, match=r"no other SVG of 'two\.svg'"):
        review.choose(made, {"two.svg": review.SMALLER})


def test_a_damaged_list_of_alternatives_leaves_the_results(made):
    (made.alternatives / "alternatives.json").write_text('{"pictures": {"one.svg": 3}}')
    assert [list(item.versions) for item in review.items(made)] == [["best"], ["best"], ["best", "defaults"]]


@pytest.mark.parametrize("damage", [{"gain": "high"}, {"svg": ""}, {"bytes": -1}, {"corner_threshold": "wide"}, None], ids=str)
def test_a_damaged_row_costs_its_picture_alone_and_is_named(made, damage):
    told = json.loads((made.path / "result.json").read_text())
    told["results"][1] = damage and told["results"][1] | damage
    (made.path / "result.json").write_text(json.dumps(told))
    assert made.status() is JobStatus.DONE
    assert [item.name for item in review.items(made)] == ["one.svg", "=three.svg"]
    (left,) = made.result()["skipped"]
    assert left["file"] == ("two.png" if damage else "picture 2")
    assert left["reason"].startswith("its row in result.json is damaged: ")


def test_filters_and_medians_with_photographs_apart(made):
    found = review.items(made)
    names = {which: [item.name for item in filtered(found, which)] for which in (ALL, LOOK, KEPT, CHANGED, OPEN)}
    assert names[LOOK] == ["two.svg"]
    assert names[KEPT] == ["=three.svg"]
    assert names[CHANGED][0] == "two.svg"
    assert len(names[ALL]) == len(names[OPEN]) == 3
    photo = review.Item("p.svg", "p.png", row(made, "p", kind="photograph", visual_gain=9.0), found[0].versions)
    table = medians([*found, photo]).set_index("kind")
    assert table.loc["all logos", "n"] == 3
    assert table.loc["all logos", "gain"] == pytest.approx(0.4)
    assert table.loc["photographs", "gain"] == pytest.approx(9.0)


def test_a_deleted_batch_can_be_put_back(made):
    above = made.path.parent
    made.discard()
    assert folders(above) == []
    restore(above, made.batch_id)
    assert [path.name for path in folders(above)] == [made.batch_id]
    with pytest.raises(RunError, match="not among what was deleted"):
        restore(above, "20200101-000000")
