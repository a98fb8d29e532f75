"""What the trials of a study say: the best, the front, history, importance, contours, and how long that takes with many."""

from __future__ import annotations

import gc
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.config.config import RunConfig
from core.errors import StudyError
from core.studies import analysis
from core.studies.storage import read_trials
from core.studies.study import StudyDir, create
from pages.views.charts.studies import slice_of
from tests.support.studies import SPACE, made_up, study_config


def test_the_best_is_complete_and_meets_the_constraints(home):
    study = made_up(home, 24, max_worse_share=0.2)
    trials, config = read_trials(study), study.config()
    found = analysis.best(trials, config)
    assert found is not None
    allowed = [t for t in trials if t.state == "COMPLETE" and t.number % 5]
    assert found.values[0] == max(t.values[0] for t in allowed)
    assert analysis.front(trials, config) == [found]
    assert max(t.values[0] for t in trials if t.state == "COMPLETE") >= found.values[0]
    assert analysis.counts(trials) == {"COMPLETE": 17, "PRUNED": 4, "FAIL": 2, "RUNNING": 1}
    assert {row["state"] for row in analysis.history(trials, config)} == {"complete", "pruned", "infeasible"}


def test_the_front_holds_what_none_is_better_than(home):
    study = made_up(home, 40, objectives=["gain", "minutes", "bytes"], pruner="none")
    trials, config = read_trials(study), study.config()
    kept = analysis.front(trials, config)
    losses = {t.number: np.array(t.values) * [-1, 1, 1] for t in analysis.complete(trials)}
    by_hand = [n for n, own in losses.items() if not any((other <= own).all() and (other < own).any() for other in losses.values())]
    assert [t.number for t in kept] == by_hand
    assert 1 < len(kept) < len(losses)


def test_the_history_never_falls_and_counts_what_may_count_only(home):
    study = made_up(home, 24, max_worse_share=0.2)
    rows = analysis.history(read_trials(study), study.config())
    so_far = [row["best"] for row in rows if row["best"] is not None]
    assert so_far == sorted(so_far)
    assert so_far[-1] == analysis.best(read_trials(study), study.config()).values[0]
    assert rows[0]["best"] is None  # the first trial breaks the constraint


@pytest.mark.parametrize("evaluator", ["ped-anova", "fanova"])
@pytest.mark.parametrize("changes", [{}, {"objectives": ["gain", "bytes"], "pruner": "none"}])
def test_importance_finds_what_the_formula_is_made_of(home, evaluator, changes):
    study = made_up(home, 80, **changes)
    shares = analysis.importances(study, study.config(), evaluator)
    assert sum(shares.values()) == pytest.approx(1)
    assert next(iter(shares)) == "ppo.learning_rate"
    if changes and evaluator == "fanova":
        assert next(iter(analysis.importances(study, study.config(), evaluator, 1))) == "ppo.activation"


def test_importance_of_too_few_trials_says_so(home):
    study = made_up(home, 4)
    with pytest.raises(StudyError, match="importance needs at least 4 complete trials"):
        analysis.importances(study, study.config())
    with pytest.raises(StudyError, match="has no trial yet"):
        analysis.importances(create(home, study_config(), RunConfig()), study.config())


def test_pruned_trials_do_not_stretch_the_axis_of_intermediate_values(home):
    """Their values lie five below all others' in the made-up study."""
    rows, domain = analysis.intermediate(read_trials(made_up(home, 24)))
    assert min(row["value"] for row in rows if row["state"] == "pruned") < -4
    assert domain is not None
    assert domain[0] > -2
    assert domain[1] > max(row["value"] for row in rows if row["state"] == "complete")
    assert analysis.intermediate([]) == ([], None)


