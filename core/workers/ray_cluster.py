"""The connection to a Ray cluster: opened with a token alone, checked, and asked for its nodes.

Nothing else imports Ray, which is an optional package. Guarantees: usage statistics are off; whatever is wrong with a cluster is one
:class:`ClusterError` of one line; signal handlers of this process stay its own.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config.workers import WorkersConfig
from core.errors import ClusterError, ClusterRefusedError
from core.paths import how_to_install
from core.workers.ray_node import Facts, facts, node_facts

_TOKEN_FILE = Path(".ray") / "auth_token"  # in the user's home, where Ray looks too
_REACH_S = 5.0
_FACTS_S = 60.0
_NAMED = 5  # nodes per line of differences
_HEAD = "node:__internal_head__"  # a resource that Ray gives to the head alone
_NO_TOKEN = "token authentication is off; start Ray there with RAY_AUTH_MODE=token"


@dataclass(frozen=True)
class Node:
    """A living node. ``cpus`` and ``free``, those that nobody has reserved, in CPUs as Ray counts them."""

    node_id: str
    name: str
    cpus: float
    free: float
    is_head: bool = False
    may_be_used: bool = True


def load_ray() -> Any:
    """The package.

    Raises:
        ClusterRefusedError: it is not installed, or does not load; with what to do.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_AUTH_MODE"] = "token"
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ClusterRefusedError(
            f"workers.backend is ray, but Ray is not installed ({error}); install it with {how_to_install('ray')}"
        ) from error


def has_token() -> bool:
    """Whether a token is where Ray looks for it."""
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    with contextlib.suppress(OSError, RuntimeError):  # RuntimeError: a user without a home
        return bool((Path(named) if named else Path.home() / _TOKEN_FILE).read_text(encoding="utf-8").strip())
    return False


def differences(own: Facts, of_nodes: Mapping[str, Facts | str]) -> list[str]:
    """What is different on which nodes, a line per difference; a text instead of facts says why there are none."""
    nodes: dict[str, list[str]] = {}
    for name, found in sorted(of_nodes.items()):
        for what in differences_of(own, found):
            nodes.setdefault(what, []).append(name)
    return [
        f"{', '.join(names[:_NAMED])}{f' and {len(names) - _NAMED} more' if len(names) > _NAMED else ''}: {what}"
        for what, names in nodes.items()
    ]


def differences_of(own: Facts, found: Facts | str) -> list[str]:
    """What is different on one node."""
    if isinstance(found, str):
        return [found]
    lines = [f"{key} is {found.get(key, 'missing')}, here {value}" for key, value in own.items() if found.get(key) != value]
    return lines if found.get("auth") == "token" else [*lines, _NO_TOKEN]


