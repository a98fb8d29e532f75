"""Files that people give: pictures, and zip files of them, are written to a staging folder under safe names, and what became of each is said.

What a file is, is decided by its content. Of a zip the declared totals are looked at first: too many files, too many bytes, or a ratio that
no picture has, and nothing of it is unpacked. Guarantees: no name points outside the folder, no two are equal on any file system; nothing is
written beyond the limits, nor of a refused file; every file that was given, or was in a zip, is in the report.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from core.csv_files import csv_bytes
from core.errors import DamagedFileError, PictureError
from core.files import open_file, read_small
from core.logos.pictures import FORMATS, MAX_FILE_BYTES, check_kind, kind_of, unpacked
from core.logos.svg_source import cleaned_svg
from core.names import Names, printable, safe_name

MAX_FILES, MAX_BYTES = 2000, 500 * 2**20  # at once, unpacked
MAX_RATIO, RATIO_FROM_BYTES = 200, 20 * 2**20  # bytes unpacked per byte of a zip, looked at from so many unpacked on
MAX_ENTRIES = 3 * MAX_FILES  # of a zip, with its folders and the files that systems add
_ENDINGS = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "WEBP": ".webp",
    "GIF": ".gif",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "ICO": ".ico",
    "AVIF": ".avif",
    "SVG": ".svg",
}
_SYSTEM = ("thumbs.db", "desktop.ini")
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError, OverflowError)
_ENTRY = b"PK\x01\x02"  # begins each entry of a zip's list
Given = tuple[str, bytes | Path]  # what it is called, and what is in it, or where


@dataclass(frozen=True)
class Taken:
    """A file that was taken. ``given``: what it was called, with its zip; ``name``: of the file that was written."""

    given: str
    name: str
    note: str = ""


@dataclass(frozen=True)
class Refused:
    given: str
    reason: str


@dataclass
class Intake:
    """What became of each file. ``passed_over``: what systems add to zips, and hidden files."""

    taken: list[Taken] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)

    def refuse(self, given: str, reason: str) -> None:
        self.refused.append(Refused(printable(given)[:300], reason))

    def reasons(self, n: int = 3) -> str:
        """The first refusals in one line."""
        told = "; ".join(f"{item.given}: {item.reason}" for item in self.refused[:n])
        return told + (f"; and {len(self.refused) - n} more" if len(self.refused) > n else "")

    def as_rows(self) -> list[dict[str, str]]:
        return [
            *({"file": item.given, "outcome": "refused", "stored_as": "", "reason": item.reason} for item in self.refused),
            *({"file": item.given, "outcome": "taken", "stored_as": item.name, "reason": item.note} for item in self.taken),
            *(
                {"file": name, "outcome": "passed over", "stored_as": "", "reason": "hidden, or added by a system"}
                for name in self.passed_over
            ),
        ]

    def as_csv(self) -> bytes:
        """A row per file that was given."""
        return csv_bytes(self.as_rows() or [{"file": "", "outcome": "", "stored_as": "", "reason": ""}])


@dataclass
class _Budget:
    """What is left of what may be taken at once."""

    files: int = MAX_FILES
    bytes: int = MAX_BYTES


def take_in(files: Iterable[Given], folder: Path, names: Names | None = None) -> Intake:
    """Write the pictures among ``files`` and in zips among them to ``folder``. ``names``: those that are taken where they will go.

    Raises:
        OSError: there is no room, or the folder can't be written to.
    """
    intake, names, budget = Intake(), names or Names(), _Budget(MAX_FILES, MAX_BYTES)
    for name, content in files:
        try:
            if _is_zip(content):
                _take_zip(name, content, folder, names, budget, intake)
                continue
            data = content if isinstance(content, bytes) else _read(content)
        except PictureError as error:
            intake.refuse(name, str(error))
            continue
        _take(name, data, folder, names, budget, intake)
    return intake


def _read(path: Path) -> bytes:
    try:
        data = read_small(path, MAX_FILE_BYTES)
    except DamagedFileError as error:
        raise PictureError(str(error).removeprefix(f"{path.name} ")) from error
    if data is None:
        raise PictureError("there is no such file")
    return data


def _is_zip(content: bytes | Path) -> bool:
    if isinstance(content, bytes):
        return kind_of(content) == "ZIP"
    try:
        with open_file(content) as file:
            return kind_of(file.read(64)) == "ZIP"
    except (OSError, ValueError):
        return False  # reading it will say why


def _take(name: str, data: bytes, folder: Path, names: Names, budget: _Budget, intake: Intake) -> None:
    """One picture: refused, or written."""
    if budget.files < 1 or budget.bytes < len(data):
        intake.refuse(name, f"over the limit of {MAX_FILES:,} files and {MAX_BYTES // 2**20} MB at once; add it separately")
        return
    try:
        kind, note = check_kind(data), ""
        if kind == "SVG":
            cleaned = cleaned_svg(unpacked(data))
            data, note = cleaned.svg, "; ".join(cleaned.notes)
    except PictureError as error:
        intake.refuse(name, str(error))
        return
    plain = safe_name(name)
    stem, dot, ending = plain.rpartition(".")
    if not dot or not stem or len(ending) > 5:
        stem, ending = plain, ""
    own = f".{ending.lower()}"
    stored = names.free(stem, own if FORMATS.get(own) == kind and own != ".svgz" else _ENDINGS[kind])
    (folder / stored).write_bytes(data)
    budget.files -= 1
    budget.bytes -= len(data)
    intake.taken.append(Taken(printable(name), stored, note))


def _take_zip(name: str, content: bytes | Path, folder: Path, names: Names, budget: _Budget, intake: Intake) -> None:
    try:
        packed = content if isinstance(content, bytes) else _whole(content)
        if packed.count(_ENTRY) > MAX_ENTRIES:  # before its list is read, which takes memory for each
            raise PictureError(f"it lists more than {MAX_ENTRIES:,} entries; the limit is {MAX_FILES:,} files, so split it")
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            entries = list(_entries(archive, name, intake))
            _check_totals(entries, len(packed), budget)
            if not entries:
                raise PictureError("it holds no file")
            for entry in entries:
                given = f"{name}/{entry.filename}"
                try:
                    data = _unpack(archive, entry)
                except PictureError as error:
                    intake.refuse(given, str(error))
                    continue
                _take(given, data, folder, names, budget, intake)
    except PictureError as error:
        intake.refuse(name, str(error))
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of the zip
        intake.refuse(name, f"it can't be unpacked: {str(error)[:120] or type(error).__name__}")


def _whole(path: Path) -> bytes:
    try:
        data = read_small(path, MAX_BYTES)
    except DamagedFileError as error:
        raise PictureError(str(error).removeprefix(f"{path.name} ")) from error
    return data or b""


def _entries(archive: zipfile.ZipFile, name: str, intake: Intake) -> Iterator[zipfile.ZipInfo]:
    """The files of a zip, without folders and what systems add."""
    for entry in archive.infolist():
        parts = PurePosixPath(entry.filename.replace("\\", "/")).parts
        if entry.is_dir():
            continue
        if "__MACOSX" in parts or (parts and (parts[-1].startswith(".") or parts[-1].lower() in _SYSTEM)):
            intake.passed_over.append(printable(f"{name}/{entry.filename}")[:300])
        else:
            yield entry


def _check_totals(entries: list[zipfile.ZipInfo], n_packed: int, budget: _Budget) -> None:
    """Refuse a zip by what it declares."""
    n_bytes = sum(entry.file_size for entry in entries)
    if len(entries) > budget.files:
        raise PictureError(f"it holds {len(entries):,} files; the limit is {MAX_FILES:,} at once, so split it")
    if n_bytes > budget.bytes:
        raise PictureError(f"it unpacks to {n_bytes / 2**20:,.0f} MB; the limit is {MAX_BYTES // 2**20} MB at once, so split it")
    if n_bytes > RATIO_FROM_BYTES and n_bytes > MAX_RATIO * max(n_packed, 1):
        raise PictureError(
            f"it unpacks to {n_bytes / max(n_packed, 1):,.0f} times its size; the limit is {MAX_RATIO} times, which no pictures reach"
        )


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of an entry: never more than it declares."""
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        raise PictureError("it is a link or a device, not a file")
    if entry.flag_bits & 0x1:
        raise PictureError("it is encrypted; unpack it first")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PictureError("it is packed in a way that is not supported; pack it as an ordinary ZIP")
    if entry.file_size > MAX_FILE_BYTES:
        raise PictureError(f"{entry.file_size:,} bytes; the limit is {MAX_FILE_BYTES:,}")
    try:
        with archive.open(entry) as file:
            data = file.read(entry.file_size + 1)
    except _DAMAGE as error:
        raise PictureError(f"it can't be unpacked: {str(error)[:120] or type(error).__name__}") from error
    if len(data) != entry.file_size:
        raise PictureError(f"it has other than the {entry.file_size:,} bytes that its ZIP declares")
    return data
