"""Each page while a run is live: one console and one run for all of them, as none is changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.runs.run_dir import RunDir
from pages.server import service
from tests.support.pages import PAGES, live_run

pytestmark = pytest.mark.xdist_group("live pages")


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("live") / "home"


@pytest.fixture(autouse=True)
def _own_home(shared_home, monkeypatch) -> None:
    """The home of this module's console."""
    monkeypatch.setenv("TRACEWRIGHT_HOME", str(shared_home))


@pytest.fixture(scope="module")
def console(shared_home) -> Iterator[service.Console]:
    with service.serve(shared_home) as opened:
        yield opened


@pytest.fixture(scope="module")
def live(console, recordings) -> Iterator[RunDir]:
    with live_run(console, recordings.logos) as run:
        yield run


@pytest.mark.parametrize(("name", "title"), PAGES.items())
def test_a_page_with_a_live_run(visit, live, name, title):
    page = visit(name)
    assert not page.exception
    assert page.title[0].value == title
    if name in ("runs", "live"):
        assert "Stop" in [b.label for b in page.button]


def test_live_says_what_has_passed_what_is_left_and_that_a_stop_loses_nothing(visit, live):
    page = visit("live", run=live.run_id)
    told = page.get("progress")[0].proto.text
    assert "elapsed" in told
    assert "left" in told
    (stop,) = [button for button in page.button if button.label == "Stop"]
    assert stop.help.startswith("Nothing is lost")
    assert not [caption.value for caption in page.caption if "discards" in caption.value]
    assert [metric.label for metric in page.metric][:4] == ["Best validation gain", "Latest gain", "Episodes", "Steps per second"]
