"""Uploaded files: unpacks pictures, and zip files of them, into (name, bytes) with names that are safe to write.

Guarantee: no name points outside its folder, no two names are equal, and nothing is unpacked beyond the limits of a batch.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from core.errors import RunError

MAX_FILES, MAX_BYTES = 2000, 500 * 2**20  # per batch, unpacked
_NAME = re.compile(r"[^\w .()+-]+")


def unpack(files: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield (file name, bytes) of every picture, including those in zip files; names are sanitized and unique.

    Raises:
        RunError: a zip file is broken, or there is more than a batch may hold.
    """
    taken: set[str] = set()
    n_bytes = 0
    for name, data in _members(files):
        n_bytes += len(data)
        if len(taken) >= MAX_FILES or n_bytes > MAX_BYTES:
            raise RunError(f"too much at once: a batch can hold {MAX_FILES} files and {MAX_BYTES // 2**20} MB, so split it")
        plain = _NAME.sub("_", PurePosixPath(name.replace("\\", "/")).name).strip(" .") or "picture"
        stem, _, ending = plain.rpartition(".")
        unique, number = plain, 2
        while unique.lower() in taken:
            unique, number = f"{stem or ending}-{number}.{ending}", number + 1
        taken.add(unique.lower())
        yield unique, data


def _members(files: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    for name, data in files:
        if not name.lower().endswith(".zip"):
            yield name, data
            continue
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for info in archive.infolist():
                    if info.is_dir() or PurePosixPath(info.filename).name.startswith((".", "__MACOSX")) or "__MACOSX" in info.filename:
                        continue
                    if info.file_size > MAX_BYTES:
                        raise RunError(f"{info.filename} in {name} is larger than {MAX_BYTES // 2**20} MB")
                    yield info.filename, archive.read(info)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError) as error:
            raise RunError(f"{name} can't be unpacked: {error}") from error
