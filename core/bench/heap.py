"""The console left open: how much the heap of a Chromium tab grows on the live page of a run that goes on."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from core.bench.ingest import write_run
from core.bench.report import Report, say
from core.bench.ui import DRAWN, REFRESH_S, alive, chromium, frames_of, go_on, server_on, written
from core.errors import BenchError
from core.runs.records import claim

_WARM_S = 60.0  # fonts, caches and compiled code come in the first minute
_N_EPISODES = 20_000


def measure(minutes: float) -> Report:
    """Run the benchmark.

    Raises:
        BenchError: no Chromium or no playwright, or the page was not refreshed.
    """
    report = Report("heap", "A console left open")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        run = claim(home, written(name="left open", total_timesteps=10 * _N_EPISODES))
        write_run(run, 500, _N_EPISODES, n_evaluations=10)
        with server_on(home) as (url, server), chromium() as browser, alive(run):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            frames = frames_of(page)
            devtools = page.context.new_cdp_session(page)
            page.goto(f"{url}/live?run={run.run_id}")
            page.wait_for_function(DRAWN, timeout=120_000)
            n = 0
            frames.clear()
            samples: list[tuple[float, int]] = []
            memory_before = 0
            started = time.monotonic()
            warm_s = min(_WARM_S, minutes * 60 / 4)
            while time.monotonic() < started + warm_s + minutes * 60:
                go_on(run, 2 * _N_EPISODES + n)
                n += 1
                page.wait_for_timeout(1000 * REFRESH_S)
                since = time.monotonic() - started - warm_s
                if since >= 0 and (not samples or since - samples[-1][0] >= min(60.0, minutes * 6)):
                    samples.append((since, heap_bytes(devtools)))
                    memory_before = memory_before or server.memory_info().rss
                    say(f"{since / 60:.1f} of {minutes:g} minutes: {samples[-1][1] / 1e6:.1f} MB")
            grown = (samples[-1][1] - samples[0][1]) / 1e6
            served = (server.memory_info().rss - memory_before) / 1e6
    if len(frames) < n / 2:
        raise BenchError(f"the page received {len(frames)} messages in {n} refreshes: it was not refreshed, so its heap says nothing")
    report.keys["heap_growth_mb"] = grown
    report.add(
        "growth of the tab's heap", f"{grown:+.1f} MB", f"{minutes:g} minutes, {n:,} refreshes with new data, after a full collection"
    )
    report.add(
        "the heap itself", f"{samples[0][1] / 1e6:.1f} to {samples[-1][1] / 1e6:.1f} MB", f"first and last of {len(samples)} samples"
    )
    report.add("growth of the server's memory", f"{served:+.1f} MB", "resident, over the same time")
    report.details["samples"] = [{"s": round(s, 1), "bytes": b} for s, b in samples]
    return report


def heap_bytes(devtools: Any) -> int:
    """Bytes of the JavaScript heap in use after a full collection."""
    devtools.send("HeapProfiler.collectGarbage")
    return int(devtools.send("Runtime.getHeapUsage")["usedSize"])


def held_objects(devtools: Any) -> dict[str, float]:
    """Nodes and listeners that a tab holds, those out of its document included, as they are after a full collection."""
    found = devtools.send("Memory.getDOMCounters")
    return {"tab_nodes": float(found["nodes"]), "tab_listeners": float(found["jsEventListeners"])}
