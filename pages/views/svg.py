"""SVG -> what a page may show safely, and the before/after slider as HTML, CSS and JavaScript.

Pure. A picture reaches the page only as a data: URL inside an <img>, where scripts, styles and references in it are
dead: never as markup.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

SLIDER_HTML = """
<div class="tw" tabindex="0" role="group" aria-label="Before and after">
  <div class="bar">
    <span class="tools">
      <button class="mode" type="button"></button>
      <button class="ground" type="button" title="Background: light, dark, checkerboard">background</button>
      <button class="out" type="button" title="Zoom out (-)">−</button>
      <span class="zoom"></span>
      <button class="in" type="button" title="Zoom in (+)">+</button>
      <button class="fit" type="button" title="Fit (0)">fit</button>
    </span>
  </div>
  <div class="stage">
    <div class="pane a"><img alt="before" draggable="false"></div>
    <div class="pane b"><img alt="after" draggable="false"></div>
    <span class="name left"></span>
    <span class="name right"></span>
    <div class="handle" role="slider" tabindex="0" aria-label="Divider" aria-valuemin="0" aria-valuemax="100"><i></i></div>
  </div>
  <div class="hint">Drag the divider or use ← →. Scroll or + − to zoom, drag to pan, 0 to fit, S for side by side.</div>
</div>
"""

SLIDER_CSS = """
.tw { font: 14px var(--st-font); color: var(--st-text-color); outline: none; }
.tw:focus-visible .stage { outline: 2px solid var(--st-primary-color); }
.bar { display: flex; justify-content: flex-end; align-items: center; gap: 12px; margin-bottom: 6px; flex-wrap: wrap; }
.name { position: absolute; top: 8px; padding: 2px 10px; font-weight: 600; font-size: 13px; pointer-events: none; z-index: 1;
  color: var(--st-text-color); background: var(--st-background-color); border: 1px solid var(--st-border-color); border-radius: 99px; }
.name.left { left: 8px; }
.name.right { right: 8px; }
.tools { display: flex; gap: 6px; align-items: center; }
.zoom { min-width: 3.6em; text-align: center; font-variant-numeric: tabular-nums; }
button { font: inherit; color: inherit; background: var(--st-secondary-background-color); border: 1px solid var(--st-border-color);
  border-radius: var(--st-button-radius); padding: 2px 10px; cursor: pointer; }
button:hover { border-color: var(--st-primary-color); color: var(--st-primary-color); }
.stage { position: relative; height: 460px; overflow: hidden; border: 1px solid var(--st-border-color);
  border-radius: var(--st-base-radius); cursor: grab; touch-action: none; user-select: none; }
