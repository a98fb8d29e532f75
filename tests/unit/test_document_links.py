"""README and docs/*.md: no dead link, no command or make target that does not exist, no error that the code does not have, no private word."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from core.cli import bench
from core.cli.app import app
from tests.support.documents import DOCS, PAGES, README, anchors, blocks, links, read
from tests.support.paths import ROOT
from tests.support.sources import tree_of

CLICK = typer.main.get_command(app)
ENTRY_POINT_ALONE = {"console"}  # what the installed command has and `python -m core` has not
TARGETS = set(re.findall(r"^([\w.-]+):", read(ROOT / "Makefile"), re.MULTILINE))
NOT_OURS = ("http://", "https://")
# Names of before, and sentences that a native reader stops at
PRIVATE = [
    r"\bpulses?\b", r"\bkeepers?\b", r"\bRoom\b", r"\bexaminers?\b", r"\bsupply\b", r"\btreatments?\b", r"\bCourse\b", r"\bMaker\b",
    r"\bput[ _]aside\b", r"\bobeys?\b", r"\bobeyed\b", r"\bscene\b", r"\bmounts\b", r"\btrade_off\b", r"\banatomy\b", r"\bDuel\b", r"\bTicket\b",
    r"\bBoard\b", r"\bLetter\b", r"\bunread_since\b", r"\bTry\.gain\b", r"\bTimes a run eases\b", r"\bcosts so many workers\b",
    r"\bkept before its first step\b", r"\ba light a rule\b", r"\ba line each\b", r"\bOne line a run\b",
    # "a" for "per"
    r"\b([Cc]onversions?|episodes?|steps?|logos?|rows?|events?|pictures?|values?|bytes|variants|columns?|ms|s|kB|MB) an? "
    r"(picture|logo|category|episode|evaluation|run|step|event|conversion|rule|stage|trial|worker|visit|setting|command)\b",
    r"\b(once|twice|times) an? (picture|logo|category|episode|evaluation|run|step|event|conversion|rule|stage|trial|worker|visit)\b",
]  # fmt: skip
QUOTED_ELSEWHERE = {"plan.md"}  # quotes another's plan, word for word


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_every_link_and_picture_is_there(path):
    text, dead = read(path), []
    for target in links(text):
        if target.startswith(NOT_OURS):
            continue
        name, _, anchor = target.partition("#")
        to = (path.parent / name).resolve() if name else path
        if not to.exists() or not to.is_relative_to(ROOT) or (anchor and anchor not in anchors(read(to))):
            dead.append(target)
    assert not dead


def test_the_start_page_names_every_page():
    start = set(links(read(DOCS / "README.md")))
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= start
    assert "docs/README.md" in links(read(README))


def option_names(command: Any) -> set[str]:
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help", "-h"}


def problem_of(line: str) -> str:
    """What is wrong with a command line of ours, or ""; alternatives (``a|b``) and groups alone (``python -m core runs``) are allowed."""
    line = line.split(" #")[0].split(" | ")[0].replace("\\|", "|").strip().rstrip(".,;:)")
    words = shlex.split(re.sub(r"[\[\]]", "", line).replace("'", ""))
    words = words[words.index("core") + 1 :] if "core" in words else words[1:]
    command, names = CLICK, []
    while words and hasattr(command, "commands") and not words[0].startswith("-"):
        if words[0] in ENTRY_POINT_ALONE and line.startswith("tracewright"):
            return ""
        if words[0] not in command.commands:
            return "" if getattr(command, "invoke_without_command", False) else f"no command {words[0]!r} in {line!r}"
        names.append(words[0])
        command = command.commands[words.pop(0)]
    known = option_names(command)
    wrong = [word for word in words if word.startswith("-") and word.partition("=")[0] not in known]
    if names[:1] == ["bench"] and words and not set(words[0].split("|")) <= {*bench.NAMES, "WHAT"}:
        wrong.append(words[0])
    return f"{wrong[0]!r} is not known in {line!r}" if wrong else ""


def command_lines(text: str) -> list[str]:
    """Every call of ours on a page: lines of its shell blocks, and what stands in backticks."""
    shell = "\n".join(block.text for block in blocks(text) if block.language in ("sh", "bash", "console"))
    inline = "\n".join(re.findall(r"`([^`\n]+)`", text))
    lines = [line.strip() for line in f"{shell}\n{inline}".splitlines()]
    return [line for line in lines if re.match(r"(\S*python3? -m core|tracewright)( |$)", line)]


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_every_command_is_one_of_ours_with_options_that_it_has(path):
    assert not [problem for line in command_lines(read(path)) if (problem := problem_of(line))]


@pytest.mark.parametrize("path", PAGES, ids=ids)
def test_every_make_target_is_there(path):
    text = read(path)
    named = set(re.findall(r"`make ([\w.-]+)[^`]*`", text)) | set(re.findall(r"^make ([\w.-]+)", text, re.MULTILINE))
    assert named <= TARGETS


@pytest.mark.parametrize(
    "line",
    ["python -m core fly", "python -m core train --wings", "tracewright runs dance", "python -m core bench coffee", "tracewright fly"],
)
def test_a_command_that_does_not_exist_is_found_out(line):
    assert problem_of(line)


def test_commands_are_found_and_known_ones_pass():
    assert sum(len(command_lines(read(path))) for path in PAGES) > 100
    assert not problem_of("tracewright console")
    assert not problem_of(".venv/bin/python -m core train --config configs/quick.yaml --set a.b=1   # a remark")
    assert not problem_of("python -m core bench throughput|telemetry")


@cache
def messages() -> list[list[str | None]]:
    """Every text of the code in its parts; None is put into it and may be anything."""
    found = []
    for top in (".ci", "core", "storage", "pages"):
        for path in (ROOT / top).rglob("*.py"):
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.JoinedStr):
                    parts: list[str | None] = [str(part.value) if isinstance(part, ast.Constant) else None for part in node.values]
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    parts = [node.value]
                else:
                    continue
                if len(re.sub(r"\W", "", "".join(filter(None, parts)))) >= 7:
                    found.append(parts)
    return found


def is_told(line: str) -> bool:
    """Whether a text of the code gives this line, with or without what a command puts before an error."""
    if line.startswith("error: ") and is_told(line.removeprefix("error: ")):
        return True
    near = (parts for parts in messages() if all(part is None or part in line for part in parts))
    return any(re.fullmatch("".join(".*" if part is None else re.escape(part) for part in parts), line) for parts in near)


ERRORS = [line for block in blocks(read(DOCS / "troubleshooting.md")) if not block.language for line in block.text.splitlines()]


@pytest.mark.parametrize("line", ERRORS)
def test_every_error_that_is_explained_is_one_of_the_codes(line):
    assert is_told(line)


def test_an_error_that_no_code_has_is_found_out():
    assert len(ERRORS) > 20
    assert not is_told("the moon is in the way; wait until tomorrow")


@pytest.mark.parametrize("path", [path for path in PAGES if path.name not in QUOTED_ELSEWHERE], ids=ids)
def test_no_private_word_is_left(path):
    text = read(path)
    assert not [(word, match[0]) for word in PRIVATE for match in re.finditer(word, text)]
