"""The worker pool: conversions on all cores, handed out one by one to whichever worker is free.

The state of the environments stays in the trainer's process and workers only convert, so slow and fast traces even out
over the workers, no episode depends on which worker served it, and a worker can be replaced without loss. Does not import
torch or stable-baselines3. Guarantees: every submitted job gets a result; a worker that dies or exceeds its time or memory
limit is replaced, and its job fails with the reason; workers end with their parent, even if it is killed; with a cache,
what it already knows is not traced again.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import selectors
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any, cast

import psutil

from core.errors import WorkerError
from core.machine import available_cores
from core.tracing.cache import Cached, TraceCache
from core.tracing.outcome import Outcome
from core.workers.picture_store import PictureStore
from core.workers.worker import READY, Job, JobResult, pack_job, unpack_result, worker_main

# Jobs sent to a worker: one in progress and one so that it need not wait for the trainer; more while many are waiting,
# so that the trainer need not wake up for each, and fewer towards the end, so that all workers finish at the same time.
AHEAD, MOST_AHEAD = 2, 8
_REST_S = 0.02  # the trainer's longest pause while all workers are busy: whenever it wakes up it takes a core from them
MAX_LOSSES_IN_A_ROW = 10  # per worker, on average
START_S = 60.0  # a worker is ready after half a second; after this long it hangs
REFUSED = "refused"
_LOOK_S = 1.0  # interval at which time and memory are checked


@dataclass(frozen=True)
class Limits:
    """Limits of time and memory per conversion, and how many lost workers quarantine a picture."""

    time_s: float = 30.0
    memory_mb: float = 1500.0
    losses: int = 3


@dataclass(frozen=True)
class Loss:
    """A worker that was lost; ``job``: what it was working on, None if it was idle; ``is_node``: a node of a cluster, with all its workers.

    With the failure :data:`REFUSED` a node of a cluster was never used, and nothing was lost.
    """

    worker: str
    failure: str  # one of core.tracing.outcome.LOST, or REFUSED
    reason: str
    job: Job | None
    is_quarantined: bool  # whether this loss quarantined the job's picture
    is_node: bool = False


@dataclass
class _Task:
    """A pending job. Each try costs a worker if the picture is at fault."""

    key: Hashable
    job: Job
    n_tries: int
    is_lasting: bool


@dataclass
class _Worker:
    name: str
    process: Any
    pipe: Connection
    is_ready: bool = False
    tasks: deque[_Task] = field(default_factory=deque)
    since: float = 0.0  # when the first of the tasks was started, or else the worker itself


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Start processes that do not run this one's main script again, as "spawn" has it: they need nothing of it, and a console's sets a server up."""
    own, nothing = sys.modules["__main__"], ModuleType("__main__")
    sys.modules["__main__"] = nothing
    try:
        yield
    finally:
        if sys.modules["__main__"] is nothing:  # else a page has begun meanwhile
            sys.modules["__main__"] = own


