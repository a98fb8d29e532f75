"""A training on a cluster as a queue: how many steps per second a number of workers would give, from measured times.

Knows nothing of Ray. What it leaves out: nodes of different speed, lost nodes, and a network that others use too.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from core.workers.ray_shares import depth

_SHARE, _TURN_S = 4, 0.25  # when a node answers, as in core/workers/ray_node.py


@dataclass(frozen=True)
class Costs:
    """``conversions_s``: measured conversions; of the learner's process ``job_s`` per job, ``call_s`` per call of a node and ``update_s`` per step
    learned from; ``latency_s``: one way; ``job_bytes``, ``result_bytes``: of messages; ``bytes_per_s``: of the learner's network."""

    conversions_s: Sequence[float]
    job_s: float
    call_s: float
    update_s: float
    latency_s: float
    job_bytes: float
    result_bytes: float
    bytes_per_s: float = 1.25e8  # a gigabit


@dataclass
class _Node:
    """``free``: when each worker is; ``ends``: when what it holds will have ended."""

    free: list[float]
    ends: list[float] = field(default_factory=list)

    def take(self, at: float, seconds: Sequence[float]) -> None:
        for one in seconds:
            end = max(heapq.heappop(self.free), at) + one
            heapq.heappush(self.free, end)
            heapq.heappush(self.ends, end)

    def answer_at(self, at: float) -> float:
        """When it answers a call that reaches it at ``at``: with a share of what it holds, or after its turn."""
        enough = max(len(self.ends) // _SHARE, 1)
        return max(at, min(heapq.nsmallest(enough, self.ends)[-1], at + _TURN_S))

    def done_by(self, at: float) -> int:
        n = 0
        while self.ends and self.ends[0] <= at:
            heapq.heappop(self.ends)
            n += 1
        return n


def _spread(n_workers: int, per_node: int) -> list[_Node]:
    sizes = [per_node] * (n_workers // per_node) + ([n_workers % per_node] if n_workers % per_node else [])
    return [_Node([0.0] * size) for size in sizes]


def step_s(costs: Costs, n_workers: int, n_envs: int, per_node: int, rng: np.random.Generator) -> tuple[float, float]:
    """Seconds of one step of all environments, and for how many of them the learner is busy."""
    waiting = sorted(rng.choice(np.asarray(costs.conversions_s), n_envs))  # the longest are handed out first
    nodes = _spread(n_workers, per_node)
    now = busy = 0.0
    left, calls = n_envs, [(0.0, k) for k in range(len(nodes))]  # when each node's answer is here
    while left:
        at, k = heapq.heappop(calls)
        node = nodes[k]
        n_done = node.done_by(at - costs.latency_s) if at else 0
        left -= n_done
        wanted = depth(left, n_workers) * len(node.free) - len(node.ends)
        handed = [waiting.pop() for _ in range(max(min(wanted, len(waiting)), 0))]
        sent = (n_done * costs.result_bytes + len(handed) * costs.job_bytes) / costs.bytes_per_s
        work = costs.call_s + n_done * costs.job_s + sent
        now, busy = max(now, at) + work, busy + work
        node.take(now + costs.latency_s, handed)
        if node.ends:
            heapq.heappush(calls, (node.answer_at(now + costs.latency_s) + costs.latency_s, k))
    return now, busy


@dataclass(frozen=True)
class Simulated:
    """``rate``: steps per second; ``learner_share``: of the time, for which the learner is at work, updates among it."""

    rate: float
    learner_share: float


def simulate(costs: Costs, n_workers: int, n_envs: int, per_node: int = 16, n_steps: int = 8, seed: int = 0) -> Simulated:
    """A training of ``n_steps`` steps of all environments."""
    rng = np.random.default_rng(seed)
    steps = [step_s(costs, n_workers, n_envs, per_node, rng) for _ in range(n_steps)]
    update = costs.update_s * n_envs * n_steps
    total = sum(seconds for seconds, _ in steps) + update
    return Simulated(n_envs * n_steps / total, (sum(busy for _, busy in steps) + update) / total)
