"""The worker pool: W processes that step N environments and trace whatever else is asked, on all cores.

Knows nothing of torch or stable-baselines3 (a worker starts in half a second). Arrays cross in shared memory; the
pipes carry one-byte commands and replies. Each environment has its own seed, so its episodes do not depend on the
number of workers. Guarantee: workers end with their parent, also when it is killed.
"""

from __future__ import annotations

import ctypes
import multiprocessing as mp
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from core.learning.env import TraceEnv
from core.learning.episode import EnvSpec, PreparedLogo
from core.learning.picture_store import PictureStore, StoreHandle
from core.tracing.features import Features
from core.tracing.outcome import HEADLINE, Outcome
from core.tracing.params import N_PARAMS, NAMES, Params

FAILURES = (None, "panic", "blank", "oversized", "unreadable")
# What a step leaves behind of each environment, one row of float64
COLUMNS = (
    "logo", "done", "length", "reward", "quality", "size", "speed",
    "ssim", "bytes", "paths", "cpu_s", "failure", "gain", "trained_gain",
    *NAMES,
)  # fmt: skip
COLUMN = {name: i for i, name in enumerate(COLUMNS)}
_FIRST_PARAM = COLUMN[NAMES[0]]


class WorkerError(RuntimeError):
    """Raised when a worker process died."""


