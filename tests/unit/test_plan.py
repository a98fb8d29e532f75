"""docs/plan.md, held against the code: each row has a known state, and what it names (tests, paths, settings, commands, pages) is there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from core.cli import bench
from core.cli.app import app
from core.config.config import RunConfig
from core.config.installation import Settings
from pages.server.registry import PAGES
from tests.support.command_line import commands
from tests.support.paths import ROOT

STATES = ("done", "done differently", "not yet")
BELOW = "in its rows"  # stands for the test of a line that is the sum of those below it
HEAD = "| the plan asks | where | test | state |"
TEXT = (ROOT / "docs" / "plan.md").read_text(encoding="utf-8")


def rows_of(text: str) -> list[list[str]]:
    """The cells of every row of every table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|") and line != HEAD and not line.startswith("| ---")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


ROWS = rows_of(TEXT)


def state_of(cell: str) -> str:
    return cell.partition(":")[0]


def is_sum(asked: str) -> bool:
    return asked.startswith("**")


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def problem_of_test(name: str) -> str:
    path, _, function = name.partition("::")
    if not re.fullmatch(r"tests/\w+/test_\w+\.py", path) or not (ROOT / path).is_file():
        return f"{path} is no test file"
    return "" if function.startswith("test_") and function in functions_of(path) else f"{name} is no test"


def settings_of(model: type[BaseModel], prefix: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        kind: Any = field.annotation
        found |= settings_of(kind, f"{prefix}{name}.") if isinstance(kind, type) and issubclass(kind, BaseModel) else {prefix + name}
    return found


def options_of(command: Any) -> set[str]:
    return {opt for param in command.params for opt in param.opts}.union(*map(options_of, getattr(command, "commands", {}).values()))


CLICK = typer.main.get_command(app)
COMMANDS = [*commands(CLICK, "python -m core"), *(f"python -m core bench {name}" for name in bench.NAMES)]
OPTIONS = options_of(CLICK)
SETTINGS = settings_of(RunConfig) | settings_of(Settings)
TARGETS = set(re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
SOURCES = "\n".join(path.read_text(encoding="utf-8") for top in ("core", "pages") for path in (ROOT / top).rglob("*.py"))


def is_known(name: str) -> bool:
    """Whether what stands in backticks is a path, a setting, a command or an option of one, a make target or a metric."""
    if name.startswith("python -m core "):
        return any(command == name or command.startswith(f"{name} ") for command in COMMANDS)
    if name.startswith("make "):
        return name.removeprefix("make ") in TARGETS
    if re.match(r"(train|trace|reward|rollout|curriculum|system|time)/", name):
        return f'"{name}"' in SOURCES
    return name in OPTIONS if name.startswith("--") else name in SETTINGS or (ROOT / name).exists()


def test_every_row_asks_for_something_is_somewhere_and_has_a_state():
    assert len(ROWS) > 250
    assert not [row for row in ROWS if len(row) != 4 or not all(row)]
    for asked, _, _, state in ROWS:
        assert state_of(state) in STATES, asked
        has_why = len(state.partition(":")[2]) > 10
        assert has_why == (state_of(state) != "done"), f"{asked}: what is not simply done says why, or what is missing"


def test_every_test_that_is_named_exists():
    for asked, _, tests, _ in ROWS:
        if is_sum(asked):
            assert tests == BELOW, asked
            continue
        found = [re.fullmatch(r"`([^`]+)`", name) for name in tests.split("<br>")]
        assert all(found), asked
        assert not [problem for match in found if match and (problem := problem_of_test(match[1]))], asked


def test_everything_in_backticks_exists():
    unknown = {name for _, where, _, _ in ROWS for name in re.findall(r"`([^`]+)`", where) if not is_known(name)}
    assert not unknown
    links = set(re.findall(r"\]\(([^)]+)\)", TEXT))
    assert links
    assert not [link for link in links if not (ROOT / "docs" / link).is_file()]


def test_every_page_and_tab_that_is_named_exists():
    pages = {page.title: (ROOT / "pages" / f"{page.name}.py").read_text(encoding="utf-8") for page in PAGES}
    live = (ROOT / "pages" / "views" / "live" / "charts.py").read_text(encoding="utf-8")
    named = re.findall(r"page \*([^*]+)\*(?:, tab \*([^*]+)\*)?", TEXT)
    assert {title for title, _ in named} <= set(pages)
    assert len(named) > 50
    for title, tab in named:
        assert f'"{tab}"' in pages[title] + live or not tab, f"{title} has no tab {tab}"


def test_a_line_that_is_a_sum_is_no_better_than_its_rows():
    for place, (asked, _, _, state) in enumerate(ROWS):
        if not is_sum(asked):
            continue
        below = [row for row in ROWS[place + 1 :] if not row[0].startswith("– ")]
        n = ROWS.index(below[0], place + 1) - place - 1 if below else len(ROWS) - place - 1
        assert n > 0, asked
        assert state_of(state) == max((state_of(row[3]) for row in ROWS[place + 1 : place + 1 + n]), key=STATES.index), asked


def test_the_counts_are_those_of_the_rows():
    n = Counter(state_of(row[3]) for row in ROWS)
    told = f"Of {len(ROWS)} rows {n['done']} are done, {n['done differently']} done differently, and {n['not yet']} not yet."
    assert told in TEXT.replace("\n", " ")


@pytest.mark.parametrize(
    "name",
    ["core/nowhere.py", "ppo.rate", "python -m core fly", "make coffee", "train/happiness", "--nonsense", "tests/unit/test_plan.py::x"],
)
def test_what_does_not_exist_is_found_out(name):
    assert not is_known(name)
    assert problem_of_test(name)
    assert not problem_of_test("tests/unit/test_plan.py::test_what_does_not_exist_is_found_out")