class Cluster:
    """A connected cluster. One per process, as Ray has it; :meth:`connect` again gives the same."""

    def __init__(self, ray: Any, settings: WorkersConfig) -> None:
        self.ray, self.settings = ray, settings

    @classmethod
    def connect(cls, settings: WorkersConfig) -> Cluster:
        """Connect to the cluster that the settings name.

        Raises:
            ClusterError: Ray is not installed, no token, the cluster can't be reached or refuses the token.
        """
        ray = load_ray()
        if not has_token():
            raise ClusterRefusedError(
                "no token for the Ray cluster: set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file with it, or put it in ~/.ray/auth_token"
            )
        if not ray.is_initialized():
            address = settings.address
            if address != "auto":
                _reach(address)
            try:
                _init(ray, address)
            except Exception as error:  # Ray raises its own, built-in and gRPC's errors here
                raise why_not(address, error) from error
        return cls(ray, settings)

    def nodes(self) -> list[Node]:
        """The living nodes that may be used, by name."""
        return [node for node in self._living() if node.may_be_used]

    def _living(self) -> list[Node]:
        from ray._private.state import available_resources_per_node

        try:
            free, table = available_resources_per_node(), self.ray.nodes()  # type: ignore[no-untyped-call]
        except Exception as error:
            raise ClusterError(f"the Ray cluster at {self.settings.address} does not answer ({first_line(error)})") from error
        wanted = self.settings.node_resource
        found = [
            Node(
                row["NodeID"],
                f"{row['NodeManagerHostname']}/{row['NodeID'][:6]}",
                row["Resources"].get("CPU", 0.0),
                free.get(row["NodeID"], {}).get("CPU", 0.0),
                is_head=_HEAD in row["Resources"],
                may_be_used=not wanted or wanted in row["Resources"],
            )
            for row in table
            if row["Alive"]
        ]
        return sorted(found, key=lambda node: (node.name, node.node_id))

    @contextlib.contextmanager
    def clear_errors(self) -> Iterator[None]:
        """Whatever Ray raises is a :class:`ClusterError`."""
        try:
            yield
        except self.ray.exceptions.RayError as error:
            raise ClusterError(f"the Ray cluster at {self.settings.address} can't go on ({first_line(error)}); see Ray's log") from error

    def on_node(self, node_id: str) -> Any:
        """Ray's strategy for what is to run there and nowhere else."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node_id, soft=False)

    def check(self, nodes: list[Node]) -> dict[str, Facts]:
        """Compare the versions on these nodes; returns what each told, by name.

        A head that asks for a token lets no node in without one, so of all others it is the only one that is asked.

        Raises:
            ClusterError: they differ, or token authentication is off; with the list.
        """
        told, silent = self._ask(nodes, node_facts)
        asked = {node.node_id for node in nodes}
        heads = [node for node in self._living() if node.is_head and node.node_id not in asked]
        of_head, silent_head = self._ask(heads, os.getenv, "RAY_AUTH_MODE")
        found = told | {
            name: f"Tracewright does not answer there ({why}); install the same version on every node" for name, why in silent.items()
        }
        head = {name: {"auth": mode or ""} for name, mode in of_head.items()} | {
            name: f"the head does not answer ({why})" for name, why in silent_head.items()
        }
        if lines := differences(facts(), found) + differences({}, head):
            kind = ClusterError if silent or silent_head else ClusterRefusedError
            raise kind("the cluster's nodes differ from this machine:\n  " + "\n  ".join(lines))
        return told

    def _ask(self, nodes: list[Node], function: Callable[..., Any], *arguments: str) -> tuple[dict[str, Any], dict[str, str]]:
        """What a function returns on each node, by name, and why where it does not; all of them within one time."""
        task = self.ray.remote(num_cpus=0, max_retries=0)(function)
        with self.clear_errors():
            asked = {node.name: task.options(scheduling_strategy=self.on_node(node.node_id)).remote(*arguments) for node in nodes}
        until = time.monotonic() + _FACTS_S
        told: dict[str, Any] = {}
        silent: dict[str, str] = {}
        for name, answer in asked.items():
            try:
                told[name] = self.ray.get(answer, timeout=max(until - time.monotonic(), 0.0))
            except Exception as error:
                silent[name] = first_line(error)
        return told, silent


def disconnect() -> None:
    """End this process's connection, if there is one."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        with _own_signals():
            ray.shutdown()


def _reach(address: str) -> None:
    """Raise where nothing listens, before Ray tries for long."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()
    except (OSError, OverflowError, UnicodeError) as error:  # UnicodeError: an empty or very long part of a name
        raise ClusterError(
            f"no Ray cluster answers at {address} ({error}); check the address and that its port is open to this machine"
        ) from error


def _init(ray: Any, address: str) -> None:
    # Ray prints what it hears of nodes to stdout, where commands print their result
    printing: Any = importlib.import_module("ray._private.worker")
    printing.print_to_stdstream = lambda *_, **__: None
    if address != "auto":  # refuses a token at once, which Ray itself tries again for half a minute
        importlib.import_module("ray._raylet").GcsClient(address=address)
    with _own_signals():
        ray.init(address=address, namespace="tracewright", log_to_driver=False, configure_logging=False, logging_level="ERROR")


def why_not(address: str, error: Exception) -> ClusterError:
    """Why a connection failed, and what to do, in one line."""
    text = f"{error} {error.__cause__ or ''}"
    if "authentication" in text.lower():
        return ClusterRefusedError(f"the Ray cluster at {address} refuses the token; use the one that its head was started with")
    if "version mismatch" in text.lower():
        return ClusterRefusedError(f"the Ray cluster at {address} has other versions: {' '.join(text.split())}")
    if "raylet" in text.lower() or "this node has an ip" in text.lower():
        return ClusterError(
            f"this machine has not joined the Ray cluster at {address}; join it with: ray start --address={address} --num-cpus=0"
        )
    if address == "auto":
        return ClusterError(
            f"this machine has joined no Ray cluster ({first_line(error)}); start or join one with ray start, or set workers.address"
        )
    return ClusterError(f"the Ray cluster at {address} can't be used ({first_line(error)})")


def first_line(error: BaseException) -> str:
    """What Ray's error says, in one line: of a task's error the cause."""
    cause = getattr(error, "cause", None) or error
    lines = str(cause).strip().splitlines()
    return f"{type(cause).__name__}: {lines[-1].strip() if lines else ''}"[:200]


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Ray sets handlers of its own, which would end a training without a checkpoint."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
