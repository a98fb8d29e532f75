"""File systems of a test's own: small ones that fill up, and ones that become read-only."""

from __future__ import annotations

import contextlib
import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.requirements import need


@contextlib.contextmanager
def mounted(folder: Path, megabytes: int = 80) -> Iterator[Path]:
    """A file system in memory at ``folder``; skips the test where nothing may be mounted, or fails where nothing may be skipped."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, check=False)
    need(done.returncode == 0, "the right to mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, mode: str) -> None:
    """``mode``: "ro" or "rw"."""
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)


def fill(path: Path) -> None:
    """Use up all free space."""
    with path.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"0" * 65536)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                return
