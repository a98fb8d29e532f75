"""Where conversions run: the one place that chooses between the pools."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from core.config.workers import WorkersConfig
from core.errors import ConfigError
from core.tracing.cache import TraceCache
from core.workers.picture_store import PictureStore
from core.workers.pool import Limits, Loss, WorkerPool
from core.workers.ray_pool import RayPool


def workers_on(settings: WorkersConfig, cluster: str) -> WorkersConfig:
    """The same settings for the Ray cluster at an address, and for this machine where it is empty: a model that was trained on a cluster is
    used without it.

    Raises:
        ConfigError: what is given is no address.
    """
    try:
        return WorkersConfig(**settings.model_dump() | ({"backend": "ray", "address": cluster} if cluster else {"backend": "local"}))
    except ValidationError as error:
        raise ConfigError(
            f"{cluster!r} is no address of a Ray cluster; give HOST:PORT, or auto for the one this machine has joined"
        ) from error


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
