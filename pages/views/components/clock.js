const clocks = new WeakMap();

// With an address: asks at intervals whether there is something new, and has its part of the page drawn again only then. Without: has the page
// drawn again when a lost connection is back. A session that is new knows nothing of the page, and would pass over the next press of a button.
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".clock");
  if (!root || !data) return;
  let clock = clocks.get(root);
  if (!clock) { clock = { isAsking: false, asked: "" }; clocks.set(root, clock); }
  clearInterval(clock.timer);
  async function look() {
    if (clock.isAsking || (document.hidden && !data.hidden)) return; // what nobody sees need not be new
    clock.isAsking = true;
    try {
      const answer = await fetch(data.address, { cache: "no-store", credentials: "same-origin" });
      // 401 or 403: signed out elsewhere, or the role was taken; drawn again, the page says so
      if (!answer.ok && answer.status !== 401 && answer.status !== 403) return;
      const found = answer.ok ? await answer.text() : `${answer.status}`;
      if (found === data.version) { clock.asked = ""; return; }
      if (found === clock.asked) return;
      clock.asked = found; // a drawing that takes longer than the interval is asked for once
      setTriggerValue("due", found);
    } catch { // the server is away: Streamlit says so
    } finally { clock.isAsking = false; }
  }
  if (data.address) {
    clock.timer = setInterval(look, data.every_ms);
    return () => clearInterval(clock.timer);
  }
  const app = document.querySelector("[data-test-connection-state]");
  const watch = new MutationObserver(() => {
    if (app.dataset.testConnectionState !== "CONNECTED") clock.isLost = true;
    else if (clock.isLost) { clock.isLost = false; setTriggerValue("due", `back at ${Date.now()}`); }
  });
  if (app) watch.observe(app, { attributeFilter: ["data-test-connection-state"] });
  return () => watch.disconnect();
}
