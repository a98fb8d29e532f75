"""Ray without its processes: nodes that a test adds and takes away, actors that answer at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from core.tracing.outcome import Outcome
from core.workers.ray_node import Answer, facts
from core.workers.worker import JobResult, pack_result


class RayError(Exception):
    """Ray's own base of errors."""


class RayActorError(RayError):
    """An actor or its node has ended."""


class Hung(RayError):
    """Comes after the whole time that was allowed."""


@dataclass(eq=False)
class _Ref:
    value: Any


@dataclass
class _Remote:
    """A function or an actor's class, to be called on a node."""

    ray: "RayStandIn"
    what: Callable[..., Any]
    node_id: str = ""

    def options(self, scheduling_strategy: str, **_: Any) -> "_Remote":
        return _Remote(self.ray, self.what, scheduling_strategy)

    def remote(self, *arguments: Any) -> Any:
        if isinstance(self.what, type):
            return _Actor(self.ray, self.node_id)
        told = self.ray.told[self.node_id]
        return _Ref(told["auth"] if arguments and isinstance(told, dict) else told)


class _Actor:
    def __init__(self, ray: "RayStandIn", node_id: str) -> None:
        def method(answer: Callable[..., Any]) -> Any:
            return SimpleNamespace(remote=lambda *arguments: _Ref(answer(*arguments)))

        self.is_placed = method(lambda: True)
        self.open = method(lambda *_: ray.told[node_id])
        self.exchange = method(lambda jobs: ray.broken.get(node_id) or self._convert(node_id, jobs))
        self._ray = ray

    def _convert(self, node_id: str, jobs: list[tuple[int, bytes, int]]) -> Answer:
        self._ray.n_converted[node_id] = self._ray.n_converted.get(node_id, 0) + len(jobs)
        return Answer([(number, pack_result(JobResult(Outcome(0.9, 100, 3, 0.1))), "") for number, _, _ in jobs], [])


@dataclass
class RayStandIn:
    """``told``: {node: facts, or an error}; ``broken``: {node: the error that its conversions end with}; ``full``: the error of any upload."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    broken: dict[str, Exception] = field(default_factory=dict)
    n_converted: dict[str, int] = field(default_factory=dict)
    full: Exception | None = None
    sleep: Callable[[float], None] = lambda seconds: None
    exceptions = SimpleNamespace(RayError=RayError, RayActorError=RayActorError)

    def add(self, node_id: str, cpus: float = 1.0, resource: str = "any", **different: str) -> None:
        """A node. ``different``: facts that are not this machine's."""
        self.rows[node_id] = {
            "NodeID": node_id, "NodeManagerHostname": "host", "Alive": True, "Resources": {"CPU": cpus, resource: 1.0},
        }  # fmt: skip
        self.told[node_id] = facts() | {"auth": "token"} | different

    def modules(self) -> dict[str, Any]:
        """What is imported of it, by name."""
        return {
            "ray": self,
            "ray._private.state": SimpleNamespace(
                available_resources_per_node=lambda: {i: row["Resources"] for i, row in self.rows.items()}
            ),
            "ray.util.scheduling_strategies": SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node_id, soft: node_id),
        }

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        return list(self.rows.values())

    def remote(self, what: Callable[..., Any] | None = None, **_: Any) -> Any:
        return _Remote(self, what) if what else lambda wanted: _Remote(self, wanted)

    def put(self, value: Any) -> Any:
        if self.full is not None:
            raise self.full
        return _Ref(value)

    def get(self, ref: _Ref, timeout: float) -> Any:
        if isinstance(ref.value, Hung):
            self.sleep(timeout)
        if isinstance(ref.value, Exception):
            raise ref.value
        return ref.value

    def wait(self, refs: list[_Ref], num_returns: int = 1, timeout: float | None = None) -> tuple[list[_Ref], list[_Ref]]:
        return refs, []

    def broken_wait(self, *_: Any, **__: Any) -> Any:
        raise RayError("the connection is lost")

    def kill(self, actor: _Actor) -> None:
        """Nothing: it holds nothing."""
