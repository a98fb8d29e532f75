const SEEN = "tracewright.tour";
const NOTIFY = "tracewright.notify";
const states = new WeakMap();

function stored(key) { try { return localStorage.getItem(key); } catch { return "unknown"; } }
function store(key, value) { try { localStorage.setItem(key, value); } catch { /* a browser that keeps nothing asks again */ } }

// The page's own links, so that going somewhere loads nothing anew
function open(path) {
  const link = [...document.querySelectorAll('[data-testid="stSidebarNav"] a')].find((a) => new URL(a.href).pathname.endsWith("/" + path));
  if (link) link.click(); else location.assign("/" + path);
}
// A step of the tour stands beside the link of its page, which is marked; where the sidebar is folded, in the middle
function pointed(path) {
  const links = [...document.querySelectorAll('[data-testid="stSidebarNav"] a')];
  for (const link of links) link.style.outline = "";
  const link = path === null ? null : links.find((a) => new URL(a.href).pathname.endsWith("/" + path));
  link?.scrollIntoView({ block: "nearest" });
  const box = link?.getBoundingClientRect();
  if (!box || box.width === 0 || box.right < 40 || window.innerWidth - box.right < 560) return null;
  link.style.outline = "2px solid currentColor";
  return box;
}
function place(guide, box) {
  guide.style.margin = box ? "0" : "";
  guide.style.left = box ? box.right + 16 + "px" : "";
  guide.style.top = box ? Math.max(12, Math.min(box.top - 24, window.innerHeight - guide.offsetHeight - 12)) + "px" : "";
}
function press(key) { document.querySelector(`.st-key-${key} button`)?.click(); }

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".keys");
  if (!root || !data) return;
  const q = (s) => root.querySelector(s);
  let v = states.get(root);
  if (!v) { v = { step: 0, since: Date.now() / 1000, armed: 0 }; states.set(root, v); }
  const card = q(".card"), list = q("dialog.list"), guide = q("dialog.guide"), notify = q(".notify");
  card.hidden = stored(SEEN) !== null;

  const rows = q("dl");
  rows.replaceChildren();
  for (const [keys, what] of data.shortcuts) {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    for (const key of keys.split(" ")) { const k = document.createElement("kbd"); k.textContent = key; dt.append(k, " "); }
    dd.textContent = what;
    rows.append(dt, dd);
  }

  function show() {
    const [title, text, path] = data.tour[v.step];
    guide.querySelector("small").textContent = `${v.step + 1} of ${data.tour.length}`;
    guide.querySelector("h2").textContent = title;
    guide.querySelector("p").textContent = text;
    guide.querySelector(".back").disabled = v.step === 0;
    guide.querySelector(".next").textContent = v.step === data.tour.length - 1 ? "Done" : "Next";
    guide.querySelector(".close").hidden = v.step === data.tour.length - 1;
    place(guide, pointed(path));
    guide.querySelector(".go").onclick = () => { guide.close(); store(SEEN, "seen"); open(path); };
  }
  function tour() { v.step = 0; store(SEEN, "seen"); card.hidden = true; guide.showModal(); show(); }
  q(".tour").onclick = q(".again").onclick = tour;
  q(".later").onclick = () => { store(SEEN, "later"); card.hidden = true; };
  q(".help").onclick = () => list.showModal();
  list.querySelector(".close").onclick = () => list.close();
  guide.querySelector(".close").onclick = () => guide.close();
  guide.onclose = () => pointed(null);
  guide.querySelector(".back").onclick = () => { v.step = Math.max(0, v.step - 1); show(); };
  guide.querySelector(".next").onclick = () => { if (v.step === data.tour.length - 1) guide.close(); else { v.step += 1; show(); } };

  // A run that ends while one looks elsewhere
  const can = "Notification" in window;
  notify.hidden = !can || Notification.permission === "denied";
  const isOn = () => can && Notification.permission === "granted" && stored(NOTIFY) === "on";
  const say = () => { notify.textContent = isOn() ? "Turn off notifications" : "Notify me"; notify.title = "Browser notifications when a run ends or needs attention."; };
  notify.onclick = async () => {
    if (isOn()) store(NOTIFY, "off");
    else if ((await Notification.requestPermission()) === "granted") store(NOTIFY, "on");
    say();
  };
  say();
  if (data.latest && data.latest.ts > v.since) {
    v.since = data.latest.ts;
    if (isOn() && document.hidden) new Notification(data.latest.title, { body: data.latest.run, tag: "tracewright" });
  }

  function onKey(e) {
    const at = e.composedPath()[0];
    const isTyping = at instanceof HTMLElement && (at.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(at.tagName));
    if (isTyping || e.ctrlKey || e.metaKey || e.altKey || list.open || guide.open) return;
    const now = Date.now();
    if (v.armed && now - v.armed < 1500) {
      v.armed = 0;
      const path = data.pages[e.key.toLowerCase()];
      if (path) { e.preventDefault(); open(path); }
      return;
    }
    if (e.key === "?") { e.preventDefault(); list.showModal(); }
    else if (e.key === "g") v.armed = now;
    else if (e.key === "[") press("previous");
    else if (e.key === "]") press("next");
    else if (e.key === "/") {
      const field = document.querySelector('[data-testid="stMain"] input[type="text"]');
      if (field) { e.preventDefault(); field.focus(); }
    }
  }
  document.addEventListener("keydown", onKey);

  return () => document.removeEventListener("keydown", onKey);
}
