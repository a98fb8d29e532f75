"""What must be known of a logo before an episode on it: features and the result of VTracer's defaults, computed by the workers.

Each logo is prepared once, in one worker, when it is first needed; the trainer keeps the result for all. So a list of
thousands of logos costs nothing at the start.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from core.environment.episode import PreparedLogo
from core.logos.dataset import Logo
from core.tracing.outcome import LOST
from core.tracing.params import DEFAULTS
from core.workers.pool import WorkerPool
from core.workers.worker import Job, JobResult

log = logging.getLogger("tracewright")


class Preparations:
    """One place per logo, in the order of the pool's store; None until it is prepared.

    The SVG under the defaults is kept for the logos of ``shown`` only.
    """

    def __init__(self, logos: Sequence[Logo], shown: Sequence[int] = ()) -> None:
        self.logos = logos
        self._shown = frozenset(shown)
        self._prepared: list[PreparedLogo | None] = [None] * len(logos)

    def __len__(self) -> int:
        return len(self._prepared)

    def __getitem__(self, index: int) -> PreparedLogo:
        found = self._prepared[index]
        assert found is not None, f"{self.logos[index].name} is not prepared"
        return found

    def is_ready(self, index: int) -> bool:
        return self._prepared[index] is not None

    def job(self, index: int) -> Job:
        return Job(index, DEFAULTS, keep_svg=index in self._shown, with_features=True)

    def take(self, index: int, result: JobResult) -> None:
        """Keep a preparation. One that killed its worker leaves its place empty."""
        if result.features is not None and result.outcome.failure not in LOST:
            logo = self.logos[index]
            self._prepared[index] = PreparedLogo(logo.name, logo.category, logo.digest, result.features, result.outcome, result.svg)

    def prepare(self, pool: WorkerPool, indices: Sequence[int], on_progress: Callable[[int], None] = lambda n_done: None) -> list[int]:
        """Prepare these now; returns those that succeeded. The others are to be quarantined."""
        results = pool.measure([self.job(i) for i in indices], on_progress)
        for index, result in zip(indices, results, strict=True):
            self.take(index, result)
            if not self.is_ready(index):
                pool.quarantine(index)
                log.warning("%s can't be prepared and is skipped: %s", self.logos[index].name, result.reason)
        return [i for i in indices if self.is_ready(i)]
