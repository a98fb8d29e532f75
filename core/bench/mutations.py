"""Valid files made invalid: bytes are flipped, cut, doubled, taken from another file, or replaced by what readers stumble over."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

MAX_BYTES = 200_000
_STRANGE = (
    b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"\r", b"\n", b"NaN", b"Infinity", b"-1", b"1e400", b"9" * 400, b"1_0", b"null", b"true", b"[]", b"{}",
    b'""', b'"', b"'", b"[" * 300, b'{"a":' * 300, b"&a [*a]", b"*a", b"!!python/object/apply:os.system ['true']", b"!!binary AAAA", b"? ",
    b"- ", b": ", b"2026-13-45", b"../../etc/passwd", b"/dev/zero", b"/dev/stdin", b"..\\..\\x", b"CON", b"%00", b"%2e%2e%2f", b"~", b",", b";", b"\t",
    b"x" * 5000, "\u202e\u2028ä".encode(), b"<script>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"PK\x03\x04", b"PK\x05\x06",
)  # fmt: skip
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_WORD = re.compile(rb'"[^"]{1,40}"|[A-Za-z_]{2,40}')
Change = Callable[[bytes, random.Random, Sequence[bytes]], bytes]


def _flip(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    changed = bytearray(data)
    for _n in range(rng.randint(1, 8) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _part(data: bytes, rng: random.Random) -> tuple[int, int]:
    a = rng.randint(0, len(data))
    return a, min(a + rng.choice((1, 4, 30, 500)), len(data))


def _cut(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    return data[: rng.randint(0, len(data))]


def _drop(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    a, b = _part(data, rng)
    return data[:a] + data[b:]


def _double(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    a, b = _part(data, rng)
    return data[:b] + data[a:b] * rng.choice((1, 2, 50)) + data[b:]


def _insert(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    a, _b = _part(data, rng)
    return data[:a] + rng.choice(_STRANGE) + data[a:]


def _swap(data: bytes, rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    other, (a, b) = rng.choice(seeds), _part(data, rng)
    c, d = _part(other, rng)
    return data[:a] + other[c:d] + data[b:]


def _replace(pattern: re.Pattern[bytes]) -> Change:
    """One number or word by another of the file, or by what is strange."""

    def replace(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
        found = list(pattern.finditer(data, rng.randint(0, max(len(data) - 400, 0))))[:40]
        if not found:
            return data
        at = rng.choice(found)
        return data[: at.start()] + rng.choice((rng.choice(_STRANGE), rng.choice(found)[0])) + data[at.end() :]

    return replace


_CHANGES: tuple[Change, ...] = (
    _flip,
    _cut,
    _drop,
    _double,
    _insert,
    _swap,
    _replace(_NUMBER),
    _replace(_NUMBER),
    _replace(_WORD),
    _replace(_WORD),
)


def mutated(seeds: Sequence[bytes], rng: random.Random) -> bytes:
    """One of the valid files with one to four changes."""
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(_CHANGES)(data, rng, seeds)[:MAX_BYTES]
    return data
