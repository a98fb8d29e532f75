"""Shared fixtures: small real pictures, tiny configs, a console on an empty folder, a real server and browser."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from streamlit.testing.v1 import AppTest

from core.config.config import RunConfig
from core.config.text import validate
from core.runs.event_types import Metrics, to_data
from core.runs.events import read_events
from core.runs.records import read_log_tail
from core.runs.run_dir import RunDir
from core.runs.status import Status, run_state
from pages.server import service
from pages.views import chart_box

ROOT = Path(__file__).parents[1]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
REQUIRE_ALL = bool(os.environ.get("TRACEWRIGHT_REQUIRE_ALL"))


@pytest.fixture(autouse=True)
def _no_thread_outlives_a_test() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [t.name for t in threading.enumerate() if t not in before and t.is_alive() and not t.name.startswith(("reaper-", "pydevd"))]
    left = [name for name in left if not any(known in name for known in ("ScriptRunner", "asyncio", "ThreadPoolExecutor"))]
    assert not left, f"threads left running: {left}"


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


def draw_logo(kind: int, size: int = 48) -> Image.Image:
    """A small distinct flat logo."""
    rng = np.random.default_rng(kind)
    image = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        x, y = rng.integers(4, size // 2, 2)
        w, h = rng.integers(8, size // 2, 2)
        colour = tuple(int(v) for v in rng.integers(0, 220, 3))
        (draw.ellipse if rng.random() < 0.5 else draw.rectangle)([x, y, x + w, y + h], fill=colour)
    return image


@pytest.fixture
def logo_folder(tmp_path: Path) -> Path:
    """Twelve small logos in the four categories."""
    folder = tmp_path / "logos of mine"
    for i in range(12):
        path = folder / ("simple", "text", "gradient", "complex")[i % 4] / f"logo {i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_logo(i).save(path)
    return folder


def tiny_config(folder: Path, **changes: Any) -> RunConfig:
    """A run of a few seconds."""
    data: dict[str, Any] = {
        "name": "tiny",
        "total_timesteps": 96,
        "n_envs": 4,
        "n_workers": 2,
        "logos": {"path": str(folder), "work_size": 48},
        "ppo": {"n_steps": 8, "batch_size": 16, "n_epochs": 2},
        "evaluation": {"every_steps": 32},
        "checkpoint": {"every_steps": 64},
        "recovery": {"enabled": False},
    }
    for key, value in changes.items():
        data[key] = data.get(key, {}) | value if isinstance(value, dict) else value
    return validate(data)


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


def need(found: object, what: str) -> None:
    """Skip without ``what``, or fail where nothing may be skipped."""
    if not found:
        if REQUIRE_ALL:
            pytest.fail(f"{what} is required here")
        pytest.skip(f"needs {what}")


@pytest.fixture
def real_logos() -> Path:
    """The folder of real logos."""
    named = os.environ.get("TRACEWRIGHT_LOGOS", "")
    need(named and (Path(named) / "manifest.csv").is_file(), "TRACEWRIGHT_LOGOS, a folder of real logos")
    return Path(named)


@pytest.fixture
def chromium() -> str:
    """The path of a Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    need(found, "Chromium (Debian: apt-get install chromium)")
    return str(found)


@pytest.fixture
def browse(chromium: str):
    """A page of a fresh browser, which fails the test for any script error."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)

        def open_page(**options: Any) -> Any:
            page = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True, **options).new_page()
            page.set_default_timeout(60_000)
            page.on("pageerror", lambda e: pytest.fail(f"script error on a page: {e}"))
            return page

        yield open_page
        browser.close()


def keep_picture(page: Any, name: str) -> None:
    """A picture of what a person sees at the end of a task, where a folder for them is named (``make pictures``)."""
    folder = os.environ.get("TRACEWRIGHT_PICTURES", "")
    if folder:
        page.wait_for_timeout(1500)  # charts fade in
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def values(run: RunDir, kinds=("episode", "evaluated", "evaluation", "stage_ended"), beyond=-1, attempt=None) -> list:
    """What must repeat: everything but clocks."""
    found = []
    for e in read_events(run.events_file):
        if e.kind in kinds and e.step > beyond and attempt in (None, e.attempt):
            data = {k: v for k, v in to_data(e.data).items() if k not in ("cpu_s", "seconds", "speed")}
            found.append((e.kind, e.step, data))
    return found


def update_values(run: RunDir, beyond=-1, attempt=None) -> list:
    keys = ("train/loss", "train/approx_kl", "train/value_loss", "train/std", "train/learning_rate", "rollout/ep_rew_mean")
    return [
        (e.step, {k: e.data.values[k] for k in keys if k in e.data.values})
        for e in read_events(run.events_file)
        if isinstance(e.data, Metrics) and "train/loss" in e.data.values and e.step > beyond and attempt in (None, e.attempt)
    ]


def follow(run: RunDir, wanted, timeout: float = 60.0):
    """Wait for an event of a run, reading its log; fails with the log's tail."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for event in read_events(run.events_file):
            if wanted(event):
                return event
        assert run_state(run).status in (Status.RUNNING, Status.QUEUED), "\n".join(read_log_tail(run, 30))
        time.sleep(0.05)
    pytest.fail("the event did not come:\n" + "\n".join(read_log_tail(run, 30)))


def await_end(run: RunDir, timeout: float = 60.0) -> Status:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        state = run_state(run)
        if state.status.is_finished:
            return state.status
        time.sleep(0.05)
    pytest.fail("the run did not end:\n" + "\n".join(read_log_tail(run, 30)))
