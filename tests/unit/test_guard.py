"""Only the console's own pages, under its own names, get through to it: on HTTP and websockets."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from core.machine import own_addresses
from pages.server.guard import HOSTS_VARIABLE, Guard

LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
ALLOWED = [
    {"host": "localhost:8501"},
    {"host": "127.0.0.1:8501"},
    {"host": "[::1]:8501"},
    {"host": "LocalHost:8501", "origin": "http://localhost:8501"},
    {"host": "127.0.0.1:9000", "origin": "http://127.0.0.1:9000"},
    {"host": "localhost", "origin": "http://localhost:80"},
    {"host": "logos.example.com", "origin": "https://logos.example.com"},
    {"host": "127.0.0.1:8501", "origin": "https://logos.example.com"},
]
REFUSED = [
    ({"host": "evil.example:8501"}, 421),
    ({"host": "127.0.0.1.evil.example"}, 421),
    ({"host": "localhost.:8501"}, 421),
    ({"host": "0.0.0.0:8501"}, 421),
    ({"host": "192.168.1.5:8501"}, 421),
    ({"host": "localhost:8501@evil.example"}, 421),
    ({"host": "localhost:port"}, 421),
    ({"host": "[::1"}, 421),
    ({"host": ""}, 421),
    ({"host": "localhost:8501", "origin": "http://localhost:8502"}, 403),
    ({"host": "localhost:8501", "origin": "http://127.0.0.1:8501"}, 403),
    ({"host": "localhost:8501", "origin": "http://evil.example"}, 403),
    ({"host": "localhost:8501", "origin": "null"}, 403),
    ({"host": "localhost:8501", "origin": ""}, 403),
    ({"host": "localhost:8501", "origin": "file://localhost:8501"}, 403),
    ({"host": "localhost:8501", "origin": "http://localhost:8501/path"}, 403),
    ({"host": "localhost:8501", "origin": "http://user@localhost:8501"}, 403),
    ({"host": "localhost:8501", "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, 403),
    ({"host": "localhost:8501", "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, 403),
]


class Visitor:
    """Speaks ASGI to the guard, as a server does for whoever connects."""

    def __init__(self, way="local", server=None) -> None:
        self.server = server
        self.origins: list[str | None] = []  # as they reached the page
        routes = [Route("/", self._page, methods=["GET", "POST"]), WebSocketRoute("/", self._talk)]
        self.app = Guard(Starlette(routes=routes), lambda: way)

    async def _page(self, request: Request) -> PlainTextResponse:
        self.origins.append(request.headers.get("origin"))
        return PlainTextResponse("in")

    async def _talk(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    def ask(self, headers: dict[str, str], method: str = "GET") -> tuple[int, str]:
        """(status, text) of a request."""
        sent = self._send({"type": "http", "method": method, "scheme": "http"}, headers, {"type": "http.request"})
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()

    def connects(self, headers: dict[str, str]) -> bool:
        """Whether a websocket is opened."""
        return self._send({"type": "websocket", "scheme": "ws"}, headers, {"type": "websocket.connect"})[0]["type"] == "websocket.accept"

    def _send(self, scope, headers, message):
        sent = []
        raw = [(key.encode(), value.encode()) for key, value in headers.items()]

        async def receive():
            return message

        async def send(answer):
            sent.append(answer)

        about = {"path": "/", "raw_path": b"/", "query_string": b"", "root_path": "", "headers": raw, "http_version": "1.1"}
        about["server"] = self.server
        asyncio.run(self.app(scope | about, receive, send))
        return sent


@pytest.fixture
def visitor(monkeypatch):
    monkeypatch.setenv(HOSTS_VARIABLE, " Logos.example.com ,")
    return Visitor()


@pytest.mark.parametrize("headers", ALLOWED)
def test_own_pages_get_in(visitor, headers):
    assert visitor.ask(headers) == (200, "in")
    assert visitor.ask(headers, "POST") == (200, "in")
    assert visitor.connects(headers)
    if "origin" in headers:  # Streamlit is given what it takes for its own without asking anybody
        assert visitor.origins[0].partition("://")[2] == headers["host"]


@pytest.mark.parametrize(("headers", "status"), REFUSED)
def test_nobody_else_gets_in(visitor, headers, status):
    for method in ("GET", "POST"):
        found, text = visitor.ask(headers, method)
        assert found == status
        assert text.startswith("This console ")
    assert not visitor.connects(headers)
    assert not visitor.origins


def test_a_link_from_elsewhere_opens_a_page_and_does_no_more(visitor):
    assert visitor.ask({"host": "localhost:8501"} | LINK) == (200, "in")
    assert visitor.ask({"host": "localhost:8501"} | LINK, "POST")[0] == 403
    assert not visitor.connects({"host": "localhost:8501"} | LINK)


@pytest.mark.parametrize("server", [("192.168.1.5", 8501), ("10.0.0.1", 80), ("fe80::1%eth0", 8501), ("::ffff:10.0.0.1", 8501)])
def test_a_console_that_asks_nobody_answers_no_connection_from_elsewhere(server):
    """However it was started: the server framework may have been told another address than the settings have."""
    visitor = Visitor(server=server)
    assert visitor.ask({"host": "localhost:8501"})[0] == 403
    assert not visitor.connects({"host": "localhost:8501"})
    for way in ("sign-in", "token"):
        assert Visitor(way, server).ask({"host": "localhost:8501"})[0] == 200


@pytest.mark.parametrize("server", [("127.0.0.1", 8501), ("::1", 8501), ("a.sock", None), None])
def test_a_connection_from_this_machine_is_answered(server):
    assert Visitor(server=server).ask({"host": "localhost:8501"})[0] == 200


def test_where_people_sign_in_this_machines_addresses_are_names_too():
    own = next((each for each in sorted(own_addresses()) if "." in each and not each.startswith("127.")), None)
    if own is None:
        pytest.skip("this machine has no other IPv4 address")
    open_to_all = Visitor("sign-in", (own, 8501))
    assert open_to_all.ask({"host": f"{own}:8501", "origin": f"http://{own}:8501"}) == (200, "in")
    assert open_to_all.ask({"host": f"{own}:8501", "origin": f"http://{own}:8502"})[0] == 403  # another program on it
    assert open_to_all.ask({"host": "evil.example:8501"})[0] == 421  # a name that was pointed at it
    assert Visitor().ask({"host": f"{own}:8501"})[0] == 421


def test_a_name_counts_on_the_usual_ports_and_those_that_are_listed(monkeypatch):
    monkeypatch.setenv(HOSTS_VARIABLE, "logos.example.com, other.example.com:8443, [2001:db8::1]:8444, 2001:db8::2, a b, :80")
    visitor, host = Visitor(), {"host": "127.0.0.1:8501"}
    for origin, wanted in {
        "https://logos.example.com": 200, "http://logos.example.com": 200, "https://logos.example.com:8443": 403,
        "https://other.example.com:8443": 200, "https://other.example.com": 403, "https://[2001:db8::1]:8444": 200,
        "https://[2001:db8::2]": 200, "https://[2001:db8::2]:8444": 403,
    }.items():  # fmt: skip
        assert visitor.ask(host | {"origin": origin})[0] == wanted, origin
    for name in ("logos.example.com", "other.example.com:9", "[2001:db8::1]", "[2001:db8::2]:1"):
        assert visitor.ask({"host": name})[0] == 200, name
