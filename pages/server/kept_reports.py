"""Serves the reports that are kept: ``/api/reports/NAME`` and ``/api/reports/NAME.pdf``.

Guarantee: a report is shown in a sandbox of its own origin, so that nothing in it could act as the console, and fetches nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from core.errors import RunError
from core.files import open_file
from core.reports import kept

PATH = "/api/reports"
SANDBOX = "sandbox allow-scripts allow-downloads allow-popups; frame-ancestors 'none'"  # the rest stands in the report itself


def routes(base: str, home: Callable[[], Path]) -> list[Route]:
    """``home``: where the reports are; asked at each request."""

    async def show(request: Request) -> Response:
        name = str(request.path_params["name"])
        try:
            report = await run_in_threadpool(kept.find, home(), name.removesuffix(".pdf"))
        except RunError as error:
            return PlainTextResponse(str(error), 404)
        path = report.pdf_file if name.endswith(".pdf") else report.html_file
        try:
            data = await run_in_threadpool(_content, path)
        except OSError:
            return PlainTextResponse(f"{path.name} does not exist; make it on the Reports page", 404)
        kind = "application/pdf" if name.endswith(".pdf") else "text/html; charset=utf-8"
        headers = {"Cache-Control": "no-store"} | ({} if name.endswith(".pdf") else {"Content-Security-Policy": SANDBOX})
        return Response(data, media_type=kind, headers=headers)

    return [Route(f"{base}{PATH}/{{name}}", show)]


def _content(path: Path) -> bytes:
    with open_file(path) as file:
        return bytes(file.read())
