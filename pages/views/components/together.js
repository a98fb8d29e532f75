const states = new WeakMap();

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".together");
  if (!root || !data || !data.steps.length) return;
  const q = (s) => root.querySelector(s);
  const last = data.steps.length - 1;
  let v = states.get(root);
  if (!v) { v = { at: last, timer: null, id: "" }; states.set(root, v); }
  if (v.id !== data.id) { v.id = data.id; v.at = last; }
  v.at = Math.min(v.at, last);
  const range = q(".at"), said = q(".said"), play = q(".play"), frames = q(".frames");
  range.max = last;

  const add = (kind, name, text) => { const e = document.createElement(kind); e.className = name; e.textContent = text; return e; };
  frames.replaceChildren(add("span", "head", ""), ...data.runs.map((run) => add("span", "head", run)));
  frames.style.gridTemplateColumns = `minmax(70px, 130px) repeat(${data.runs.length}, minmax(120px, 1fr))`;
  const cells = [];
  for (const logo of data.logos) {
    frames.append(add("span", "name", logo.name));
    logo.cells.forEach((shown, i) => {
      const figure = document.createElement("figure"), box = document.createElement("div"), image = document.createElement("img");
      const caption = document.createElement("figcaption");
      image.draggable = false; box.append(image); figure.append(box, caption); frames.append(figure);
      cells.push({ image, caption, shown, of: `${logo.name}, ${data.runs[i]}` });
    });
  }

  function go(to) {
    v.at = Math.max(0, Math.min(last, to));
    const step = data.steps[v.at];
    range.value = v.at;
    range.setAttribute("aria-valuetext", `step ${step}`);
    said.textContent = `step ${step.toLocaleString("en")}`;
    for (const { image, caption, shown, of } of cells) {
      const frame = shown.findLast((f) => f.step <= step);
      image.hidden = !frame || !frame.url;
      if (frame && frame.url && image.src !== frame.url) image.src = frame.url;
      image.alt = frame ? `${of}, step ${frame.step}` : "";
      caption.textContent = frame ? frame.said : "not evaluated yet";
    }
  }
  function stop() { clearInterval(v.timer); v.timer = null; play.textContent = "play"; play.setAttribute("aria-label", "Play"); }
  range.oninput = () => { stop(); go(Number(range.value)); };
  play.onclick = () => {
    if (v.timer) { stop(); return; }
    if (v.at === last) go(0);
    play.textContent = "pause"; play.setAttribute("aria-label", "Pause");
    v.timer = setInterval(() => { if (v.at >= last) stop(); else go(v.at + 1); }, 500);
  };
  go(v.at);
  return stop;
}
