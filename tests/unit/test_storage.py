"""Store, ingest, queries, export: exactly once, whatever is killed."""

import json
import time
from collections.abc import Sequence
from dataclasses import fields, make_dataclass
from typing import ClassVar, get_type_hints

import duckdb
import pandas as pd
import pytest

from core.errors import StoreError
from core.runs import event_fields, event_types
from core.runs.event_types import AttemptStarted, Ended, EpisodeEnded, PhaseStarted, Record, WarningGiven
from core.runs.events import EventWriter, read_events
from core.runs.records import claim, delete_run
from core.tracing.params import DEFAULTS, NAMES
from storage import export, queries, schema
from storage.ingest import Ingest, catch_up, read_new
from storage.store import LogPart, Store
from tests.support.events import episode, record, write_attempts
from tests.support.paths import ASSETS
from tests.support.runs import tiny_config

GOLDEN = ASSETS / "events_v1.jsonl"


def test_a_log_is_taken_in_whole(tmp_path, new_store):
    run = write_attempts(tmp_path)
    with new_store() as store:
        catch_up(store, tmp_path, {})
        assert queries.counts(store, run.run_id) == {"episodes": 20, "metrics": 8, "evaluated": 0, "evaluations": 1, "events": 1}
        frame = export.episodes(store, run.run_id)
        assert list(frame["headline_gain"]) == [i / 10 for i in range(1, 21)]
        assert list(frame["color_precision"].unique()) == [4.0]
        metrics = export.metrics(store, run.run_id)
        assert metrics.loc[metrics["name"] == "time/fps", "value"].isna().all()


def test_a_torn_last_line_waits_for_the_next_read(tmp_path, new_store):
    run = write_attempts(tmp_path, 5)
    whole = run.events_file.read_bytes()
    run.events_file.write_bytes(whole[:-30])
    offsets: dict[str, int] = {}
    with new_store() as store:
        first = catch_up(store, tmp_path, offsets)
        run.events_file.write_bytes(whole)
        assert first + catch_up(store, tmp_path, offsets) == whole.count(b"\n")
        assert catch_up(store, tmp_path, offsets) == 0


def test_lines_that_are_no_events_are_counted_and_the_rest_goes_on(tmp_path, new_store):
    run = write_attempts(tmp_path, 5)
    with run.events_file.open("ab") as file:
        file.write(b'nonsense\n{"seq": 1}\n\xff\xfe\n[1]\n')
    with EventWriter(run.events_file) as log:
        log.write(6, PhaseStarted(phase="x"))
    with new_store() as store:
        catch_up(store, tmp_path, {})
        overview = queries.run_overview(store)
        assert overview["n_bad"][0] == 4
        assert queries.counts(store, run.run_id)["episodes"] == 5


def test_a_deleted_run_is_forgotten_and_a_new_log_of_its_name_read_anew(tmp_path, new_store):
    run, kept = write_attempts(tmp_path, 8), write_attempts(tmp_path, 5)
    offsets: dict[str, int] = {}
    with new_store() as store:
        catch_up(store, tmp_path, offsets)
        run.events_file.unlink()
        with EventWriter(run.events_file) as log:
            log.write(0, AttemptStarted(from_step=0, total_timesteps=0))
        catch_up(store, tmp_path, offsets)
        assert queries.counts(store, run.run_id)["episodes"] == 0
        delete_run(run)
        catch_up(store, tmp_path, offsets)
        assert list(queries.run_overview(store)["run_id"]) == [kept.run_id]


def test_what_a_resumed_attempt_does_again_is_there_once(tmp_path, new_store):
    run = write_attempts(tmp_path, 20, attempts=2)  # the second goes on from step 10 to 30
    with new_store() as store:
        catch_up(store, tmp_path, {})
        frame = export.episodes(store, run.run_id)
        assert list(frame["step"]) == list(range(1, 31))
        assert list(frame["attempt"]) == [1] * 10 + [2] * 20
        assert queries.counts(store, run.run_id)["episodes"] == 40  # the log keeps both
        minutes = frame["minutes"]
        assert (minutes.diff().dropna() >= 0).all()


