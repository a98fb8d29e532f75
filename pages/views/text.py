"""Formats figures for people."""

from __future__ import annotations

import re

import pandas as pd

_MARKDOWN = re.compile(r"([\\\\`*_{}\[\]()#+\-!|<>$~:])")


def plain(text: str) -> str:
    """Text from a file or a person, for where Markdown is read: nothing in it is formatted, linked or shown as a picture."""
    return _MARKDOWN.sub(r"\\\1", text)


def gain_text(gain: float | None) -> str:
    """ "+0.312", or a dash where there is none."""
    return "–" if gain is None or pd.isna(gain) else f"{round(gain, 3) + 0.0:+.3f}"  # no minus zero


def duration_text(minutes: float) -> str:
    """ "45 s", "3 min 20 s", "2 h 05 min"."""
    seconds = round(minutes * 60)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def bytes_text(n: float) -> str:
    """ "812 B", "14.7 kB"."""
    return f"{n:.0f} B" if n < 1000 else f"{n / 1000:.1f} kB" if n < 1_000_000 else f"{n / 1_000_000:.1f} MB"
