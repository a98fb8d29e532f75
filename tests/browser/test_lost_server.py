"""A server that is killed under open tabs, and comes back at the same address: each tab gets a session of its own again, and has lost nothing."""

import signal
import time

from playwright.sync_api import FilePayload, Page

from core.bench.made_up import finished_runs
from core.scheduling.batch import all_batches
from tests.support.logos import png
from tests.support.servers import serving

APP = '[data-testid="stApp"]'
CONNECTED = f'{APP}[data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
LOST = f'{APP}:not([data-test-connection-state="CONNECTED"])'
DRAWN_FROM = 10  # messages of a server; before the page is drawn again there are none


def frames_of_new_sockets(page: Page) -> list[int]:
    """Bytes of each message that the page receives over sockets that it opens from now on."""
    found: list[int] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: found.append(len(frame))))
    return found


def test_what_was_set_in_open_tabs_outlives_the_server(home, tmp_path, browse):
    finished_runs(home, 3)
    with serving(home, tmp_path) as server:
        bench, form, runs, pictures = pages = [browse() for _ in range(4)]
        for page, address in zip(pages, ("workbench", "new_run", "", "optimize"), strict=True):
            page.goto(f"{server.url}/{address}")
            page.locator("h1").first.wait_for()
            page.wait_for_selector(CONNECTED)
        slider = bench.get_by_role("slider", name="color_precision (bits)")
        at = int(slider.input_value())
        slider.press("ArrowLeft")
        bench.wait_for_url("**values=*")
        form.get_by_role("textbox", name="Name").first.fill("my own name")
        form.keyboard.press("Tab")
        form.wait_for_url("**my*own*name*")
        runs.get_by_role("textbox", name="Find").fill("many 0")
        runs.keyboard.press("Enter")
        runs.wait_for_url("**find=*")
        pictures.locator("input[type=file]").set_input_files(
            [FilePayload(name=f"mine-{n}.png", mimeType="image/png", buffer=png(n)) for n in (1, 2)]
        )
        pictures.get_by_text("2 files chosen").wait_for()
        pictures.get_by_role("slider", name="Attempts per image").press("ArrowLeft")
        pictures.wait_for_url("**budget=9*")
        bench.wait_for_selector(CONNECTED)
        commands = bench.locator(".stCode").first.inner_text()

        server.end(signal.SIGKILL)
        for page in pages:
            page.wait_for_selector(LOST, state="attached")
        drawn = [frames_of_new_sockets(page) for page in pages]
        server.start()
        for page, frames in zip(pages, drawn, strict=True):
            deadline = time.monotonic() + 60
            while len(frames) < DRAWN_FROM:
                assert time.monotonic() < deadline, frames
                page.wait_for_timeout(100)
            page.wait_for_selector(CONNECTED)

        assert int(bench.get_by_role("slider", name="color_precision (bits)").input_value()) == at - 1
        assert bench.locator(".stCode").first.inner_text() == commands
        assert pictures.get_by_text("2 files chosen").is_visible()
        assert int(pictures.get_by_role("slider", name="Attempts per image").input_value()) == 9
        pictures.get_by_label("Remove mine-2.png").click()
        pictures.get_by_text("1 file chosen").wait_for()
        pictures.get_by_role("button", name="Optimize", exact=True).click()
        pictures.locator(".card .pair").first.wait_for(timeout=90_000)
        assert [batch.intake().taken[0].given for batch in all_batches(home)] == ["mine-1.png"]
        assert not list((home / "uploads").iterdir())
        assert form.get_by_role("textbox", name="Name").first.input_value() == "my own name"
        assert runs.get_by_role("textbox", name="Find").input_value() == "many 0"
        for page in pages:
            assert not page.locator("[data-testid=stException]").count()