.stage.light { background: #ffffff; }
.stage.dark { background: #20262d; }
.stage.check { background: repeating-conic-gradient(#c9ced3 0 25%, #ffffff 0 50%) 0 0 / 24px 24px; }
.pane { position: absolute; inset: 0; overflow: hidden; }
.pane img { position: absolute; left: 50%; top: 50%; transform-origin: 0 0; image-rendering: auto; pointer-events: none; max-width: none; }
.handle { position: absolute; top: 0; bottom: 0; width: 28px; margin-left: -14px; cursor: ew-resize; outline: none; }
.handle::before { content: ""; position: absolute; left: 13px; top: 0; bottom: 0; width: 2px; background: var(--st-primary-color); }
.handle i { position: absolute; left: 2px; top: 50%; width: 24px; height: 24px; margin-top: -12px; border-radius: 50%;
  background: var(--st-primary-color); box-shadow: 0 1px 4px #0006; }
.handle i::after { content: "⇔"; position: absolute; inset: 0; color: var(--st-background-color); font: 14px/24px sans-serif; text-align: center; }
.handle:focus-visible i { outline: 2px solid var(--st-text-color); }
.side .handle { display: none; }
.side .pane.a { right: 50%; border-right: 1px solid var(--st-border-color); }
.side .pane.b { left: 50%; }
.hint { opacity: 0.65; font-size: 12px; margin-top: 4px; }
"""

SLIDER_JS = """
const views = new WeakMap();

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".tw");
  if (!root || !data) return;
  const q = (s) => root.querySelector(s);
  const stage = q(".stage"), handle = q(".handle"), a = q(".pane.a"), b = q(".pane.b");
  let v = views.get(root);
  if (!v) { v = { split: 50, scale: 1, x: 0, y: 0, ground: 0, side: false, shown: "" }; views.set(root, v); }

  const ia = a.querySelector("img"), ib = b.querySelector("img");
  if (ia.src !== data.left) ia.src = data.left;
  if (ib.src !== data.right) ib.src = data.right;
  ia.alt = data.left_name; ib.alt = data.right_name;
  q(".name.left").textContent = data.left_name;
  q(".name.right").textContent = data.right_name;
  if (v.shown !== data.id) { v.shown = data.id; v.scale = 1; v.x = 0; v.y = 0; }
  stage.style.height = data.height + "px";

  const GROUNDS = ["light", "dark", "check"];
  function draw() {
    const paneW = v.side ? stage.clientWidth / 2 : stage.clientWidth;
    const fit = Math.min((paneW - 24) / data.w, (stage.clientHeight - 24) / data.h);
    const w = data.w * fit, h = data.h * fit;
    for (const img of [ia, ib]) {
      img.style.width = w * v.scale + "px";
      img.style.height = h * v.scale + "px";
      img.style.transform = `translate(${-w * v.scale / 2 + v.x}px, ${-h * v.scale / 2 + v.y}px)`;
    }
    root.classList.toggle("side", v.side);
    stage.className = "stage " + GROUNDS[v.ground];
    b.style.clipPath = v.side ? "none" : `inset(0 0 0 ${v.split}%)`;
    a.style.clipPath = v.side ? "none" : `inset(0 ${100 - v.split}% 0 0)`;
    handle.style.left = v.split + "%";
    handle.setAttribute("aria-valuenow", Math.round(v.split));
    q(".zoom").textContent = Math.round(v.scale * 100) + " %";
    q(".mode").textContent = v.side ? "slider" : "side by side";
  }
  function zoom(factor, cx, cy) {
    const next = Math.min(32, Math.max(1, v.scale * factor)), k = next / v.scale;
    v.x = cx - (cx - v.x) * k; v.y = cy - (cy - v.y) * k; v.scale = next;
    if (next === 1) { v.x = 0; v.y = 0; }
    draw();
  }
  function setSplit(value) { v.split = Math.min(100, Math.max(0, value)); draw(); }

  let drag = null;
  stage.onpointerdown = (e) => {
    const onHandle = handle.contains(e.composedPath()[0]);
    drag = { split: onHandle, x: e.clientX, y: e.clientY };
    stage.setPointerCapture(e.pointerId);
    root.focus({ preventScroll: true });
  };
  stage.onpointermove = (e) => {
    if (!drag) return;
    if (drag.split) {
      const box = stage.getBoundingClientRect();
      setSplit(((e.clientX - box.left) / box.width) * 100);
    } else {
      v.x += e.clientX - drag.x; v.y += e.clientY - drag.y;
      drag.x = e.clientX; drag.y = e.clientY;
      draw();
    }
  };
  stage.onpointerup = stage.onpointercancel = () => { drag = null; };
  stage.onwheel = (e) => {
    e.preventDefault();
    const box = stage.getBoundingClientRect(), paneW = v.side ? box.width / 2 : box.width;
    zoom(Math.exp(-e.deltaY * 0.0015), ((e.clientX - box.left) % paneW) - paneW / 2, e.clientY - box.top - box.height / 2);
  };
  root.onkeydown = (e) => {
    const step = e.shiftKey ? 10 : 2;
    if (e.key === "ArrowLeft") setSplit(v.split - step);
    else if (e.key === "ArrowRight") setSplit(v.split + step);
    else if (e.key === "Home") setSplit(0);
    else if (e.key === "End") setSplit(100);
    else if (e.key === "+" || e.key === "=") zoom(1.25, 0, 0);
    else if (e.key === "-") zoom(0.8, 0, 0);
    else if (e.key === "0") { v.scale = 1; v.x = 0; v.y = 0; draw(); }
    else if (e.key === "s" || e.key === "S") { v.side = !v.side; draw(); }
    else return;
    e.preventDefault(); e.stopPropagation();
  };
  q(".mode").onclick = () => { v.side = !v.side; draw(); };
  q(".ground").onclick = () => { v.ground = (v.ground + 1) % 3; draw(); };
  q(".in").onclick = () => zoom(1.25, 0, 0);
  q(".out").onclick = () => zoom(0.8, 0, 0);
  q(".fit").onclick = () => { v.scale = 1; v.x = 0; v.y = 0; draw(); };
  if (!v.observer) { v.observer = new ResizeObserver(() => v.draw()); v.observer.observe(stage); }
  v.draw = draw;
  draw();
  return () => { v.observer.disconnect(); v.observer = null; };
}
"""


@dataclass(frozen=True)
class Side:
    """One side of the slider."""

    name: str
    url: str


def svg_url(svg: bytes) -> str:
    """An SVG as a data: URL for an <img>."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()


def png_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def slider_data(shown: str, left: Side, right: Side, width: int, height: int, pixels_high: int = 460) -> dict[str, object]:
    """What the slider's script takes. ``shown`` names the logo: when it changes, the zoom starts anew."""
    return {
        "id": shown,
        "left": left.url,
        "right": right.url,
        "left_name": left.name,
        "right_name": right.name,
        "w": max(width, 1),
        "h": max(height, 1),
        "height": pixels_high,
    }
