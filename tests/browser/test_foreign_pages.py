"""Pages from elsewhere in a real Chromium: from another local port, in a frame, under a name that was pointed at this machine."""

import contextlib
import http.server
import socket
import threading
import urllib.request
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from core.access.exposure import HOSTS_VARIABLE, TOKEN_VARIABLE
from core.runs.records import claim
from pages.server import service
from tests.support.browsers import FLAGS
from tests.support.requirements import need
from tests.support.runs import tiny_config
from tests.support.servers import serving, speaks_to_itself_only

STRANGER = "stranger.example"
OPERATORS = "logos.example"  # a name that the operator gave the console
TOKEN = "a token for those behind a proxy".replace(" ", "-")
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
        rules = f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1, MAP {OPERATORS} 127.0.0.1"
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
        assert "does not accept the host" in foreign.inner_text("body")
        assert foreign.goto(f"http://{STRANGER}:{port}/api/runs").status == 421
        opened = "new Promise(done => { const s = new WebSocket(`ws://${location.host}/_stcore/stream`);"
        assert foreign.evaluate(f"{opened} s.onopen = () => done('open'); s.onerror = () => done('refused'); }})") == "refused"
        speaks_to_itself_only(server)


def opens(page, url):
    """A page of the console, live through its websocket: what it shows comes over that."""
    sockets = []
    page.on("websocket", lambda found: sockets.append(found.url))
    page.goto(url)
    page.get_by_role("heading", name="Welcome").wait_for()  # there is no run yet
    page.get_by_role("link", name="Logos", exact=True).first.click()
    page.get_by_role("heading", name="Logos").first.wait_for()
    assert sockets


def test_the_console_works_under_each_of_its_own_names(home, tmp_path, foreign):
    with serving(home, tmp_path) as server:
        port = urlsplit(server.url).port
        for name in ("localhost", "127.0.0.1"):
            opens(foreign, f"http://{name}:{port}/")
        speaks_to_itself_only(server)


def test_the_console_works_at_the_newer_address_of_this_machine(home, tmp_path, foreign):
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            need(None, "IPv6 on this machine's loopback")
    with serving(home, tmp_path, "--server.address", "::1", host="[::1]") as server:
        opens(foreign, server.url)
        speaks_to_itself_only(server)


def test_the_console_works_under_a_base_path(home, tmp_path, foreign):
    with serving(home, tmp_path, "--server.baseUrlPath", "logos/console", base="/logos/console") as server:
        opens(foreign, f"{server.url}/logos/console/")
        answer = foreign.goto(f"http://{STRANGER}:{urlsplit(server.url).port}/logos/console/")
        assert answer.status == 421
        # Pages and their start script know where they are, under the policy that holds elsewhere
        for path, said in (
            ("", 'src="/logos/console/api/start.js"'),
            ("live", 'src="/logos/console/api/start.js"'),
            ("api/start.js", '"/logos/console/"'),
        ):
            with urllib.request.urlopen(f"{server.url}/logos/console/{path}", timeout=5) as found:
                assert found.headers["content-security-policy"] == service.CONTENT_SECURITY_POLICY
                assert said in found.read().decode()
        speaks_to_itself_only(server)


@contextmanager
def proxy_to(port: int):
    """What passes bytes on and leaves the Host as the browser said it, as nginx is set up for websockets; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads, ends = [], []

    def pass_on(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                ends.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threads.append(threading.Thread(target=pass_on, args=pair, daemon=True))
                    threads[-1].start()

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in (accepting, *threads):
            thread.join(10)


def test_the_console_works_behind_a_proxy_that_the_operator_names(home, tmp_path, foreign):
    named = {HOSTS_VARIABLE: OPERATORS, TOKEN_VARIABLE: TOKEN}  # without sign-in or a token it does not start
    with serving(home, tmp_path, is_open=False, environment=named) as server, proxy_to(urlsplit(server.url).port) as port:
        assert foreign.goto(f"http://{OPERATORS}:{port}/").status == 401
        opens(foreign, f"http://{OPERATORS}:{port}/?token={TOKEN}")
        assert foreign.goto(f"http://{STRANGER}:{port}/").status == 421
        speaks_to_itself_only(server)
