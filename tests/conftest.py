"""Fixtures that all tests need: a home of their own, small logos, a console on an empty folder, recorded runs."""

from __future__ import annotations

import functools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.server import service
from pages.views import chart_box
from tests.support.disks import mounted
from tests.support.logos import write_logos
from tests.support.paths import ROOT
from tests.support.recorded import Recorder, Recordings, shared_folder
from tests.support.requirements import need

ENDING_S = 5


@pytest.fixture(autouse=True)
def _no_thread_outlives_a_test() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and not t.name.startswith(("reaper-", "pydevd", "ray_", "PythonGCThread"))]
    left = [t for t in left if not any(known in t.name for known in ("ScriptRunner", "asyncio", "ThreadPoolExecutor"))]
    for thread in left:
        thread.join(ENDING_S)  # one that was told to end may take a moment, such as a spinner's
    assert not (names := [t.name for t in left if t.is_alive()]), f"threads left running: {names}"


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or leaves anything in, the runs of whoever runs the tests."""
    monkeypatch.setenv("TRACEWRIGHT_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def _charts_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every chart that a page draws in a test is checked against Vega-Lite's schema, which a console leaves out."""
    monkeypatch.setattr(chart_box, "unchecked", lambda chart: chart)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def logo_folder(tmp_path: Path) -> Path:
    """Twelve small logos in the four categories."""
    return write_logos(tmp_path / "logos of mine")


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    return Recordings(shared_folder(tmp_path_factory))


@pytest.fixture
def recorded(recordings: Recordings, home: Path) -> Recorder:
    """``recorded(**changes)``: a trained tiny run in ``home``, a copy of the session's one recording of that config."""
    return functools.partial(recordings.tiny, home)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 80 MB; skipped where nothing may be mounted."""
    with mounted(tmp_path / "small") as folder:
        yield folder


@pytest.fixture
def console(home: Path) -> Iterator[service.Console]:
    with service.serve(home) as opened:
        yield opened


@pytest.fixture
def visit(console: service.Console) -> Callable[..., AppTest]:
    """Open a page as a visitor would: through ``app.py``, with query parameters."""

    def open_page(name: str = "", **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
        app.query_params.update(query)
        if name:
            app.run()
            app.switch_page(f"pages/{name}.py")
        return app.run()

    return open_page


@pytest.fixture
def real_logos() -> Path:
    """The folder of real logos."""
    named = os.environ.get("TRACEWRIGHT_LOGOS", "")
    need(named and (Path(named) / "manifest.csv").is_file(), "TRACEWRIGHT_LOGOS, a folder of real logos")
    return Path(named)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    need(found, "Chromium (Debian: apt-get install chromium)")
    return str(found)
