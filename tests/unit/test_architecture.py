"""The house rules, held against the code: imports, names of this machine, the tree and tables of the README."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from core.config.config import RunConfig
from pages.views import shell
from pages.views.forms import model_table
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


def test_the_pages_start_without_torch():
    code = "import sys, pages.views.actions, pages.server.service, core.cli; print('torch' in sys.modules)"
    import sys

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr


def tracked() -> list[str]:
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_no_file_names_a_path_of_some_machine():
    bad = []
    for name in tracked():
        if name.endswith((".png", ".svg", ".json")) or name == ".ci/run":
            continue
        text = (ROOT / name).read_text(errors="ignore")
        if name != "tests/unit/test_architecture.py" and re.search(r"[\"' (=](/home/|/work/|/root/|/Users/|/tmp/)", text):
            bad.append(name)
    assert not bad


def test_every_source_has_a_docstring_and_a_bearable_length():
    for path in SOURCES:
        text = path.read_text()
        if not text.strip():
            continue
        assert ast.get_docstring(ast.parse(text)), f"{path.name} has no module docstring"
        assert len(text.splitlines()) <= 450, f"{path.name} has outgrown its room"


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readmes_settings_table_is_the_models():
    for name, default, allowed, meaning in model_table(RunConfig):
        assert f"| `{name}` | {default} | {allowed} | {meaning} |" in readme(), f"the README's line for {name} is not up to date"


def test_every_command_is_in_the_readme():
    from core.cli.app.app import app, logos_app, runs_app

    names = [c.name or (c.callback.__name__ if c.callback else "") for c in app.registered_commands]
    names += [f"runs {c.name}" for c in runs_app.registered_commands] + [f"logos {c.name}" for c in logos_app.registered_commands]
    for name in names:
        assert f"python -m core {name}" in readme(), f"{name} is not in the README"


def test_the_readmes_tree_names_every_module():
    for path in SOURCES:
        if path.name not in ("__init__.py", "__main__.py"):
            assert path.name.removesuffix(".py") in readme(), f"{path.relative_to(ROOT)} is not in the README's tree"


def test_every_page_file_is_declared():
    declared = {name for section in shell.SECTIONS.values() for name in section}
    assert declared == {path.stem for path in (ROOT / "pages").glob("*.py")} - {"__init__"}


def test_requirements_are_pinned():
    for name in ("requirements.txt", "requirements-dev.txt"):
        for line in (ROOT / name).read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), line
    assert "torch==2.13.0\n" in (ROOT / "requirements.txt").read_text()
