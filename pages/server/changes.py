"""What a page asks for between its drawings: a text that changes when there is something new to draw, of some runs or of the sidebar.

To ask costs a small request and no drawing, so a page that has nothing new to show costs next to nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from core.access.roles import Person
from core.notifications.notices import KINDS, last_read_ts
from core.runs import shelf
from core.runs.run_dir import RunDir, is_run_id
from core.runs.status import Status, run_state
from pages.server import identity
from storage import queries
from storage.store import Store

PATH = "/api/changes"
TICK_S = 30.0  # times that pass by themselves, such as the elapsed time, are at most so old
MAX_RUNS = 50  # of one request


def version(store: Store, runs: Sequence[RunDir]) -> str:
    """Of some runs: changes with what was read of their logs, with their status, their own log's size and, while one is live, every TICK_S."""
    told, is_live = [], False
    for run in runs:
        state = run_state(run)
        is_live |= state.status.is_live
        told.append(f"{store.generation(run.run_id)}.{state.status.value}.{state.reason}.{state.is_stalled}.{_bytes(run)}")
    return "|".join([*told, str(int(time.time() / TICK_S)) if is_live else ""])


def version_of_frame(home: Path, store: Store, problem: str, person: Person) -> str:
    """Of what is around every page: changes with the runs that are live or waiting, with notices, with ``problem`` (what keeps the
    logs from being read) and with who looks at it and their role."""
    seen = shelf.look_all(home)
    live = [f"{run_id}={one.facts.name}" for run_id, one in seen.items() if one.state.status.is_live]
    n_waiting = sum(one.state.status is Status.QUEUED for one in seen.values())
    n_notices, newest_ts = queries.notable_mark(store, KINDS)
    return repr((person.name, person.role.label, live, n_waiting, n_notices, newest_ts, last_read_ts(home), problem))


def address(base: str, runs: Sequence[RunDir] = ()) -> str:
    """Where a page asks for the version of these runs, or without any of its frame; ``base``: the server's base path."""
    return f"{base}{PATH}?{urlencode([('run', run.run_id) for run in runs])}" if runs else f"{base}{PATH}"


def _bytes(run: RunDir) -> int:
    try:
        return run.log_file.stat().st_size
    except OSError:
        return 0


def routes(base: str, parts: Callable[[], tuple[Path, Store, str]]) -> list[Route]:
    """``parts``: the home and the store of the console that is open, and what keeps it from reading logs."""

    def answer(names: Sequence[str], cookies: Mapping[str, str]) -> str:
        home, store, problem = parts()
        if not names:
            return version_of_frame(home, store, problem, identity.asking(cookies)[0])
        return version(store, [RunDir(home / name) for name in names[:MAX_RUNS] if is_run_id(name) and (home / name).is_dir()])

    async def changes(request: Request) -> PlainTextResponse:
        found = await run_in_threadpool(answer, request.query_params.getlist("run"), request.cookies)
        return PlainTextResponse(found, headers={"Cache-Control": "no-store"})

    return [Route(f"{base}{PATH}", changes)]
