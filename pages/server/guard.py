"""Controls who may talk to the console: only pages that it served itself, under an allowed host name.

A browser sends requests to this machine for any page that asks it to: one whose name was pointed at 127.0.0.1, one that another program
serves on another port, one in a frame. None of them may read, write or open anything here. So the Host of every request and websocket
must be this machine's own or one that the operator names, and its Origin, where there is one, the same. That is decided before Streamlit
sees the request, which for an unknown Origin would ask a host on the internet for this machine's address.
"""

from __future__ import annotations

import os
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOSTS_VARIABLE = "TRACEWRIGHT_HOSTS"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
Refusal = tuple[HTTPStatus, str]


def allowed_hosts() -> frozenset[str]:
    """This machine's own names, and those that the operator lists in TRACEWRIGHT_HOSTS, separated by commas."""
    named = (name.strip().lower().strip("[]") for name in os.environ.get(HOSTS_VARIABLE, "").split(","))
    return frozenset(LOCAL_HOSTS) | {name for name in named if name}


def _authority(text: str, scheme: str) -> tuple[str, int] | None:
    """(host, port) of "host", "host:port" or "[address]:port"; None where it is none of these."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.path or parts.query or parts.fragment or parts.username is not None:
        return None
    return host, port if port is not None else _DEFAULT_PORTS.get(scheme, 0)


def refusal(scope: Scope, hosts: frozenset[str]) -> Refusal | None:
    """Why a request or websocket is refused; None where it may pass."""
    headers = Headers(scope=scope)
    named, origins = headers.getlist("host"), headers.getlist("origin")
    host = _authority(named[0], scope.get("scheme", "http")) if len(named) == 1 else None
    if host is None or host[0] not in hosts:
        said = f"{', '.join(named)[:100]!r}" if named else "no host"
        return HTTPStatus.MISDIRECTED_REQUEST, (
            f"This console does not accept the host {said}; allowed hosts: {', '.join(sorted(hosts))}. "
            f"To allow others, set {HOSTS_VARIABLE} where the console is started."
        )
    if len(origins) > 1 or (origins and not _is_own(origins[0], named[0], hosts)):
        return HTTPStatus.FORBIDDEN, f"This console accepts requests only from its own pages, not from {', '.join(origins)[:100]!r}."
    if headers.get("sec-fetch-site", "none") in ("cross-site", "same-site") and not _is_link(scope, headers):
        return HTTPStatus.FORBIDDEN, "This console can't be embedded in another page; open it in its own tab."
    return None


def _is_own(origin: str, host: str, hosts: frozenset[str]) -> bool:
    """Whether an Origin is that of the Host, or of a name that the operator gave (a proxy may put another Host in its place)."""
    scheme, found, rest = origin.partition("://")
    asked = _authority(rest, scheme.lower()) if found and scheme.lower() in ("http", "https") else None
    if asked is None:
        return False
    return asked == _authority(host, scheme.lower()) or asked[0] in hosts - set(LOCAL_HOSTS)


def _is_link(scope: Scope, headers: Headers) -> bool:
    """Whether somebody followed a link to a page of the console."""
    is_navigation = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and is_navigation


class Guard:
    """ASGI middleware: refuses what :func:`refusal` names, with 421 or 403, on HTTP and websockets alike."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.hosts = allowed_hosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refused = refusal(scope, self.hosts)
        if refused is None:
            await self.app(_with_plain_origin(scope), receive, send)
        elif scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the server answers 403
        else:
            await PlainTextResponse(refused[1] + "\n", refused[0])(scope, receive, send)


def _with_plain_origin(scope: Scope) -> Scope:
    """The Origin was found to be our own: written as the Host is, so that Streamlit need not find that out in ways of its own."""
    headers = MutableHeaders(raw=list(scope["headers"]))
    if "origin" in headers:
        headers["origin"] = f"{headers['origin'].partition('://')[0].lower()}://{headers['host']}"
    return {**scope, "headers": headers.raw}
