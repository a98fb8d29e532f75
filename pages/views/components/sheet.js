const views = new WeakMap();
const GROUNDS = ["light", "dark", "check"];

function made(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  if (tag === "button") e.type = "button";
  return e;
}
async function copy(url, button) {
  const text = new TextDecoder().decode(Uint8Array.from(atob(url.split(",")[1]), (c) => c.charCodeAt(0)));
  let done = true;
  try { await navigator.clipboard.writeText(text); } catch {
    const area = made("textarea"); // where a page is not served over a secure address
    area.value = text; document.body.append(area); area.select();
    done = document.execCommand("copy"); area.remove();
  }
  button.textContent = done ? "Copied" : "Can't copy";
  setTimeout(() => { button.textContent = "Copy SVG"; }, 1500);
}
function half(url, label) {
  const box = made("span", "half"), image = made("img");
  image.src = url; image.alt = label; image.draggable = false;
  box.append(image, made("small", "", label));
  return box;
}
function tools(item) {
  const row = made("div", "row tools"), button = made("button", "copy", "Copy SVG"), down = made("a", "tool", "Download"), bench = made("a", "tool", "Workbench");
  button.onclick = () => copy(item.after, button);
  down.href = item.after; down.download = item.file;
  down.setAttribute("aria-label", `Download ${item.name}`);
  bench.href = item.workbench; bench.title = "Open in Workbench";
  row.append(button, down, bench);
  return row;
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".sheet");
  if (!root || !data) return;
  let v = views.get(root);
  if (!v) { v = { ground: 0, drawn: new Map() }; views.set(root, v); }
  root.querySelector(".said").textContent = data.said;
  const cards = root.querySelector(".cards");
  const ground = () => { cards.classList.remove(...GROUNDS); cards.classList.add(GROUNDS[v.ground]); };
  root.querySelector(".ground").onclick = () => { v.ground = (v.ground + 1) % GROUNDS.length; ground(); };
  ground();

  function card(item) {
    const box = made("div", "card"), open = made("button", "pair"), choices = made("div", "row");
    box.setAttribute("role", "listitem");
    box.dataset.name = item.name;
    open.setAttribute("aria-label", `Open ${item.picture} in the viewer`);
    open.append(half(item.before, "before"), half(item.after, item.after_label));
    box.classList.toggle("taken", item.choice !== "");
    for (const [choice, label, title] of data.choices) {
      const button = made("button", `choose-${choice}`, label);
      button.setAttribute("aria-pressed", String(item.choice === choice));
      button.disabled = !item.offered.includes(choice);
      button.title = button.disabled ? "The result is that already" : title;
      choices.append(button);
    }
    const name = made("div", "name", item.picture);
    name.title = item.picture;
    box.append(open, name, made("div", "facts", item.facts));
    if (item.note) box.append(made("div", "note", item.note));
    box.append(choices, tools(item));
    return box;
  }
  // Only what changed is drawn again, so that nothing flickers and the focus stays where it is
  const drawn = new Map();
  const at = root.getRootNode().activeElement;
  const focused = at && cards.contains(at) ? [at.closest(".card")?.dataset.name, at.className] : null;
  for (const item of data.items) {
    const text = JSON.stringify(item), before = v.drawn.get(item.name);
    drawn.set(item.name, before && before.text === text ? before : { text, box: card(item) });
  }
  const boxes = [...drawn.values()].map((each) => each.box);
  if (boxes.length !== cards.children.length || boxes.some((box, i) => cards.children[i] !== box)) cards.replaceChildren(...boxes);
  for (const each of drawn.values()) for (const button of each.box.querySelectorAll("button.pair, .row:not(.tools) button")) {
    const item = data.items.find((i) => i.name === each.box.dataset.name); // the trigger belongs to the component as it is now
    if (button.className === "pair") button.onclick = () => setTriggerValue("opened", { name: item.name, at: Date.now() });
    else {
      const choice = button.className.replace("choose-", "");
      button.onclick = () => setTriggerValue("chose", { name: item.name, choice: item.choice === choice ? "" : choice, at: Date.now() });
    }
  }
  if (focused && focused[0]) {
    const box = boxes.find((each) => each.dataset.name === focused[0]);
    [...(box?.querySelectorAll("button, a") ?? [])].find((e) => e.className === focused[1])?.focus();
  }
  v.drawn = drawn;
}
