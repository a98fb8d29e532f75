"""Ingest: rows per second while catching up, and the lag from write to query at 1, 4 and 16 writers."""

from __future__ import annotations

import multiprocessing as mp
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event
from pathlib import Path

from core.bench.made_up import made_up
from core.bench.report import Report, percentile, say
from core.config.config import RunConfig
from core.errors import BenchError
from core.runs.event_fields import table_columns
from core.runs.event_types import AttemptStarted, EpisodeEnded, EvaluationEnded, LogoEvaluated, Metrics
from core.runs.events import EventWriter
from core.runs.records import claim
from core.runs.run_dir import RunDir
from core.tracing.outcome import TERM_NAMES
from storage.ingest import Ingest, catch_up
from storage.store import Store

N_RUNS = 4
WRITERS = (1, 4, 16)
PATIENCE_S = 120.0  # for sixteen writers to start on a busy machine
EVENTS_PER_S = 100  # of each writer: about what a training on eight cores writes
_KNOWN = (
    "train/value_loss", "train/policy_gradient_loss", "train/entropy_loss", "train/approx_kl", "train/clip_fraction", "train/explained_variance",
    "train/grad_norm", "train/learning_rate", "train/std", "train/loss", "time/fps",
    "time/step_rate", "trace/failed_share", "trace/cache_hit_rate", "curriculum/success_share", "rollout/ep_rew_mean",
)  # fmt: skip
METRICS = [
    *_KNOWN,
    *(f"reward/{name}" for name in TERM_NAMES),
    *(f"train/metric_{i}" for i in range(25 - len(_KNOWN) - len(TERM_NAMES))),
]  # about what an update writes


def measure(n_repeats: int, is_short: bool = False) -> Report:
    """Run the benchmark: logs of a million rows, and 15 seconds of writing for each number of writers."""
    report = Report("ingest", "Ingest")
    _catching_up(report, n_repeats, 20_000 if is_short else 1_000_000)
    _lag(report, 1.0 if is_short else 15.0)
    return report


N_EVALUATED = 60  # logos


_CATEGORIES = ("simple", "text", "gradient", "complex")


def episode(rng: random.Random, n: int) -> EpisodeEnded:
    """An episode's event as a training writes it."""
    return made_up(
        EpisodeEnded, rng, episode=n, env=n % 64, logo=f"logo{n % 180}", category=_CATEGORIES[n % 4], stage="all", length=1,
        training_gain=rng.random() + n * 1e-6, end_reason="max_steps", cpu_s=round(rng.random() / 50, 6), success=n % 3 == 0,
    )  # fmt: skip


def evaluation(rng: random.Random, is_best: bool) -> EvaluationEnded:
    """The summary of an evaluation as a training writes it."""
    gain = rng.random() / 2
    return made_up(
        EvaluationEnded, rng, gain=gain, gain_low=gain - 0.1, gain_high=gain + 0.1, gain_median=gain, bytes=4000.0, bytes_default=9000.0,
        n_logos=N_EVALUATED, n_failed=0, is_best=is_best, by_category=dict.fromkeys(_CATEGORIES, gain), seconds=1.0,
    )  # fmt: skip


def evaluated(rng: random.Random, logo: int) -> LogoEvaluated:
    """One logo of an evaluation."""
    return made_up(
        LogoEvaluated, rng, logo=f"logo{logo}", category=_CATEGORIES[logo % 4], digest=f"{logo:016x}", gain=rng.random() / 2, failure=None,
        cpu_s=0.01, svg="",
    )  # fmt: skip


def write_run(run: RunDir, n_updates: int, n_episodes: int, rollout: int = 512, n_evaluations: int = 0) -> tuple[int, int]:
    """A synthetic log: metrics of ``n_updates`` updates, then episodes. Returns (rows of metrics, rows of episodes)."""
    rng = random.Random(0)
    with EventWriter(run.events_file) as events:
        events.write(0, AttemptStarted(0, max(n_updates * rollout, n_episodes), os.getpid()))
        for n in range(1, n_updates + 1):
            events.write(n * rollout, Metrics({name: rng.random() for name in METRICS}))
        for n in range(1, n_episodes + 1):
            events.write(n, episode(rng, n))
        for k in range(n_evaluations):
            step = max(n_episodes, 1) * k // max(n_evaluations - 1, 1)
            for logo in range(N_EVALUATED):
                events.write(step, evaluated(rng, logo))
            events.write(step, evaluation(rng, k == n_evaluations - 1))
    return n_updates * len(METRICS), n_episodes


