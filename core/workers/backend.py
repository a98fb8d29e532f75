"""Where conversions run: the one place that chooses between the pools."""

from __future__ import annotations

from collections.abc import Callable

from core.config.workers import WorkersConfig
from core.tracing.cache import TraceCache
from core.workers.picture_store import PictureStore
from core.workers.pool import Limits, Loss, WorkerPool
from core.workers.ray_pool import RayPool


def open_pool(
    settings: WorkersConfig,
    store: PictureStore,
    n_workers: int = 0,
    cache: TraceCache | None = None,
    on_loss: Callable[[Loss], None] = lambda loss: None,
) -> WorkerPool:
    """Start the workers that the settings ask for.

    Raises:
        ClusterError: they are to run on a Ray cluster, which can't be used.
    """
    limits = Limits(settings.time_limit_s, settings.memory_limit_mb, settings.max_losses)
    if settings.backend == "ray":
        return RayPool(store, settings, n_workers, limits, cache, on_loss)
    return WorkerPool(store, n_workers, limits, cache, on_loss)
