"""Outcomes of traces that were made before, so that none is made twice.

Only results are found here, not work in progress: if two identical conversions are under way at once, both are made.

Two layers: the newest results in memory, and a bounded SQLite file for what other runs will ask again
(evaluations, baselines, preparations). The key is the picture's digest (which stands for the work size too), the
parameters, and :func:`engine`: versions and source of everything that a result depends on.

Guarantees: a result read back equals the one written, to the bit; several processes may share the file, and a kill
leaves it whole; a cache that fails is given up with one warning and never stops or changes anything.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import struct
import zlib
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from core.tracing.features import N_FEATURES, Features
from core.tracing.outcome import LOST, PACKED_BYTES, Outcome
from core.tracing.params import N_PARAMS, Params

log = logging.getLogger("tracewright")
MAX_BYTES = 256 * 2**20
MAX_KNOWN = 20_000  # traces in memory, about 0.3 kB each: a training makes millions, and asks again for those of the last updates alone
_BATCH = 64  # results that wait for one transaction
_PARAMS = struct.Struct(f"<{N_PARAMS}d")
_FEATURES = struct.Struct(f"<{N_FEATURES}d")
PACKAGES = ("vtracer", "thorvg-python", "opencv-python-headless", "numpy")
_SCHEMA = (
    "DROP TABLE IF EXISTS traces",  # of versions before, which could not be asked what is known of a picture
    "CREATE TABLE IF NOT EXISTS conversions (id INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, value BLOB NOT NULL, svg BLOB, "
    "picture TEXT NOT NULL, params BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS of_picture ON conversions (picture)",
    "CREATE TABLE IF NOT EXISTS best (key BLOB PRIMARY KEY, gain REAL NOT NULL)",
)


@cache
def engine() -> bytes:
    """A hash of what decides a result beside picture and parameters: the packages' versions and this package's source."""
    found = hashlib.sha256()
    for package in PACKAGES:
        found.update(f"{package}=={metadata.version(package)}\n".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        found.update(source.read_bytes())
    return found.digest()[:8]


@dataclass(frozen=True)
class Cached:
    """What is known of a trace. ``svg`` and ``features`` are None where they were not kept."""

    outcome: Outcome
    svg: str | None = None
    features: Features | None = None


def _key(digest: str, params: Params) -> bytes:
    """Within a process."""
    return _PARAMS.pack(*params.as_tuple()) + digest.encode()


def _lasting(key: bytes) -> bytes:
    """In the file: of this engine."""
    return hashlib.sha256(engine() + key).digest()[:16]


def _pack(cached: Cached) -> bytes:
    head = cached.outcome.pack()
    return head if cached.features is None else head + _FEATURES.pack(*cached.features.as_values())


def _unpack(value: bytes, svg: bytes | None) -> Cached:
    features = Features.from_values(_FEATURES.unpack_from(value, PACKED_BYTES)) if len(value) > PACKED_BYTES else None
    text = None if svg is None else zlib.decompress(svg).decode()
    return Cached(Outcome.unpack(value), text, features)


class _Newest:
    """At most so many results, the newest or last asked for: two dictionaries, of which the older is dropped when the newer is full."""

    def __init__(self, most: int) -> None:
        self._half = max(most // 2, 1)
        self._newer: dict[bytes, bytes] = {}
        self._older: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def get(self, key: bytes) -> bytes | None:
        found = self._newer.get(key)
        if found is None and (found := self._older.pop(key, None)) is not None:
            self.put(key, found)
        return found

    def put(self, key: bytes, value: bytes) -> None:
        self._newer[key] = value
        if len(self._newer) >= self._half:
            self._newer, self._older = {}, self._newer


class TraceCache:
    """Both layers. ``path`` None keeps to memory, and to ``max_known`` results there."""

    def __init__(self, path: Path | None = None, max_bytes: int = MAX_BYTES, max_known: int = MAX_KNOWN) -> None:
        self.n_hits = self.n_asked = 0
        self._known = _Newest(max_known)
        self._best: dict[bytes, float] = {}
        self._pending: dict[bytes, tuple[bytes, bytes | None, str, bytes]] = {}  # {key: value, SVG, picture, params}
        self._max_bytes = max_bytes
        self._path = path
        self._file: sqlite3.Connection | None = None
        if path is not None:
            self._file = self._open(path)

    def get(
        self, digest: str, params: Params, need_svg: bool = False, need_features: bool = False, is_lasting: bool = True
    ) -> Cached | None:
        """What is known of a trace, with all that is needed of it; None where it has to be made.

        ``is_lasting``: whether other runs may have asked for it; if not, only this process's own results are looked at.
        """
        self.n_asked += 1
        key = _key(digest, params)
        packed = self._known.get(key)
        found = None if packed is None else _unpack(packed, None)
        if is_lasting and (found is None or need_svg or (need_features and found.features is None)):
            found = self._stored(_lasting(key), need_svg)
        if found is None or (need_svg and found.svg is None) or (need_features and found.features is None):
            return None
        self.n_hits += 1
        return found

    def put(self, digest: str, params: Params, cached: Cached, is_lasting: bool) -> None:
        """Keep a result; ``is_lasting``: for other runs too. What an earlier result had beyond this one is kept."""
        if cached.outcome.failure in LOST:
            return
        key = _key(digest, params)
        if is_lasting and self._file is not None:
            before = self._stored(_lasting(key), cached.svg is None)
            if before is not None:
                svg = before.svg if cached.svg is None else cached.svg
                cached = Cached(cached.outcome, svg, cached.features or before.features)
            svg_bytes = None if cached.svg is None else zlib.compress(cached.svg.encode(), 3)
            self._pending[_lasting(key)] = (_pack(cached), svg_bytes, digest, _PARAMS.pack(*params.as_tuple()))
            if len(self._pending) >= _BATCH:
                self.flush()
        self._known.put(key, _pack(cached))

    def take_hit_rate(self) -> float | None:
        """Hits per question since the last call; None where nothing was asked."""
        rate = self.n_hits / self.n_asked if self.n_asked else None
        self.n_hits = self.n_asked = 0
        return rate

    def flush(self) -> None:
        """Write what waits, in one transaction."""
        if self._file is None or not self._pending:
            return
        rows = [(key, *found) for key, found in self._pending.items()]
        try:
            with self._file:
                self._file.executemany("INSERT OR REPLACE INTO conversions (key, value, svg, picture, params) VALUES (?, ?, ?, ?, ?)", rows)
                self._make_room()
            self._pending.clear()
        except sqlite3.Error as error:
            self._give_up(error)

    def best_gain(self, digest: str, gain: float) -> float:
        """The best headline gain ever offered for a picture, ``gain`` included, which is kept where it is the best."""
        key = hashlib.sha256(engine() + b"best" + digest.encode()).digest()[:16]
        best = max(gain, self._best.get(key, gain))
        if self._file is not None:
            try:
                with self._file:
                    self._file.execute(
                        "INSERT INTO best VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET gain = max(gain, excluded.gain)", (key, best)
                    )
                    best = float(self._file.execute("SELECT gain FROM best WHERE key = ?", (key,)).fetchone()[0])
            except sqlite3.Error as error:
                self._give_up(error)
        self._best[key] = best
        return best

    def close(self) -> None:
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, path: Path) -> sqlite3.Connection | None:
        for is_last in (False, True):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = sqlite3.connect(path, timeout=10)
                file.execute("PRAGMA journal_mode = WAL")
                file.execute("PRAGMA synchronous = NORMAL")
                with file:
                    for statement in _SCHEMA:
                        file.execute(statement)
                return file
            except (sqlite3.Error, OSError) as error:
                if is_last or isinstance(error, sqlite3.OperationalError | OSError):
                    self._give_up(error)
                    return None
                log.warning("the trace cache %s is damaged (%s) and was recreated", path, error)
                for suffix in ("", "-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
        return None

    def _stored(self, key: bytes, with_svg: bool) -> Cached | None:
        row = self._pending[key][:2] if key in self._pending else self._read(key)
        if row is None:
            return None
        try:
            return _unpack(row[0], row[1] if with_svg else None)
        except (struct.error, zlib.error, IndexError, UnicodeDecodeError):
            return None  # of another version, or damaged: recreated

    def _read(self, key: bytes) -> tuple[bytes, bytes | None] | None:
        if self._file is None:
            return None
        try:
            row: tuple[bytes, bytes | None] | None = self._file.execute(
                "SELECT value, svg FROM conversions WHERE key = ?", (key,)
            ).fetchone()
            return row
        except sqlite3.Error as error:
            self._give_up(error)
            return None

    def _make_room(self) -> None:
        """Drop the oldest fifth where the file is full; its pages are used again, so that the file grows no more."""
        assert self._file is not None
        ask = self._file.execute
        used, free, size = (int(ask(f"PRAGMA {name}").fetchone()[0]) for name in ("page_count", "freelist_count", "page_size"))
        if (used - free) * size > self._max_bytes:
            self._file.execute("DELETE FROM conversions WHERE id <= (SELECT min(id) + (max(id) - min(id)) / 5 FROM conversions)")

    def _give_up(self, error: Exception) -> None:
        log.warning("the trace cache %s can't be used (%s); continuing without it", self._path, error)
        self._file = None
        self._pending.clear()


def known_of(path: Path, digest: str) -> list[tuple[Params, Outcome]]:
    """All conversions of a picture that the file at ``path`` knows and this engine made, failed ones too, oldest first; none
    where there is no such file or it can't be read."""
    if not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=2)) as file:
            rows = file.execute("SELECT key, value, params FROM conversions WHERE picture = ? ORDER BY id", (digest,)).fetchall()
        found = [(key, value, Params.from_values(list(_PARAMS.unpack(packed)))) for key, value, packed in rows]
        return [(params, _unpack(value, None).outcome) for key, value, params in found if key == _lasting(_key(digest, params))]
    except (sqlite3.Error, struct.error, IndexError, ValueError) as error:
        log.warning("the trace cache %s can't be read (%s)", path, error)
        return []
