"""Whole runs as one zip that another installation takes in: what such an archive holds, and how it is packed.

``manifest.json`` names every file with its size, its SHA-256 and when it was written; each file stands as ``RUN/path``. What only says
something of this machine (process, heartbeat, lock, place in the queue) stays. core/runs/unpack.py takes archives in. Guarantees: a live run
is packed as of one moment (whole lines of its log, whole checkpoints); the same files give the same archive, to the byte.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import RunError
from core.files import open_file
from core.runs.events import whole_bytes
from core.runs.run_dir import CHECKSUMS_FILE, COMMANDS_FILE, CONFIG_FILE, EVENTS_FILE, PARENT_FILE, PRUNING_FILE, TRIAL_FILE, RunDir

ARCHIVE_VERSION = 1
MANIFEST = "manifest.json"
MAX_FILES, MAX_BYTES = 500_000, 50 * 10**9  # of an archive, unpacked
PART_BYTES = 1_000_000
Told = Callable[[str, int, int], None]  # what is being done, how much of how much is done
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip knows: when a file was written is in the manifest
_DIGEST = r"[0-9a-f]{8,64}"
_MB, _GB = 10**6, 10**9
# What may stand in an archive, with the largest size of each in bytes
ALLOWED: tuple[tuple[re.Pattern[str], int], ...] = (
    (
        re.compile(
            rf"{re.escape(CONFIG_FILE)}|label\.json|imported\.json|{re.escape(PARENT_FILE)}|{re.escape(TRIAL_FILE)}|{re.escape(PRUNING_FILE)}"
        ),
        4 * _MB,
    ),
    (re.compile(re.escape(EVENTS_FILE)), 20 * _GB),
    (re.compile(r"train\.log"), 2 * _GB),
    (re.compile(re.escape(COMMANDS_FILE)), 4 * _MB),
    (re.compile(r"experience\.bin"), 10 * _GB),
    (
        re.compile(
            rf"checkpoints/[A-Za-z0-9][A-Za-z0-9_-]{{0,63}}/(policy\.pt|state\.json|config\.yaml|outcomes\.npz|rollout\.npz|{CHECKSUMS_FILE})"
        ),
        2 * _GB,
    ),
    (re.compile(rf"(pictures|cases)/{_DIGEST}\.png"), 200 * _MB),
    (re.compile(rf"pictures/{_DIGEST}\.default\.svg|evaluations/[0-9]{{10,18}}/{_DIGEST}\.svg"), 50 * _MB),
)
_IS_PRESSED = (".png", ".npz", ".pt")  # does not get smaller


def limit_of(relative: str) -> int | None:
    """The largest size in bytes of a file by its path inside the run; None for one that an archive may not hold."""
    return next((limit for pattern, limit in ALLOWED if pattern.fullmatch(relative)), None)


@dataclass(frozen=True)
class Packed:
    """``n_bytes``: of the files before they were compressed; ``left_out``: what changed or went while it was read, a line each."""

    path: Path
    n_files: int
    n_bytes: int
    left_out: list[str] = field(default_factory=list)


def pack(runs: Sequence[RunDir], path: Path, told: Told | None = None) -> Packed:
    """Write an archive of runs, aside first.

    Raises:
        RunError: none, or two of one name.
        OSError: a file can't be read, or there is no room.
    """
    if not runs or len({run.run_id.lower() for run in runs}) < len(runs):
        raise RunError("an archive must contain one or more runs with different names")
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            packer = _Packer(archive, told)
            for run in runs:
                packer.add(run)
            packer.close()
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return Packed(path, packer.n_files, packer.n_bytes, packer.left_out)


class _Packer:
    def __init__(self, archive: zipfile.ZipFile, told: Told | None) -> None:
        self._archive, self._told = archive, told
        self._runs: dict[str, dict[str, dict[str, object]]] = {}
        self.n_files = self.n_bytes = 0
        self.left_out: list[str] = []

    def add(self, run: RunDir) -> None:
        self._runs[run.run_id] = {}
        found = [path for path in files_of(run) if path.parent.parent != run.checkpoints]
        checkpoints = sorted(path.parent for path in run.checkpoints.glob(f"*/{CHECKSUMS_FILE}") if not path.parent.name.startswith("."))
        n_all = len(found) + len(checkpoints)
        for n, path in enumerate(found, start=1):
            self._add_file(run, path)
            self._say(run, n, n_all)
        for n, folder in enumerate(checkpoints, start=len(found) + 1):
            self._add_checkpoint(run, folder)
            self._say(run, n, n_all)

    def _say(self, run: RunDir, n: int, n_all: int) -> None:
        if self._told is not None:
            self._told(f"{run.run_id}: packing", n, n_all)

    def _add_file(self, run: RunDir, path: Path) -> None:
        """As large as it is now; the log up to its last whole line."""
        try:
            with open_file(path) as file:
                stat = os.fstat(file.fileno())
                size = whole_bytes(path) if path == run.events_file else stat.st_size
                self._write(run, path, _at_most(file.read, size), size, stat.st_mtime_ns)
        except FileNotFoundError:
            self.left_out.append(f"{run.run_id}/{run.relative(path)} disappeared while it was packed")

    def _add_checkpoint(self, run: RunDir, folder: Path) -> None:
        """All of its files as one; one that is just being replaced is read again."""
        for _ in range(3):
            read = _whole_checkpoint(folder)
            if read is not None:
                for name, (data, mtime_ns) in read.items():
                    self._write(run, folder / name, iter([data]), len(data), mtime_ns)
                return
        self.left_out.append(f"{run.run_id}/{run.relative(folder)} is damaged or was being replaced")

    def _write(self, run: RunDir, path: Path, data: Iterator[bytes], size: int, mtime_ns: int) -> None:
        relative = run.relative(path)
        info = zipfile.ZipInfo(f"{run.run_id}/{relative}", _EPOCH)
        info.external_attr = 0o100644 << 16
        info.compress_type = zipfile.ZIP_STORED if relative.endswith(_IS_PRESSED) else zipfile.ZIP_DEFLATED
        digest, n = hashlib.sha256(), 0
        with self._archive.open(info, "w", force_zip64=size > 2**31) as file:
            for part in data:
                digest.update(part)
                n += len(part)
                file.write(part)
        self._runs[run.run_id][relative] = {"bytes": n, "sha256": digest.hexdigest(), "mtime_ns": mtime_ns}
        self.n_files += 1
        self.n_bytes += n

    def close(self) -> None:
        info = zipfile.ZipInfo(MANIFEST, _EPOCH)
        info.external_attr, info.compress_type = 0o100644 << 16, zipfile.ZIP_DEFLATED
        told = {"v": ARCHIVE_VERSION, "runs": {run_id: {"files": files} for run_id, files in self._runs.items()}}
        self._archive.writestr(info, json.dumps(told, indent=0))


def files_of(run: RunDir) -> list[Path]:
    """The files of a run that an archive holds, in order; folders that go meanwhile are passed over."""
    found = (Path(folder) / name for folder, _, names in os.walk(run.path) for name in names)
    return sorted(path for path in found if path.is_file() and not path.is_symlink() and limit_of(run.relative(path)) is not None)


def _at_most(read: Callable[[int], bytes], n_bytes: int) -> Iterator[bytes]:
    left = n_bytes
    while left > 0 and (part := read(min(left, PART_BYTES))):
        left -= len(part)
        yield part


def _whole_checkpoint(folder: Path) -> dict[str, tuple[bytes, int]] | None:
    """{name: (content, when it was written)} of a checkpoint whose checksums hold; None else."""
    try:
        sums = json.loads((folder / CHECKSUMS_FILE).read_bytes())
        names = [*sorted(sums), CHECKSUMS_FILE]
        read = {name: ((folder / name).read_bytes(), (folder / name).stat().st_mtime_ns) for name in names if "/" not in name}
    except (OSError, ValueError, TypeError):
        return None
    relative = [f"checkpoints/{folder.name}/{name}" for name in names]
    is_whole = all(hashlib.sha256(read[name][0]).hexdigest() == digest for name, digest in sums.items() if name in read)
    return read if is_whole and len(read) == len(names) and all(limit_of(name) for name in relative) else None
