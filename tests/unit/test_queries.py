"""Queries and export over the index: thinning, counts, names that are no column, a CSV that is the log."""

import numpy as np
import pandas as pd
import pytest

from core.runs.event_types import AttemptStarted
from core.runs.events import EventWriter, read_events
from core.runs.records import claim
from storage import export, queries
from storage.ingest import catch_up
from tests.support.events import episode, write_attempts
from tests.support.runs import tiny_config


def test_down_sampling_keeps_extremes_and_does_not_jitter(tmp_path, new_store):
    run = claim(tmp_path, tiny_config(tmp_path))
    rng, offsets = np.random.default_rng(0), {}
    with new_store() as store, EventWriter(run.events_file) as log:
        log.write(0, AttemptStarted(from_step=0, total_timesteps=0))
        values = rng.normal(size=3000)
        values[1234] = 50.0
        for i, v in enumerate(values[:2500], 1):
            log.write(i, episode(i, training_gain=float(v)))
        catch_up(store, tmp_path, offsets)
        before = queries.episode_series(store, [run.run_id], "training_gain", max_points=300)
        assert len(before) <= 301
        assert before["high"].max() == 50.0
        assert int(before["n"].sum()) == 2500
        for i, v in enumerate(values[2500:2600], 2501):
            log.write(i, episode(i, training_gain=float(v)))
        catch_up(store, tmp_path, offsets)
        after = queries.episode_series(store, [run.run_id], "training_gain", max_points=300)
        n = len(before) - 1
        np.testing.assert_allclose(after["mean"][:n], before["mean"][:n])


def test_every_query_answers_for_a_run_without_rows(tmp_path, new_store):
    run = claim(tmp_path, tiny_config(tmp_path))
    with new_store() as store:
        catch_up(store, tmp_path, {})
        r = run.run_id
        empty = [
            queries.metric_series(store, [r], ["a"]), queries.metric_series(store, [r], ["a"], "episode"), queries.metric_series(store, [], ["a"]),
            queries.episode_series(store, [r], "headline_gain"), queries.episode_series(store, [], "headline_gain"), queries.evaluations(store, [r]),
            queries.evaluations(store, []), queries.evaluated_logos(store, r), queries.baselines(store, [r]), queries.baselines(store, []),
            queries.success_by(store, r, "category"), queries.param_density(store, r, "color_precision", 1, 8),
            queries.gain_by_value(store, r, "color_precision"), queries.reward_histogram(store, r), queries.end_reasons(store, r),
            *(table(store, r) for table in export.TABLES.values()),
        ]  # fmt: skip
        assert all(len(frame) == 0 for frame in empty)
        assert queries.events_of(store, r) == []
        assert queries.recent_rate(store, r) is None
        assert queries.metric_names(store, []) == []


def test_histogram_and_heatmap_count_every_episode(tmp_path, new_store):
    run = write_attempts(tmp_path, 100)
    with new_store() as store:
        catch_up(store, tmp_path, {})
        cells = queries.param_density(store, run.run_id, "layer_difference", 0, 128)
        assert int(cells["n"].sum()) == 100
        assert cells.groupby("x")["share"].sum().to_list() == pytest.approx([1.0] * cells["x"].nunique())
        histogram = queries.reward_histogram(store, run.run_id)
        assert int(histogram["n"].sum()) == 100
        assert int(queries.gain_by_value(store, run.run_id, "layer_difference")["n"].sum()) == 100
        assert int(queries.success_by(store, run.run_id, "category")["n"].sum()) == 100


def test_names_that_are_no_column_are_refused(tmp_path, new_store):
    with new_store() as store:
        for bad in ("reward; DROP TABLE episodes", "seq"):
            with pytest.raises(ValueError, match="is not one of"):
                queries.episode_series(store, ["x"], bad)
            with pytest.raises(ValueError, match="is not one of"):
                queries.gain_by_value(store, "x", bad)


def test_a_csv_cell_never_starts_a_formula():
    text = export.to_csv(pd.DataFrame({"logo": ["=1+1", "ok", "-x"], "n": [-1, 2, 3]})).decode()
    assert text == "logo,n\n'=1+1,-1\nok,2\n'-x,3\n"


def test_the_export_equals_the_log(tmp_path):
    run = write_attempts(tmp_path, 25)
    written = export.export_run(run, "csv", tmp_path / "out")
    frame = pd.read_csv(written["episodes"][0])
    logged = [e.data.headline_gain for e in read_events(run.events_file) if e.kind == "episode"]
    assert frame["headline_gain"].to_list() == logged
