"""Colour profiles drawn up by tests: small ICC files of three primaries and a gamma, or of a grey gamma."""

from __future__ import annotations

import struct
from collections.abc import Sequence

# Primaries adapted to D50 (X, Y, Z of red, green, blue)
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
GAMMA = 2.2


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(_fixed(v) for v in values)


def _curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def _text(text: str) -> bytes:
    body = text.encode() + b"\0"
    return b"desc" + bytes(4) + struct.pack(">I", len(body)) + body + bytes(78)


def profile(primaries: Sequence[Sequence[float]] | None = DISPLAY_P3, gamma: float = GAMMA) -> bytes:
    """An ICC profile, version 2.1; ``primaries`` None: of grey pictures."""
    tags = {b"desc": _text("of a test"), b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz((0.9642, 1.0, 0.8249))}
    if primaries is None:
        tags[b"kTRC"] = _curve(gamma)
    else:
        for letter, values in zip((b"r", b"g", b"b"), primaries, strict=True):
            tags[letter + b"XYZ"], tags[letter + b"TRC"] = _xyz(values), _curve(gamma)
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02100000, b"mntr", b"GRAY" if primaries is None else b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(0.9642) + _fixed(1.0) + _fixed(0.8249)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body
