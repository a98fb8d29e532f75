"""``cluster``: a Ray cluster tested from this machine, and its nodes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from core.cli.common import Json, clear_errors, result


def cluster(
    address: Annotated[
        str, typer.Argument(help="HOST:PORT of the cluster's head; auto: the cluster that this machine has joined.")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Test whether conversions can run on a Ray cluster: connect, compare versions on all nodes, and list the nodes with their load."""
    from core.config.workers import WorkersConfig, workers_on
    from core.workers.ray_cluster import Cluster, disconnect

    with clear_errors():
        connected = Cluster.connect(workers_on(WorkersConfig(), address or "auto"))
        try:
            nodes = connected.nodes()
            told = connected.check(nodes)
        finally:
            disconnect()
        rows: list[dict[str, Any]] = [
            {
                "node": node.name,
                "cpus": node.cpus,
                "cpus_reserved": round(node.cpus - node.free, 2),
                "load": float(told[node.name]["load"]),
                "memory_mb": float(told[node.name]["memory_mb"]),
                "memory_free_mb": float(told[node.name]["memory_free_mb"]),
            }
            for node in nodes
        ]

        def text() -> None:
            print(f"{'node':<30} {'CPUs':>6} {'reserved':>9} {'load':>6} {'free memory':>12}")
            for row in rows:
                memory = f"{row['memory_free_mb']:,.0f} MB"
                print(f"{row['node']:<30} {row['cpus']:>6g} {row['cpus_reserved']:>9g} {row['load']:>6.2f} {memory:>12}")

        result({"address": address, "nodes": rows, "n_workers": int(sum(node.free for node in nodes))}, as_json, text)