def _catching_up(report: Report, n_repeats: int, n_rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rates: dict[str, list[float]] = {}
        rows: dict[str, int] = {}
        homes = {"metrics": Path(folder) / "metrics", "episodes": Path(folder) / "episodes", "both": Path(folder) / "both"}
        say(f"writing logs of {n_rows:,} rows")
        for kind, home in homes.items():
            n_metrics = {"metrics": n_rows, "episodes": 0, "both": n_rows // 2}[kind] // N_RUNS // len(METRICS)
            n_episodes = {"metrics": 0, "episodes": n_rows // 4, "both": n_rows // 8}[kind] // N_RUNS
            written = [write_run(claim(home, RunConfig(name=f"run{k}")), n_metrics, n_episodes) for k in range(N_RUNS)]
            rows[kind] = sum(sum(pair) for pair in written)
        for repeat in range(n_repeats):
            for kind, home in homes.items():
                say(f"catching up with {kind}, repeat {repeat + 1} of {n_repeats}")
                with Store(Path(folder) / f"{kind}-{repeat}.duckdb") as store:
                    started = time.perf_counter()
                    catch_up(store, home, {})
                    rates.setdefault(kind, []).append(rows[kind] / (time.perf_counter() - started))
                    found = store.rows("SELECT (SELECT count(*) FROM metrics) + (SELECT count(*) FROM episodes)")[0][0]
                    assert found == rows[kind], f"{found} rows of {rows[kind]} arrived"
    rate = {kind: statistics.median(values) for kind, values in rates.items()}
    report.keys["ingest_rows_per_s"] = rate["both"]
    report.add("catching up, metrics", f"{rate['metrics']:,.0f} rows/s", f"one row per scalar; {N_RUNS} logs")
    columns = len(table_columns(EpisodeEnded))
    report.add(
        "catching up, episodes", f"{rate['episodes']:,.0f} rows/s", f"{rate['episodes'] * columns:,.0f} values/s, {columns} per episode"
    )
    report.add("catching up, both", f"{rate['both']:,.0f} rows/s", "four rows of metrics to one episode")
    report.details["rows_per_s"] = rate


def _lag(report: Report, seconds: float) -> None:
    context = mp.get_context("spawn")
    for n_writers in WRITERS:
        say(f"lag with {n_writers} writers")
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            runs = [claim(home, RunConfig(name=f"run{k}")) for k in range(n_writers)]
            stop = context.Event()
            writers = [context.Process(target=_write, args=(str(run.path), stop), daemon=True) for run in runs]
            with Store(home / "index.duckdb") as store, Ingest(store, home):
                for writer in writers:
                    writer.start()
                try:
                    lags = _watch(store, seconds, writers)
                finally:
                    stop.set()
                    for writer in writers:
                        writer.join()
        p50, p95 = percentile(lags, 0.5), percentile(lags, 0.95)
        if n_writers == 4:
            report.keys["ingest_lag_p95_s"] = p95
        report.add(
            f"write to query, {n_writers} writer{'s' if n_writers > 1 else ''}",
            f"p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms",
            f"{len(lags):,} events, {EVENTS_PER_S} a second and writer",
        )
        report.details[f"lag_{n_writers}"] = {"p50": p50, "p95": p95, "n": len(lags)}


def _write(path: str, stop: Event) -> None:
    """Write episodes at an even pace until told to stop."""
    rng, n = random.Random(0), 0
    with EventWriter(RunDir(Path(path)).events_file) as events:
        events.write(0, AttemptStarted(0, 0))
        started = time.monotonic()
        while not stop.is_set():
            n += 1
            events.write(n, episode(rng, n))
            stop.wait(max(started + n / EVENTS_PER_S - time.monotonic(), 0))


def _watch(store: Store, seconds: float, writers: Sequence[BaseProcess]) -> list[float]:
    """Lag of every episode of so many seconds, from the writer's clock to the first query that shows it; begins once all writers write, and waits
    for the last ones.

    Raises:
        BenchError: a writer ended, or its first event, or its last one, did not arrive.
    """
    lags: list[float] = []
    seen: dict[int, int] = {}
    arrived: dict[int, float] = {}  # {run: when its last event that arrived was written}
    until, give_up, end_ts = None, time.monotonic() + PATIENCE_S, 0.0
    while until is None or min(arrived.values(), default=0.0) < end_ts:
        if gone := [writer.exitcode for writer in writers if writer.exitcode is not None]:
            raise BenchError(f"{len(gone)} of {len(writers)} writers ended with {gone[0]} while their lag was measured; run it again")
        if time.monotonic() > give_up:
            raise BenchError(
                f"the {'first' if until is None else 'last'} events of {len(writers)} writers did not arrive in {PATIENCE_S:.0f} s; is the disk full?"
            )
        rows = store.rows("SELECT run, max(seq) FROM episodes GROUP BY run")
        now = time.time()
        if until is None:
            seen = {int(run): int(seq) for run, seq in rows}
            if len(rows) == len(writers):
                until, end_ts = time.monotonic() + seconds, now + seconds
                give_up = until + PATIENCE_S
                arrived = dict.fromkeys(seen, 0.0)
            continue
        for run, seq in rows:
            if seq > seen[run]:
                found = store.rows("SELECT ts FROM episodes WHERE run = ? AND seq > ? AND seq <= ?", [run, seen[run], seq])
                lags += [now - ts for (ts,) in found if ts <= end_ts]
                seen[run], arrived[run] = seq, max(ts for (ts,) in found)
        time.sleep(0.005)
    return lags