class WorkerPool:
    """Workers that share one set of pictures. ``n_workers`` = 0 uses all cores available to this process."""

    def __init__(
        self,
        store: PictureStore,
        n_workers: int = 0,
        limits: Limits = Limits(),
        cache: TraceCache | None = None,
        on_loss: Callable[[Loss], None] = lambda loss: None,
    ) -> None:
        self.store = store
        self.n_workers = n_workers or available_cores()
        self.limits = limits
        self.cache = cache if cache is not None else TraceCache()
        self.quarantined: set[int] = set()  # pictures that killed too many workers
        self.n_lost = 0
        self._on_loss = on_loss
        self._losses: Counter[int] = Counter()
        self._losses_in_a_row = 0
        self._context = mp.get_context("spawn")
        self._waiting: deque[_Task] = deque()
        self._finished: deque[tuple[Hashable, JobResult]] = deque()
        self._selector = selectors.DefaultSelector()
        self._looked = self._checked = time.monotonic()
        self._conversion_s = 0.0  # of the latest conversions, about
        self._workers = self._open()

    def submit(self, key: Hashable, job: Job, n_tries: int = 2, is_lasting: bool = True) -> None:
        """Submit a job; :meth:`results` yields its result with ``key``.

        ``n_tries``: how often it is started before the loss of its worker counts as its result. ``is_lasting``:
        whether other runs are likely to need the same conversion.
        """
        digest = self._cache_key(job)
        known = self.cache.get(digest, job.params, job.keep_svg, job.with_features, is_lasting)
        if known is not None:
            self._finished.append((key, JobResult(known.outcome, known.svg or "", known.features)))
            return
        self._waiting.append(_Task(key, job, n_tries, is_lasting))
        self._deal()

    def _cache_key(self, job: Job) -> str:
        """What stands for a job's picture and pipeline."""
        return self.store.digest(job.index) + job.pipeline(self.store.pipeline).key + ("+minified" if job.minify else "")

    def results(self) -> Iterator[tuple[Hashable, JobResult]]:
        """Yield results as they arrive until none is outstanding; more may be submitted meanwhile."""
        self._looked = time.monotonic()
        while True:
            while self._finished:
                yield self._finished.popleft()
            if not self._is_busy():
                break
            self._deal()
            self._take_in()
        self.cache.flush()

    def poll(self) -> list[tuple[Hashable, JobResult]]:
        """What has finished, after waiting at most a second for it."""
        self._looked = time.monotonic()
        if not self._finished and self._is_busy():
            self._deal()
            self._take_in()
        found = list(self._finished)
        self._finished.clear()
        return found

    def measure(self, jobs: Sequence[Job], on_progress: Callable[[int], None] = lambda n_done: None) -> list[JobResult]:
        """Run conversions on all workers; results in the order of the jobs."""
        results: list[Any] = [None] * len(jobs)
        for place, job in enumerate(jobs):
            self.submit(place, job)
        for n_done, (key, result) in enumerate(self.results(), start=1):
            results[cast(int, key)] = result
            on_progress(n_done)
        return results

    def by_node(self) -> dict[str, int]:
        """{node: workers that are ready there}, where workers are on other machines."""
        return {}

    def quarantine(self, index: int) -> None:
        """Exclude a picture from further work."""
        self.quarantined.add(index)

    def close(self) -> None:
        self.cache.close()
        self._selector.close()
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    def _open(self) -> list[_Worker]:
        return [self._start(f"worker-{k}") for k in range(self.n_workers)]

    def _is_busy(self) -> bool:
        """Whether a job has no result yet."""
        return bool(self._waiting) or any(worker.tasks for worker in self._workers)

    def _start(self, name: str) -> _Worker:
        here, there = self._context.Pipe()
        process = self._context.Process(target=worker_main, args=(there, self.store.handle, os.getpid()), name=name, daemon=True)
        with _without_main():
            process.start()
        there.close()
        self._selector.register(here, selectors.EVENT_READ)
        return _Worker(name, process, here, since=time.monotonic())

    def _deal(self) -> None:
        """Hand out waiting tasks to the ready workers, those with the fewest first."""
        most = max(AHEAD, min(MOST_AHEAD, len(self._waiting) // self.n_workers // 2))
        for depth in range(1, most + 1):
            if not self._waiting:
                return
            for place, worker in enumerate(self._workers):
                if worker.is_ready and len(worker.tasks) < depth and self._waiting:
                    self._send(worker, self._take_for(place))

    def _take_for(self, place: int) -> _Task:
        """The first waiting task whose picture this worker is likely to have open; if there is none, the first task."""
        n = len(self._workers)
        for i, task in enumerate(self._waiting):
            if task.job.index % n == place:
                del self._waiting[i]
                return task
        return self._waiting.popleft()

    def _send(self, worker: _Worker, task: _Task) -> None:
        if not worker.tasks:
            worker.since = time.monotonic()
        worker.tasks.append(task)
        with contextlib.suppress(OSError):  # it died, which is noticed when its replies are read
            worker.pipe.send_bytes(pack_job(task.job))

    def _take_in(self) -> None:
        """Wait for workers to reply or end, and act on it."""
        spare = min(len(worker.tasks) for worker in self._workers) - 2 * AHEAD
        if spare > 0 and not any(worker.tasks[0].job.keep_svg for worker in self._workers):
            time.sleep(min(_REST_S, spare * self._conversion_s))  # results wait in the pipes meanwhile; they are small without an SVG
        ready = {event.fileobj for event, _ in self._selector.select(_LOOK_S)}
        now = time.monotonic()
        if (asleep := now - self._looked - 2 * _LOOK_S) > 0:  # this process was suspended, and perhaps the workers too
            for worker in self._workers:
                worker.since += asleep
        self._looked = now
        for place, worker in enumerate(self._workers):
            if worker.pipe in ready:
                while self._receive(place, worker) and worker.tasks and worker.pipe.poll():
                    pass
            elif worker.tasks and now - worker.since > self.limits.time_s:
                self._lose(place, "timeout", f"no result after {self.limits.time_s:g} s")
            elif not worker.is_ready and now - worker.since > START_S:
                self._lose(place, "timeout", f"not ready after {START_S:g} s")
        if now - self._checked > _LOOK_S:
            self._checked = now
            self._check_memory()

    def _receive(self, place: int, worker: _Worker) -> bool:
        """Take in one message; returns whether the worker is alive."""
        try:
            data = worker.pipe.recv_bytes()
        except (EOFError, OSError):
            self._lose(place, "crashed", "")
            return False
        if data == READY:
            worker.is_ready = True
            return True
        self._losses_in_a_row = 0
        task = worker.tasks.popleft()
        worker.since = time.monotonic()
        result = unpack_result(data)
        self._conversion_s += 0.1 * (result.outcome.cpu_s - self._conversion_s)
        self._keep(task, result)
        return True

    def _keep(self, task: _Task, result: JobResult) -> None:
        """Take a result into the cache and hand it out."""
        svg = result.svg if task.job.keep_svg else None
        digest = self._cache_key(task.job)
        self.cache.put(digest, task.job.params, Cached(result.outcome, svg, result.features), task.is_lasting)
        self._finished.append((task.key, result))

    def _blame(self, index: int) -> bool:
        """Count a loss against a picture; returns whether that quarantined it."""
        self._losses[index] += 1
        is_quarantined = self._losses[index] >= self.limits.losses and index not in self.quarantined
        if is_quarantined:
            self.quarantine(index)
        return is_quarantined

    def _check_memory(self) -> None:
        for place, worker in enumerate(self._workers):
            try:
                used = psutil.Process(worker.process.pid).memory_info()
            except psutil.Error:
                continue  # it has ended, and its pipe will say so
            own_mb = (used.rss - getattr(used, "shared", 0)) / 2**20
            if own_mb > self.limits.memory_mb:
                self._lose(place, "memory", f"{own_mb:.0f} MB of memory, limit {self.limits.memory_mb:g}")

    def _lose(self, place: int, failure: str, reason: str) -> None:
        """Replace a worker. Its current job is retried or fails; those it had not started go to another worker."""
        worker = self._workers[place]
        if not reason:
            worker.process.join(1)
            code = worker.process.exitcode
            reason = f"killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        self._selector.unregister(worker.pipe)
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()
        self.n_lost += 1
        self._losses_in_a_row += 1
        if self._losses_in_a_row >= MAX_LOSSES_IN_A_ROW * self.n_workers:
            raise WorkerError(f"{self._losses_in_a_row} workers were lost in a row (last: {reason}); see the log for the pictures")
        begun = worker.tasks.popleft() if worker.tasks and worker.is_ready else None
        self._waiting.extendleft(reversed(worker.tasks))
        is_quarantined = False
        if begun is not None:
            is_quarantined = self._blame(begun.job.index)
            begun.n_tries -= 1
            if begun.n_tries > 0:
                self._waiting.append(begun)
            else:
                self._finished.append((begun.key, JobResult(Outcome(0.0, 0, 0, 0.0, failure), reason=reason)))
        self._workers[place] = self._start(worker.name)
        self._on_loss(Loss(worker.name, failure, reason, begun.job if begun else None, is_quarantined))
