"""A batch of Optimize as its command leaves it, without the work."""

from __future__ import annotations

import json
import time
from pathlib import Path

from core.scheduling.batch import Batch
from core.scheduling.job import Job, JobStatus

NAMES = ("one", "two", "=three")


def await_end(which: Job, timeout: float = 90.0) -> JobStatus:
    """Wait for the process of a batch or another job; returns its status."""
    deadline = time.monotonic() + timeout
    while which.status() is JobStatus.WORKING:
        assert time.monotonic() < deadline, which.progress()
        time.sleep(0.05)
    return which.status()


def svg_of(number: int) -> str:
    """One that a tracer might have made, told apart by its size."""
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{number}" height="8"><path fill="#f00" d="M0 0h8v8z"/></svg>'


def row(batch: Batch, name: str, **more: object) -> dict[str, object]:
    """What ``optimize --json`` says of one picture."""
    figures = {"gain": 0.5, "visual_gain": 0.4, "ssim": 0.9, "ssim_default": 0.8, "colour": 2.0, "colour_default": 3.0, "bytes": 500}
    figures |= {"bytes_default": 1000, "n_conversions": 9, "is_default": False, "made_by": "agent", "remark": "", "kind": "simple"}
    return {"file": str(batch.pictures / f"{name}.png"), "svg": str(batch.out / f"{name}.svg")} | figures | more


def made_up_batch(home: Path) -> Batch:
    """Three pictures; the first with a closer match and the defaults beside it, the last kept the defaults."""
    which = Batch(home / "batches" / "20260101-120000")
    which.out.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (which.out / f"{name}.svg").write_text(svg_of(8 + number))
    for number, kind in enumerate(("faithful", "defaults")):
        (which.alternatives / kind).mkdir(parents=True)
        (which.alternatives / kind / "one.svg").write_text(svg_of(20 + number))
    figures = {"one.svg": {"faithful": {"bytes": 900, "visual_gain": 0.9, "made_by": "single"}, "defaults": {"bytes": 1000}}}
    (which.alternatives / "alternatives.json").write_text(json.dumps({"v": 1, "pictures": figures}))
    rows = [
        row(which, "one"),
        row(which, "two", remark="needs a look", bytes=100),
        row(which, "=three", is_default=True, made_by="defaults"),
    ]
    told = {"results": rows, "skipped": [], "n_done": 3, "mean_gain": 0.5, "bytes": 1100, "bytes_default": 3000}
    (which.path / "result.json").write_text(json.dumps(told))
    (which.path / "request.json").write_text('{"v": 1}')
    return which
