"""The documents, held against the code: the README's tree, settings and commands, requirements, and no path of some machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
import typer

from core.cli.app import app
from core.config.config import RunConfig
from pages.views.forms import model_table
from tests.support.command_line import commands
from tests.support.paths import ROOT
from tests.support.readme_tree import block_of, differences


def own_files() -> Iterator[Path]:
    """What belongs to the repository: all that ``.gitignore`` does not name."""
    ignored = [".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text().split())]

    def is_own(name: str) -> bool:
        return not any(fnmatch(name, pattern) for pattern in ignored)

    for folder, folders, names in os.walk(ROOT):
        folders[:] = filter(is_own, folders)
        yield from (Path(folder) / name for name in filter(is_own, names))


def test_no_file_names_a_path_of_some_machine():
    bad, n_read = [], 0
    for path in own_files():
        if path.suffix in (".png", ".svg", ".json", ".gz", ".onnx", ".webp", ".mp4") or path in (ROOT / ".ci" / "run", Path(__file__)):
            continue
        n_read += 1
        if re.search(r"[\"' (=](/home/|/work/|/root/|/Users/|/tmp/)", path.read_text(encoding="utf-8")):
            bad.append(path.relative_to(ROOT).as_posix())
    assert not bad
    assert n_read > 200


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readmes_settings_table_is_the_models():
    for name, default, allowed, meaning in model_table(RunConfig):
        assert f"| `{name}` | {default} | {allowed} | {meaning} |" in readme(), f"the README's line for {name} is not up to date"


COMMANDS = commands(typer.main.get_command(app), "python -m core")


def test_the_commands_are_those_of_every_group():
    assert {name.split()[3] for name in COMMANDS if len(name.split()) > 4} == {
        "runs",
        "logos",
        "curricula",
        "baselines",
        "models",
        "search",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme(name):
    assert re.search(rf"{name}(?![\w-])", readme())


def test_the_readmes_tree_is_that_on_disk():
    missing, gone = differences(block_of(readme()), ROOT, ["core", "storage", "pages"])
    assert not missing, "not in the README's tree"
    assert not gone, "in the README's tree, but not on disk"


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-dev.txt", "requirements-bench.txt", "requirements-search.txt", "requirements-trackers.txt"]
)
def test_requirements_are_pinned(name):
    lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith(("#", "-r"))]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line), line


def test_every_requirement_is_in_the_lock_with_its_version():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w.-]+)==(\S+) \\$", lock, re.MULTILINE))
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        if version:
            assert pins.get(name.lower()) == version, f"{line}: make lock"


def test_the_lock_has_hashes_and_names_no_place():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = [line for line in lock.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line) for line in entries)
    assert lock.count("==") < lock.count("--hash=")


def test_torch_is_that_of_the_recorded_figures():
    assert "torch==2.13.0\n" in (ROOT / "requirements.txt").read_text()
