"""A Ray cluster of several nodes on this machine, by Ray's own cluster utility: what benchmarks and tests of the Ray backend run on.

Guarantee: its processes and files are gone with it, and its token is good for nothing else.
"""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.workers.ray_cluster import disconnect, load_ray

# A lost node is noticed after two seconds instead of a quarter of a minute
_QUICK = {
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_health_check_initial_delay_ms": "500",
}


@contextmanager
def _environment(changed: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def ray_cluster(n_nodes: int = 2) -> Iterator[Any]:
    """A head without CPUs and ``n_nodes`` nodes of one CPU each; yields Ray's utility. Nothing is left behind."""
    with (
        tempfile.TemporaryDirectory(prefix="ray") as scratch,
        _environment(
            {
                **_QUICK,
                "RAY_AUTH_TOKEN": secrets.token_hex(16),
                "RAY_AUTH_MODE": "token",
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_TMPDIR": scratch,
            }
        ),
    ):
        load_ray()
        from ray.cluster_utils import Cluster

        cluster, on_sigterm = None, signal.getsignal(signal.SIGTERM)
        try:
            cluster = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 80 * 2**20, "include_dashboard": False}
            )
            for _ in range(n_nodes):
                add_node(cluster)
            yield cluster
        finally:
            disconnect()
            if cluster is not None:
                cluster.shutdown()  # type: ignore[no-untyped-call]
            signal.signal(signal.SIGTERM, on_sigterm)  # each node that is started sets its own


def add_node(cluster: Any) -> Any:
    """One more node of one CPU."""
    return cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
