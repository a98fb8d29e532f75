"""Several processes that write into one cache of traces, and are killed."""

import multiprocessing as mp
import os
import signal
import sqlite3
from pathlib import Path

from core.tracing.cache import Cached, TraceCache
from core.tracing.outcome import Outcome
from core.tracing.params import Params


def cached(n: int, svg: str | None = None) -> Cached:
    return Cached(Outcome(1 / (n + 1), n, n + 1, 0.1 + n, None), svg)


def params_of(n: int) -> Params:
    return Params(4, n % 128, n % 180, 3.5 + n / 1e6, 10, 45, 2)


def _write_for_ever(path: str, start: int, told) -> None:
    cache = TraceCache(Path(path))
    n = start
    while True:
        cache.put("logo", params_of(n), cached(n, f"<svg>{n}</svg>"), is_lasting=True)
        n += 1
        if n % 640 == 0:
            cache.flush()
            told.put(n)


def test_several_writers_that_are_killed_leave_whole_results(tmp_path):
    path, context = tmp_path / "traces.sqlite", mp.get_context("spawn")
    told = context.Queue()
    writers = [context.Process(target=_write_for_ever, args=(str(path), k * 10**6, told), daemon=True) for k in range(3)]
    for writer in writers:
        writer.start()
    reached = {}
    while len(reached) < 3 or min(n % 10**6 for n in reached.values()) < 1280:
        n = told.get(timeout=60)
        reached[n // 10**6] = n
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    told.close()
    told.join_thread()
    cache = TraceCache(path)
    for k, end in reached.items():
        for n in range(k * 10**6, end):
            assert cache.get("logo", params_of(n), need_svg=True) == cached(n, f"<svg>{n}</svg>")
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    cache.close()
