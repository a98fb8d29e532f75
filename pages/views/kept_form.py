"""What was changed in the form of a new run, kept in the page's address: a reload, a lost connection or a link shows the same form, but for
the address of a cluster, which is the one that a test reached last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, get_origin

import streamlit as st
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from core.config.config import RunConfig
from core.config.fields import kind, walk_fields
from pages.views.forms import Data, get_setting, put_setting
from pages.views.links import write_address

CHANGED = "set"  # parameter of the address: one "a.b=value" per setting, the value as JSON
MAX_CHARACTERS = 6000  # of the address
_OF_RANGE = {
    "greater_than", "greater_than_equal", "less_than", "less_than_equal", "too_short", "too_long", "string_too_short", "string_too_long", "string_pattern_mismatch", "value_error",
}  # fmt: skip
_NEVER = ("workers.address",)  # where a cluster's token is sent: no link says it


def restored(version: str, settings: Data) -> Data:
    """``settings`` with what the address changes in them, as it stood when this form was first drawn in this visit: from then on its widgets
    hold what is typed."""
    known = st.session_state.setdefault(f"restored.{version}", st.query_params.get_all(CHANGED))
    infos = dict(walk_fields(RunConfig))
    for name, value in _read(known).items():
        with suppress(KeyError, TypeError):  # of another version
            if _has_its_shape(infos[name], value):
                put_setting(settings, name, value)
    return settings


def _has_its_shape(info: FieldInfo, value: Any) -> bool:
    """Whether a field can show a value: of its kind, though perhaps out of its range, which the form says."""
    if value is None:  # an emptied field
        return get_origin(kind(info)) is not list
    if not _is_finite(value):
        return False
    annotation: Any = info.annotation
    try:
        TypeAdapter(annotation).validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return all(problem["type"] in _OF_RANGE or _is_emptied(problem) for problem in error.errors())
    return True


def _is_emptied(problem: ErrorDetails) -> bool:
    """A number of a stage that was taken out and not put in again."""
    return problem["input"] is None and isinstance(problem["loc"][-1], str)


def _is_finite(value: Any) -> bool:
    """Without numbers that a browser can't hold."""
    if isinstance(value, dict | list):
        return all(_is_finite(part) for part in (value.values() if isinstance(value, dict) else value))
    return not isinstance(value, int | float) or abs(value) < 2**53


def keep(base: Data, settings: Data) -> None:
    """Write into the address what differs from ``base``."""
    changed = [
        f"{name}={json.dumps(get_setting(settings, name))}" for name in _names() if get_setting(settings, name) != get_setting(base, name)
    ]
    fitting = changed if sum(map(len, changed)) <= MAX_CHARACTERS else [text for text in changed if len(text) < MAX_CHARACTERS // 10]
    if fitting != st.query_params.get_all(CHANGED):
        write_address(**{CHANGED: fitting})


def _names() -> list[str]:
    return [name for name, _ in walk_fields(RunConfig) if name not in _NEVER]


def _read(changes: Sequence[str]) -> dict[str, Any]:
    known = set(_names())
    found = {}
    for text in changes:
        name, _, value = text.partition("=")
        if name in known:
            with suppress(ValueError, RecursionError):
                found[name] = json.loads(value)
    return found
