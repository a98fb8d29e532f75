"""The Content-Security-Policy in a real Chromium: no page of the console comes up against it, and an injected script does."""

import pytest

from pages.server.registry import PAGES
from tests.support.servers import serving

LISTEN = """window.refused = []; document.addEventListener("securitypolicyviolation",
  e => window.refused.push(`${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile}`));"""
INJECT = """() => { window.ran = []; const at = document.body;
  const text = document.createElement("script"); text.textContent = "window.ran.push('text')"; at.append(text);
  const box = document.createElement("div"); box.innerHTML = "<img src=x onerror=\\"window.ran.push('handler')\\">"; at.append(box);
  const link = document.createElement("a"); link.href = "javascript:window.ran.push('link')"; at.append(link); link.click();
  const far = document.createElement("script"); far.src = "https://stranger.example/x.js"; at.append(far);
  const data = document.createElement("script"); data.src = "data:text/javascript,window.ran.push('data')"; at.append(data);
  setTimeout(() => { try { window.eval("window.ran.push('eval')"); } catch (error) { window.refused.push("eval "); } }); }"""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_pages_keep_the_policy_and_injected_scripts_do_not_run(home, tmp_path, recorded, browse):
    run = recorded()
    with serving(home, tmp_path) as server:
        page = browse()
        page.add_init_script(LISTEN)
        for each in PAGES:
            page.goto(f"{server.url}/{each.name}?run={run.run_id}")
            page.get_by_role("heading", level=1).first.wait_for()
            page.wait_for_load_state("networkidle")
            refused = page.evaluate("window.refused")
            # Streamlit's protobuf tries WebAssembly first, which takes 'wasm-unsafe-eval', and goes on without
            assert [line for line in refused if not (line.startswith("script-src wasm-eval") and "protobuf" in line)] == [], each.name
        page.evaluate(INJECT)
        page.wait_for_timeout(500)  # for what must not happen there is nothing to wait for
        assert page.evaluate("window.ran") == []
        refused = page.evaluate("window.refused")
        assert {"script-src-elem", "script-src-attr", "eval"} <= {each.split()[0] for each in refused}
