"""The documents as the tests read them: pages, prose, code blocks, links, anchors; and the script that makes parts of them."""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from tests.support.paths import ROOT

DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.glob("*.md"))]
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the heading that it stands below."""

    language: str
    text: str
    heading: str


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """Every fenced block of a page, in order."""
    found = []
    for match in _FENCE.finditer(text):
        headings = re.findall(r"^#+ (.+)$", without_blocks(text[: match.start()]), re.MULTILINE)
        found.append(Block(match[1].strip(), match[2], headings[-1] if headings else ""))
    return found


def without_blocks(text: str) -> str:
    """A page's prose and tables."""
    return _FENCE.sub("", text)


def anchors(text: str) -> set[str]:
    """What ``#name`` may name on a page, as GitHub makes it of a heading."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    """The targets of all links and pictures."""
    return re.findall(r"\]\(([^)\s]+)\)", without_blocks(text))


@cache
def script(name: str) -> ModuleType:
    """A script of docs/, imported; docs is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
