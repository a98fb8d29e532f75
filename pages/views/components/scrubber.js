const states = new WeakMap();
const NS = "http://www.w3.org/2000/svg";

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".scrub");
  if (!root || !data || !data.frames.length) return;
  const q = (s) => root.querySelector(s);
  let v = states.get(root);
  if (!v) { v = { at: data.frames.length - 1, timer: null, id: "" }; states.set(root, v); }
  if (v.id !== data.id) { v.id = data.id; v.at = data.frames.length - 1; }
  const frames = data.frames, last = frames.length - 1;
  v.at = Math.min(v.at, last);
  const range = q(".at"), image = q(".shown img"), said = q(".said"), play = q(".play"), curves = q(".curves");
  range.max = last;

  curves.replaceChildren();
  const marks = [];
  for (const name of data.names) {
    const values = frames.map((f) => f.values[name]);
    const known = values.filter((x) => x !== null);
    const low = Math.min(...known), span = Math.max(...known) - low || 1;
    const box = document.createElement("div"), label = document.createElement("span"), value = document.createElement("b");
    box.className = "curve"; label.textContent = name;
    const svg = document.createElementNS(NS, "svg"), line = document.createElementNS(NS, "polyline"), mark = document.createElementNS(NS, "line");
    svg.setAttribute("viewBox", "0 0 100 100"); svg.setAttribute("preserveAspectRatio", "none"); svg.setAttribute("aria-hidden", "true");
    const x = (i) => (last ? (100 * i) / last : 50);
    line.setAttribute("points", values.map((y, i) => (y === null ? "" : `${x(i)},${94 - (88 * (y - low)) / span}`)).filter(Boolean).join(" "));
    mark.setAttribute("y1", 0); mark.setAttribute("y2", 100);
    svg.append(line, mark); box.append(label, value, svg); curves.append(box);
    svg.onclick = (e) => { const b = svg.getBoundingClientRect(); go(Math.round((last * (e.clientX - b.left)) / b.width)); };
    marks.push({ mark, value, values, x });
  }

  function go(to) {
    v.at = Math.max(0, Math.min(last, to));
    const frame = frames[v.at];
    range.value = v.at;
    if (image.src !== frame.url) image.src = frame.url;
    image.alt = `${data.logo}, step ${frame.step}`;
    said.textContent = frame.said;
    for (const { mark, value, values, x } of marks) {
      mark.setAttribute("x1", x(v.at)); mark.setAttribute("x2", x(v.at));
      value.textContent = values[v.at] === null ? "–" : String(Number(values[v.at].toPrecision(4)));
    }
  }
  function stop() { clearInterval(v.timer); v.timer = null; play.textContent = "play"; play.setAttribute("aria-label", "Play"); }
  range.oninput = () => { stop(); go(Number(range.value)); };
  play.onclick = () => {
    if (v.timer) { stop(); return; }
    if (v.at === last) go(0);
    play.textContent = "pause"; play.setAttribute("aria-label", "Pause");
    v.timer = setInterval(() => { if (v.at >= last) stop(); else go(v.at + 1); }, 450);
  };
  go(v.at);
  return stop;
}
