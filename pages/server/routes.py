"""Which role every address of the server takes, and the middleware that holds it, on HTTP and websockets alike.

What is not in the table takes a viewer. docs/access.md is made from it.
"""

from __future__ import annotations

import hmac
import logging
import time
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.access import audit
from core.access.limits import Limit
from core.access.roles import Person, Role
from core.paths import runs_home
from pages.server import identity, start_document
from pages.server.registry import PAGES

log = logging.getLogger("tracewright")
TOKEN_COOKIE, TOKEN_PARAMETER = "tracewright_token", "token"
MAX_QUERY = 2000  # characters of an address that is read for a token


@dataclass(frozen=True)
class Rule:
    """``path``: an address, or what it begins with where it ends in "/"; ``role``: the least that it takes, None: nobody gets it."""

    path: str
    role: Role | None
    title: str


RULES: tuple[Rule, ...] = (
    Rule("/static/", Role.SIGNED_OUT, "Streamlit's own scripts, styles and fonts"),
    Rule("/favicon.png", Role.SIGNED_OUT, "An icon"),
    *(Rule(path, Role.SIGNED_OUT, "The start document, which holds no data") for path in ("", "/", *(f"/{page.name}" for page in PAGES))),
    Rule("/api/start.js", Role.SIGNED_OUT, "The start document's script"),
    Rule("/api/", Role.VIEWER, "Health, the list of runs, kept reports"),
    Rule("/media/", Role.VIEWER, "Pictures and downloads of pages"),
    Rule("/component/", Role.VIEWER, "Files of components"),
    Rule("/auth/", Role.SIGNED_OUT, "Sign-in and sign-out"),
    Rule("/oauth2callback", Role.SIGNED_OUT, "Where the provider sends people back to"),
    Rule("/_stcore/health", Role.SIGNED_OUT, "Whether the server is up"),
    Rule("/_stcore/host-config", Role.SIGNED_OUT, "Settings of Streamlit's front end"),
    Rule("/_stcore/stream", Role.SIGNED_OUT, "The websocket of pages, each of which takes a viewer itself"),
    Rule("/_stcore/upload_file/", Role.TRAINER, "Uploads"),
    Rule("/_stcore/metrics", Role.ADMIN, "Streamlit's own figures"),
    Rule("/_stcore/script-health-check", None, "Would run a page for whoever asks"),
    Rule("/_stcore/agent/", None, "Streamlit's interface for programs, which the console does not offer"),
)
OTHER = Rule("(any other)", Role.VIEWER, "Anything else")
UPLOADS = "/_stcore/upload_file/"


def rule_of(path: str) -> Rule:
    """The first rule that an address falls under. Doubled slashes and dots change nothing: they fall under no looser rule."""
    for rule in RULES:
        if path == rule.path or (rule.path.endswith("/") and len(rule.path) > 1 and path.startswith(rule.path)):
            is_looser = rule.role is not None and rule.role < Role.VIEWER
            return OTHER if is_looser and (".." in path or "//" in path) else rule
    return OTHER


class Gate:
    """ASGI middleware: who asks is found out, and gets what their role allows; 401 for whoever is signed out, 403 for the others."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.uploads = Limit(3600.0, time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        way = identity.way()
        answer = self._token_answer(scope) if way == "token" else None
        if (answer is None and way != "token") or (answer is None and _has_token(scope)):
            answer = await self._answer(scope)
        if answer is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the server answers 403
        else:
            await answer(scope, receive, send)

    def _token_answer(self, scope: Scope) -> Response | None:
        """Take the token out of an address and into a cookie, or ask for it; None where the request has it, or needs none."""
        if _has_token(scope) or _path(scope) == "/_stcore/health":
            return None
        query = parse_qsl(scope.get("query_string", b"")[:MAX_QUERY].decode("latin-1"), keep_blank_values=True)
        given = [value for key, value in query if key == TOKEN_PARAMETER]
        if scope["type"] == "http" and scope["method"] == "GET" and len(given) == 1 and _is_same(given[0], identity.token()):
            left = urlencode([(key, value) for key, value in query if key != TOKEN_PARAMETER])
            base, path = start_document.base_path(), _path(scope)
            page = path if path in {f"/{page.name}" for page in PAGES} else "/"
            found = RedirectResponse(f"{base}{page}" + (f"?{left}" if left else ""), HTTPStatus.SEE_OTHER)
            found.set_cookie(TOKEN_COOKIE, _digest(identity.token()), httponly=True, samesite="lax", path=base or "/")
            return found
        return _said("This console takes a token: open the address that was printed where it was started.", HTTPStatus.UNAUTHORIZED)

    async def _answer(self, scope: Scope) -> Response | None:
        """What a person is told who may not have this; None where they may."""
        path = _path(scope)
        rule = rule_of(path)
        if rule.role is None:
            return _said("There is nothing here.", HTTPStatus.NOT_FOUND)
        if rule.role is Role.SIGNED_OUT and not path.startswith("/auth/logout"):
            return None  # nothing depends on who asks
        if path.startswith("/auth/logout"):
            await run_in_threadpool(identity.end, HTTPConnection(scope).cookies)
            return None
        person, access = await run_in_threadpool(identity.asking, HTTPConnection(scope).cookies)
        if person.role < rule.role:
            if person.role is Role.SIGNED_OUT:
                return _said("Sign in to the console first.", HTTPStatus.UNAUTHORIZED)
            await run_in_threadpool(_record, person, path)
            return _said(f"This takes the role {rule.role.label}; {person.name} is {person.role.label}.", HTTPStatus.FORBIDDEN)
        if path.startswith(UPLOADS) and scope["type"] == "http" and scope["method"] == "PUT" and person.is_limited:
            return self._upload_answer(scope, person, access.upload_mb_per_hour * 1e6)
        return None

    def _upload_answer(self, scope: Scope, person: Person, most: float) -> Response | None:
        length = Headers(scope=scope).get("content-length", "")
        if not (length.isascii() and length.isdigit() and len(length) < 16):
            return _said("An upload must say how long it is.", HTTPStatus.LENGTH_REQUIRED)
        wait = self.uploads.wait_s(person.name, float(length), most)
        if not wait:
            return None
        when = f"; try again in {wait / 60:.0f} minutes" if wait < float("inf") else ""
        said = f"{person.name} may upload {most / 1e6:g} MB per hour{when}."
        return _said(said, HTTPStatus.TOO_MANY_REQUESTS)


def _path(scope: Scope) -> str:
    """The address without the base path."""
    path, base = str(scope["path"]), start_document.base_path()
    return path[len(base) :] if base and (path == base or path.startswith(f"{base}/")) else path


def _digest(token: str) -> str:
    return sha256(f"tracewright/{token}".encode()).hexdigest()


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _has_token(scope: Scope) -> bool:
    return _is_same(HTTPConnection(scope).cookies.get(TOKEN_COOKIE, ""), _digest(identity.token()))


def _said(text: str, status: HTTPStatus) -> Response:
    return PlainTextResponse(text + "\n", status, headers={"Cache-Control": "no-store"})


def _record(person: Person, path: str) -> None:
    try:
        audit.record(runs_home(), audit.now_entry(person.name, person.role.label, "address", path, "refused"))
    except OSError as error:
        log.warning("the audit trail can't be written: %s", error)
