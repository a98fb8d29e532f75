"""Files that are there whole or not at all, and small ones that may be damaged in any way."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any, BinaryIO, cast

from core.errors import DamagedFileError

MAX_SMALL_BYTES = 4_000_000  # of a file that is read whole; ours are below 100 kB
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)  # what a full disk, or a quota that is used up, says


def make_folder(folder: Path, within: Path | None = None) -> None:
    """Make a folder and those above it; ``within``: a folder that must be there already, or it is a FileNotFoundError."""
    if within is None:
        folder.mkdir(parents=True, exist_ok=True)
        return
    at = within
    for part in folder.relative_to(within).parts:
        at = at / part
        at.mkdir(exist_ok=True)


def write_aside(path: Path, data: bytes, within: Path | None = None, mode: int = 0o666) -> None:
    """Write next to ``path`` and rename over it.

    ``within``: no folder above this one is made: a run that was deleted must not come back with one of its files.
    ``mode``: who may read it, less what this process denies to all its files; nobody else may at any moment.
    """
    make_folder(path.parent, within)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(aside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
        try:
            os.replace(aside, path)
        except IsADirectoryError:  # a folder took the file's place: it is kept beside it
            set_aside(path)
            os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def remove(path: Path) -> bool:
    """Take a file away; returns whether there was one. A folder in its place is kept beside it, under another name."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except (IsADirectoryError, PermissionError):  # the second is what some systems say of a folder
        if not path.is_dir():
            raise
        set_aside(path)
    return True


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that what is in it is not lost when it is rewritten; returns its new path."""
    n, aside = 1, path.with_name(f"{path.name}.damaged")
    while os.path.lexists(aside):
        n, aside = n + 1, path.with_name(f"{path.name}.damaged-{n + 1}")
    os.replace(path, aside)
    return aside


def open_file(path: Path) -> BinaryIO:
    """Open a file to read it. What is no file (a folder, a pipe, which would hold the reader for good, a device) is an OSError."""
    file = cast(BinaryIO, open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)))  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return file


def inside(folder: Path, path: Path) -> Path | None:
    """A path with its links followed; None where that leads out of the folder, or no file system takes the name."""
    try:
        found = path.resolve()
        return found if found.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # the last: links go in a circle
        return None


def read_small(path: Path, max_bytes: int = MAX_SMALL_BYTES) -> bytes | None:
    """The content of a small file, at most ``max_bytes``; None where there is none.

    Raises:
        DamagedFileError: it is no file, too large for what it should be, or can't be read.
    """
    try:
        with open_file(path) as file:
            data = file.read(max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{path.name} can't be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > max_bytes:
        raise DamagedFileError(f"{path.name} is larger than the limit of {max_bytes // 1_000_000} MB")
    return data


def read_text(path: Path, max_bytes: int = MAX_SMALL_BYTES) -> str | None:
    """The UTF-8 text of a small file; None where there is none.

    Raises:
        DamagedFileError: as :func:`read_small`, or it is not UTF-8.
    """
    data = read_small(path, max_bytes)
    try:
        return None if data is None else data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path.name} is not UTF-8 text (byte {error.start})") from error


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in a small file; None where there is none.

    Raises:
        DamagedFileError: as :func:`read_text`, or it is not a JSON object.
    """
    text = read_text(path)
    if text is None:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path.name} is not valid JSON: {str(error)[:120]}") from error
    if not isinstance(found, dict):
        raise DamagedFileError(f"{path.name} holds a {type(found).__name__}, not a JSON object")
    return found
