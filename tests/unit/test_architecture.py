"""The house rules, held against the code: imports, names of this machine, the tree and tables of the README."""

import ast
from pathlib import Path

import pytest

from pages.views import shell
from tests.support.paths import ROOT

SOURCES = [p for folder in ("core", "storage", "pages") for p in sorted((ROOT / folder).rglob("*.py"))] + [ROOT / "app.py"]
# module prefix -> what it must not import
FORBIDDEN = {
    "core": ("streamlit", "duckdb", "altair", "storage", "pages"),
    "storage": ("streamlit", "torch", "stable_baselines3", "pages", "core.learning", "core.tracing", "core.logos"),
    "core.tracing": ("core.learning", "core.logos", "core.runs"),
    "core.logos": ("core.learning", "core.runs"),
    "core.runs": ("core.learning", "core.logos"),
    "core.workers.worker": ("torch", "stable_baselines3", "gymnasium"),
    "core.workers.pool": ("torch", "stable_baselines3", "gymnasium"),
    "core.environment.env": ("torch", "stable_baselines3"),
    "pages": ("torch", "stable_baselines3", "core.learning", "duckdb"),
    "pages.views.charts.curves": ("streamlit", "storage", "core"),
    "pages.views.charts.plots": ("streamlit", "storage", "core"),
    "pages.views.charts.svg": ("streamlit", "storage"),
}
# Pure parts of learning, which import nothing of it: the names of the rules, a curriculum's rules over what was recorded
ALLOWED = {
    "pages.views.live.health": ("core.health.doctor",),
    "pages.curriculum": ("core.curriculum.replay",),
    "pages.workbench": ("core.search.baselines",),
    "pages.views.viewer.versions": ("core.search.baselines",),
}
TORCH_AT_IMPORT = {"core.agents.checkpoint", "core.training.callbacks", "core.environment.vec_env"}
ABOVE_ALL = ("core.cli", "core.__main__", "core.commands", "core.bench")  # bench measures everything


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_within(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix}.")


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_imports_point_one_way(path):
    module = module_of(path)
    if any(is_within(module, name) for name in ABOVE_ALL):
        return
    imports = imports_of(ast.parse(path.read_text()))
    bad = {
        f"{module} imports {name}"
        for prefix, forbidden in FORBIDDEN.items()
        if is_within(module, prefix)
        for name in imports
        for banned in forbidden
        if is_within(name, banned) and not any(is_within(name, allowed) for allowed in ALLOWED.get(module, ()))
    }
    assert not bad


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_torch_is_imported_where_it_is_used(path):
    module, tree = module_of(path), ast.parse(path.read_text())
    at_import = imports_of(ast.Module([n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)], []))
    if any(is_within(name, package) for name in at_import for package in ("torch", "stable_baselines3")):
        assert module in TORCH_AT_IMPORT


def test_every_source_has_a_docstring_and_a_bearable_length():
    for path in SOURCES:
        text = path.read_text()
        if not text.strip():
            continue
        assert ast.get_docstring(ast.parse(text)), f"{path.name} has no module docstring"
        assert len(text.splitlines()) <= 450, f"{path.name} has outgrown its room"


def test_every_page_file_is_declared():
    declared = {name for section in shell.SECTIONS.values() for name in section}
    assert declared == {path.stem for path in (ROOT / "pages").glob("*.py")} - {"__init__"}
