"""Writes what the docs say of the code: settings and commands, and which modules the tree has; and the presets, whole and with comments.

Owns the blocks between ``<!-- made: NAME -->`` and ``<!-- end of NAME -->``; everything else on those pages is written by hand. Of a preset
the values and the comment at its head are written by hand; a setting that it lacks gets its default.

make docs                            # the same as the next line
python docs/make_pages.py            # rewrite every such block, and configs/*.yaml
python docs/make_pages.py --check    # change nothing; exit code 1 where a file is out of date
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT))

import typer  # noqa: E402
from pydantic import BaseModel  # noqa: E402

from core.access.actions import ACTIONS  # noqa: E402
from core.access.roles import Role  # noqa: E402
from core.cli.app import app  # noqa: E402
from core.config.config import RunConfig, StageConfig  # noqa: E402
from core.config.fields import range_text, walk_fields  # noqa: E402
from core.config.installation import Settings  # noqa: E402
from core.config.text import load_config, to_yaml  # noqa: E402
from core.paths import PRESETS  # noqa: E402
from core.studies.study import StudyConfig  # noqa: E402
from pages.server.routes import OTHER, RULES  # noqa: E402

BLOCK = re.compile(r"(<!-- made: (\w+) -->\n)(.*?)(<!-- end of \2 -->)", re.DOTALL)
ROOMS = ("core", "storage", "pages")
LONG_DEFAULTS = {"curriculum.stages": "four stages", "env.centre": "best single setting"}


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def as_yaml(value: Any) -> str:
    """A default as one would write it into a config file."""
    if isinstance(value, list):
        return f"[{', '.join(map(as_yaml, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def settings_table(model: type[BaseModel]) -> str:
    """A row per setting: name, default, what is allowed, meaning; all from the model's fields."""
    rows = ["| setting | default | allowed | meaning |", "| --- | --- | --- | --- |"]
    for name, info in walk_fields(model):
        given = "" if info.is_required() else as_yaml(info.get_default(call_default_factory=True))
        default = LONG_DEFAULTS.get(name, given)
        rows.append(f"| `{name}` | {cell(default)} | {cell(range_text(info))} | {cell(info.description or '')} |")
    return "\n".join(rows) + "\n"