def test_a_run_that_starts_over_without_a_checkpoint_replaces_its_first_try(tmp_path, new_store):
    run = claim(tmp_path, tiny_config(tmp_path))
    for gain in (0.1, 0.2):
        with EventWriter(run.events_file) as log:
            log.write(0, AttemptStarted(from_step=0, total_timesteps=0))
            log.write(0, record("evaluation", gain=gain))
    with new_store() as store:
        catch_up(store, tmp_path, {})
        assert list(queries.evaluations(store, [run.run_id])["gain"]) == [0.2]


def test_rebuilding_gives_the_same_rows(tmp_path):
    write_attempts(tmp_path, 30, attempts=2)
    frames = []
    for chunk in (200, 8_000_000):
        with Store(tmp_path / f"{chunk}.duckdb") as store, pytest.MonkeyPatch.context() as patch:
            patch.setattr("storage.ingest.CHUNK_BYTES", chunk)
            catch_up(store, tmp_path, {})
            frames.append(store.query("SELECT * EXCLUDE (run) FROM current_episodes ORDER BY run_id, seq"))
    pd.testing.assert_frame_equal(*frames)


def test_a_line_longer_than_a_chunk_is_read(tmp_path, monkeypatch, new_store):
    monkeypatch.setattr("storage.ingest.CHUNK_BYTES", 64)
    run = write_attempts(tmp_path, 3)
    with new_store() as store:
        assert catch_up(store, tmp_path, {}) == run.events_file.read_bytes().count(b"\n")


def test_a_log_that_is_written_on_and_on_keeps_no_other_waiting(tmp_path):
    """What comes while a log is taken in waits for the next look."""
    busy, quiet = write_attempts(tmp_path), write_attempts(tmp_path)

    class WrittenMeanwhile(Store):
        n = 0

        def take_in_all(self, parts: Sequence[LogPart]) -> int:
            self.n += 1
            assert self.n < 10, "the reader never comes to an end"
            with EventWriter(busy.events_file) as log:
                log.write(99, record("phase", phase=str(self.n)))
            return super().take_in_all(parts)

    with WrittenMeanwhile(None) as store:
        catch_up(store, tmp_path, {})
        assert store.n == 1
        assert queries.counts(store, quiet.run_id)["episodes"] == 20


def test_many_logs_are_taken_in_at_once_and_a_value_that_is_refused_holds_none_of_the_others(tmp_path, monkeypatch):
    """Thousands of short logs were a transaction each: a first start took minutes."""
    runs = [write_attempts(tmp_path) for _ in range(3)]

    class Counting(Store):
        parts: ClassVar[list[int]] = []

        def take_in_all(self, parts: Sequence[LogPart]) -> int:
            self.parts.append(len(parts))
            return super().take_in_all(parts)

    with Counting(None) as store:
        offsets: dict[str, int] = {}
        n_events = catch_up(store, tmp_path, offsets)
        assert store.parts == [3]
        assert offsets == store.offsets() == {run.run_id: run.events_file.stat().st_size for run in runs}
        assert n_events == sum(len(run.events_file.read_bytes().splitlines()) for run in runs)
        assert [queries.counts(store, run.run_id)["episodes"] for run in runs] == [20, 20, 20]
        with runs[1].events_file.open("ab") as log:
            log.write(b"no event\n")
        with EventWriter(runs[2].events_file) as log:
            log.write(99, record("phase", phase="more"))
        assert catch_up(store, tmp_path, offsets) == 1
        known = queries.run_overview(store).set_index("run_id")
        assert [int(known.loc[run.run_id, "n_bad"]) for run in runs] == [0, 1, 0]


