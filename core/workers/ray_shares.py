"""Who gets what on a cluster, as pure functions: how many workers each node runs, and how many jobs it holds."""

from __future__ import annotations

from collections.abc import Mapping

AHEAD, MOST_AHEAD = 2, 16  # jobs per worker that a node holds: so many hide the network, and no more, or the last end late


def share_out(capacity: Mapping[str, int], wanted: int, placement: str) -> dict[str, int]:
    """Workers per node. ``capacity``: how many fit on each node; ``wanted``: in all, 0 for as many as fit;
    ``placement``: "spread" or "pack"."""
    left = sum(capacity.values()) if wanted <= 0 else min(wanted, sum(capacity.values()))
    shares = dict.fromkeys(capacity, 0)
    if placement == "pack":
        for node in sorted(capacity, key=lambda node: (-capacity[node], node)):
            shares[node] = min(capacity[node], left)
            left -= shares[node]
    else:
        while left:
            for node in sorted(capacity):
                if left and shares[node] < capacity[node]:
                    shares[node] += 1
                    left -= 1
    return {node: n for node, n in shares.items() if n}


def depth(n_jobs: int, n_workers: int) -> int:
    """Jobs per worker that a node holds at most while ``n_jobs`` are left: half of its share, so that all end at the same time."""
    return max(AHEAD, min(MOST_AHEAD, -(-n_jobs // (2 * max(n_workers, 1)))))
