"""What a report is made of: sections of blocks. Plain data, so that every kind of report is built and drawn alike.

A new kind of report builds a :class:`Document` of these; page.html draws each block once for all. Guarantee: every text in a block
is text, whoever wrote it: the template escapes all of it, and a picture is only ever a data: URL inside an <img>.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

Tone = Literal["", "soft", "good", "bad"]


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Card:
    """One figure: what it is, its value, and a note below."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Cards:
    kind: ClassVar[str] = "cards"
    cards: tuple[Card, ...]


@dataclass(frozen=True)
class Table:
    """``numeric``: the columns whose cells stand at the right; the first column heads its row."""

    kind: ClassVar[str] = "table"
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numeric: frozenset[int] = frozenset()
    note: str = ""

    @classmethod
    def of(cls, head: Sequence[str], rows: Sequence[tuple[str, ...]], note: str = "") -> Table:
        """Figures, each row headed by what it is of."""
        return cls(tuple(head), rows, frozenset(range(1, len(head))), note)


@dataclass(frozen=True)
class Curve:
    """A chart as a Vega-Lite specification."""

    kind: ClassVar[str] = "curve"
    title: str
    spec: dict[str, Any]
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """``url``: a data: URL, or "" where no file is left."""

    label: str
    url: str


@dataclass(frozen=True)
class LogoCard:
    name: str
    text: str
    value: str
    pictures: tuple[Picture, ...]
    more: str = ""  # folded


@dataclass(frozen=True)
class Logos:
    kind: ClassVar[str] = "logos"
    title: str
    logos: list[LogoCard]
    note: str = ""


@dataclass(frozen=True)
class Item:
    lead: str
    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Items:
    """A list; each with a word or two in bold before it."""

    kind: ClassVar[str] = "items"
    items: list[Item]


@dataclass(frozen=True)
class Code:
    """Text as it is typed. ``summary``: where it is given, the text is folded below it; ``file``: name under which it can be saved."""

    kind: ClassVar[str] = "code"
    text: str
    summary: str = ""
    file: str = ""


Block = Text | Cards | Table | Curve | Logos | Items | Code


@dataclass(frozen=True)
class Section:
    """``name``: its anchor, of letters, digits and dashes."""

    name: str
    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Document:
    """A whole report. ``summary``: its first sentence, for lists; ``runs``: the ids of those that it is about; ``facts``: figures that
    the command line prints; ``study``: the id of the one that it is about."""

    kind: str
    title: str
    subtitle: str
    summary: str
    runs: tuple[str, ...]
    sections: list[Section]
    facts: dict[str, Any] = field(default_factory=dict)
    study: str = ""
