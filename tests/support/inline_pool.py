"""A pool that converts in this very process: the shortest thing that keeps the worker pool's promises."""

from __future__ import annotations

from core.workers.pool import WorkerPool, _Worker
from core.workers.worker import perform


class InlinePool(WorkerPool):
    """Jobs are done when results are asked for, in the order in which they came."""

    def _open(self) -> list[_Worker]:
        return []

    def _deal(self) -> None:
        pass

    def _take_in(self) -> None:
        task = self._waiting.popleft()
        self._keep(task, perform(self.store, task.job))
