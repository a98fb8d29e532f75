"""A real browser: how it is started, and pictures of what it shows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def keep_picture(page: Any, name: str) -> None:
    """A picture of what a person sees at the end of a task, where a folder for them is named (``make pictures``)."""
    folder = os.environ.get("TRACEWRIGHT_PICTURES", "")
    if folder:
        page.wait_for_timeout(1500)  # charts fade in
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


SETTLED = '[data-testid="stApp"][data-test-script-state="notRunning"]'
# A dozen frames in which nothing moves that will end, and every component has been given its values
AT_REST = """async () => {
  for (let quiet = 0; quiet < 12; quiet += 1) {
    await new Promise((done) => requestAnimationFrame(done));
    const moving = document.getAnimations().filter((a) => a.playState === "running" && a.effect.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(moving.map((a) => a.finished));
    if (moving.length || document.querySelector(".handle:not([aria-valuenow])")) quiet = 0;
  }
}"""


def violations(page: Any, *, colours_alone: bool = False) -> list[str]:
    """What axe-core finds on a page that has come to rest and is serious; ``colours_alone``: what does not depend on them was looked at."""
    from axe_playwright_python.sync_playwright import Axe

    page.wait_for_selector(SETTLED)
    page.evaluate(AT_REST)  # what fades in has its colours only then
    rules = {"runOnly": ["color-contrast"]} if colours_alone else {}
    found = Axe().run(page, options={"resultTypes": ["violations"], **rules}).response["violations"]
    return [
        f"{v['id']}: {v['nodes'][0]['html'][:200]} {v['nodes'][0]['failureSummary'][:300]}"
        for v in found
        if v["impact"] in ("serious", "critical")
    ]


def keeps_nobody_out(page: Any, ready: Any) -> None:
    """No serious finding on this page, light and dark; ``ready``: what must be in sight after a reload."""
    assert not violations(page)
    page.emulate_media(color_scheme="dark")
    page.reload()
    ready.first.wait_for()
    assert not violations(page, colours_alone=True)
    page.emulate_media(color_scheme="light")


def press_until(page: Any, button: Any, is_done: Callable[[], bool]) -> None:
    """Press a button until something follows, as a person does: a press just as the page redraws may come to nothing."""
    for _ in range(4):
        button.click()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if is_done():
                return
            page.wait_for_timeout(50)
    raise AssertionError(f"{button} did nothing")


def tab_to(page: Any, target: Any, most: int = 150) -> None:
    """Reach something by the Tab key alone."""
    target.wait_for()
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("e => e.contains(e.getRootNode().activeElement)"):
            return
    raise AssertionError(f"{target} is not reached by {most} presses of Tab")
