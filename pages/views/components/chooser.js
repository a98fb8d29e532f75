const views = new WeakMap();
const START = 2; // times what fits: shapes are judged from near
const GROUNDS = ["light", "dark", "check"];

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".ch");
  if (!root || !data) return;
  const q = (s) => root.querySelector(s);
  let v = views.get(root);
  if (!v) { v = { scale: 1, x: 0, y: 0, ground: 0, shown: "", isAnswered: false }; views.set(root, v); }
  const stages = [q(".stage.left"), q(".stage.original"), q(".stage.right")];
  const images = stages.map((stage) => stage.querySelector("img"));
  [data.left, data.original, data.right].forEach((url, i) => { if (images[i].src !== url) images[i].src = url; });
  if (v.shown !== data.id) { v.shown = data.id; v.isAnswered = false; v.scale = 1; v.x = 0; v.y = 0; }
  root.setAttribute("aria-busy", String(v.isAnswered)); // until the next pair is there

  function draw() {
    stages.forEach((stage, i) => {
      const fit = Math.min((stage.clientWidth - 16) / data.w, (stage.clientHeight - 16) / data.h);
      const w = data.w * fit * v.scale, h = data.h * fit * v.scale, k = stage.clientWidth / Math.max(stages[0].clientWidth, 1);
      images[i].style.width = w + "px";
      images[i].style.height = h + "px";
      images[i].style.transform = `translate(${-w / 2 + v.x * k}px, ${-h / 2 + v.y * k}px)`;
      stage.classList.remove(...GROUNDS);
      stage.classList.add(GROUNDS[v.ground]);
    });
    q(".zoom").textContent = Math.round(v.scale * 100) + " %";
  }
  function zoom(factor, cx, cy) {
    const next = Math.min(32, Math.max(1, v.scale * factor)), k = next / v.scale;
    v.x = cx - (cx - v.x) * k; v.y = cy - (cy - v.y) * k; v.scale = next;
    if (next === 1) { v.x = 0; v.y = 0; }
    draw();
  }
  function answer(value) {
    if (v.isAnswered && value !== "back") return; // one answer for each pair, however often a key repeats
    v.isAnswered = true;
    root.setAttribute("aria-busy", "true");
    setTriggerValue("answer", { id: data.id, value });
  }
  let drag = null;
  for (const stage of stages) {
    stage.onpointerdown = (e) => { drag = { x: e.clientX, y: e.clientY }; stage.setPointerCapture(e.pointerId); root.focus({ preventScroll: true }); };
    stage.onpointermove = (e) => {
      if (!drag) return;
      v.x += e.clientX - drag.x; v.y += e.clientY - drag.y;
      drag = { x: e.clientX, y: e.clientY };
      draw();
    };
    stage.onpointerup = stage.onpointercancel = () => { drag = null; };
    stage.onwheel = (e) => {
      e.preventDefault();
      const box = stage.getBoundingClientRect();
      zoom(Math.exp(-e.deltaY * 0.0015), e.clientX - box.left - box.width / 2, e.clientY - box.top - box.height / 2);
    };
  }
  function onKey(e) {
    const at = e.composedPath()[0];
    const isTyping = at instanceof HTMLElement && (at.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(at.tagName));
    if (isTyping || e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
    if (e.key === "ArrowLeft") answer("left");
    else if (e.key === "ArrowRight") answer("right");
    else if (e.key === "ArrowDown" || e.key === "=") answer("equal");
    else if (e.key === "Backspace") answer("back");
    else if (e.key === "+") zoom(1.25, 0, 0);
    else if (e.key === "-") zoom(0.8, 0, 0);
    else if (e.key === "0") { v.scale = 1; v.x = 0; v.y = 0; draw(); }
    else if (e.key === "b" || e.key === "B") { v.ground = (v.ground + 1) % 3; draw(); }
    else return;
    e.preventDefault();
    e.stopPropagation();
  }
  if (v.onKey) document.removeEventListener("keydown", v.onKey); // of the pair before
  v.onKey = onKey;
  document.addEventListener("keydown", onKey);
  q(".pick-left").onclick = () => answer("left");
  q(".pick-right").onclick = () => answer("right");
  q(".pick-equal").onclick = () => answer("equal");
  q(".pick-back").onclick = () => answer("back");
  q(".ground").onclick = () => { v.ground = (v.ground + 1) % 3; draw(); };
  q(".in").onclick = () => zoom(START, 0, 0);
  q(".out").onclick = () => zoom(1 / START, 0, 0);
  q(".fit").onclick = () => { v.scale = 1; v.x = 0; v.y = 0; draw(); };
  if (!v.observer) { v.observer = new ResizeObserver(() => v.draw()); stages.forEach((stage) => v.observer.observe(stage)); }
  v.draw = draw;
  draw();
  return () => { document.removeEventListener("keydown", onKey); if (v.observer) v.observer.disconnect(); v.observer = null; };
}
