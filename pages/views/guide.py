"""What the console says of itself: the tour and the keyboard shortcuts. Pure text."""

from __future__ import annotations

from pages.server.registry import HOME, PAGES

KEYS = {page.shortcut: "" if page.name == HOME else page.name for page in PAGES}  # after g; the home page has no path
SHORTCUTS = (
    ("?", "this list"),
    ("/", "the page's first search field"),
    *((f"g {page.shortcut}", f"go to {page.title}") for page in PAGES),
    ("[ ]", "the logo or picture before, after"),
    ("← →", "move the divider (Shift: faster)"),
    ("+ - 0", "zoom in, zoom out, fit"),
    ("← ↓ →", "on Choose: the left one, equal, the right one; Backspace takes the last answer back"),
    ("s b f", "side by side, background, full screen (in the viewer)"),
)
TOUR = (
    (
        "Better SVGs from logos",
        "VTracer turns a picture into an SVG under a handful of parameters, and the right ones differ from logo to logo. Tracewright trains an agent "
        "that chooses them, and shows what it is worth. Gain 0 is as good as VTracer's defaults; +0.69 is half the error at equal size.",
        "optimize",
    ),
    (
        "Have logos? Optimize",
        "Drop pictures, press Optimize, compare, take the SVGs home. A trained model ships with the console: nothing has to be trained first.",
        "optimize",
    ),
    (
        "Train an agent",
        "New run starts from a preset: the quick one takes about two minutes with built-in logos. Runs go on when the browser or the console is closed.",
        "new_run",
    ),
    (
        "Watch it learn",
        "Live shows the gain on logos it has not seen, against fixed methods. Drag over a chart to zoom, save any chart, keep it at the top. "
        "Stages of a curriculum can be held or pushed on while it trains.",
        "live",
    ),
    (
        "See what it makes",
        "Gallery puts any two versions of a logo side by side, with difference maps, outlines, every evaluation as a film, and what else was possible.",
        "gallery",
    ),
    (
        "Do better by hand",
        "Workbench has all parameters on sliders with a live trace. Keep what you like and copy the command.",
        "workbench",
    ),
    (
        "Trust the numbers",
        "Compare lays runs side by side with intervals and a paired test, logo by logo. Every table and chart can be taken home.",
        "compare",
    ),
)
