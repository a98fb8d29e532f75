"""Pages from elsewhere in a real Chromium: another local port, a frame, a name that was pointed at this machine."""

import http.server
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from core.runs.records import claim
from tests.support.browsers import FLAGS
from tests.support.runs import tiny_config
from tests.support.servers import serving

STRANGER = "stranger.example"
# What a page can try: it tells in `tried` what came of each
ATTACK = """<!doctype html><title>elsewhere</title><body><script>
window.tried = {};
const at = "http://HOST/", tell = (what, result) => { window.tried[what] = result; };
const frame = document.createElement("iframe");
frame.onload = () => tell("frame", "loaded"); frame.src = at; document.body.append(frame);
const picture = new Image();
picture.onload = () => tell("picture", "shown"); picture.onerror = () => tell("picture", "refused"); picture.src = at + "favicon.png";
for (const [what, options] of [["read", {}], ["blind", {mode: "no-cors"}], ["write", {method: "POST", mode: "no-cors", body: "a"}]])
  fetch(at + "api/runs", options).then(async a => tell(what, (await a.text()) || a.type), () => tell(what, "refused"));
const socket = new WebSocket("ws://HOST/_stcore/stream");
socket.onopen = () => tell("socket", "open"); socket.onerror = () => tell("socket", "refused");
</script>"""


@contextmanager
def page_elsewhere(target: str):
    """A page on another port of this machine that attacks ``target``; yields its address."""
    body = ATTACK.replace("HOST", target).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture
def foreign(chromium):
    """A browser to which a stranger's name is pointed at this machine."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        rules = f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1"
        browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, rules])
        yield browser.new_page()
        browser.close()


def test_nothing_is_read_written_or_opened_from_elsewhere(home, tmp_path, foreign):
    claim(home, tiny_config("builtin", name="secret"))
    with serving(home, tmp_path) as server:
        target = urlsplit(server.url).netloc
        answers = []
        foreign.on("response", lambda answer: answers.append((urlsplit(answer.url).netloc, answer.status)))
        with page_elsewhere(target) as address:
            foreign.goto(address)
            foreign.wait_for_function("Object.keys(tried).length >= 5 && 'socket' in tried && 'picture' in tried")
            tried = foreign.evaluate("tried")
        assert tried["socket"] == "refused"
        assert tried["picture"] == "refused"
        assert tried["read"] == "refused"
        assert "secret" not in str(tried)
        assert {status for host, status in answers if host == target} == {403}

        port = urlsplit(server.url).port
        answer = foreign.goto(f"http://{STRANGER}:{port}/")
        assert answer.status == 421
        assert "does not answer to" in foreign.inner_text("body")
        assert foreign.goto(f"http://{STRANGER}:{port}/api/runs").status == 421
        opened = "new Promise(done => { const s = new WebSocket(`ws://${location.host}/_stcore/stream`);"
        assert foreign.evaluate(f"{opened} s.onopen = () => done('open'); s.onerror = () => done('refused'); }})") == "refused"


def test_the_console_works_under_each_of_its_own_names(home, tmp_path, foreign):
    with serving(home, tmp_path) as server:
        port = urlsplit(server.url).port
        for name in ("localhost", "127.0.0.1"):
            foreign.goto(f"http://{name}:{port}/")
            foreign.get_by_role("heading", name="Runs").wait_for()