def every_command(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(name without ``python -m core``, command) of every command; a group that does something without one comes before its own."""
    inner = getattr(command, "commands", {})
    if not inner or (name and command.invoke_without_command):
        yield name, command
    for word, below in inner.items():
        yield from every_command(below, f"{name} {word}".strip())


def placeholder(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def usage(name: str, command: Any) -> str:
    """The command with its arguments and the options that it can't do without."""
    words = [f"python -m core {name}"]
    for parameter in command.params:
        is_option = parameter.opts[0].startswith("-")
        shown = placeholder(parameter)
        if not is_option and parameter.nargs != 1 and not shown.endswith("..."):
            shown += "..."
        if is_option and parameter.required:
            words.append(f"{parameter.opts[0]} {shown}")
        elif not is_option:
            words.append(shown if parameter.required else f"[{shown}]")
    return " ".join([*words, "[OPTIONS]"])


def parameter_row(parameter: Any) -> str:
    is_option = parameter.opts[0].startswith("-")
    is_flag = getattr(parameter, "is_flag", False)
    names = ", ".join(f"`{opt}`" for opt in (*parameter.opts, *parameter.secondary_opts)) if is_option else f"`{placeholder(parameter)}`"
    if is_option and parameter.metavar and not is_flag:
        names = names[:-1] + f" {parameter.metavar}`"
    default = parameter.default
    if callable(default):
        default = default()
    if isinstance(default, Path):
        default = default.relative_to(ROOT) if default.is_absolute() and default.is_relative_to(ROOT) else default
    told = "needed" if parameter.required else "" if default in (None, "", False, ()) or is_flag else str(default)
    limits = f" In [{parameter.min:g}, {parameter.max:g}]." if None not in (parameter.min, parameter.max) else ""
    if parameter.min is not None and parameter.max is None:
        limits = f" At least {parameter.min:g}."
    variable = f" Taken from `{parameter.envvar}` where that is set." if isinstance(parameter.envvar, str) else ""
    return f"| {names} | {cell(told)} | {cell((parameter.help or '') + limits + variable)} |"


def told(command: Any) -> str:
    """What its help says, as one line."""
    return " ".join((command.help or "").split()).replace("``", "`")


def commands(_: str) -> str:
    """A table of all commands, then each with its arguments and options."""
    found = list(every_command(typer.main.get_command(app)))
    parts = ["| command | what it does |", "| --- | --- |"]
    for name, command in found:
        parts.append(f"| [`{name}`](#{name.replace(' ', '-')}) | {cell(told(command).partition('. ')[0].rstrip('.'))} |")
    for name, command in found:
        rows = [parameter_row(p) for p in command.params if not getattr(p, "hidden", False) and p.opts[0] != "--json"]
        parts += ["", f"## {name}", "", "```sh", usage(name, command), "```", "", told(command)]
        if rows:
            parts += ["", "| | default | |", "| --- | --- | --- |", *rows]
    return "\n".join(parts) + "\n"


def tree(old: str) -> str:
    """The lines as they stand, with the modules of each room as they are on disk."""
    lines, folders = [], list[str]()
    for line in old.splitlines():
        if match := re.match(r"( *)([\w./*-]+/) ", line):
            folders = [*folders[: len(match[1]) // 2], match[2]]
            path = "".join(folders)
            if path.split("/")[0] in ROOMS and ": " in line:
                modules = sorted(file.stem for file in (ROOT / path).glob("*.py") if file.stem != "__init__")
                line = f"{line.rpartition(': ')[0]}: {', '.join(modules)}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def marks(least: Role | None) -> str:
    """A cell per role, with a mark where it suffices."""
    return " | ".join("yes" if least is not None and role >= least else "" for role in Role)


def actions(_: str) -> str:
    """A row per action of pages, with who may do it."""
    rows = ["| action | in the audit trail | " + " | ".join(role.label for role in Role) + " |", "| --- | --- |" + " --- |" * len(Role)]
    return "\n".join([*rows, *(f"| {cell(a.title)} | `{a.name}` | {marks(a.role)} |" for a in ACTIONS.values())]) + "\n"


def addresses(_: str) -> str:
    """A row per address of the server, in the order in which they are looked up."""
    rows = ["| address | what it is | " + " | ".join(role.label for role in Role) + " |", "| --- | --- |" + " --- |" * len(Role)]
    return "\n".join([*rows, *(f"| `{r.path}` | {cell(r.title)} | {marks(r.role)} |" for r in (*RULES, OTHER) if r.path)]) + "\n"


MAKERS: dict[str, Callable[[str], str]] = {
    "run_settings": lambda _: settings_table(RunConfig),
    "stage_settings": lambda _: settings_table(StageConfig),
    "study_settings": lambda _: settings_table(StudyConfig),
    "installation_settings": lambda _: settings_table(Settings),
    "commands": commands,
    "actions": actions,
    "addresses": addresses,
    "tree": tree,
}


def made(text: str) -> str:
    """A page with its blocks as the code has them now."""
    return BLOCK.sub(lambda match: f"{match[1]}{MAKERS[match[2]](match[3])}{match[4]}", text)


def pages() -> dict[Path, str]:
    """Every page that has such a block, as it should be."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
    return {path: made(text) for path, text in texts.items() if BLOCK.search(text)}


def head(text: str) -> str:
    """The comment at the head of a preset; the last line before ``version`` is that setting's own."""
    lines = text.splitlines(keepends=True)
    n = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return "".join(lines[: n - 1] if n and "".join(lines[n : n + 1]).startswith("version:") else lines[:n])


def presets(folder: Path = PRESETS) -> dict[Path, str]:
    """Every preset as it should be."""
    return {path: head(path.read_text(encoding="utf-8")) + to_yaml(load_config(path)) for path in sorted(folder.glob("*.yaml"))}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 where a page is out of date")
    is_check = parser.parse_args().check
    wanted = pages() | presets()
    old = [path for path, text in wanted.items() if path.read_text(encoding="utf-8") != text]
    for path in old:
        if not is_check:
            path.write_text(wanted[path], encoding="utf-8")
        print(f"{path.relative_to(ROOT)} {'is out of date; run make docs' if is_check else 'is written'}")
    return int(is_check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
