"""docs/json.md, held against what every command prints with --json, on small real runs, logos, models and studies."""

from __future__ import annotations

import pytest
import typer

from core.cli.app import app
from tests.support.command_line import commands
from tests.support.documents import DOCS, read
from tests.support.json_outputs import described, every_output, is_of, paths_of

SECTIONS = described(read(DOCS / "json.md"))
BY_COMMAND = {command: section for section in SECTIONS for command in section.commands}
COMMANDS = {name.removeprefix("python -m core ") for name in commands(typer.main.get_command(app), "python -m core")} | {"search"}
COMMANDS -= {"console"}  # which serves, and prints nothing


def test_every_command_has_its_section():
    assert set(BY_COMMAND) == COMMANDS
    assert all(section.rows for section in SECTIONS)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_command_prints_what_is_described_and_nothing_else(tmp_path, recordings):
    found = every_output(tmp_path, recordings)
    assert set(found) == COMMANDS - {"cluster"}  # test_workers_everywhere.py, where there is one
    wrong = {
        f"{command}: {problem}"
        for command, outputs in found.items()
        for printed in outputs
        for path, value in paths_of(printed)
        if (problem := BY_COMMAND[command].problem(path, value))
    }
    assert not wrong
    missing = {f"{command}: {'.'.join(path)}" for command in found for path in set(BY_COMMAND[command].rows) - BY_COMMAND[command].seen}
    assert not missing


@pytest.mark.parametrize(
    ("value", "told", "wanted"),
    [
        (1, "whole number", True), (1.5, "whole number", False), (True, "number", False), (None, "number or null", True),
        (["a"], "list of text", True), ([1], "list of text", False), ({}, "object or text", True), ("a", "object or null", False),
    ],
)  # fmt: skip
def test_types_are_told_apart(value, told, wanted):
    assert is_of(value, told) is wanted


def test_a_key_that_is_not_described_is_found_out():
    section = described("### `fly`\n\n| key | type | meaning |\n| --- | --- | --- |\n| `a.NAME` | text | x |\n| `b[].c` | number | y |\n")[
        0
    ]
    assert not section.problem(("a", "anything"), "x")
    assert section.problem(("a", "anything"), 3)
    assert not section.problem(("b",), [])
    assert section.problem(("b", "[]", "d"), 1)
    assert section.problem(("z",), 1)
