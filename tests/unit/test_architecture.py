"""The house rules, held against the code: which way imports point, how large modules and functions are, what a folder is."""

import ast
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from pages.server.registry import PAGES
from tests.support.paths import ROOT
from tests.support.sources import tree_of

SOURCES = [path for folder in ("core", "storage", "pages") for path in sorted((ROOT / folder).rglob("*.py"))]
MAX_LINES, MAX_FUNCTION_LINES = 400, 60
# Imported while the logos load, in a thread of its own, or only where a checkpoint is read
TORCH_AT_IMPORT = {
    "core.agents.checkpoint", "core.agents.groups", "core.agents.heads", "core.agents.optimizers", "core.agents.ppo", "core.agents.rollout",
    "core.environment.vec_env", "core.training.callbacks",
}  # fmt: skip


def test_imports_point_one_way(monkeypatch, capsys):
    """The contracts stand in pyproject.toml; lazy imports and imports through others count, and nothing is ignored."""
    monkeypatch.chdir(ROOT)
    ours = logging.getLogger("tracewright")
    was_off = ours.disabled
    status = lint_imports(cache_dir=None)
    ours.disabled = was_off  # the linter sets logging up for itself and switches all others off, also for the tests that follow
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out
    assert "ignore_imports" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_no_module_imports_itself_through_others(monkeypatch):
    """Neither at the top nor lazily, where it would hide; a name that only a type checker needs is no import."""
    monkeypatch.syspath_prepend(str(ROOT))
    graph = grimp.build_graph("core", "storage", "pages", exclude_type_checking_imports=True)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    left = set(imported)
    while free := {module for module in left if not (imported[module] & left)}:
        left -= free
    in_circles = {module for module in left if any(module in imported[other] for other in left)}
    assert not in_circles


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def top_imports(path: Path) -> Iterator[str]:
    for node in tree_of(path).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_torch_is_imported_where_it_is_used():
    found = {module_of(p) for p in SOURCES if any(name.split(".")[0] in ("torch", "stable_baselines3") for name in top_imports(p))}
    assert found == TORCH_AT_IMPORT


def test_vtracer_is_imported_behind_its_adapter_alone():
    found = set()
    for path in SOURCES:
        for node in ast.walk(tree_of(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "") or ""]
            if isinstance(node, ast.Import | ast.ImportFrom) and any(name.split(".")[0] == "vtracer" for name in names):
                found.add(module_of(path))
            if isinstance(node, ast.Constant) and node.value == "vtracer" and path.name != "report.py":
                found.add(module_of(path))
    named = {
        "core.tracing.cache",
        "core.agents.onnx_export",
        "core.training.checkpoint_state",
        "core.packaging.bundle",
        "core.packaging.card",
    }
    assert found <= named | {"core.tracing.engines"}
    assert "core.tracing.engines" in found  # the others read its version


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_a_source_says_what_it_owns_and_stays_readable(path):
    text = path.read_text(encoding="utf-8")
    tree = tree_of(path)
    if text.strip():
        assert ast.get_docstring(tree), "no module docstring"
    assert len(text.splitlines()) <= MAX_LINES
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno and f.end_lineno - f.lineno + 1 > MAX_FUNCTION_LINES}
    assert not long


def test_no_file_of_tests_is_longer_than_a_module_may_be():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sorted((ROOT / "tests").rglob("*.py"))}
    assert len(lengths) > 100
    assert {str(path): n for path, n in lengths.items() if n > MAX_LINES} == {}


def test_no_room_has_one_module():
    rooms = [Path(folder) for top in ("core", "storage", "pages") for folder, _, names in os.walk(ROOT / top) if "__init__.py" in names]
    modules = {room: [path for path in room.glob("*.py") if path.name != "__init__.py"] for room in rooms}
    # what runs in the browser stands beside the module that mounts it
    alone = {str(room.relative_to(ROOT)) for room, found in modules.items() if len(found) == 1 and not list(room.glob("*.js"))}
    assert not alone
    assert len(rooms) > 20


def test_every_page_file_is_declared():
    declared = {page.name for page in PAGES}
    assert len({page.shortcut for page in PAGES}) == len(declared) == len(PAGES)
    assert declared == {path.stem for path in (ROOT / "pages").glob("*.py")} - {"__init__"}


def test_no_page_clears_the_whole_address():
    """That fails while a widget is bound to it; pages/views/links.py drops what it is given the names of."""
    assert not [path.name for path in (ROOT / "pages").rglob("*.py") if "query_params.clear" in path.read_text(encoding="utf-8")]
