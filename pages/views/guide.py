"""The tour and the keyboard shortcuts. Pure text."""

from __future__ import annotations

from pages.server.registry import HOME, PAGES

KEYS = {page.shortcut: "" if page.name == HOME else page.name for page in PAGES}  # after g; the home page has no path
SHORTCUTS = (
    ("?", "this list"),
    ("/", "first search field on the page"),
    *((f"g {page.shortcut}", f"go to {page.title}") for page in PAGES),
    ("[ ]", "previous, next logo or picture"),
    ("← →", "move the divider (Shift: faster)"),
    ("+ - 0", "zoom in, zoom out, fit"),
    ("← ↓ →", "on Choose: left, equal, right; Backspace undoes the last answer"),
    ("s b f", "side by side, background, full screen (in the viewer)"),
)
TOUR = (
    (
        "Better SVGs from logos",
        "VTracer turns a picture into an SVG with a handful of parameters, and the best values differ from logo to logo. Tracewright trains an agent "
        "to choose them and measures the result. Gain 0 equals VTracer's defaults; +0.69 is half the error at the same size.",
        "optimize",
    ),
    (
        "Have logos? Optimize",
        "Drop pictures, press Optimize, compare and download the SVGs. The built-in model is already trained, so you can start right away.",
        "optimize",
    ),
    (
        "Train an agent",
        "New run starts from a preset and says how long it takes on this machine; the quick one uses built-in logos. Runs continue when you close the browser or the console.",
        "new_run",
    ),
    (
        "Watch it learn",
        "Live plots the gain on unseen logos against fixed methods. Drag over a chart to zoom; save or pin any chart. "
        "Hold or advance curriculum stages while the run trains.",
        "live",
    ),
    (
        "See the results",
        "Gallery shows any two versions of a logo side by side, with difference maps, outlines, a film of all evaluations, and alternatives.",
        "gallery",
    ),
    (
        "Tune by hand",
        "Workbench puts every parameter on a slider with a live preview. Save what you like and copy the code.",
        "workbench",
    ),
    (
        "Trust the numbers",
        "Compare shows runs side by side, with intervals and a paired test per logo. Every table and chart can be downloaded.",
        "compare",
    ),
)
