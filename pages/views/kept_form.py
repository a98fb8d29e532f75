"""What was changed in the form of a new run, kept in the page's address: a reload, a lost connection or a link shows the same form, but for
the address of a cluster, which is the one that a test reached last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import streamlit as st

from core.config.config import RunConfig
from core.config.fields import walk_fields
from pages.views.forms import Data, get_setting, put_setting

CHANGED = "set"  # parameter of the address: one "a.b=value" per setting, the value as JSON
MAX_CHARACTERS = 6000  # of the address
_NEVER = ("workers.address",)  # where a cluster's token is sent: no link says it


def restored(version: str, settings: Data) -> Data:
    """``settings`` with what the address changes in them, as it stood when this form was first drawn in this visit: from then on its widgets
    hold what is typed."""
    known = st.session_state.setdefault(f"restored.{version}", st.query_params.get_all(CHANGED))
    for name, value in _read(known).items():
        with suppress(KeyError, TypeError):  # of another version
            put_setting(settings, name, value)
    return settings


def keep(base: Data, settings: Data) -> None:
    """Write into the address what differs from ``base``."""
    changed = [
        f"{name}={json.dumps(get_setting(settings, name))}" for name in _names() if get_setting(settings, name) != get_setting(base, name)
    ]
    fitting = changed if sum(map(len, changed)) <= MAX_CHARACTERS else [text for text in changed if len(text) < MAX_CHARACTERS // 10]
    if fitting != st.query_params.get_all(CHANGED):
        st.query_params[CHANGED] = fitting


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
