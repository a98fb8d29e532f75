"""What makes a test a unit test: it starts no process (and so no training and no browser) and is done soon."""

from __future__ import annotations

import itertools
import multiprocessing.process
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from storage.store import Store

TIMEOUT_S = 30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(autouse=True)
def started_processes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was started against the rule. The test fails where it happens, and at its end too, as that may be in a thread."""
    started: list[str] = []

    def refuse(what: str) -> Any:
        def refused(*_: object, **__: object) -> NoReturn:
            started.append(what)
            pytest.fail(f"a unit test starts no process, but {what} was called; move it to tests/integration")

        return refused

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse("subprocess.Popen"))
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", refuse("Process.start"))
    for name in ("fork", "posix_spawn", "system"):
        monkeypatch.setattr(os, name, refuse(f"os.{name}"))
    yield started
    assert not started


@pytest.fixture(params=["in memory", "in a file"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens a store; whatever holds of one kind holds of the other."""
    names = (tmp_path / f"index-{n}.duckdb" for n in itertools.count())
    return lambda: Store(None if request.param == "in memory" else next(names))
