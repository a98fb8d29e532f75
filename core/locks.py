"""Locks on files, each held by one process; built on filelock, which asks the system for them (flock).

Nobody has to clean up: the system lets go of a lock when its process ends, also by ``kill -9``. A lock's file stays where it is and says
nothing, so whether one is held is found out by trying to take it. Imports nothing of ours. Guarantee: of all processes, and of all
:func:`take` within one, a path is held by one at a time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


def take(path: Path, patience_s: float = 0.0) -> FileLock | None:
    """Take a lock, to be given back with ``release()`` by any thread; None where another holds it for ``patience_s`` seconds.

    Raises:
        OSError: its folder is missing, which is not made again, or can't be written to.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path.parent))
    # Without flock there is no lock that a killed process lets go of: better an error than a marker that stays
    lock = FileLock(path, timeout=patience_s, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


@contextmanager
def held(path: Path, refusal: Exception, patience_s: float = 0.0) -> Iterator[None]:
    """Hold a lock meanwhile.

    Raises:
        Exception: ``refusal``, where another holds it for ``patience_s`` seconds.
        OSError: as :func:`take`.
    """
    lock = take(path, patience_s)
    if lock is None:
        raise refusal
    try:
        yield
    finally:
        lock.release()
