"""What the fields of events mean, for the data dictionaries of exports: read from core/runs/event_types.py itself.

A field's meaning is the comment that stands beside it there, with its unit and range, and a kind's is its docstring; so neither is written
down twice. Guarantee: a field without a comment has an empty meaning, never that of another field.
"""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from functools import cache

from core.runs import event_types
from core.runs.event_types import Record


def meanings(record: type[Record]) -> dict[str, str]:
    """{field: what it means} of a kind, inherited fields included."""
    found: dict[str, str] = {}
    for each in reversed(record.__mro__):
        found |= _by_class().get(each.__name__, {})
    return found


def about(record: type[Record]) -> str:
    """What a kind of event says, in one line."""
    return " ".join((record.__doc__ or "").split())


@cache
def _by_class() -> dict[str, dict[str, str]]:
    source = inspect.getsource(event_types)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    return {
        node.name: {
            line.target.id: comments[line.lineno]
            for line in node.body
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and line.lineno in comments
        }
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
    }
