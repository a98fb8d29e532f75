"""Takes archives of runs (core/runs/archive.py) in, from wherever they come: everything in one is taken for hostile until it is looked at.

Nothing in an archive is executed or unpickled. Names, sizes, kinds of entries and checksums are held against what an archive may hold; files
are unpacked beside the runs, and renamed into place once all of them are right. Guarantees: a refused archive is one clear line and leaves
nothing behind; the same archive taken in twice changes nothing.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from core.config.text import read_yaml, validate
from core.errors import ArchiveError, ConfigError, SvgError
from core.files import open_file
from core.machine import disk_free_mb
from core.runs.archive import ARCHIVE_VERSION, MANIFEST, MAX_BYTES, MAX_FILES, PART_BYTES, Told, limit_of
from core.runs.events import read_new_lines
from core.runs.records import read_label, write_label
from core.runs.run_dir import CONFIG_FILE, EVENTS_FILE, RunDir, is_run_id
from core.staging import staging
from core.tracing.allowed import checked

MAX_MANIFEST_BYTES = 200_000_000
RESERVED = {"batches", "cache", "curricula", "exports", "films", "logos", "models", "reports", "studies"}  # folders of a home
STAGING = ".importing-"
_ROOM_MB = 50.0  # that is to be left on the disk
# What zipfile and zlib say of damage
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, struct.error, ValueError, OverflowError, OSError)
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Entry:
    """A file of an archive, as its manifest has it."""

    bytes: Annotated[int, Field(ge=0, le=MAX_BYTES)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    mtime_ns: Annotated[int, Field(ge=0, lt=2**62)] = 0


@dataclass(frozen=True)
class ArchivedRun:
    files: dict[str, Entry]


@dataclass(frozen=True)
class Manifest:
    v: Literal[1]
    runs: Annotated[dict[str, ArchivedRun], Field(min_length=1, max_length=1000)]


@dataclass(frozen=True)
class Imported:
    """A run that is there now. ``is_new``: it was not before; ``told``: one line on it."""

    run: RunDir
    is_new: bool
    told: str


def import_archive(path: Path, home: Path, name: str = "", told: Told | None = None) -> list[Imported]:
    """Take the runs of an archive into a home. ``name``: what the run is to be called, for an archive of one.

    Raises:
        ArchiveError: it is damaged, holds what it may not, or a run of that name is there that is another one.
        OSError: there is no room, or the home can't be written to.
    """
    home.mkdir(parents=True, exist_ok=True)
    with _opened(path) as archive:
        manifest = _manifest(archive, path.name)
        targets = _targets(manifest, name, path.name)
        infos = _checked(archive, manifest, path.name)
        known = {run_id: _is_there(home / target, manifest.runs[run_id]) for run_id, target in targets.items()}
        wanted = {run_id: target for run_id, target in targets.items() if not known[run_id]}
        if not wanted:
            return [_there(home, target) for target in targets.values()]
        _check_room(home, sum(entry.bytes for run_id in wanted for entry in manifest.runs[run_id].files.values()))
        with staging(home, STAGING) as folder:
            for run_id, target in wanted.items():
                staged = RunDir(folder / target)
                _unpack(archive, infos, run_id, manifest.runs[run_id], staged, path.name, told)
                if name:  # it is shown under it too, or two of one name stand in the list
                    write_label(staged, name, read_label(staged).get("note", ""))
            for target in wanted.values():
                _put(folder / target, home / target)
    return [_there(home, target) if known[run_id] else _new(home, target) for run_id, target in targets.items()]


def _there(home: Path, target: str) -> Imported:
    return Imported(RunDir(home / target), False, f"{target} already exists; nothing was changed")


def _new(home: Path, target: str) -> Imported:
    return Imported(RunDir(home / target), True, f"{target} was imported")


def _put(staged: Path, to: Path) -> None:
    try:
        os.rename(staged, to)
    except OSError as error:
        if to.exists():
            raise ArchiveError(f"{to} was created in the meantime; import it again") from error
        raise


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        file = open_file(path)
    except (OSError, ValueError) as error:
        raise ArchiveError(f"{path} can't be read: {getattr(error, 'strerror', None) or error}") from error
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except _DAMAGE as error:
            raise ArchiveError(f"{path.name} is not a ZIP file, or is damaged: {str(error)[:120]}") from error
        with archive:
            yield archive


@functools.cache
def _reader() -> TypeAdapter[Manifest]:
    return TypeAdapter(Manifest)  # made once: it takes longer than reading a manifest


def _manifest(archive: zipfile.ZipFile, name: str) -> Manifest:
    try:
        info = archive.getinfo(MANIFEST)
    except KeyError:
        raise ArchiveError(f"{name} is not a run archive: it has no {MANIFEST}; make one with: export RUN --format archive") from None
    if info.file_size > MAX_MANIFEST_BYTES:
        raise ArchiveError(f"{name}: its {MANIFEST} is larger than the limit of {MAX_MANIFEST_BYTES // 10**6} MB")
    try:
        with archive.open(info) as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
        return _reader().validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"][:1] == ("v",) and first["type"] != "missing":
            raise ArchiveError(
                f"{name} is an archive of version {str(first['input'])[:20]}; this version of Tracewright reads {ARCHIVE_VERSION}"
            ) from error
        where = ".".join(str(part) for part in first["loc"])[:100]
        raise ArchiveError(f"{name}: its {MANIFEST} is damaged: {where} {first['msg'].lower()}") from error
    except _DAMAGE as error:
        raise ArchiveError(f"{name}: its {MANIFEST} can't be read: {str(error)[:120]}") from error


def _targets(manifest: Manifest, wanted: str, name: str) -> dict[str, str]:
    """{run id in the archive: what it is to be called here}."""
    if wanted and len(manifest.runs) > 1:
        raise ArchiveError(f"{name} holds {len(manifest.runs)} runs; only an archive of a single run can be renamed")
    targets = {run_id: wanted or run_id for run_id in manifest.runs}
    for target in targets.values():
        if not is_run_id(target) or target.lower() in RESERVED:
            raise ArchiveError(
                f"{target[:100]!r} is not a valid run name: use at most 100 ASCII letters, digits, dots, dashes and underscores, starting with a letter or "
                f"digit, and none of {', '.join(sorted(RESERVED))}"
            )
    if len({target.lower() for target in targets.values()}) < len(targets):
        raise ArchiveError(f"{name} contains two runs with the same name")
    return targets


def _checked(archive: zipfile.ZipFile, manifest: Manifest, name: str) -> dict[str, zipfile.ZipInfo]:
    """The entries by name: those of the manifest, all of them, plain files of the sizes that it says, and nothing else."""
    promised = {f"{run_id}/{path}": entry for run_id, run in manifest.runs.items() for path, entry in run.files.items()}
    if len(promised) > MAX_FILES or sum(entry.bytes for entry in promised.values()) > MAX_BYTES:
        raise ArchiveError(f"{name} exceeds the limits of an archive: {MAX_FILES:,} files and {MAX_BYTES // 10**9} GB")
    for run_id, run in manifest.runs.items():
        if CONFIG_FILE not in run.files and EVENTS_FILE not in run.files:
            raise ArchiveError(f"{name}: {run_id} has neither a {CONFIG_FILE} nor a {EVENTS_FILE}, so it is not a run")
        for path, entry in run.files.items():
            limit = limit_of(path)
            if limit is None or entry.bytes > limit:
                why = "is not a file of a run" if limit is None else f"is larger than the limit of {limit // 10**6} MB"
                raise ArchiveError(f"{name}: {path[:100]!r} {why}")
    folders = {f"{parent}/" for path in promised for parent in PurePosixPath(path).parents}
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in folders and info.file_size == 0:
            continue
        _check_entry(info, promised, found, name)
        found[info.filename] = info
    if missing := sorted(set(promised) - set(found)):
        raise ArchiveError(f"{name} is incomplete: {missing[0]} is missing" + (f", and {len(missing) - 1} more" if missing[1:] else ""))
    return found


def _check_entry(info: zipfile.ZipInfo, promised: dict[str, Entry], found: dict[str, zipfile.ZipInfo], name: str) -> None:
    entry, shown = promised.get(info.filename), repr(info.orig_filename[:100])
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.filename in found:
        raise ArchiveError(f"{name} contains {shown} twice")
    if info.filename != info.orig_filename or (entry is None and info.filename != MANIFEST):
        raise ArchiveError(f"{name} contains {shown}, which its {MANIFEST} does not list")
    if kind not in (0, stat.S_IFREG):
        raise ArchiveError(f"{name}: {shown} is a link or a device, not a file")
    if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(f"{name}: {shown} is encrypted or uses an unsupported compression")
    if entry is not None and info.file_size != entry.bytes:
        raise ArchiveError(f"{name}: {shown} has {info.file_size:,} bytes, but should have {entry.bytes:,}")


def _is_there(folder: Path, run: ArchivedRun) -> bool:
    """Whether the run is in its place already, as it is in the archive or further on; by its log, or without one by its config.

    Raises:
        ArchiveError: something else is there.
    """
    if not os.path.lexists(folder):
        return False
    for file in (EVENTS_FILE, CONFIG_FILE):
        entry = run.files.get(file)
        if entry is None:
            continue
        try:
            with open_file(folder / file) as opened:
                same = _digest_of(opened.read, entry.bytes) == entry.sha256
        except OSError:
            same = False
        if same:
            return True
        break
    raise ArchiveError(
        f"{folder} already exists and is another run, or an older state of this one; import under another name (--as NAME) or delete it first"
    )


def _digest_of(read: Callable[[int], bytes], n_bytes: int) -> str:
    digest, left = hashlib.sha256(), n_bytes
    while left > 0 and (part := read(min(left, PART_BYTES))):
        digest.update(part)
        left -= len(part)
    return digest.hexdigest()


def _check_room(home: Path, n_bytes: int) -> None:
    free = disk_free_mb(home)
    if n_bytes / 1e6 + _ROOM_MB > free:
        raise ArchiveError(f"its runs take {n_bytes / 1e6:,.0f} MB, but {home} has only {free:,.0f} MB free; free some disk space first")


def _unpack(
    archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo], run_id: str, run: ArchivedRun, to: RunDir, name: str, told: Told | None
) -> None:
    """Write a run's files and look at what they are."""
    to.path.mkdir()
    for n, (path, entry) in enumerate(run.files.items(), start=1):
        target = to.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(archive, infos[f"{run_id}/{path}"], entry, target, name)
        _check_content(target, path, name)
        os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))  # by which checkpoints are in order
        if told is not None:
            told(f"{run_id}: unpacking", n, len(run.files))
    _check_run(to, run, name)


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, entry: Entry, target: Path, name: str) -> None:
    digest, n = hashlib.sha256(), 0
    with target.open("xb") as file:
        for part in _read(archive, info, name):
            n += len(part)
            if n > entry.bytes:
                break
            digest.update(part)
            file.write(part)
    if n != entry.bytes or digest.hexdigest() != entry.sha256:
        raise ArchiveError(f"{name}: {info.filename} is damaged (its checksum differs); export it again")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    try:
        with archive.open(info) as file:
            while part := file.read(PART_BYTES):
                yield part
    except _DAMAGE as error:
        raise ArchiveError(f"{name}: {info.filename} is damaged: {str(error)[:120]}") from error


def _check_content(file: Path, path: str, name: str) -> None:
    """Pictures are pictures, and SVGs are such as a tracer makes."""
    if path.endswith(".png"):
        with file.open("rb") as opened:
            if opened.read(len(_PNG)) != _PNG:
                raise ArchiveError(f"{name}: {path} is not a PNG")
    elif path.endswith(".svg"):
        try:
            checked(file.read_bytes())
        except SvgError as error:
            raise ArchiveError(f"{name}: {path} is not an SVG made by a run: {error}") from error


def _check_run(to: RunDir, run: ArchivedRun, name: str) -> None:
    """Its config is one, and the beginning of its log has an event."""
    if CONFIG_FILE in run.files:
        try:
            validate(read_yaml(to.config_file))
        except ConfigError as error:
            told = str(error).splitlines()[0].replace(f"{to.path}{os.sep}", "").replace(f"{to.path}: ", "")
            raise ArchiveError(f"{name}: {CONFIG_FILE} can't be used: {told}") from error
    if run.files.get(EVENTS_FILE, Entry(0, "")).bytes and not any(True for _ in read_new_lines(to.events_file, 0).events()):
        raise ArchiveError(f"{name}: {EVENTS_FILE} holds no event")
