"""What the index holds in memory: it goes when it is asked to, and once no query uses it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.runs.event_types import WarningGiven
from core.runs.events import EventWriter
from core.runs.records import claim
from pages.server import service
from storage.ingest import read_new
from storage.store import Store
from tests.support.runs import tiny_config


def test_a_database_forgets_what_it_can_read_again(home):
    run = claim(home, tiny_config("builtin"))
    with EventWriter(run.events_file) as writer:
        for i in range(20_000):
            writer.write(i, WarningGiven(text=f"{i} of many"))
    held = "SELECT sum(memory_usage_bytes) FROM duckdb_memory() WHERE tag IN ('BASE_TABLE', 'IN_MEMORY_TABLE')"
    limit = "SELECT current_setting('memory_limit')"
    with Store(home / "index.duckdb") as store:
        read_new(store, run.run_id, run.events_file, {})
        store.rows("CHECKPOINT")
        before, normal = store.rows("SELECT sum(hash(data)), count(*) FROM events"), store.rows(limit)
        [(most,)] = store.rows(held)
        store.give_back_memory()
        [(left,)] = store.rows(held)
        assert left < most / 4
        assert store.rows(limit) == normal
        assert store.rows("SELECT sum(hash(data)), count(*) FROM events") == before


def test_what_queries_read_of_a_database_goes_once_they_are_done(home):
    """Within a second or two: not after the quarter of a minute that other memory may stay."""
    run = claim(home, tiny_config("builtin"))
    with EventWriter(run.events_file) as writer:
        for i in range(20_000):
            writer.write(i, WarningGiven(text=f"{i} of many"))
    with Store(home / "index.duckdb") as store:
        read_new(store, run.run_id, run.events_file, {})
        store.rows("CHECKPOINT")

        def held() -> int:  # without being counted as a query
            with store._connection.cursor() as cursor:
                return cursor.execute(
                    "SELECT coalesce(sum(memory_usage_bytes), 0) FROM duckdb_memory() WHERE tag = 'BASE_TABLE'"
                ).fetchall()[0][0]

        is_over, began = threading.Event(), time.monotonic()
        thread = threading.Thread(target=service._stay_small, args=(store, is_over))
        thread.start()
        try:
            for _ in range(3):
                store.rows("SELECT sum(hash(data)) FROM events")
                most = held()
                while held() > most / 4:
                    assert time.monotonic() < began + service.GIVE_BACK_S - 2, held()
                    time.sleep(0.05)
        finally:
            is_over.set()
            thread.join()


def test_work_goes_on_while_a_database_forgets(home):
    run = claim(home, tiny_config("builtin"))
    with EventWriter(run.events_file) as writer:
        for i in range(5_000):
            writer.write(i, WarningGiven(text=f"{i} of many"))
    lines = run.events_file.read_bytes().splitlines(keepends=True)
    with Store(home / "index.duckdb") as store:
        is_over = threading.Event()

        def forget() -> None:
            while not is_over.wait(0.002):
                store.give_back_memory()

        thread = threading.Thread(target=forget)
        thread.start()
        try:
            at = 0
            for n in range(0, len(lines), 100):
                part = b"".join(lines[n : n + 100])
                store.take_in(run.run_id, part, at)
                at += len(part)
            for _ in range(50):
                sorted_rows = (
                    "SELECT count(*) FROM (SELECT a.data FROM events a, (SELECT unnest(range(4))) ORDER BY a.data, a.seq LIMIT 100000)"
                )
                assert store.rows(sorted_rows) == [(20_000,)]
        finally:
            is_over.set()
            thread.join()
    with Store(None) as store:
        store.give_back_memory()  # there is nowhere to read it again from
        assert store.rows("SELECT count(*) FROM events") == [(0,)]


def test_a_query_that_begins_while_a_database_forgets_waits_for_its_memory(home, monkeypatch):
    with Store(home / "index.duckdb") as store:
        store.rows("CREATE TABLE numbers AS SELECT range AS n FROM range(1_000_000)")
        store.rows("CHECKPOINT")
        usual, is_low, may_go_on = store._most_mb(), threading.Event(), threading.Event()

        def waits() -> float:
            is_low.set()
            assert may_go_on.wait(10)
            return usual

        monkeypatch.setattr(store, "_most_mb", waits)
        with ThreadPoolExecutor(2) as pool:
            forgetting = pool.submit(store.give_back_memory)
            assert is_low.wait(10)
            asked = pool.submit(store.rows, "SELECT count(*) FROM (SELECT n FROM numbers ORDER BY hash(n) OFFSET 1)")
            with pytest.raises(TimeoutError):
                asked.result(0.3)
            may_go_on.set()
            assert forgetting.result(10)
            assert asked.result(10) == [(999_999,)]


def test_a_database_does_not_forget_under_a_query(home):
    with Store(home / "index.duckdb") as store:
        store.rows("CREATE TABLE numbers AS SELECT range AS n FROM range(200_000)")
        reading = store.batches("SELECT n FROM numbers", n_rows=1000)
        next(reading)
        assert not store.give_back_memory()
        reading.close()
        assert store.give_back_memory()
