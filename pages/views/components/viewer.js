const views = new WeakMap();

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".tw");
  if (!root || !data) return;
  const q = (s) => root.querySelector(s);
  const stage = q(".stage"), handle = q(".handle"), a = q(".pane.a"), b = q(".pane.b");
  let v = views.get(root);
  if (!v) { v = { split: 50, scale: 1, x: 0, y: 0, ground: 0, side: false, shown: "" }; views.set(root, v); }

  const ia = a.querySelector("img"), ib = q(".after"), over = q(".over");
  if (ia.src !== data.left) ia.src = data.left;
  if (ib.src !== data.right) ib.src = data.right;
  ia.alt = data.left_name; ib.alt = data.right_name;
  const cover = data.over || "";
  if ((over.getAttribute("src") || "") !== cover) { if (cover) over.src = cover; else over.removeAttribute("src"); }
  over.alt = data.over_name || "";
  over.style.display = cover ? "" : "none";
  root.classList.toggle("covered", !!cover);
  const opacity = q(".opacity");
  over.style.opacity = opacity.value / 100;
  opacity.oninput = () => { over.style.opacity = opacity.value / 100; };
  q(".name.left").textContent = data.left_name;
  q(".name.right").textContent = data.right_name;
  if (v.shown !== data.id) { v.shown = data.id; v.scale = 1; v.x = 0; v.y = 0; }
  const isFull = () => document.fullscreenElement !== null && (root.getRootNode().fullscreenElement === root || document.fullscreenElement === root);
  const size = () => { stage.style.height = isFull() ? window.innerHeight - 90 + "px" : data.height + "px"; };
  size();

  const GROUNDS = ["light", "dark", "check"];
  function draw() {
    const paneW = v.side ? stage.clientWidth / 2 : stage.clientWidth;
    const fit = Math.min((paneW - 24) / data.w, (stage.clientHeight - 24) / data.h);
    const w = data.w * fit, h = data.h * fit;
    for (const img of [ia, ib, over]) {
      img.style.width = w * v.scale + "px";
      img.style.height = h * v.scale + "px";
      img.style.transform = `translate(${-w * v.scale / 2 + v.x}px, ${-h * v.scale / 2 + v.y}px)`;
    }
    root.classList.toggle("side", v.side);
    root.classList.toggle("pixelated", v.scale >= 6);
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
  const touches = new Map();
  const spread = () => { const [p, r] = [...touches.values()]; return Math.hypot(p[0] - r[0], p[1] - r[1]); };
  stage.onpointerdown = (e) => {
    touches.set(e.pointerId, [e.clientX, e.clientY]);
    if (touches.size === 2) { drag = null; v.pinch = spread(); return; }
    const onHandle = handle.contains(e.composedPath()[0]);
    drag = { split: onHandle, x: e.clientX, y: e.clientY };
    stage.setPointerCapture(e.pointerId);
    root.focus({ preventScroll: true });
  };
  stage.onpointermove = (e) => {
    if (touches.has(e.pointerId)) touches.set(e.pointerId, [e.clientX, e.clientY]);
    if (touches.size === 2) { const now = spread(); zoom(now / (v.pinch || now), 0, 0); v.pinch = now; return; }
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
  stage.onpointerup = stage.onpointercancel = (e) => { drag = null; touches.delete(e.pointerId); };
  stage.onwheel = (e) => {
    e.preventDefault();
    const box = stage.getBoundingClientRect(), paneW = v.side ? box.width / 2 : box.width;
    zoom(Math.exp(-e.deltaY * 0.0015), ((e.clientX - box.left) % paneW) - paneW / 2, e.clientY - box.top - box.height / 2);
  };
  root.onkeydown = (e) => {
    const step = e.shiftKey ? 10 : 2;
    if (e.target.type === "range" || (e.composedPath()[0] || {}).type === "range") return;
    if (e.key === "ArrowLeft") setSplit(v.split - step);
    else if (e.key === "ArrowRight") setSplit(v.split + step);
    else if (e.key === "Home") setSplit(0);
    else if (e.key === "End") setSplit(100);
    else if (e.key === "+" || e.key === "=") zoom(1.25, 0, 0);
    else if (e.key === "-") zoom(0.8, 0, 0);
    else if (e.key === "0") { v.scale = 1; v.x = 0; v.y = 0; draw(); }
    else if (e.key === "s" || e.key === "S") { v.side = !v.side; draw(); }
    else if (e.key === "b" || e.key === "B") { v.ground = (v.ground + 1) % 3; draw(); }
    else if (e.key === "f" || e.key === "F") full();
    else return;
    e.preventDefault(); e.stopPropagation();
  };
  function full() { if (isFull()) document.exitFullscreen(); else root.requestFullscreen(); }
  root.onfullscreenchange = () => { size(); draw(); };
  q(".full").onclick = full;
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
