"""Folders in which something is made ready before it is renamed into its place: gone afterwards, whatever happens."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.locks import held, take

_LOCK = "lock"


@contextmanager
def staging(parent: Path, prefix: str) -> Iterator[Path]:
    """An empty folder in ``parent`` (so that what is in it can be renamed to beside it) whose name begins with ``prefix``; what a killed
    process left of an earlier one is removed.

    Raises:
        OSError: there is no room, or the folder can't be written to.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{prefix}*"):
        _sweep(left)
    above = parent / f"{prefix}{secrets.token_hex(6)}"
    above.mkdir()
    try:
        with held(above / _LOCK, OSError(f"{above} is in use")):  # by which others see that it is no left-over
            folder = above / "staged"
            folder.mkdir()
            yield folder
    finally:
        shutil.rmtree(above, ignore_errors=True)


def _sweep(left: Path) -> None:
    with suppress(OSError):  # it is gone meanwhile
        lock = take(left / _LOCK)
        if lock is not None:  # or another process is at it
            shutil.rmtree(left, ignore_errors=True)
            lock.release()