def test_a_database_with_other_tables_is_made_again_from_the_logs(tmp_path, monkeypatch):
    """Such as one of an older version: its rows were of other columns."""
    run, path = write_attempts(tmp_path), tmp_path / "a.duckdb"
    with Store(path) as store:
        catch_up(store, tmp_path, store.offsets())
        before = export.episodes(store, run.run_id)
    with duckdb.connect(str(path)) as old:
        old.execute("UPDATE made_for SET fingerprint = 'of before'")
        old.execute("ALTER TABLE episodes DROP COLUMN ssim")
    with Store(path) as store:
        assert store.offsets() == {}
        catch_up(store, tmp_path, store.offsets())
        pd.testing.assert_frame_equal(export.episodes(store, run.run_id), before)
    with Store(path) as store:
        assert store.offsets() == {run.run_id: run.events_file.stat().st_size}


def test_a_field_of_an_event_is_a_column_wherever_it_stands(tmp_path, monkeypatch, new_store):
    """Adding one, at any place, needs no other change here and shifts no other column's values."""
    before = event_fields.table_columns(EpisodeEnded)
    for place in (0, 7, 12, len(fields(EpisodeEnded))):
        types = get_type_hints(EpisodeEnded, include_extras=True)
        own = [(f.name, types[f.name]) for f in fields(EpisodeEnded)]
        new = make_dataclass("Wider", [*own[:place], ("n_nodes", int), *own[place:]], bases=(Record,), frozen=True)
        new.kind, new.table = "episode", "episodes"
        monkeypatch.setitem(event_types.RECORDS, "episode", new)
        monkeypatch.setitem(schema.RECORD_TABLES, "episodes", new)
        monkeypatch.setattr(event_fields, "EpisodeEnded", new)
        monkeypatch.setitem(schema.TABLES, "episodes", schema.KEYS | event_fields.table_columns(new))
        home = tmp_path / str(place)
        run = claim(home, tiny_config(home))
        told = {f.name: getattr(episode(3), f.name) for f in fields(EpisodeEnded)}
        with EventWriter(run.events_file) as log:
            log.write(0, AttemptStarted(0, 10))
            log.write(3, new(**told, n_nodes=77))
        with new_store() as store:
            catch_up(store, home, {})
            (row,) = export.episodes(store, run.run_id).to_dict("records")
        assert row["n_nodes"] == 77
        assert {name: row[name] for name in before} == {name: row[name] for name in before} | {
            "episode": 3, "logo": "l0", "training_gain": 0.3, "quality": 0.1, "end_reason": "max_steps", "ssim": 0.9, "path_precision": 0.0,
        }  # fmt: skip
        assert list(row)[3 : 3 + len(before) + 1] == list(event_fields.table_columns(new))


def test_a_golden_log_of_the_first_version_is_read_with_all_its_values(tmp_path, new_store):
    run = claim(tmp_path, tiny_config(tmp_path))
    run.events_file.write_bytes(GOLDEN.read_bytes())
    raw = {line["kind"]: line["data"] for line in map(json.loads, GOLDEN.read_text().splitlines())}
    with new_store() as store:
        catch_up(store, tmp_path, {})
        (found,) = export.episodes(store, run.run_id).to_dict("records")
        (evaluated,) = export.evaluations(store, run.run_id).to_dict("records")
        evaluation = queries.evaluations(store, [run.run_id]).to_dict("records")[0]
        metrics = dict(store.rows("SELECT name, value FROM metrics"))
        ended = queries.events_of(store, run.run_id, [Ended])[0].data
        assert store.rows("SELECT n_bad, n_newer FROM sources") == [(0, 0)]
    old = raw["episode"]
    renamed = {"reward": "training_gain", "gain": "headline_gain", "end": "end_reason"}
    for name, value in old.items():
        if name != "params":
            assert found[renamed.get(name, name)] == value, name
    newer = [DEFAULTS.as_dict()[name] for name in NAMES[len(old["params"]) :]]  # parameters that it did not know
    assert [found[name] for name in NAMES] == [*old["params"], *newer]
    assert [evaluated[name] for name in NAMES] == [*raw["evaluated"]["params"], *newer]
    for name in ("logo", "digest", "gain", "ssim", "bytes", "paths", "cpu_s", "ssim_default", "bytes_default", "paths_default", "svg"):
        assert evaluated[name] == raw["evaluated"][name], name
    for name, value in raw["evaluation"].items():
        if name != "by_category":
            assert evaluation[name] == value, name
    assert metrics == raw["metrics"]
    assert (ended.status, ended.reason, ended.gain, ended.best_gain) == tuple(raw["ended"].values())


