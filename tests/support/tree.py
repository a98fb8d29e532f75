"""Reads the tree of modules of docs/architecture.md, to hold it against the disk.

A line of the block is a path-like name, two spaces of indentation per level, a folder's with a slash at its end, then what it is for.
A folder's description may list its modules: names separated by commas, each with a remark in brackets if need be, alone or after a
colon (``what it is for: one, two (the other)``). Whatever else a description says is prose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

NAME = re.compile(r"[\w.*-]+(/[\w.*-]+)*/?")
LISTED = re.compile(r"\w+(\.py)?|\w+/")


def block_of(text: str, heading: str = "## The tree") -> str:
    """The first fenced block below a heading.

    Raises:
        ValueError: there is none.
    """
    found = re.search(rf"^{re.escape(heading)}\n.*?^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"no block below {heading!r}")
    return found[1]


def listed(description: str) -> list[str]:
    """The modules that a folder's description lists, or none where it is prose."""
    plain = re.sub(r"\([^()]*\)", "", description)
    items = [item.strip(" .") for item in plain.rpartition(": ")[2].split(",")]
    if all(LISTED.fullmatch(item) for item in items) and (len(items) > 1 or ": " in plain):
        return items
    return []


def named_paths(block: str) -> set[str]:
    """Every path that a tree names, relative to the root, a folder's with a slash at its end.

    Raises:
        ValueError: a line that is not of the form, with the line.
    """
    found: set[str] = set()
    folders: list[str] = []  # of each level
    for line in filter(str.strip, block.splitlines()):
        indent = len(line) - len(line.lstrip(" "))
        name, _, description = line.strip().partition(" ")
        level = indent // 2
        if indent % 2 or level > len(folders) or not NAME.fullmatch(name):
            raise ValueError(f"not a line of a tree: {line!r}")
        path = "".join(folders[:level]) + name
        found.add(path)
        folders = folders[:level]
        if name.endswith("/"):
            folders.append(name)
            found |= {path + (item if item.endswith((".py", "/")) else f"{item}.py") for item in listed(description.strip())}
    return found


def differences(block: str, root: Path, rooms: Iterable[str]) -> tuple[list[str], list[str]]:
    """(modules of the ``rooms`` that the tree does not name, names that do not exist on disk).

    What is listed without an ending may be a module or a folder; a name with a star stands for at least one file.
    """
    named = named_paths(block)
    gone = sorted(
        name
        for name in named
        if not any(root.glob(name))
        and not (name.endswith(".py") and (root / name.removesuffix(".py")).is_dir())
        and not name.startswith("runs/")
    )
    modules = {p.relative_to(root).as_posix() for room in rooms for p in (root / room).rglob("*.py") if p.name != "__init__.py"}
    return sorted(modules - named), gone
