"""docs/extending.md: each of its examples is applied to a copy of the repository, and what it ends with runs there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import DOCS, Block, blocks, read
from tests.support.paths import ROOT

COPIED = ("core", "storage", "pages", "configs", "models", ".streamlit")
TEXT = read(DOCS / "extending.md")
EXAMPLES: dict[str, list[Block]] = {}
for block in blocks(TEXT):
    EXAMPLES.setdefault(block.heading, []).append(block)


def hunks(diff: str) -> list[tuple[str, str, str]]:
    """(file, text as it was, text as it shall be) of each hunk; the first is empty for a new file."""
    found = []
    for part in re.split(r"^(?=--- )", diff, flags=re.MULTILINE)[1:]:
        head, *bodies = re.split(r"^@@.*\n", part, flags=re.MULTILINE)
        name = re.findall(r"^\+\+\+ (\S+)$", head, re.MULTILINE)[0]
        for body in bodies:
            lines = body.splitlines()
            before = [line[1:] for line in lines if not line.startswith("+")]
            after = [line[1:] for line in lines if not line.startswith("-")]
            found.append((name, "\n".join(before), "\n".join(after)))
    return found


def apply(diff: str, root: Path) -> None:
    for name, before, after in hunks(diff):
        path = root / name
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        assert bool(before) == path.exists(), name
        assert not before or text.count(before) == 1, f"{name} has these lines {text.count(before)} times:\n{before}"
        path.write_text(text.replace(before, after) if before else after + "\n", encoding="utf-8")


@pytest.fixture
def tree(tmp_path):
    """A copy of the repository's sources."""
    root = tmp_path / "tree"
    root.mkdir()
    for name in COPIED:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("app.py", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    return root


REGISTRIES = {
    "core/tracing/params.py", "core/tracing/outcome.py", "core/search/baselines.py", "core/search/searchers.py", "core/health/rules.py",
    "pages/server/registry.py", "pages/views/live/charts.py", "pages/views/reports/kinds.py", "core/runs/event_types.py",
}  # fmt: skip


def run_in(tree: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(tree), "TRACEWRIGHT_HOME": str(tree / "home")}
    return subprocess.run([sys.executable, "-c", code], cwd=tree, env=environment, capture_output=True, text=True, timeout=100)


def test_every_registry_has_an_example():
    assert {name for found in EXAMPLES.values() for name, _, _ in hunks(found[0].text)} >= REGISTRIES
    assert all([block.language for block in found] == ["diff", "python"] for found in EXAMPLES.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_works_and_shows_what_was_not_there_before(tree, name):
    diff, check = EXAMPLES[name]
    assert run_in(tree, check.text).returncode != 0
    shutil.rmtree(tree / "home", ignore_errors=True)
    apply(diff.text, tree)
    done = run_in(tree, check.text)
    assert done.returncode == 0, done.stderr[-3000:]
