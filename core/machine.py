"""What this machine has, what it uses, and what a run is likely to need: cores, memory, disk, GPU.

Limits of a container (affinity, cgroup) count, not the machine's own figures. Everything here takes milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import os
import platform
import shutil
import socket
import threading
import time
import uuid
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import psutil
from pydantic import Field

MB = 2**20
_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # of mallopt, as malloc.h has them
_LARGE_BYTES, _MAX_HEAPS = 256 * 1024, 2
_CGROUP = Path("/sys/fs/cgroup")
_MACHINE_ID, _BOOT_ID = Path("/etc/machine-id"), Path("/proc/sys/kernel/random/boot_id")


@cache
def identity() -> str:
    """What this machine is known by in the files of runs: the same after it starts again where it has an ID of its own, else until then.
    Not to be guessed from outside, and nothing can be learned of the ID from it."""
    for source in (_MACHINE_ID, _BOOT_ID):
        with contextlib.suppress(OSError):
            if found := source.read_text(encoding="ascii", errors="replace").strip():
                return hashlib.sha256(f"tracewright {platform.node()} {found}".encode()).hexdigest()[:16]
    return hashlib.sha256(f"tracewright {platform.node()} {uuid.getnode()}".encode()).hexdigest()[:16]


def available_cores() -> int:
    """Cores this process may use: affinity and cgroup limits, not the machine's count."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = (_CGROUP / "cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            cores = min(cores, max(int(quota) // int(period), 1))
    return max(cores, 1)


def _cgroup_memory() -> tuple[float, float] | None:
    """(limit, used without what can be dropped) in MB, None without a limit."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
            stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
            return int(limit) / MB, (used - int(stat["inactive_file"])) / MB
    return None


def memory_mb() -> tuple[float, float]:
    """(total, available) memory for this process and others beside it."""
    machine = psutil.virtual_memory()
    total, available = machine.total / MB, machine.available / MB
    limited = _cgroup_memory()
    if limited is not None and limited[0] < total:
        total, available = limited[0], min(available, limited[0] - limited[1])
    return total, max(available, 0.0)


def give_back_memory() -> bool:
    """Hand the system what this process has freed; whether it could. Linux's allocator keeps what lies between what is still used."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError, TypeError):  # another system, or another C library
        return False


def keep_memory_whole() -> bool:
    """Have Linux's allocator take each large block from the system by itself, so that it goes back when it is freed, and share few heaps among all
    threads; whether it could. To be called before there are many threads: by itself it keeps up to eight heaps per core, each with gaps.
    Arrow's tables lie there as well, where pyarrow is: its own allocator keeps what each thread freed, and each look at a page is a new thread.
    """
    with contextlib.suppress(ImportError):
        pyarrow = importlib.import_module("pyarrow")
        pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    try:
        libc = ctypes.CDLL(None)
        return bool(libc.mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)) and bool(libc.mallopt(_ARENA_MAX, _MAX_HEAPS))
    except (OSError, AttributeError, TypeError):  # another system, or another C library
        return False


def disk_free_mb(path: Path) -> float:
    """Free space where ``path`` is, or will be."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free / MB


def folder_mb(path: Path) -> float:
    """What a folder takes on the disk; files that vanish meanwhile do not count."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(folder, name)).st_blocks * 512
    return total / MB


def tree_memory_mb(pid: int) -> float:
    """Memory of a process and all below it; what they share is counted once, with the first."""
    total = 0.0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        total = process.memory_info().rss / MB
        for child in process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                used = child.memory_info()
                total += (used.rss - getattr(used, "shared", 0)) / MB
    return total


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU."""

    name: str
    load: float  # share, 0 to 1
    memory_mb: float
    memory_total_mb: float


def gpus() -> list[Gpu]:
    """The NVIDIA GPUs of this machine; empty without one, or without its driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no driver, no library: there is nothing to show
        return []
    found = []
    with contextlib.suppress(pynvml.NVMLError):
        for i in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(i)
            memory, name = pynvml.nvmlDeviceGetMemoryInfo(handle), pynvml.nvmlDeviceGetName(handle)
            load = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
            found.append(Gpu(str(name), load, int(memory.used) / MB, int(memory.total) / MB))
    pynvml.nvmlShutdown()
    return found


@dataclass(frozen=True)
class Sample:
    """The machine at a moment. ``cores``: share of each core that was busy for half a second or more before it."""

    cores: list[float]
    memory_mb: float
    memory_total_mb: float
    disk_free_mb: float
    disk_total_mb: float
    gpus: list[Gpu] = field(default_factory=list)


def sample(path: Path) -> Sample:
    """Measure the machine; the disk is that of ``path``."""
    total, available = memory_mb()
    while not path.exists() and path != path.parent:
        path = path.parent
    disk = shutil.disk_usage(path)
    return Sample(_CORES.busy(), total - available, total, disk.free / MB, disk.total / MB, gpus())


class Meter:
    """Measures one trainer with its workers, for its event log."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._main = psutil.Process()
        self._children: dict[int, psutil.Process] = {}
        psutil.cpu_percent()

    def read(self) -> dict[str, float]:
        """Figures as ``system/<name>``: load as a share of all cores, of the workers together in cores, memory in MB."""
        _, available = memory_mb()
        figures: dict[str, Any] = {
            "system/cpu": psutil.cpu_percent() / 100,
            "system/memory_free_mb": available,
            "system/memory_mb": tree_memory_mb(self._main.pid),
            "system/disk_free_mb": disk_free_mb(self._home),
        }
        workers = 0.0
        alive = {child.pid: child for child in self._main.children()}
        self._children = {pid: self._children.get(pid, child) for pid, child in alive.items()}
        for child in self._children.values():
            with contextlib.suppress(psutil.Error):
                workers += child.cpu_percent() / 100
        figures["system/workers_busy"] = workers
        figures["system/trainer_busy"] = self._main.cpu_percent() / 100
        for i, gpu in enumerate(gpus()):
            figures |= {f"system/gpu{i}": gpu.load, f"system/gpu{i}_memory_mb": gpu.memory_mb}
        return {name: round(float(value), 4) for name, value in figures.items()}


class _Cores:
    """How busy each core was since that was last asked; who asks again at once gets the same answer."""

    SHORTEST_S = 0.5  # a share over less time is chance

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = time.monotonic()
        self._shares = psutil.cpu_percent(percpu=True)  # the first call measures nothing; from here on there is a time to measure over

    def busy(self) -> list[float]:
        with self._lock:
            if time.monotonic() - self._at >= self.SHORTEST_S:
                self._shares, self._at = psutil.cpu_percent(percpu=True), time.monotonic()
            return [share / 100 for share in self._shares]


_CORES = _Cores()


@dataclass(frozen=True)
class Process:
    """A process that can't be mistaken for a later one with the same pid."""

    pid: Annotated[int, Field(gt=0, lt=2**31)]
    create_time: Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)]  # seconds since 1970

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, psutil.Process(pid).create_time())

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.create_time) < 0.05 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def send(self, number: int) -> None:
        """Send it a signal; one that has ended meanwhile is fine."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def own_addresses() -> frozenset[str]:
    """The IP addresses of this machine's network interfaces; empty where they can't be read."""
    try:
        found = psutil.net_if_addrs()
    except (OSError, psutil.Error):
        return frozenset()
    return frozenset(
        entry.address.partition("%")[0].lower()
        for entries in found.values()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    )
