"""What runs on each node of a Ray cluster: one actor, which is handed conversions and has a worker pool of its own for them.

Imports Ray in its methods alone, where it is loaded already. Guarantee: limits of time and memory, crashes and retries mean the same as in a
pool of one machine, because that pool is what enforces them here.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, cast

import psutil

from core.tracing.cache import PACKAGES, Cached, TraceCache, engine
from core.tracing.params import Params
from core.tracing.pipeline import Pipeline
from core.workers.picture_store import PictureStore, Slot, StoreHandle
from core.workers.pool import Limits, Loss, WorkerPool
from core.workers.worker import pack_job, pack_result, unpack_job

_GET_S = 120.0  # for one part of the pictures to arrive
_TURN_S = 0.25  # after this long a node answers with what it has
_SHARE = 4  # or once such a part of what it holds is done: the rest keeps its workers busy while the answer travels

Facts = dict[str, str]
Handed = list[tuple[int, bytes, int]]  # number, packed job, tries


@dataclass(frozen=True)
class Answer:
    """``results``: number, packed result, reason of a loss; ``losses``: worker, failure, reason and packed job, None if it was idle."""

    results: list[tuple[int, bytes, str]]
    losses: list[tuple[str, str, str, bytes | None]]


def facts() -> Facts:
    """What must be equal everywhere for conversions to give the same figures, and how this node is guarded."""
    found = {package: metadata.version(package) for package in PACKAGES}
    found["Python"] = ".".join(map(str, sys.version_info[:2]))
    found["Tracewright"] = engine().hex()  # of the source that a result depends on, the packages beside it
    return found


def node_facts() -> Facts:
    """The same, from a node: with its load, and whether Ray's token authentication is on there."""
    memory = psutil.virtual_memory()
    now = {"load": psutil.getloadavg()[0], "memory_mb": memory.total / 2**20, "memory_free_mb": memory.available / 2**20}
    return facts() | {"auth": os.environ.get("RAY_AUTH_MODE", "")} | {key: f"{value:.2f}" for key, value in now.items()}


class _NoCache(TraceCache):
    """The one who hands out the conversions has the cache."""

    def get(self, digest: str, params: Params, need_svg: bool = False, need_features: bool = False, is_lasting: bool = True) -> None:
        return None

    def put(self, digest: str, params: Params, cached: Cached, is_lasting: bool) -> None:
        return None


class NodeWorkers:
    """The actor. Its pictures lie in a file of this node, which all its workers map."""

    def __init__(self, n_workers: int, limits: Limits) -> None:
        self._n_workers, self._limits = n_workers, limits
        self._losses: list[Loss] = []
        self._n_held = 0  # jobs without a result
        self._pool: WorkerPool

    def is_placed(self) -> bool:
        """Answers as soon as this actor has its CPUs."""
        return True

    def open(self, parts: Sequence[Any], slots: tuple[Slot, ...], pipeline: Pipeline) -> Facts:
        """Take the pictures from the object store, part by part, and start the workers."""
        import ray

        sys.modules["__main__"].__file__ = None  # Ray's own script, which each new worker would import otherwise
        with tempfile.TemporaryFile() as file:
            for part in parts:
                file.write(ray.get(part, timeout=_GET_S))
            file.flush()
            store = PictureStore(StoreHandle(os.dup(file.fileno()), file.tell(), slots, pipeline))
        self._pool = WorkerPool(store, self._n_workers, self._limits, _NoCache(), self._losses.append)
        return node_facts()

    def exchange(self, jobs: Handed) -> Answer:
        """Take in jobs; returns what has finished, soon enough for the workers not to run out."""
        for number, packed, n_tries in jobs:
            self._pool.submit(number, unpack_job(packed), n_tries)
            self._n_held += 1
        started = time.monotonic()
        results: list[tuple[int, bytes, str]] = []
        enough = max(self._n_held // _SHARE, 1)
        while self._n_held and len(results) < enough and time.monotonic() - started < _TURN_S:
            for key, result in self._pool.poll():
                results.append((cast(int, key), pack_result(result), result.reason))
                self._n_held -= 1
        losses = [(x.worker, x.failure, x.reason, pack_job(x.job) if x.job is not None else None) for x in self._losses]
        self._losses.clear()
        return Answer(results, losses)
