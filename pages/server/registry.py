"""Every page of the console; to add one, write its script in pages/ and add a line here.

The navigation, the routes, the keyboard shortcuts and what the start document loads first follow from it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """``name``: of the script, and its path in the address; ``section``: its heading in the navigation; ``shortcut``: the key after g;
    ``has_charts``: what draws charts is loaded with the document."""

    name: str
    title: str
    section: str
    shortcut: str
    has_charts: bool = False
    icon: str | None = None


PAGES: tuple[Page, ...] = (
    Page("optimize", "Optimize", "Use", "o"),
    Page("runs", "Runs", "Train", "r"),
    Page("new_run", "New run", "Train", "n"),
    Page("search", "Search", "Train", "x", has_charts=True),
    Page("live", "Live", "Train", "l", has_charts=True),
    Page("curriculum", "Curriculum", "Train", "u", has_charts=True),
    Page("logos", "Logos", "Train", "d", has_charts=True),
    Page("models", "Models", "Train", "m"),
    Page("gallery", "Gallery", "Inspect", "g", has_charts=True),
    Page("workbench", "Workbench", "Inspect", "w"),
    Page("compare", "Compare", "Inspect", "c", has_charts=True),
    Page("choose", "Choose", "Inspect", "h"),
    Page("reports", "Reports", "Inspect", "t", has_charts=True),
    Page("alerts", "Alerts", "Inspect", "a"),
    Page("system", "System", "Machine", "s", has_charts=True),
    Page("settings", "Settings", "Machine", "e"),
)
HOME = "runs"  # the page that is there without a path


def sections() -> dict[str, list[Page]]:
    """The pages by section, in order."""
    found: dict[str, list[Page]] = {}
    for page in PAGES:
        found.setdefault(page.section, []).append(page)
    return found
