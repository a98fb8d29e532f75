"""One Python file that holds the runner and every module of ours that it imports, as they stand here.

Nothing is written a second time: the sources of core/tracing and of what the policy sees are put into the file as text, in a package of their
own, and imported from there. Guarantee: the file imports numpy, cv2, onnxruntime, vtracer and the standard library alone; a source that
imports anything else, for which core/packaging/stand_ins.py has nothing, is a BundleError when the file is made.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from core.errors import TracewrightError
from core.paths import PROJECT

ROOT_MODULE = "core.packaging.runner"
PACKAGES = ("onnxruntime", "numpy", "opencv-python-headless", "vtracer")
_MODULES = {"numpy", "cv2", "onnxruntime", "vtracer"} | set(sys.stdlib_module_names)
_OURS, _THEIRS = "core", "bundled"  # what the package is called here, and in the file
_STAND_INS = "core.packaging.stand_ins"
# A line of an import, and what stands there in the file
_INSTEAD = {
    "from PIL import Image": f"from {_STAND_INS} import Image",
    "from scipy.sparse import coo_matrix": f"from {_STAND_INS} import coo_matrix",
    "from scipy.sparse.csgraph import connected_components": f"from {_STAND_INS} import connected_components",
    "import thorvg_python.engine": "from core.packaging import stand_ins as thorvg_python",
}
_HEAD = '''#!/usr/bin/env python3
"""Makes an SVG of each picture by the policy in this folder: python runner.py PICTURES... --out DIR (see --help).

Needs {packages}; nothing of Tracewright, whose modules stand below as they are there.
ThorVG's library lies beside this file for the platform that the model was exported on; elsewhere install thorvg-python too. MIT licence.
"""

import importlib.abc
import importlib.util
import linecache
import sys

_SOURCES = {{}}


class _Bundled(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules from the texts below."""

    def find_spec(self, name, path=None, target=None):
        is_package = any(known.startswith(name + ".") for known in _SOURCES)
        if name in _SOURCES or is_package:
            return importlib.util.spec_from_loader(name, self, is_package=is_package)
        return None

    def exec_module(self, module):
        name = module.__name__
        source, shown = _SOURCES.get(name, ""), f"<{{name}} in {{__file__}}>"
        module.__file__ = __file__
        linecache.cache[shown] = (len(source), None, source.splitlines(True), shown)
        exec(compile(source, shown, "exec"), module.__dict__)

'''
_TAIL = """
sys.meta_path.insert(0, _Bundled())

if __name__ == "__main__":
    from {root} import main

    sys.exit(main())
"""


class BundleError(TracewrightError, RuntimeError):
    """Raised when the runner would import what it must do without; the text says which module and what."""


def path_of(module: str) -> Path:
    return PROJECT.joinpath(*module.split(".")).with_suffix(".py")


def source_of(module: str) -> str:
    """A module's source as it stands in the file: other packages replaced, and ours under another name.

    Raises:
        BundleError: it imports what nothing stands in for.
    """
    lines = []
    for line in path_of(module).read_text(encoding="utf-8").splitlines():
        code = line.split("  #")[0]
        instead = _INSTEAD.get(code.strip())
        lines.append(line if instead is None else line.replace(code.strip(), instead, 1))
    text = "\n".join(lines) + "\n"
    for name in _imported(text):
        top = name.split(".")[0]
        if top != _OURS and top not in _MODULES:
            raise BundleError(f"{module} imports {name}, which the runner does without; put what stands in for it into {_STAND_INS}")
    return text


def _imported(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            is_package = module.split(".")[0] == _OURS and not path_of(module).is_file()
            found += [f"{module}.{alias.name}" for alias in node.names] if is_package else [module]
    return found


def modules(root: str = ROOT_MODULE) -> list[str]:
    """The runner and all modules of ours that it needs, in alphabetical order."""
    found: set[str] = set()
    left = [root]
    while left:
        module = left.pop()
        if module not in found:
            found.add(module)
            left += [name for name in _imported(source_of(module)) if name.split(".")[0] == _OURS]
    return sorted(found)


def _renamed(text: str) -> str:
    return re.sub(rf"^(\s*(?:from|import) ){_OURS}\.", rf"\g<1>{_THEIRS}.", text, flags=re.MULTILINE)


def bundle() -> str:
    """The text of the file."""
    parts = [_HEAD.format(packages=", ".join(PACKAGES))]
    for module in modules():
        text = _renamed(source_of(module))
        if "'''" in text or text.rstrip().endswith("\\"):
            raise BundleError(f"{module} holds ''' or ends with a backslash, and so can't stand in the runner")
        parts.append(f"\n_SOURCES[\"{_renamed_name(module)}\"] = r'''{text}'''\n")
    return "".join([*parts, _TAIL.format(root=_renamed_name(ROOT_MODULE))])


def _renamed_name(module: str) -> str:
    return _THEIRS + module.removeprefix(_OURS)
