"""File names out of names that people, zip files and browsers give: what every file system takes, and what hides nothing."""

from __future__ import annotations

import re
import unicodedata

MAX_BYTES = 120  # in UTF-8: half of what file systems take, for what is put before and behind a name
_MAX_ENDING = 10
_ODD = re.compile(r"[^\w .()+-]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?", re.IGNORECASE)  # devices, on Windows


def safe_name(name: str, instead: str = "picture", max_bytes: int = MAX_BYTES) -> str:
    """The last part of a path as the name of a file: letters, digits and a few signs, no device, at most ``max_bytes`` in UTF-8.

    ``instead``: what it is called where nothing is left of it.
    """
    last = name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    text = _ODD.sub("_", unicodedata.normalize("NFC", last)).strip(" .")
    text = text.encode("utf-8", errors="ignore")[:max_bytes].decode("utf-8", errors="ignore").strip(" .")
    if not text.strip("_"):
        return instead
    return f"_{text}" if _RESERVED.fullmatch(text) else text


def download_name(name: str) -> str:
    """What a download is called: as :func:`safe_name`, with what was a path in one part, and with its ending kept however long it is."""
    parts = [part for part in name.replace("\\", "/").split("/") if part.strip(" .")]
    whole = safe_name("-".join(parts), "", 10_000).lstrip(" .-")
    stem, dot, ending = whole.rpartition(".")
    if not dot or not stem or not (ending.isascii() and ending.isalnum() and len(ending) <= _MAX_ENDING):
        stem, dot, ending = whole, "", ""
    return safe_name(stem, "download") + dot + ending


class Names:
    """Names of one folder, of which no two are the same on any file system, whether it tells capitals apart or not."""

    def __init__(self, taken: frozenset[str] = frozenset()) -> None:
        self._taken = {_key(name) for name in taken}

    def free(self, stem: str, ending: str) -> str:
        """``stem`` with ``ending`` (".png"), or with a number between them where that stem is taken."""
        unique, number = stem, 2
        while _key(unique) in self._taken:
            unique, number = f"{stem}-{number}", number + 1
        self._taken.add(_key(unique))
        return unique + ending


def _key(stem: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", stem).casefold())


def printable(text: str) -> str:
    """A name as it can be written anywhere: bytes that are no UTF-8, and signs that turn or hide what stands beside them, as "�"."""
    return "".join("�" if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") else sign for sign in text)
