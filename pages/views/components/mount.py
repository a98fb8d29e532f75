"""Mounts the components of pages/views/components in a page: the viewer, the scrubber, the chooser, the contact sheet, the keyboard, the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from pages.views.charts.svg import Side, viewer_data

_FOLDER = Path(__file__).parent


def _mounted(name: str) -> Any:
    html, css, js = ((_FOLDER / f"{name}.{end}").read_text(encoding="utf-8") for end in ("html", "css", "js"))
    return st.components.v2.component(f"tracewright_{name}", html=html, css=css, js=js)


_VIEWER = _mounted("viewer")
_SCRUBBER = _mounted("scrubber")
_KEYS = _mounted("keys")
_CHOOSER = _mounted("chooser")
_SHEET = _mounted("sheet")
_TOGETHER = _mounted("together")
_CLOCK = _mounted("clock")


def before_after(
    shown: str, left: Side, right: Side, width: int, height: int, key: str, over: Side | None = None, pixels_high: int = 460
) -> None:
    """Draw the viewer, ``pixels_high``; ``width`` and ``height`` of the picture in pixels."""
    _VIEWER(key=key, data=viewer_data(shown, left, right, width, height, over, pixels_high))


def scrubber(shown: str, logo: str, names: Sequence[str], frames: Sequence[dict[str, Any]], key: str) -> None:
    """One logo over evaluations. Each frame: step, said (a line), url, values ({name: number or None})."""
    _SCRUBBER(key=key, data={"id": shown, "logo": logo, "names": list(names), "frames": list(frames)})


def together(runs: Sequence[str], steps: Sequence[int], logos: Sequence[dict[str, Any]], key: str) -> None:
    """Logos x runs under one slider. Each logo: name, and per run a list of frames (step, said, url) in order."""
    shown = "/".join([*runs, *(str(logo["name"]) for logo in logos)])
    _TOGETHER(key=key, data={"id": shown, "runs": list(runs), "steps": list(steps), "logos": list(logos)})


def keys(
    shortcuts: Sequence[tuple[str, str]], pages: dict[str, str], tour: Sequence[tuple[str, str, str]], latest: dict[str, Any] | None
) -> None:
    """Shortcuts, the tour, and notifications of the browser. ``pages``: {key after g: path}; ``latest``: ts, title, run of the newest notice."""
    _KEYS(key="keys", data={"shortcuts": [list(s) for s in shortcuts], "pages": pages, "tour": [list(t) for t in tour], "latest": latest})


def chooser(shown: str, original: str, left: str, right: str, size: tuple[int, int], key: str, on_answer: Callable[[], None]) -> None:
    """Two SVGs of a picture without their names; ``size``: width and height of the picture in pixels.

    The answer, "left", "right", "equal" or "back", is ``st.session_state[key].answer`` while ``on_answer`` is called.
    """
    data = {"id": shown, "original": original, "left": left, "right": right, "w": size[0], "h": size[1]}
    _CHOOSER(key=key, data=data, on_answer_change=on_answer)


def clock(address: str, version: str, every_s: float, key: str, hidden: bool = False) -> None:
    """Have the fragment that this stands in drawn again when what ``address`` answers is no longer ``version``.

    Asked every ``every_s``, in a tab that nobody sees only if ``hidden``.
    """
    data = {"address": address, "version": version, "every_ms": round(1000 * every_s), "hidden": hidden}
    _CLOCK(key=key, data=data, on_due_change=lambda: None)


def when_back(key: str) -> None:
    """Have the page drawn again when a lost connection is back: it may be another session, or another server."""
    _CLOCK(key=key, data={}, on_due_change=lambda: None)


def sheet(
    said: str,
    items: Sequence[dict[str, Any]],
    choices: Sequence[tuple[str, str, str]],
    key: str,
    on_choice: Callable[[], None],
    on_open: Callable[[], None],
) -> None:
    """Cards of before and after. Each item: name, picture, before, after (URLs), after_label, facts, note, choice, offered, workbench (a link);
    ``choices``: (choice, label, help) of the buttons; ``said``: a line above.

    While ``on_choice`` is called, ``st.session_state[key].chose`` has name and choice ("" takes it back); ``opened`` has name, in ``on_open``.
    """
    data = {"said": said, "items": list(items), "choices": [list(choice) for choice in choices]}
    _SHEET(key=key, data=data, on_chose_change=on_choice, on_opened_change=on_open)