def available_cores() -> int:
    """Cores this process may use: affinity and cgroup limits, not the machine's count."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(int(quota) // int(period), 1))
    except (OSError, ValueError):
        pass
    return max(cores, 1)


@dataclass(frozen=True)
class Job:
    """One conversion outside the environments."""

    index: int
    params: Params
    keep_svg: bool = False


@dataclass(frozen=True)
class JobResult:
    outcome: Outcome
    svg: str


@dataclass(frozen=True)
class Preparation:
    features: Features
    defaults: Outcome
    default_svg: str


@dataclass(frozen=True)
class _Layout:
    """The environments' definition and their shared arrays, all with one row an environment."""

    spec: EnvSpec
    n_envs: int
    actions: Any
    observations: Any
    records: Any

    def views(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
        return (
            np.frombuffer(self.actions, dtype=np.float32).reshape(self.n_envs, N_PARAMS),
            np.frombuffer(self.observations, dtype=np.float32).reshape(self.n_envs, self.spec.n_observation),
            np.frombuffer(self.records, dtype=np.float64).reshape(self.n_envs, len(COLUMNS)),
        )


@dataclass
class _Environments:
    """The environments of one worker and the rows they own."""

    envs: list[TraceEnv]
    rows: range
    actions: NDArray[np.float32]
    observations: NDArray[np.float32]
    records: NDArray[np.float64]

    def reset(self, seed: int) -> None:
        for env, row in zip(self.envs, self.rows, strict=True):
            # An environment's seed depends on its number alone, never on the worker that runs it.
            env_seed = int(np.random.SeedSequence([seed, row]).generate_state(1)[0])
            self.observations[row], _ = env.reset(seed=env_seed)

    def step(self) -> None:
        for env, row in zip(self.envs, self.rows, strict=True):
            observation, reward, done, _, info = env.step(self.actions[row])
            self._record(env, row, reward, done, info)
            if done:
                observation, _ = env.reset()
            self.observations[row] = observation

    def _record(self, env: TraceEnv, row: int, reward: float, done: bool, info: dict[str, Any]) -> None:
        best = env.episode.best
        assert best is not None
        outcome, terms = best.outcome, info["terms"]
        self.records[row, :_FIRST_PARAM] = (
            env.index, done, len(env.episode.tries), reward, terms.quality, terms.size, terms.speed,
            outcome.ssim, outcome.n_bytes, outcome.n_paths, outcome.cpu_s,
            FAILURES.index(outcome.failure), best.headline, best.gain,
        )  # fmt: skip
        self.records[row, _FIRST_PARAM:] = best.params.values()


def _die_with_parent() -> None:
    """Ask Linux for SIGKILL when the parent ends; elsewhere the closed pipe ends the worker."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _worker_main(pipe: Connection, handle: StoreHandle, layout: _Layout, rows: range, parent_pid: int) -> None:
    _die_with_parent()
    if os.getppid() != parent_pid:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a whole-group signal is the parent's to act on
    import cv2

    cv2.setNumThreads(1)
    store = PictureStore(handle)
    environments: _Environments | None = None
    while True:
        try:
            command, argument = pipe.recv()
            reply: Any = None
            if command == "step" and environments is not None:
                environments.step()
            elif command == "reset" and environments is not None:
                environments.reset(argument)
            elif command == "job":
                measured = store.picture(argument.index).measure(argument.params)
                reply = JobResult(measured.outcome, measured.trace.svg if argument.keep_svg else "")
            elif command == "prepare":
                picture = store.picture(argument)
                reply = Preparation(picture.features, picture.defaults, picture.by_defaults.trace.svg)
            elif command == "open":
                environments = _open_environments(store, argument, layout, rows)
            elif command == "eligible" and environments is not None:
                for env in environments.envs:
                    env.set_eligible(argument)
            elif command == "dump" and environments is not None:
                reply = [env.dump() for env in environments.envs]
            elif command == "restore" and environments is not None:
                for env, row, state in zip(environments.envs, environments.rows, argument, strict=True):
                    environments.observations[row] = env.restore(state)
            pipe.send(reply)
        except (EOFError, OSError):
            return


def _open_environments(store: PictureStore, logos: list[PreparedLogo], layout: _Layout, rows: range) -> _Environments:
    def measure(index: int, params: Params) -> Outcome:
        return store.picture(index).measure(params).outcome

    return _Environments([TraceEnv(logos, measure, layout.spec) for _ in rows], rows, *layout.views())


class WorkerPool:
    """Workers over one set of pictures.

    ``n_workers`` = 0 takes all cores that this process may use. ``n_envs`` environments of ``spec`` are dealt out
    over them; with 0 the pool only measures.
    """

    def __init__(self, store: PictureStore, n_workers: int = 0, spec: EnvSpec = EnvSpec(1, None, HEADLINE), n_envs: int = 0) -> None:
        self.store = store
        self.spec = spec
        self.n_envs = n_envs
        self.n_workers = n_workers or available_cores()
        context = mp.get_context("spawn")
        layout = _Layout(
            spec,
            n_envs,
            context.RawArray("f", max(n_envs, 1) * N_PARAMS),
            context.RawArray("f", max(n_envs, 1) * spec.n_observation),
            context.RawArray("d", max(n_envs, 1) * len(COLUMNS)),
        )
        if n_envs:
            self.actions, self.observations, self.records = layout.views()
        self._rows = [range(n_envs * k // self.n_workers, n_envs * (k + 1) // self.n_workers) for k in range(self.n_workers)]
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        for k, rows in enumerate(self._rows):
            here, there = context.Pipe()
            process = context.Process(
                target=_worker_main, args=(there, store.handle, layout, rows, os.getpid()), name=f"worker-{k}", daemon=True
            )
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)

    def prepare(self, names: Sequence[tuple[str, str, str]], on_progress: Callable[[int], None] | None = None) -> list[PreparedLogo]:
        """Features and defaults' outcome of every picture; ``names``: (name, category, digest) of each."""
        prepared: list[PreparedLogo | None] = [None] * len(names)
        for n_done, (index, result) in enumerate(self._spread([("prepare", i) for i in range(len(names))]), start=1):
            name, category, digest = names[index]
            prepared[index] = PreparedLogo(name, category, digest, result.features, result.defaults, result.default_svg)
            if on_progress:
                on_progress(n_done)
        return [p for p in prepared if p is not None]

    def measure(self, jobs: Sequence[Job]) -> list[JobResult]:
        """Run conversions on all workers; results in the order of the jobs."""
        results: list[Any] = [None] * len(jobs)
        for index, result in self._spread([("job", job) for job in jobs]):
            results[index] = result
        return results

    def open_environments(self, logos: list[PreparedLogo]) -> None:
        """Make the environments; ``logos`` in the order of the store."""
        self._ask_all("open", [logos] * self.n_workers)

    def set_eligible(self, indices: NDArray[np.int64]) -> None:
        """Draw from these logos from each environment's next episode on."""
        self._ask_all("eligible", [indices] * self.n_workers)

    def reset(self, seed: int) -> None:
        self._ask_all("reset", [seed] * self.n_workers)

    def step_async(self, actions: NDArray[np.float32]) -> None:
        self.actions[...] = actions
        for pipe in self._pipes:
            self._send(pipe, "step", None)

    def step_wait(self) -> None:
        """Afterwards ``observations`` and ``records`` hold the step's results."""
        for pipe in self._pipes:
            self._receive(pipe)

    def dump(self) -> list[dict[str, Any]]:
        """Every environment's state as plain data, in order."""
        return [state for states in self._ask_all("dump", [None] * self.n_workers) for state in states]

    def restore(self, states: list[dict[str, Any]]) -> None:
        self._ask_all("restore", [states[rows.start : rows.stop] for rows in self._rows])

    def close(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()

    def _spread(self, requests: list[tuple[str, Any]]) -> Iterator[tuple[int, Any]]:
        """Hand requests to whichever worker is free; yields (index, reply) as they come."""
        waiting = iter(enumerate(requests))
        busy: dict[Connection, int] = {}
        for pipe in self._pipes:
            if (item := next(waiting, None)) is not None:
                self._send(pipe, *item[1])
                busy[pipe] = item[0]
        while busy:
            for ready in wait(list(busy)):
                pipe = cast(Connection, ready)
                index = busy.pop(pipe)
                reply = self._receive(pipe)
                if (item := next(waiting, None)) is not None:
                    self._send(pipe, *item[1])
                    busy[pipe] = item[0]
                yield index, reply

    def _ask_all(self, command: str, arguments: list[Any]) -> list[Any]:
        for pipe, argument in zip(self._pipes, arguments, strict=True):
            self._send(pipe, command, argument)
        return [self._receive(pipe) for pipe in self._pipes]

    def _send(self, pipe: Connection, command: str, argument: Any) -> None:
        try:
            pipe.send((command, argument))
        except OSError as error:
            raise WorkerError(self._obituary(pipe)) from error

    def _receive(self, pipe: Connection) -> Any:
        try:
            return pipe.recv()
        except (EOFError, OSError) as error:
            raise WorkerError(self._obituary(pipe)) from error

    def _obituary(self, pipe: Connection) -> str:
        process = self._processes[self._pipes.index(pipe)]
        process.join(1)
        return f"{process.name} ended with exit code {process.exitcode}"
