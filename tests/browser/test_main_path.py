"""The main path in a browser, and what a person does who comes back in the morning."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from core.config.installation import Settings, write_settings
from core.runs.events import read_events
from core.runs.records import read_config, read_parent
from core.runs.run_dir import all_runs
from core.runs.status import Status, run_state
from core.scheduling import local, queue
from tests.support.browsers import FLAGS, keep_picture, press_until
from tests.support.paths import ROOT
from tests.support.runs import await_status, await_step, follow, tiny_config
from tests.support.servers import serving


@pytest.mark.timeout(300)
def test_the_main_path_in_a_browser(home, tmp_path, chromium):
    """Start the quick run with one click, see its curve move, stop it, move the slider, take the CSV home."""
    from playwright.sync_api import expect, sync_playwright

    with serving(home, tmp_path) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True).new_page()
        page.set_default_timeout(60_000)
        elsewhere: list[str] = []
        page.on(
            "request", lambda r: elsewhere.append(r.url) if not r.url.startswith((server.url, "ws://127.0.0.1", "data:", "blob:")) else None
        )
        page.on("pageerror", lambda e: pytest.fail(f"script error on a page: {e}"))
        page.goto(server.url)
        page.get_by_role("button", name="Start the quick run").first.click()
        clicked = time.monotonic()
        page.get_by_text("Gain on validation logos").first.wait_for()
        page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first.wait_for()
        print(f"first point {time.monotonic() - clicked:.1f} s after the click")
        (run,) = all_runs(home)
        progress = page.get_by_text(re.compile(r"of 4,096 steps"))
        progress.wait_for()
        expect(progress).to_have_text(re.compile(r"^[1-9][\d,]* of 4,096 steps"), timeout=120_000)  # it moves by itself
        keep_picture(page, "task-start-a-run")

        page.get_by_role("button", name="Stop").first.click()
        page.get_by_text("Stopped", exact=True).first.wait_for()
        assert run_state(run).status is Status.STOPPED

        page.goto(f"{server.url}/gallery?run={run.run_id}")
        handle = page.locator(".handle")
        handle.wait_for()
        assert handle.get_attribute("aria-valuenow") == "50"
        box = handle.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 14, box["y"] + box["height"] / 3)
        page.mouse.down()
        page.mouse.move(box["x"] - 150, box["y"] + box["height"] / 3, steps=5)
        page.mouse.up()
        moved = int(handle.get_attribute("aria-valuenow") or 50)
        assert moved < 45
        page.keyboard.press("ArrowRight")
        expect(handle).to_have_attribute("aria-valuenow", str(moved + 2))
        page.keyboard.press("+")
        expect(page.locator(".zoom")).to_have_text("125 %")
        pictures = page.locator(".pane img:not(.over)").evaluate_all("els => els.map(e => [e.naturalWidth, e.src.slice(0, 22)])")
        assert all(width > 0 and src.startswith("data:image/svg+xml") for width, src in pictures)

        with page.expect_download() as download:
            page.get_by_role("button", name="SVG: agent").first.click()
        assert ElementTree.parse(download.value.path()).getroot().tag == "{http://www.w3.org/2000/svg}svg"

        page.goto(f"{server.url}/live?run={run.run_id}")
        page.get_by_role("tab", name="Export").first.click()
        with page.expect_download() as download:
            page.get_by_role("button", name="episodes.csv").first.click()
        lines = Path(download.value.path()).read_text().splitlines()
        n_episodes = sum(e.kind == "episode" for e in read_events(run.events_file))
        assert len(lines) == n_episodes + 1
        assert not elsewhere, f"requests beyond this machine: {elsewhere}"
        browser.close()

    done = subprocess.run(
        [sys.executable, "-m", "core", "export", str(run.path), "--out", str(tmp_path)], cwd=ROOT, capture_output=True, timeout=60
    )
    assert done.returncode == 0
    assert (tmp_path / f"{run.run_id}-episodes.csv").read_text().splitlines() == lines


@pytest.mark.timeout(300)
def test_closing_the_browser_changes_nothing(home, tmp_path, chromium, logo_folder):
    from playwright.sync_api import sync_playwright

    with serving(home, tmp_path) as server:
        run = local.start(home, tiny_config(logo_folder, total_timesteps=1_000_000))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page()
            page.goto(f"{server.url}/live?run={run.run_id}")
            page.get_by_text("Gain on validation logos").first.wait_for(timeout=60_000)
            browser.close()
        seen = max(e.step for e in read_events(run.events_file))
        await_step(run, seen + 64)
        assert run_state(run).status is Status.RUNNING


def press(page: Any, name: str, run, wanted: Status) -> None:
    """Press a button until the run follows."""
    press_until(page, page.get_by_role("button", name=name).first, lambda: run_state(run).status is wanted)


@pytest.mark.timeout(300)
def test_queue_pause_resume_fork_alerts_and_system_in_a_browser(home, tmp_path, chromium, logo_folder):
    """What a person does who comes back in the morning."""
    from playwright.sync_api import expect, sync_playwright

    write_settings(home, Settings.model_validate({"queue": {"cores": 1}}))
    # The first of them breaks by its learning rate, so that there is something to be told of.
    wild = {"learning_rate": 0.3, "n_epochs": 10, "n_steps": 4, "batch_size": 16}
    with serving(home, tmp_path) as server, sync_playwright() as playwright:
        sick = queue.submit(home, tiny_config(logo_folder, name="sick", n_workers=1, total_timesteps=400_000, ppo=wild))
        calm = queue.submit(home, tiny_config(logo_folder, name="calm", n_workers=1, total_timesteps=400_000))
        last = queue.submit(home, tiny_config(logo_folder, name="last", n_workers=1, total_timesteps=400_000))
        await_status(sick, Status.RUNNING)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda e: pytest.fail(f"script error on a page: {e}"))

        page.goto(f"{server.url}/system")
        page.get_by_text("waiting for 1 free core: 1 of 1 are used by sick").first.wait_for()
        page.get_by_text("waiting behind calm").first.wait_for()
        page.locator(f".st-key-queue-first-{last.run_id.replace('.', '-')} button").first.click()
        page.get_by_text("waiting behind last").first.wait_for()
        assert [run.run_id for run, _ in queue.waiting(home)] == [last.run_id, calm.run_id]
        page.locator(f".st-key-queue-cancel-{last.run_id.replace('.', '-')} button").first.click()
        await_status(last, Status.STOPPED)
        page.get_by_text("1 of 1 workers are in use.").first.wait_for()

        # The bell rings by itself
        page.get_by_text(re.compile(r"\d+ new alerts?")).first.wait_for()
        page.get_by_text(re.compile(r"\d+ new alerts?")).first.click()
        page.get_by_text("Updates move the policy too far").first.wait_for()
        page.get_by_role("button", name="Mark all as read").first.click()
        page.get_by_text("No new alerts").first.wait_for()

        page.goto(f"{server.url}/live?run={sick.run_id}&tab=Health")
        press(page, "Pause", sick, Status.PAUSED)
        page.get_by_text("Paused", exact=True).first.wait_for()
        press(page, "Continue", sick, Status.RUNNING)
        page.get_by_text("Running", exact=True).first.wait_for()
        press(page, "Stop", sick, Status.STOPPED)
        await_status(calm, Status.RUNNING)  # the next one starts by itself
        page.get_by_text("Stopped", exact=True).first.wait_for()

        # One click on the remedy: a fork waits behind the run that is live
        remedy = page.get_by_role("button", name=re.compile("Fork from the best checkpoint with ppo.learning_rate = 0.15")).first
        press_until(page, remedy, lambda: any(read_parent(run) for run in all_runs(home)))
        page.get_by_text(re.compile("Forked at step")).first.wait_for()
        page.get_by_text("In the queue: waiting for 1 free core").first.wait_for()
        (fork,) = [run for run in all_runs(home) if read_parent(run)]
        assert read_config(fork).ppo.learning_rate == 0.15

        page.goto(f"{server.url}/live?run={calm.run_id}")
        press(page, "Stop", calm, Status.STOPPED)
        await_status(fork, Status.RUNNING)
        press(page, "Resume", calm, Status.QUEUED)
        page.get_by_text("Queued", exact=True).first.wait_for()
        page.goto(f"{server.url}/live?run={fork.run_id}")
        page.get_by_text("Reward per episode").first.wait_for()
        press(page, "Stop", fork, Status.STOPPED)
        follow(calm, lambda e: e.attempt == 2 and e.kind == "metrics")
        page.goto(f"{server.url}/live?run={calm.run_id}&tab=Machine")
        expect(page.get_by_role("tab", name="Machine").first).to_be_visible()
        browser.close()
    attempts = [e.attempt for e in read_events(calm.events_file) if e.kind == "attempt_started"]
    assert attempts == [1, 2]
