"""Controls who may talk to the console: only pages that it served itself, under an allowed host name.

A browser sends requests to this machine for any page that asks it to: one whose name was pointed at 127.0.0.1, one that another program
serves on another port, one in a frame. None of them may read, write or open anything here. So the Host of every request and websocket
must be this machine's own or one that the operator names, and its Origin, where there is one, the same. That is decided before Streamlit
sees the request, which for an unknown Origin would ask a host on the internet for this machine's address.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.access.exposure import HOSTS_VARIABLE, Way
from core.machine import own_addresses
from pages.server import identity

LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_MOST_NAMES = 50  # that a refusal lists
Refusal = tuple[HTTPStatus, str]


@dataclass(frozen=True)
class Names:
    """``hosts``: that a request may be for; ``origins``: (host, port) of pages behind a proxy, which the operator named."""

    hosts: frozenset[str]
    origins: frozenset[tuple[str, int]] = frozenset()


def allowed_names(own: Iterable[str] = ()) -> Names:
    """This machine's own names and ``own``, and those that the operator lists in TRACEWRIGHT_HOSTS, separated by commas.

    One that is listed with a port is also an origin on that port; without, on the usual ports alone.
    """
    hosts, origins = {*LOCAL_HOSTS, *own}, set()
    for entry in os.environ.get(HOSTS_VARIABLE, "").lower().split(","):
        text = entry.strip()
        name = _authority(f"[{text}]" if text.count(":") > 1 and not text.startswith("[") else text, "")
        if name is None:
            continue
        host, port = name
        hosts.add(host)
        if host not in LOCAL_HOSTS:
            origins |= {(host, port)} if port else {(host, 80), (host, 443)}
    return Names(frozenset(hosts), frozenset(origins))


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


def refusal(scope: Scope, names: Names, is_local: bool = True) -> Refusal | None:
    """Why a request or websocket is refused; None where it may pass. ``is_local``: nobody is asked who they are."""
    if is_local and _is_from_outside(scope):
        return HTTPStatus.FORBIDDEN, (
            "This console asks nobody to sign in, so it answers only on 127.0.0.1 and ::1 of the machine that runs it (SECURITY.md)."
        )
    headers = Headers(scope=scope)
    named, origins = headers.getlist("host"), headers.getlist("origin")
    host = _authority(named[0], scope.get("scheme", "http")) if len(named) == 1 else None
    if host is None or host[0] not in names.hosts:
        said = f"{', '.join(named)[:100]!r}" if named else "no host"
        return HTTPStatus.MISDIRECTED_REQUEST, (
            f"This console does not accept the host {said}; allowed hosts: {', '.join(sorted(names.hosts)[:_MOST_NAMES])}. "
            f"To allow others, set {HOSTS_VARIABLE} where the console is started."
        )
    if len(origins) > 1 or (origins and not _is_own(origins[0], named[0], names)):
        return HTTPStatus.FORBIDDEN, f"This console accepts requests only from its own pages, not from {', '.join(origins)[:100]!r}."
    if headers.get("sec-fetch-site", "none") in ("cross-site", "same-site") and not _is_link(scope, headers):
        return HTTPStatus.FORBIDDEN, "This console can't be embedded in another page; open it in its own tab."
    return None


def _is_from_outside(scope: Scope) -> bool:
    """Whether a connection came in at an address of this machine that others reach, whatever started the server and however."""
    server = scope.get("server")
    try:
        return server is not None and not ipaddress.ip_address(str(server[0]).partition("%")[0]).is_loopback
    except ValueError:
        return False  # a socket's file


def _is_own(origin: str, host: str, names: Names) -> bool:
    """Whether an Origin is that of the Host, or of a name that the operator gave (a proxy may put another Host in its place)."""
    scheme, found, rest = origin.partition("://")
    asked = _authority(rest, scheme.lower()) if found and scheme.lower() in ("http", "https") else None
    if asked is None:
        return False
    return asked == _authority(host, scheme.lower()) or asked in names.origins


def _is_link(scope: Scope, headers: Headers) -> bool:
    """Whether somebody followed a link to a page of the console."""
    is_navigation = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and is_navigation


class Guard:
    """ASGI middleware: refuses what :func:`refusal` names, with 421 or 403, on HTTP and websockets alike."""

    def __init__(self, app: ASGIApp, way: Callable[[], Way] = identity.way) -> None:
        self.app = app
        self.way = way
        self.local = allowed_names()
        self.open = allowed_names(own_addresses())  # an address can't be pointed elsewhere, as a name can

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        is_local = self.way() == "local"
        refused = refusal(scope, self.local if is_local else self.open, is_local)
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
