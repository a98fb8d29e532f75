"""Files of batches and studies in which single values are of another kind or out of range: pages show what they can and say the rest."""

import json

import pytest

from core.scheduling import review
from core.studies.storage import read_trials
from tests.support.batches import NAMES, made_up_batch
from tests.support.damages import made
from tests.support.pages import texts
from tests.support.studies import made_up

HUGE = "a number too large for one"  # written as 1e400
OF_A_ROW = [
    ("colour", "\0"), ("colour_default", [1]), ("edge", "x"), ("nodes", -1), ("bytes", 10**30), ("bytes_default", None), ("gain", HUGE),
    ("file", "a\0b"), ("svg", ""), ("color_precision", "x"), ("simplify", None), ("visual_gain", {}), ("remark", 5),
]  # fmt: skip
OF_A_VERSION = [("bytes", "x"), ("visual_gain", [1]), ("made_by", 5), ("colour", HUGE)]
OF_A_TRIAL = [
    ("user_attr", {"share_worse": "<script>"}), ("user_attr", {"step": 1e308}), ("user_attr", [1]), ("user_attr", {"reason": {}}),
    ("step", 1e308), ("step", HUGE), ("step", -5), ("param_name", 5), ("intermediate_value", "x"), ("trial_id", "x"),
]  # fmt: skip


def as_json(value) -> str:
    return json.dumps(value).replace(json.dumps(HUGE), "1e400")


def test_a_picture_with_an_odd_value_is_left_out_alone_and_its_batch_opens(home, console, visit):
    batch = made_up_batch(home)
    result = batch.path / "result.json"
    good = json.loads(result.read_text())
    shown = [row["file"] for row in batch.result()["results"]]
    for field, value in OF_A_ROW:
        rows = [good["results"][0] | {field: value}, *good["results"][1:]]
        result.write_text(as_json(good | {"results": rows}))
        told = batch.result()
        assert [row["file"] for row in told["results"]] == shown[1:], (field, value)
        assert [item["file"] for item in told["skipped"]] == ["one.png" if field != "file" else "a\ufffdb"], (field, value)
        if field in ("file", "remark"):
            assert not visit("optimize", batch=batch.batch_id).exception
    assert not visit("workbench", **{"from": "batch", "batch": batch.batch_id, "picture": f"{NAMES[0]}.png"}).exception


def test_another_version_with_odd_figures_is_left_out_alone(home, console, visit):
    batch = made_up_batch(home)
    table = batch.alternatives / "alternatives.json"
    good = json.loads(table.read_text())
    whole = set(review.items(batch)[0].versions)
    assert "faithful" in whole
    for field, value in OF_A_VERSION:
        row = good["pictures"]["one.svg"]
        damaged = row | {"faithful": row["faithful"] | {field: value}}
        table.write_text(as_json(good | {"pictures": {"one.svg": damaged}}))
        assert set(review.items(batch)[0].versions) == whole - {"faithful"}, (field, value)
    assert not visit("optimize", batch=batch.batch_id).exception


@pytest.mark.timeout(300)
def test_a_study_opens_whatever_its_journal_says(home, console, visit):
    made(home, "healthy")
    study = made_up(home)
    lines = study.journal.read_text().splitlines()
    n_trials = len(read_trials(study))
    for field, value in OF_A_TRIAL:
        key = next(iter(value)) if isinstance(value, dict) else None
        at = max(i for i, line in enumerate(lines) if field in (entry := json.loads(line)) and (key is None or key in entry[field]))
        changed = [*lines[:at], as_json(json.loads(lines[at]) | {field: value}), *lines[at + 1 :]]
        study.journal.write_text("\n".join(changed) + "\n")
        page = visit("search", study=study.study_id)
        assert not page.exception, (field, value)
        assert f"line {at + 1} is not a journal entry" in texts(page).replace("\\", ""), (field, value)
    study.journal.write_text("\n".join(lines) + "\n")
    assert len(read_trials(study)) == n_trials
