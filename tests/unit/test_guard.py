"""Only the console's own pages, under its own names, get through to it: on HTTP and websockets."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

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

    def __init__(self) -> None:
        self.origins: list[str | None] = []  # as they reached the page
        routes = [Route("/", self._page, methods=["GET", "POST"]), WebSocketRoute("/", self._talk)]
        self.app = Guard(Starlette(routes=routes))

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