def test_lines_of_a_newer_version_are_counted_and_left_in_the_log(tmp_path, new_store):
    run = write_attempts(tmp_path, 4)
    with run.events_file.open("ab") as file:
        file.write(
            b'{"v":99,"seq":99,"attempt":1,"ts":1.0,"kind":"episode","step":5,"data":{"episode":5,"training_gain":"another thing"}}\n'
        )
        file.write(b'{"v":0,"seq":100,"attempt":1,"ts":1.0,"kind":"episode","step":6,"data":{}}\n')
    before = run.events_file.read_bytes()
    with new_store() as store:
        catch_up(store, tmp_path, {})
        assert queries.counts(store, run.run_id)["episodes"] == 4
        assert store.rows("SELECT n_newer, n_bad FROM sources") == [(1, 1)]
    assert run.events_file.read_bytes() == before


def test_the_ingest_thread_follows_a_growing_log(tmp_path):
    with Store(tmp_path / "x.duckdb") as store, Ingest(store, tmp_path):
        run = claim(tmp_path, tiny_config(tmp_path))
        with EventWriter(run.events_file) as log:
            log.write(0, AttemptStarted(from_step=0, total_timesteps=0))
            for i in range(1, 200):
                log.write(i, episode(i))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if store.offsets().get(run.run_id) == run.events_file.stat().st_size:
                break
            time.sleep(0.02)
        assert queries.counts(store, run.run_id)["episodes"] == 199


def test_store_error_is_raised_for_bytes_out_of_order(tmp_path, new_store):
    run = write_attempts(tmp_path, 2)
    data = run.events_file.read_bytes()
    with new_store() as store:
        store.take_in(run.run_id, data, 0)
        with pytest.raises(StoreError, match="are due"):
            store.take_in(run.run_id, data, 0)
        assert queries.counts(store, run.run_id)["episodes"] == 2


def test_a_broken_database_is_not_a_lock_message(tmp_path):
    (tmp_path / "x.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(duckdb.Error):
        Store(tmp_path / "x.duckdb")


def test_a_log_that_was_cut_and_grew_again_is_read_anew(home):
    """Longer than before when it is looked at again, so its size tells nothing."""
    run = claim(home, tiny_config("builtin"))
    with EventWriter(run.events_file) as writer:
        for i in range(20):
            writer.write(i, WarningGiven(text=f"first {i}"))
    store, offsets = Store(None), {}
    with store:
        read_new(store, run.run_id, run.events_file, offsets)
        lines = run.events_file.read_bytes().splitlines(keepends=True)
        run.events_file.write_bytes(b"".join(lines[:12]) + lines[12][:9])
        with EventWriter(run.events_file) as writer:
            for i in range(30):
                writer.write(12 + i, WarningGiven(text=f"second {i}"))
        read_new(store, run.run_id, run.events_file, offsets)
        stored = [row[0] for row in store.rows("SELECT seq FROM events ORDER BY seq")]
        written = [event.seq for event in read_events(run.events_file)]
        assert stored == written
        assert len(stored) == 12 + 1 + 30  # and the note of the repair
        store.reopen()
        assert store.tail(run.run_id) == b""  # of a database in memory nothing is left


def test_what_was_read_is_known_again_after_the_database_is_opened_anew(home):
    run = claim(home, tiny_config("builtin"))
    with EventWriter(run.events_file) as writer:
        writer.write(1, WarningGiven(text="one"))
        with Store(home / "index.duckdb") as store:
            offsets: dict[str, int] = {}
            read_new(store, run.run_id, run.events_file, offsets)
            tail = store.tail(run.run_id)
            store.reopen()
            assert store.tail(run.run_id) == tail == run.events_file.read_bytes()[-64:]
            writer.write(2, WarningGiven(text="two"))
            read_new(store, run.run_id, run.events_file, store.offsets())
            assert store.rows("SELECT count(*) FROM events") == [(2,)]
