"""Every question that the pages and the command line ask: Store -> tidy DataFrame, one module per subject."""

from storage.queries.curriculum import stage_spans
from storage.queries.episodes import (
    end_reasons,
    episode_at,
    episode_outcomes,
    gain_by_value,
    n_cells,
    param_density,
    param_pair,
    quantiles,
    recent_episodes,
    reward_histogram,
    success_by,
)
from storage.queries.evaluations import baselines, evaluated_logos, evaluated_runs, evaluations, picture_history, runs_with_pictures
from storage.queries.events import TimedEvent, events_of, notable_events
from storage.queries.runs import counts, last_checkpoint_step, minutes_of, newest_ts, recent_rate, run_overview, run_totals, usual_rate
from storage.queries.series import EPISODE_COLUMNS, MAX_POINTS, Axis, Window, episode_series, latest_value, metric_names, metric_series
from storage.queries.training import data_digests, final_logos, work_done

__all__ = [
    "EPISODE_COLUMNS",
    "MAX_POINTS",
    "Axis",
    "TimedEvent",
    "Window",
    "baselines",
    "counts",
    "data_digests",
    "end_reasons",
    "episode_at",
    "episode_outcomes",
    "episode_series",
    "evaluated_logos",
    "evaluated_runs",
    "evaluations",
    "events_of",
    "final_logos",
    "gain_by_value",
    "last_checkpoint_step",
    "latest_value",
    "metric_names",
    "metric_series",
    "minutes_of",
    "n_cells",
    "newest_ts",
    "notable_events",
    "param_density",
    "param_pair",
    "picture_history",
    "quantiles",
    "recent_episodes",
    "recent_rate",
    "reward_histogram",
    "run_overview",
    "run_totals",
    "runs_with_pictures",
    "stage_spans",
    "success_by",
    "usual_rate",
    "work_done",
]
