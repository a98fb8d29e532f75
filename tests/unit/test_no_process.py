"""The guard of this folder: whatever starts a process is stopped and told."""

from __future__ import annotations

import multiprocessing as mp
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from core.logos.dataset import load_logos
from core.workers.picture_store import PictureStore
from core.workers.pool import WorkerPool


def open_pool() -> None:
    WorkerPool(PictureStore.create(list(load_logos("builtin", 48, n_per_category=4).logos)), 1)


@pytest.mark.parametrize(
    "start",
    [
        lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        lambda: mp.get_context("spawn").Process(target=print).start(),
        lambda: mp.get_context("spawn").Pool(1),
        lambda: os.system("true"),
        open_pool,
    ],
    ids=["subprocess", "Process", "Pool", "system", "workers"],
)
def test_a_process_is_refused(start: Callable[[], object], started_processes: list[str]) -> None:
    with pytest.raises(pytest.fail.Exception, match="a unit test starts no process"):
        start()
    assert started_processes
    started_processes.clear()
