"""The worker pool on a Ray cluster: the same jobs and results, converted on any node.

One actor per node has that node's workers (:mod:`core.workers.ray_node`); this side hands it jobs in batches, several per worker, so that its
workers have work while an answer travels. Guarantees: every submitted job gets exactly one result; a node that is lost costs nothing but the
time, as its jobs are done again elsewhere and no picture is blamed; a node that joins is used; while nothing waits, jobs that are late on one
node are given to an idle one too and the first result counts. A conversion is the same wherever it is made, so none of this changes a result.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np

from core.config.workers import WorkersConfig
from core.errors import ClusterError
from core.tracing.cache import TraceCache
from core.tracing.outcome import LOST
from core.workers.picture_store import PictureStore, Slot
from core.workers.pool import REFUSED, START_S, Limits, Loss, WorkerPool, _Task, _Worker
from core.workers.ray_cluster import Cluster, Node, differences_of, first_line
from core.workers.ray_node import Answer, Facts, NodeWorkers, facts
from core.workers.ray_shares import depth, share_out
from core.workers.worker import pack_job, unpack_job, unpack_result

log = logging.getLogger("tracewright")
PART_BYTES = 32 * 2**20  # of pictures per object
NO_CAPACITY_S = 60.0  # without capacity for any worker, after which a pool gives up
_LOOK_S = 2.0  # interval at which nodes are looked for
_ANSWER_S = 60.0  # a node answers at least every few seconds
_PLACED_S = 15.0  # an actor has its CPUs after this long, or another took them first
_AGAIN_S, _MOST_FAILURES = 5.0, 3  # after which a node is tried again, and so often without one result
_NEAR = 256  # waiting jobs that are searched for one whose picture the node has open
_LATE_S, _LATE_TIMES = 1.0, 3.0  # a job is late after this many seconds and times as long as they take


@dataclass(frozen=True)
class _Failure:
    """``n``: failures of a node without a result between; ``when`` and ``reason``: of the last."""

    n: int
    when: float
    reason: str


@dataclass
class _NodeState:
    """An actor. ``placed``: answered once it has its CPUs; ``held``: the jobs that it was handed, by number, and when."""

    node: Node
    n_workers: int
    actor: Any
    placed: Any
    call: Any
    since: float
    is_ready: bool = False
    held: dict[int, tuple[_Task, float]] = field(default_factory=dict)


class RayPool(WorkerPool):
    """``n_workers`` = 0 uses all nodes.

    Raises:
        ClusterError: the cluster can't be used, or has no capacity for ``patience_s`` seconds.
    """

    def __init__(
        self,
        store: PictureStore,
        settings: WorkersConfig,
        n_workers: int = 0,
        limits: Limits = Limits(),
        cache: TraceCache | None = None,
        on_loss: Callable[[Loss], None] = lambda loss: None,
        patience_s: float = NO_CAPACITY_S,
    ) -> None:
        self._cluster = Cluster.connect(settings)
        self._ray = self._cluster.ray
        self._settings, self._wanted, self._patience_s = settings, n_workers, patience_s
        nodes = self._cluster.nodes()
        self._cluster.check(nodes)
        self._states: dict[str, _NodeState] = {}
        self._failures: dict[str, _Failure] = {}
        self._numbers = itertools.count()
        self._out: dict[int, _Task] = {}  # handed out, without a result
        self.n_calls = 0
        self._took_s = 0.0  # from handing out a job to its result, about
        self._nodes_seen = self._alive = self._asked = time.monotonic()
        with self._cluster.clear_errors():
            self._parts, self._slots = _in_parts(self._ray, store)
        self._hashes = [crc32(slot.digest.encode()) for slot in store.handle.slots]
        self._workers = []
        capacity = sum(int(node.cpus // settings.cpus_per_worker) for node in nodes)
        super().__init__(store, n_workers or max(capacity, 1), limits, cache, on_loss)

    def by_node(self) -> dict[str, int]:
        """{node: workers that are ready there}."""
        return {state.node.name: state.n_workers for state in self._states.values() if state.is_ready}

    def wait_for_all(self, timeout_s: float = NO_CAPACITY_S) -> None:
        """Wait until as many workers are ready as were asked for, or the time is over."""
        until = time.monotonic() + timeout_s
        while sum(self.by_node().values()) < self.n_workers and time.monotonic() < until:
            self._take_in()

    def call_idle(self, n: int) -> None:
        """Call a node ``n`` times with nothing to do, one call after the other: what a call costs."""
        state = next(state for state in self._states.values() if state.is_ready)
        for _ in range(n):
            self._ray.get(state.actor.exchange.remote([]), timeout=_ANSWER_S)

    def close(self) -> None:
        super().close()
        for state in self._states.values():
            self._end(state)
        self._states.clear()
        self._parts = []

    def _end(self, state: _NodeState) -> None:
        with contextlib.suppress(self._ray.exceptions.RayError):  # it has ended, or the connection has
            self._ray.kill(state.actor)

    def _open(self) -> list[_Worker]:
        """Start the actors, and wait for the first of them."""
        try:
            with self._cluster.clear_errors():
                self._look_for_nodes()
            while not any(state.is_ready for state in self._states.values()):
                self._take_in()
        except BaseException:
            self.close()
            raise
        return []

    def _is_busy(self) -> bool:
        return bool(self._waiting or self._out)

    def _deal(self) -> None:
        """Nothing: jobs are handed out together, before the next wait."""

    def _take_in(self) -> None:
        """Hand out what waits, wait for a node to answer, and act on it."""
        self._alive += time.monotonic() - self._asked  # while nobody asked for results, nobody looked for capacity either
        with self._cluster.clear_errors():
            self._take_turn()
        self._asked = time.monotonic()

    def _take_turn(self) -> None:
        now = time.monotonic()
        if now - self._nodes_seen > _LOOK_S:
            self._look_for_nodes()
        self._hand_out()
        calls = {state.call: state for state in self._states.values() if state.call is not None}
        if any(state.is_ready for state in self._states.values()):
            self._alive = now
        if not calls:
            self._check_capacity(now)
            time.sleep(0.1)
            return
        answered, _ = self._ray.wait(list(calls), num_returns=1, timeout=1.0)
        more, _ = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)
        for call in dict.fromkeys([*answered, *more]):
            self._hear(calls.pop(call))
        for state in calls.values():
            if time.monotonic() - state.since > (_ANSWER_S if state.is_ready else START_S + self._patience_s):
                self._drop(state, "it does not answer")

    def _check_capacity(self, now: float) -> None:
        """Raise where no node has had capacity for long."""
        if now - self._alive > self._patience_s:
            nodes = self._cluster.nodes()
            lacks = f"no capacity for a worker of {self._settings.cpus_per_worker:g} CPUs"
            remedy = "add nodes, free some, or lower workers.cpus_per_worker"
            if any(self._is_given_up(node.node_id) for node in nodes):
                lacks, remedy = "no node that works", "see what is wrong with these, and in Ray's logs there, or add others"
            told = "; ".join(self._state_of(node) for node in nodes) or "it has no node that may be used"
            raise ClusterError(f"the Ray cluster at {self._settings.address} has had {lacks} for {self._patience_s:g} s ({told}); {remedy}")

    def _state_of(self, node: Node) -> str:
        """What speaks against using a node, for a person."""
        told = f"{node.name} has {node.free:g} of {node.cpus:g} CPUs free"
        if failure := self._failures.get(node.node_id):
            told += f", but {'is not used any more' if self._is_given_up(node.node_id) else 'failed'}: {failure.reason}"
        return told

    def _is_given_up(self, node_id: str) -> bool:
        failure = self._failures.get(node_id)
        return failure is not None and failure.n >= _MOST_FAILURES

    def _look_for_nodes(self) -> None:
        """Let go of nodes that have left, and start workers on those with capacity."""
        self._nodes_seen = time.monotonic()
        nodes = {node.node_id: node for node in self._cluster.nodes()}
        for node_id in [node_id for node_id in self._states if node_id not in nodes]:
            self._drop(self._states[node_id], "it left the cluster")
        per_worker = self._settings.cpus_per_worker
        capacity = {i: int(node.free // per_worker) for i, node in nodes.items() if i not in self._states and self._may_try(i)}
        if any(capacity.values()):
            self._leave_taken_nodes()
        missing = self._wanted - sum(state.n_workers for state in self._states.values()) if self._wanted else 0
        if self._wanted and missing <= 0:
            return
        for node_id, n in share_out(capacity, missing, self._settings.placement).items():
            self._start_on(nodes[node_id], n)

    def _leave_taken_nodes(self) -> None:
        """Wait no longer for CPUs that another run took first, as trials that start together do."""
        now = time.monotonic()
        for node_id, state in list(self._states.items()):
            if state.is_ready or now - state.since < _PLACED_S or self._ray.wait([state.placed], timeout=0)[0]:
                continue
            log.info("no CPU is free on %s any more; trying elsewhere", state.node.name)
            self._failures[node_id] = _Failure(1, now, "others took its CPUs first")
            self._end(self._states.pop(node_id))

    def _may_try(self, node_id: str) -> bool:
        failure = self._failures.get(node_id)
        return failure is None or (not self._is_given_up(node_id) and time.monotonic() - failure.when > _AGAIN_S)

    def _start_on(self, node: Node, n: int) -> None:
        wanted = self._settings.node_resource
        actor = (
            self._ray.remote(NodeWorkers)
            .options(
                num_cpus=n * self._settings.cpus_per_worker,
                resources={wanted: 0.001} if wanted else None,
                scheduling_strategy=self._cluster.on_node(node.node_id),
                max_restarts=0,  # a restarted actor would be an empty one: a new one is started instead
                max_task_retries=0,
            )
            .remote(n, self.limits)
        )
        placed = actor.is_placed.remote()
        call = actor.open.remote(self._parts, self._slots, self.store.pipeline)
        self._states[node.node_id] = _NodeState(node, n, actor, placed, call, time.monotonic())

    def _hand_out(self) -> None:
        """Fill up the nodes that listen, those with the fewest jobs first, and call them."""
        ready = [state for state in self._states.values() if state.is_ready]
        listening = [state for state in ready if state.call is None]
        if not listening:
            return
        handed: dict[str, list[tuple[int, bytes, int]]] = {state.node.node_id: [] for state in listening}
        for level in range(1, depth(len(self._waiting) + len(self._out), sum(state.n_workers for state in ready)) + 1):
            for state in listening:
                while self._waiting and len(state.held) < level * state.n_workers:
                    self._hand(state, next(self._numbers), self._next_for(ready.index(state), len(ready)), handed)
        if not self._waiting:
            self._hand_out_again([state for state in listening if not state.held], handed)
        for state in listening:
            if state.held:
                state.call = state.actor.exchange.remote(handed[state.node.node_id])
                state.since = time.monotonic()
                self.n_calls += 1

    def _hand(self, state: _NodeState, number: int, task: _Task, handed: dict[str, list[tuple[int, bytes, int]]]) -> None:
        state.held[number] = (task, time.monotonic())
        self._out[number] = task
        handed[state.node.node_id].append((number, pack_job(task.job), task.n_tries))

    def _hand_out_again(self, idle: list[_NodeState], handed: dict[str, list[tuple[int, bytes, int]]]) -> None:
        """Give jobs that are late to nodes that have none, the latest first."""
        if not idle:
            return
        before = time.monotonic() - _LATE_S - _LATE_TIMES * self._took_s
        held = [(at, number, task) for state in self._states.values() for number, (task, at) in state.held.items() if number in self._out]
        holders = Counter(number for _, number, _ in held)
        late = sorted((x for x in held if x[0] < before and holders[x[1]] == 1), key=lambda x: x[:2])
        places = itertools.chain.from_iterable([state] * state.n_workers for state in idle)
        for (_, number, task), state in zip(late, places, strict=False):
            self._hand(state, number, task, handed)

    def _next_for(self, place: int, n_nodes: int) -> _Task:
        """A waiting job whose picture this node is likely to have open; if none is near, the first."""
        for i, task in enumerate(itertools.islice(self._waiting, _NEAR)):
            if self._hashes[task.job.index] % n_nodes == place:
                del self._waiting[i]
                return task
        return self._waiting.popleft()

    def _hear(self, state: _NodeState) -> None:
        """Act on a node's answer."""
        call, state.call = state.call, None
        try:
            answer = self._ray.get(call, timeout=_ANSWER_S)
        except Exception as error:  # of Ray or of the node's own pool: either way another node does its jobs
            is_lost = isinstance(error, self._ray.exceptions.RayActorError)
            self._drop(state, "its process or its node ended" if is_lost else first_line(error))
            return
        if isinstance(answer, Answer):
            self._take(state, answer)
        else:
            self._welcome(state, answer)

    def _welcome(self, state: _NodeState, found: Facts) -> None:
        """Use a node whose workers have started; one that joined later with other versions is refused."""
        if lines := differences_of(facts(), found):
            self._refuse(state, "; ".join(lines))
            return
        state.is_ready = True
        log.info("%d workers on %s", state.n_workers, state.node.name)

    def _take(self, state: _NodeState, answer: Answer) -> None:
        now = time.monotonic()
        if answer.results:
            self._failures.pop(state.node.node_id, None)
        for worker, failure, reason, packed in answer.losses:
            job = unpack_job(packed) if packed is not None else None
            self.n_lost += 1
            is_quarantined = job is not None and self._blame(job.index)
            self._on_loss(Loss(f"{worker} on {state.node.name}", failure, reason, job, is_quarantined))
        for number, packed, reason in answer.results:
            _, at = state.held.pop(number)
            task = self._out.pop(number, None)
            if task is None:
                continue  # another node was first
            self._took_s += 0.1 * (now - at - self._took_s)
            result = unpack_result(packed)
            if result.outcome.failure in LOST:
                result = type(result)(result.outcome, reason=reason)
            self._keep(task, result)

    def _refuse(self, state: _NodeState, reason: str) -> None:
        del self._states[state.node.node_id]
        self._end(state)
        self._failures[state.node.node_id] = _Failure(_MOST_FAILURES, time.monotonic(), reason)
        text = f"the node {state.node.name} of the cluster differs from this machine and is not used: {reason}"
        log.warning("%s", text)
        self._on_loss(Loss(f"node {state.node.name}", REFUSED, text, None, False))

    def _drop(self, state: _NodeState, reason: str) -> None:
        """Do without a node: what it held and nobody else holds waits again, first."""
        node_id = state.node.node_id
        del self._states[node_id]
        self._end(state)
        before = self._failures.get(node_id)
        self._failures[node_id] = _Failure(before.n + 1 if before else 1, time.monotonic(), reason)
        elsewhere = {number for other in self._states.values() for number in other.held}
        again = [number for number in state.held if number in self._out and number not in elsewhere]
        self._waiting.extendleft(self._out.pop(number) for number in reversed(again))
        self.n_lost += state.n_workers
        what = f"{reason}; its {len(again)} conversions are done elsewhere"
        log.warning("node %s was lost: %s", state.node.name, what)
        self._on_loss(Loss(f"node {state.node.name}", "crashed", what, None, False, is_node=True))


def _in_parts(ray: Any, store: PictureStore) -> tuple[list[Any], tuple[Slot, ...]]:
    """The pictures in Ray's object store, each once by its digest, and where each place of the store finds its own."""
    parts: list[Any] = []
    at: dict[str, int] = {}
    pending: list[Any] = []
    n_pending = n_bytes = 0
    slots = []
    for index, slot in enumerate(store.handle.slots):
        if slot.digest not in at:
            pixels = store.pixels(index).reshape(-1)
            at[slot.digest] = n_bytes
            pending.append(pixels)
            n_pending, n_bytes = n_pending + pixels.nbytes, n_bytes + pixels.nbytes
            if n_pending >= PART_BYTES:
                parts.append(ray.put(np.concatenate(pending)))
                pending, n_pending = [], 0
        slots.append(Slot(slot.digest, at[slot.digest], slot.height, slot.width, slot.channels))
    if pending:
        parts.append(ray.put(np.concatenate(pending)))
    return parts, tuple(slots)