def test_tables_of_charts_hold_every_trial_with_a_value(home):
    study = made_up(home, 24)
    trials, config = read_trials(study), study.config()
    n = len(analysis.history(trials, config))
    assert n == 21  # all but the two that failed and the one that runs
    lines = analysis.parallel(trials, config)
    assert len(lines) == n * 4
    assert all(0 <= row["unit"] <= 1 for row in lines)
    assert len(analysis.slices(trials, config)) == n * 4
    spans = analysis.timeline(trials, now=2e9)
    assert len(spans) == 24
    assert spans[-1]["end"] == 2e9
    table = analysis.table(trials, config)
    assert table[9]["reason"] == "made to fail"
    assert [row["trial"] for row in table if row["on_front"]] == [analysis.best(trials, config).number]


def test_a_choice_among_numbers_stands_at_its_own_place_of_the_axis(home):
    """Where all settings are numbers, a table of them is of one type, and would call 256 256.0."""
    study = made_up(home, 24, space=dict(SPACE) | {"ppo.batch_size": {"choices": [64, 128, 256]}})
    config = study.config()
    numbers = config.model_copy(update={"space": {name: config.space[name] for name in ("ppo.learning_rate", "ppo.batch_size")}})
    rows = pd.DataFrame(analysis.slices(read_trials(study), numbers))
    chart = slice_of(rows[rows["setting"] == "ppo.batch_size"], "ppo.batch_size", "gain", False, ["64", "128", "256"]).to_dict()
    (points,) = chart["datasets"].values()
    assert {point["drawn"] for point in points} == {"64", "128", "256"} == set(chart["encoding"]["x"]["scale"]["domain"])


def test_a_contour_follows_the_trials_around_and_says_nothing_where_there_are_none(home):
    study = made_up(home, 60)
    cells, points = analysis.contour(read_trials(study), study.config(), "ppo.learning_rate", "ppo.net_arch_pi")
    assert {point["y"] for point in points} == {0.0, 1.0, 2.0}
    values = [point["value"] for point in points]
    assert all(min(values) <= cell["value"] <= max(values) for cell in cells)
    best_x = max(cells, key=lambda cell: cell["value"])
    assert 10**-3.5 < best_x["x"] < 10**-2.5  # where the formula has its peak
    assert analysis.contour(read_trials(study)[:3], study.config(), "ppo.learning_rate", "ppo.n_epochs")[0] == []


def repeated(journal: Path, n_times: int, kept: list[dict[str, Any]]) -> None:
    """A journal of ``n_times`` 20 trials: the same lines, over and over under new numbers."""
    head = [log for log in kept if "trial_id" not in log and log["op_code"] != 4]
    body = [log for log in kept if log["op_code"] >= 4 and log.get("trial_id", 0) < 20]
    made = [n for n, log in enumerate(body) if log["op_code"] == 4]
    body = body[: made[20]] if len(made) > 20 else body
    again = [log | ({"trial_id": log["trial_id"] + 20 * n} if "trial_id" in log else {}) for n in range(n_times) for log in body]
    journal.write_bytes(b"".join(json.dumps(log).encode() + b"\n" for log in [*head, *again]))


def seconds_to_sum_up(study: StudyDir, n_trials: int) -> float:
    """Without the garbage collector, whose walks take as long as all that the process holds is large."""
    gc.collect()
    gc.disable()
    try:
        began = time.process_time()
        trials, config = read_trials(study), study.config()
        analysis.history(trials, config)
        analysis.intermediate(trials)
        analysis.front(trials, config)
        seconds = time.process_time() - began
    finally:
        gc.enable()
    assert len(trials) == n_trials
    return seconds


@pytest.mark.timeout(60)
def test_ten_times_the_trials_take_no_more_than_twice_ten_times_as_long(home):
    study = made_up(home, 21)
    lines = [json.loads(line) for line in study.journal.read_bytes().splitlines()]
    repeated(study.journal, 5, lines)
    seconds_to_sum_up(study, 100)  # what is imported on first use
    repeated(study.journal, 50, lines)
    few = max(seconds_to_sum_up(study, 1000) for _ in range(3))
    repeated(study.journal, 500, lines)
    assert seconds_to_sum_up(study, 10_000) < 20 * few
