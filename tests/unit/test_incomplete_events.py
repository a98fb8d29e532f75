"""Events that lack what they can't do without, or have it in another type: what becomes of them in the index."""

import json
import random

from core.bench.made_up import made_up
from core.runs.event_fields import to_data
from core.runs.event_types import EVENT_VERSION, AttemptStarted, EpisodeEnded
from core.runs.records import claim
from storage import queries
from storage.ingest import catch_up
from storage.run_comparison import figures
from storage.store import Store
from tests.support.runs import tiny_config


def test_an_event_without_what_it_can_not_do_without_is_no_row(home):
    """A number that is missing or a text once stood as nothing in the table, and felled the page that counted with it."""
    run = claim(home, tiny_config("builtin"))
    whole = {"gain": 0.5, "n_logos": 3, "ssim": 0.9}
    episode = to_data(made_up(EpisodeEnded, random.Random(0)))
    lines = [
        {"kind": "attempt_started", "step": 0, "data": dict(to_data(made_up(AttemptStarted, random.Random(0), from_step=0)))},
        {"kind": "evaluation", "step": 1, "data": whole},
        {"kind": "evaluation", "step": 2, "data": whole | {"n_logos": "many"}},
        {"kind": "evaluation", "step": 3, "data": {key: value for key, value in whole.items() if key != "n_logos"}},
        {"kind": "evaluation", "step": 4, "data": whole | {"gain": "much"}},
        {"kind": "episode", "step": 5, "data": dict(episode)},
        {"kind": "episode", "step": 6, "data": dict(episode) | {"bytes": "few"}},
        {"kind": "episode", "step": 7, "data": {key: value for key, value in episode.items() if key != "logo"}},
    ]
    text = "".join(
        json.dumps({"v": EVENT_VERSION, "seq": n, "attempt": 1, "ts": float(n)} | line) + "\n" for n, line in enumerate(lines, 1)
    )
    run.events_file.write_text(text)
    with Store(None) as store:
        catch_up(store, home, {})
        assert store.rows("SELECT step, n_logos FROM evaluations ORDER BY step") == [(1, 3), (2, 0), (3, 0), (4, 3)]
        assert list(queries.evaluations(store, [run.run_id])["step"]) == [1, 2, 3]
        assert store.rows("SELECT step FROM episodes") == [(5,)]
        assert len(figures(store, [run.run_id])) == 1
