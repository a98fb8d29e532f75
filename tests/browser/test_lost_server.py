"""A server that is killed under open tabs, and comes back at the same address: each tab gets a session of its own again, and has lost nothing."""

import signal

from core.bench.made_up import finished_runs
from tests.support.servers import serving

APP = '[data-testid="stApp"]'
CONNECTED = f'{APP}[data-test-connection-state="CONNECTED"][data-test-script-state="notRunning"]'
LOST = f'{APP}:not([data-test-connection-state="CONNECTED"])'


def test_what_was_set_in_open_tabs_outlives_the_server(home, tmp_path, browse):
    finished_runs(home, 3)
    with serving(home, tmp_path) as server:
        bench, form, runs = browse(), browse(), browse()
        for page, address in ((bench, "workbench"), (form, "new_run"), (runs, "")):
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
        bench.wait_for_selector(CONNECTED)
        commands = bench.locator(".stCode").first.inner_text()

        server.end(signal.SIGKILL)
        for page in (bench, form, runs):
            page.wait_for_selector(LOST, state="attached")
        server.start()
        for page in (bench, form, runs):
            page.wait_for_selector(CONNECTED)

        assert int(bench.get_by_role("slider", name="color_precision (bits)").input_value()) == at - 1
        assert bench.locator(".stCode").first.inner_text() == commands
        assert form.get_by_role("textbox", name="Name").first.input_value() == "my own name"
        assert runs.get_by_role("textbox", name="Find").input_value() == "many 0"
        for page in (bench, form, runs):
            assert not page.locator("[data-testid=stException]").count()
