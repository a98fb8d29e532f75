"""The settings of workers: where conversions run, and what a worker may take."""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationError

from core.config.fields import Section, setting
from core.errors import ConfigError


class WorkersConfig(Section):
    """Where conversions run, and the limits for workers. One that exceeds them, or dies, is replaced, and its episode counts as failed."""

    backend: Literal["local", "ray"] = setting("local", "Convert in processes of this machine, or on the nodes of a Ray cluster.")
    address: str = setting(
        "auto",
        "Ray: address of the cluster's head as HOST:PORT; auto means the cluster that this machine has joined.",
        pattern=r"^(auto|[A-Za-z0-9._-]+:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5})$",
    )
    cpus_per_worker: float = setting(1.0, "Ray: CPUs that each worker reserves on its node.", unit="CPUs", ge=0.1, le=64)
    placement: Literal["spread", "pack"] = setting(
        "spread", "Ray: where fewer workers are asked for than fit, spread them over all nodes or fill one node after the other."
    )
    node_resource: str = setting(
        "", "Ray: use only nodes that offer this custom resource; empty uses all nodes.", max_length=60, pattern=r"^[A-Za-z0-9_.-]*$"
    )
    time_limit_s: float = setting(30.0, "Time limit per conversion.", unit="seconds", ge=0.1, le=3600)
    memory_limit_mb: float = setting(
        1500.0, "Memory limit per worker, not counting memory shared by all workers.", unit="MB", ge=100, le=1_000_000
    )
    run_memory_mb: float = setting(
        0.0,
        "Memory limit of the whole run, at which it saves a checkpoint and stops; 0 means 95% of the machine's.",
        unit="MB",
        ge=0,
        le=10_000_000,
    )
    max_losses: int = setting(
        3, "Quarantine a logo for the rest of the run after it kills this many workers.", unit="workers", ge=1, le=1000
    )


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
