"""What exists once per server process: the store, its ingest, the scheduler, the routes and headers."""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import AccessError, StoreError
from core.logos import waiting
from core.machine import give_back_memory
from core.models import registry
from core.notifications.notifier import Notifier
from core.paths import runs_home
from core.reports.reporter import Reporter
from core.runs import shelf, trash
from core.runs.records import problems
from core.scheduling.scheduler import Scheduler
from pages.server import changes, identity, kept_reports, start_document
from pages.server.guard import Guard
from pages.server.routes import Gate
from storage.ingest import Ingest
from storage.store import Store, open_store

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' blob:",  # blob: = components without a build step; no 'unsafe-inline', no 'unsafe-eval'
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "frame-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


log = logging.getLogger("tracewright")
END_S = 15.0  # that a server takes to end at most
LOOK_S, GIVE_BACK_S = 0.5, 15.0


@dataclass(frozen=True)
class Console:
    """The parts of a running console."""

    home: Path
    store: Store
    ingest: Ingest
    scheduler: Scheduler
    notifier: Notifier
    reporter: Reporter


_console: Console | None = None


def console() -> Console:
    """The console of this process.

    Raises:
        RuntimeError: called outside :func:`serve`.
    """
    if _console is None:
        raise RuntimeError("No console is open in this process. Start it with 'make run' (streamlit run app.py).")
    return _console


@contextlib.contextmanager
def serve(home: Path) -> Iterator[Console]:
    """Own ``home`` for the duration of the block: open its database, follow its event logs, start what is queued."""
    global _console
    if _console is not None:
        raise RuntimeError(f"This process already serves {_console.home}.")
    home.mkdir(parents=True, exist_ok=True)
    trash.empty(home, trash.KEPT_S)
    registry.empty(home, registry.KEPT_S)
    waiting.sweep(home)
    with contextlib.ExitStack() as parts:
        store = parts.enter_context(open_store(home))
        ingest = parts.enter_context(Ingest(store, home))
        scheduler = parts.enter_context(Scheduler(home))
        reporter = parts.enter_context(Reporter(home, scheduler.is_acting))
        notifier = parts.enter_context(Notifier(home, scheduler.is_acting, listener=reporter.note))
        parts.enter_context(_beside("shelf", lambda over: shelf.warm(home, over.is_set)))
        parts.enter_context(_beside("memory", lambda over: _stay_small(store, over)))
        _console = Console(home, store, ingest, scheduler, notifier, reporter)
        try:
            yield _console
        finally:
            _console = None


@contextlib.contextmanager
def _beside(name: str, work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Have a thread do something, which ends once the event is set that it is given."""
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


def _stay_small(store: Store, over: threading.Event) -> None:
    """Pages, uploads and the index take memory and free it all the time: without this, a server that is up for days looks as if it leaked.

    What a page's queries read of the index grows with the runs. It goes once they are done, and is read again from the system's cache of the file:
    a fifth more for the queries of a page on a million episodes.
    """
    n_before, n_done, due = store.n_reads, -1, time.monotonic() + GIVE_BACK_S
    while not over.wait(LOOK_S):
        n_reads, is_due = store.n_reads, time.monotonic() >= due
        if (is_due or n_before == n_reads != n_done) and store.give_back_memory():
            n_done = n_reads
        if is_due:
            give_back_memory()
            due = time.monotonic() + GIVE_BACK_S
        n_before = n_reads


def end_in_time(patience_s: float = END_S) -> None:
    """Once asked to end, wait a third of ``patience_s`` for connections that are not done, and all of it for anything else;
    then say on stderr where every thread stands, and end. Nothing is lost by it: the event logs are the truth.

    To be called while the server framework's handlers are set, from the main thread; elsewhere it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)
        config: Any = getattr(getattr(before, "__self__", None), "config", None)
        if hasattr(config, "timeout_graceful_shutdown"):
            config.timeout_graceful_shutdown = max(round(patience_s / 3), 1)

        def ends(number: int, frame: FrameType | None, before: Any = before) -> None:
            faulthandler.dump_traceback_later(patience_s, exit=True)
            if callable(before):
                before(number, frame)

        signal.signal(number, ends)


def decide_access() -> None:
    """Decide whom this server answers. Where that would be anybody, say so in one line and end before it answers at all."""
    try:
        identity.open_to()
    except AccessError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        os._exit(1)  # an exception here would reach the user as the server framework's traceback


@contextlib.asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[dict[str, object]]:
    """Start before the first visit, end with the server. What keeps it from starting is said in one line."""
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(serve(runs_home()))
        except (StoreError, OSError) as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            os._exit(1)  # an exception here would reach the user as the server framework's traceback
        end_in_time()
        yield {"console": opened}


def health(_request: Request) -> JSONResponse:  # no coroutine: the server has a thread do it, and other requests go on
    """For scripts and tests: whether the server is up and how much it has read."""
    opened = console()
    offsets = opened.store.offsets()
    return JSONResponse(
        {
            "status": "ok",
            "pid": os.getpid(),
            "runs": len(offsets),
            "read_bytes": sum(offsets.values()),
            "ingest_error": opened.ingest.error,
            "scheduler_error": opened.scheduler.error,
        }
    )


def runs(_request: Request) -> JSONResponse:
    """For scripts and tests: every run with its status, as the pages show it."""
    rows = [
        {
            "run_id": run_id, "status": seen.state.status.value, "reason": seen.state.reason, "is_stalled": seen.state.is_stalled,
            "problems": problems(seen.facts.run),
        }
        for run_id, seen in reversed(shelf.look_all(console().home).items())
    ]  # fmt: skip
    return JSONResponse({"ts": time.time(), "runs": rows}, headers={"Cache-Control": "no-store"})


class SecurityHeaders:
    """Add the security headers to every HTTP response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)  # a report has a stricter one
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "no-referrer"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, send_with_headers)


_BASE = start_document.base_path()
ROUTES = [
    Route(f"{_BASE}/api/health", health),
    Route(f"{_BASE}/api/runs", runs),
    *changes.routes(_BASE, lambda: (console().home, console().store, console().ingest.error)),
    *kept_reports.routes(_BASE, lambda: console().home),
    *start_document.routes(),
]
MIDDLEWARE = [Middleware(SecurityHeaders), Middleware(Guard), Middleware(Gate)]
