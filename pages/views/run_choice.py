"""A choice among runs on a page: the newest are offered, and any other is found by its name, so that ten thousand cost no more than a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from pages.views.links import choose, choose_many

MAX_OFFERED = 200


def choose_run(label: str, ids: Sequence[str], parameter: str, names: Mapping[str, str], default: str = "", **more: Any) -> str:
    """One of ``ids`` (newest first), which the address's ``parameter`` names."""
    found = offered(ids, parameter, names, [default])
    return choose(label, found, parameter, default, show=lambda run_id: names.get(run_id, run_id), **more)


def choose_runs(label: str, ids: Sequence[str], parameter: str, names: Mapping[str, str], **more: Any) -> list[str]:
    """Any number of them."""
    return choose_many(label, offered(ids, parameter, names), parameter, show=lambda run_id: names.get(run_id, run_id), **more)


def offered(ids: Sequence[str], parameter: str, names: Mapping[str, str], others: Sequence[str] = ()) -> list[str]:
    """Those of ``ids`` that a choice offers, in their order: the newest that fit what is looked for, what the address names, and ``others``."""
    if len(ids) <= MAX_OFFERED:
        return list(ids)
    text = st.text_input(
        "Find a run", key=f"find.{parameter}", placeholder=f"among {len(ids):,}", width=160,
        help=f"The newest {MAX_OFFERED} are offered; find any other by a part of its name or id.",
    )  # fmt: skip
    return matching(ids, names, text, [*st.query_params.get_all(parameter), *others])


def matching(ids: Sequence[str], names: Mapping[str, str], text: str, always: Sequence[str]) -> list[str]:
    """At most :data:`MAX_OFFERED` whose name or id has the text, and those of ``always`` that there are."""
    wanted = text.strip().lower()
    found = [run_id for run_id in ids if wanted in names.get(run_id, "").lower() or wanted in run_id.lower()][:MAX_OFFERED]
    kept = {*found, *always}
    return [run_id for run_id in ids if run_id in kept]
