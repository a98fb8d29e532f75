"""The documents, held against the code: what of them is made of the code, requirements, and no path of some machine."""

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
from core.config.fields import walk_fields
from core.config.text import to_yaml
from tests.support.command_line import commands
from tests.support.documents import DOCS, README, read, script
from tests.support.paths import ROOT
from tests.support.tree import block_of, differences

COMMANDS = commands(typer.main.get_command(app), "python -m core")


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


def test_what_is_made_of_the_code_is_up_to_date():
    """Settings, commands and the modules of the tree; ``make docs`` makes them again."""
    made = script("make_pages").pages()
    assert {path.name for path in made} == {"access.md", "architecture.md", "commands.md", "settings.md"}
    assert not [path.name for path, text in made.items() if read(path) != text]


def test_a_preset_is_written_whole_with_its_head_and_its_values(tmp_path):
    """So a new setting needs no hand in configs/*.yaml; that those are up to date is held in test_config.py."""
    short = tmp_path / "mine.yaml"
    short.write_text("# What it is for.\n# In two lines.\nseed: 5\n")
    make = script("make_pages")
    (text,) = make.presets(tmp_path).values()
    assert text == "# What it is for.\n# In two lines.\n" + to_yaml(RunConfig(name="mine", seed=5))
    short.write_text(text)
    assert make.presets(tmp_path) == {short: text}
    assert not [path.name for path, text in make.presets().items() if read(path) != text]


def test_the_commands_are_those_of_every_group():
    assert {name.split()[3] for name in COMMANDS if len(name.split()) > 4} == {
        "runs",
        "logos",
        "curricula",
        "baselines",
        "models",
        "search",
    }


def test_every_setting_and_every_command_is_described():
    settings, listed = read(DOCS / "settings.md"), read(DOCS / "commands.md")
    assert not [name for name, _ in walk_fields(RunConfig) if f"| `{name}` |" not in settings]
    assert not [name for name in COMMANDS if not re.search(rf"^{name}(?![\w-])", listed, re.MULTILINE)]


def test_the_tree_is_that_on_disk():
    missing, gone = differences(block_of(read(DOCS / "architecture.md")), ROOT, ["core", "storage", "pages"])
    assert not missing, "not in the tree"
    assert not gone, "in the tree, but not on disk"


def test_the_readme_is_short_and_its_figures_stand_where_they_were_measured():
    text = read(README)
    assert len(text.splitlines()) <= 150
    assert (DOCS / "pictures" / "film.webp").stat().st_size < 2_000_000
    measured = "".join(read(DOCS / name) for name in ("learning.md", "benchmarks.md", "pictures.md"))
    claims = (
        text.partition("## What makes it different\n")[2].partition("\n##")[0]
        + text.partition("## How the results were measured\n")[2].partition("\n##")[0]
    )
    figures = set(re.findall(r"(?<![\w.])\+?\d+\.\d+(?![\w.])", claims))
    assert len(figures) > 10
    assert not [figure for figure in figures if figure.lstrip("+") not in measured]


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
