"""A folder of files with checksums, read as whoever made it may have damaged it or worse. Imports neither torch nor ONNX Runtime.

Guarantee: nothing is opened but the files named here, each a file of its own (no link, pipe or device) and no larger than its limit, and
what was checked is what is used: each is read once.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import DamagedFileError
from core.files import read_small

MB = 1_000_000
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAX_RATIO = 4  # unpacked to packed; ours are packed hardly at all


def read_part(folder: Path, name: str, max_bytes: int) -> bytes:
    """One file of the folder.

    Raises:
        DamagedFileError: it is missing, a link, no file, or larger than ``max_bytes``.
    """
    path = folder / name
    if path.is_symlink():
        raise DamagedFileError(f"{name} is a link; a file of its own is needed")
    data = read_small(path, max_bytes)
    if data is None:
        raise DamagedFileError(f"{name} is missing")
    return data


def read_sealed(folder: Path, sums: Any, limits: Mapping[str, int], needed: Collection[str]) -> dict[str, bytes]:
    """{name: content} of what ``sums`` names, ``{name: SHA-256}``. ``limits``: bytes at most of each name that is allowed.

    Raises:
        DamagedFileError: a name that is not allowed or a needed one that is missing, or a file that does not have its checksum.
    """
    if not isinstance(sums, dict) or not all(isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in sums.values()):
        raise DamagedFileError("its checksums are no mapping of names to SHA-256")
    for name in sums:
        if name not in limits:
            raise DamagedFileError(f"its checksums name {str(name)[:60]!r}; only {', '.join(limits)} are allowed")
    for name in needed:
        if name not in sums:
            raise DamagedFileError(f"{name} has no checksum")
    found = {}
    for name, digest in sums.items():
        found[name] = read_part(folder, name, limits[name])
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise DamagedFileError(f"{name} is damaged (its checksum differs)")
    return found


def check_unpacked(name: str, data: bytes) -> None:
    """Refuse a zip, as .pt and .npz are, that becomes much larger than it is.

    Raises:
        DamagedFileError: it does, or is no zip.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            total = sum(info.file_size for info in opened.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise DamagedFileError(f"{name} is damaged: {error}") from error
    if total > _MAX_RATIO * len(data) + MB:
        raise DamagedFileError(f"{name} unpacks to {total // MB} MB from {len(data) // MB} MB; it is damaged or made to fill the memory")


@contextmanager
def damage_of(what: str, *told: type[Exception]) -> Iterator[None]:
    """Whatever a library says of content that it can't take becomes a DamagedFileError with ``what``, the file's name; ``told``: what is for
    the user already."""
    passed: tuple[type[Exception], ...] = (DamagedFileError, MemoryError, *told)
    try:
        yield
    except passed:
        raise
    except Exception as error:
        raise DamagedFileError(f"{what} is damaged: it does not hold what it should ({type(error).__name__})") from error
